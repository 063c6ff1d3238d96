// SPDX-License-Identifier: Apache-2.0
//! Builds packets, layer by layer from the inside out, and a corpus of them.

/// TCP's flag that asks for a connection.
pub const SYN: u8 = 0x02;
/// TCP's flag that resets one.
pub const RST: u8 = 0x04;
/// TCP's flag on everything after the first packet.
pub const ACK: u8 = 0x10;
/// Tag of a VLAN.
pub const VLAN: u16 = 0x8100;
/// Outer tag of a VLAN inside a VLAN.
pub const QINQ: u16 = 0x88a8;

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// What the two layers of a packet are, by the names of packet-count's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Ipv4,
    Ipv6,
    Arp,
    Other,
    Tcp,
    Udp,
    Icmp,
    OtherIp,
}

/// One packet of the corpus and what a program should see in it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Says what is special about it.
    pub name: &'static str,
    /// The whole frame, from the Ethernet header on.
    pub bytes: Vec<u8>,
    /// The network layer.
    pub network: Kind,
    /// What IP carries; `None` without IP.
    pub transport: Option<Kind>,
    /// It asks for a TCP connection and is whole, so a limit applies to it.
    pub syn: bool,
}

/// A TCP segment to port `to`, with `options` bytes of options (a multiple of 4, at most 40).
pub fn tcp(to: u16, flags: u8, options: u8, payload: usize) -> Vec<u8> {
    let mut segment = [&40_000_u16.to_be_bytes()[..], &to.to_be_bytes(), &[0; 8]].concat();
    segment.extend([(5 + options / 4) << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.resize(20 + usize::from(options) + payload, 1);
    segment
}

/// A UDP datagram.
pub fn udp(payload: usize) -> Vec<u8> {
    let length = u16::try_from(payload + 8).expect("a datagram is at most 65535 bytes");
    let mut datagram = [40_000_u16, 53, length, 0].map(u16::to_be_bytes).concat();
    datagram.resize(usize::from(length), 7);
    datagram
}

/// IPv4 around `payload`; `options` is a number of bytes, a multiple of 4, at most 40;
/// `fragment` is the header's field: 0x2000 for "more follow", the low bits for the offset.
pub fn ipv4(protocol: u8, options: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + usize::from(options) + payload.len())
        .expect("an IPv4 packet is at most 65535 bytes");
    let mut packet = vec![0x45 + options / 4, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([0, 1]);
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0, 10, 9, 0, 1, 10, 9, 0, 2]);
    packet.resize(20 + usize::from(options), 1); // option 1 does nothing
    packet.extend(payload);
    packet
}

/// IPv6 around `payload`, which begins with the header of `next`.
pub fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("an IPv6 payload is at most 65535 bytes");
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([next, 64]);
    for last in [1, 2] {
        packet.extend([0xfd, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    packet.extend(payload);
    packet
}

/// An IPv6 extension header of 8 × (1 + `extra`) bytes before `payload`, which `next` begins.
pub fn extension(next: u8, extra: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![next, extra];
    header.resize(8 * (1 + usize::from(extra)), 0);
    [&header, payload].concat()
}

/// An IPv6 authentication header of 24 bytes before `payload`; it counts its length in words.
pub fn authentication(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![next, 4];
    header.resize(24, 0);
    [&header, payload].concat()
}

/// An IPv6 fragment header before `payload`; `field` is offset × 8, plus 1 for "more follow".
pub fn fragment(next: u8, field: u16, payload: &[u8]) -> Vec<u8> {
    let [high, low] = field.to_be_bytes();
    [&[next, 0, high, low, 0, 0, 0, 1], payload].concat()
}

/// The Ethernet frame of a packet, tagged with `tags`, the outermost first.
pub fn ethernet(tags: &[u16], ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend([0, 42]);
    }
    frame.extend(ether_type.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A SYN to port `to` over IPv4: the plainest request for a connection.
pub fn syn(to: u16) -> Vec<u8> {
    ethernet(&[], IPV4, &ipv4(TCP, 0, 0, &tcp(to, SYN, 0, 0)))
}

/// Packets of every shape that a program must read, with TCP going to port `to`.
pub fn corpus(to: u16) -> Vec<Sample> {
    [ipv4_samples(to), ipv6_samples(to), other_samples()].concat()
}

fn sample(
    name: &'static str,
    tags: &[u16],
    packet: (u16, Kind, Vec<u8>),
    transport: Kind,
) -> Sample {
    let (ether_type, network, payload) = packet;
    Sample {
        name,
        bytes: ethernet(tags, ether_type, &payload),
        network,
        transport: Some(transport),
        syn: false,
    }
}

/// The same, for a request that a limit applies to.
fn request(name: &'static str, tags: &[u16], packet: (u16, Kind, Vec<u8>)) -> Sample {
    Sample {
        syn: true,
        ..sample(name, tags, packet, Kind::Tcp)
    }
}

fn ipv4_samples(to: u16) -> Vec<Sample> {
    use Kind::{Icmp, OtherIp, Tcp, Udp};
    let syn = tcp(to, SYN, 0, 0);
    let v4 = |protocol, options, fragment, payload: &[u8]| {
        (IPV4, Kind::Ipv4, ipv4(protocol, options, fragment, payload))
    };
    let mut padded = request("v4 SYN padded to 64 bytes", &[], v4(TCP, 0, 0, &syn));
    padded.bytes.resize(64, 0);
    vec![
        request("v4 SYN", &[], v4(TCP, 0, 0, &syn)),
        padded,
        request(
            "v4 SYN with TCP options",
            &[],
            v4(TCP, 0, 0, &tcp(to, SYN, 20, 0)),
        ),
        request(
            "v4 SYN with data",
            &[],
            v4(TCP, 0, 0, &tcp(to, SYN, 0, 100)),
        ),
        request(
            "v4 SYN with ECN",
            &[],
            v4(TCP, 0, 0, &tcp(to, SYN | 0xc0, 0, 0)),
        ),
        request("v4 SYN, 4 bytes of IP options", &[], v4(TCP, 4, 0, &syn)),
        request("v4 SYN, 40 bytes of IP options", &[], v4(TCP, 40, 0, &syn)),
        request("v4 SYN in a VLAN", &[VLAN], v4(TCP, 0, 0, &syn)),
        request("v4 SYN in QinQ", &[QINQ, VLAN], v4(TCP, 0, 0, &syn)),
        request("v4 SYN in old QinQ", &[0x9100, VLAN], v4(TCP, 8, 0, &syn)),
        request("v4 SYN with don't-fragment", &[], v4(TCP, 0, 0x4000, &syn)),
        sample(
            "v4 SYN+ACK",
            &[],
            v4(TCP, 0, 0, &tcp(to, SYN | ACK, 0, 0)),
            Tcp,
        ),
        sample("v4 ACK", &[], v4(TCP, 0, 0, &tcp(to, ACK, 12, 0)), Tcp),
        sample("v4 RST", &[], v4(TCP, 0, 0, &tcp(to, RST, 0, 0)), Tcp),
        sample(
            "v4 TCP of 1500 bytes",
            &[],
            v4(TCP, 0, 0, &tcp(to, ACK, 0, 1460)),
            Tcp,
        ),
        sample(
            "v4 first fragment",
            &[],
            v4(TCP, 0, 0x2000, &tcp(to, SYN, 0, 4)),
            Tcp,
        ),
        sample("v4 later fragment", &[], v4(TCP, 0, 0x0005, &syn), Tcp),
        sample("v4 UDP of 64 bytes", &[], v4(UDP, 0, 0, &udp(22)), Udp),
        sample("v4 UDP of 9000 bytes", &[], v4(UDP, 0, 0, &udp(8972)), Udp),
        sample("v4 ICMP", &[], v4(1, 0, 0, &[8, 0, 0, 0, 0, 1, 0, 1]), Icmp),
        sample("v4 GRE", &[], v4(47, 0, 0, &[0; 24]), OtherIp),
        sample("v4 of no payload", &[], v4(TCP, 0, 0, &[]), Tcp),
    ]
}

fn ipv6_samples(to: u16) -> Vec<Sample> {
    use Kind::{Icmp, OtherIp, Tcp, Udp};
    let syn = tcp(to, SYN, 0, 0);
    let v6 = |next, payload: &[u8]| (IPV6, Kind::Ipv6, ipv6(next, payload));
    let routed = extension(60, 2, &extension(43, 1, &extension(TCP, 0, &syn)));
    let authentic = authentication(60, &extension(TCP, 3, &syn));
    let eight = (0..7).fold(extension(TCP, 0, &syn), |inner, _| extension(60, 0, &inner));
    vec![
        request("v6 SYN", &[], v6(TCP, &syn)),
        request("v6 SYN in a VLAN", &[VLAN], v6(TCP, &syn)),
        request(
            "v6 SYN in QinQ",
            &[QINQ, VLAN],
            v6(TCP, &tcp(to, SYN, 40, 0)),
        ),
        request(
            "v6 SYN, hop-by-hop, destination, routing",
            &[],
            v6(0, &routed),
        ),
        request(
            "v6 SYN, authentication, destination",
            &[],
            v6(51, &authentic),
        ),
        request(
            "v6 SYN, longest extension",
            &[],
            v6(60, &extension(TCP, 255, &syn)),
        ),
        request("v6 SYN, eight extensions", &[], v6(60, &eight)),
        request(
            "v6 SYN in an atomic fragment",
            &[],
            v6(44, &fragment(TCP, 0, &syn)),
        ),
        sample(
            "v6 SYN, nine extensions",
            &[],
            v6(60, &extension(60, 0, &eight)),
            OtherIp,
        ),
        sample("v6 SYN+ACK", &[], v6(TCP, &tcp(to, SYN | ACK, 0, 0)), Tcp),
        sample(
            "v6 first fragment",
            &[],
            v6(44, &fragment(TCP, 1, &syn)),
            Tcp,
        ),
        sample(
            "v6 later fragment",
            &[],
            v6(44, &fragment(TCP, 24, &syn)),
            Tcp,
        ),
        sample(
            "v6 later fragment of options",
            &[],
            v6(44, &fragment(60, 24, &syn)),
            OtherIp,
        ),
        sample("v6 UDP of 1500 bytes", &[], v6(UDP, &udp(1452)), Udp),
        sample(
            "v6 UDP after hop-by-hop",
            &[],
            v6(0, &extension(UDP, 0, &udp(4))),
            Udp,
        ),
        sample("v6 ICMPv6", &[], v6(58, &[128, 0, 0, 0, 0, 1, 0, 1]), Icmp),
        sample("v6 ESP", &[], v6(50, &[0; 24]), OtherIp),
        sample("v6 of no next header", &[], v6(59, &[]), OtherIp),
    ]
}

fn other_samples() -> Vec<Sample> {
    let bare = |name, tags: &[u16], ether_type, network, payload: &[u8]| Sample {
        name,
        bytes: ethernet(tags, ether_type, payload),
        network,
        transport: None,
        syn: false,
    };
    let mut wrong_version = syn(80);
    wrong_version[14] = 0x65;
    let mut short_header = syn(80);
    short_header[14] = 0x44;
    vec![
        bare("ARP", &[], ARP, Kind::Arp, &[0; 28]),
        bare("ARP in a VLAN", &[VLAN], ARP, Kind::Arp, &[0; 28]),
        bare("LLDP", &[], 0x88cc, Kind::Other, &[0; 46]),
        bare(
            "five tags",
            &[VLAN; 5],
            IPV4,
            Kind::Other,
            &ipv4(TCP, 0, 0, &tcp(80, SYN, 0, 0)),
        ),
        bare("802.3 length", &[], 46, Kind::Other, &[0; 46]),
        broken("v4 type, version 6", wrong_version),
        broken("v4 header of 16 bytes", short_header),
    ]
}

/// IPv4 by its EtherType, and not readable as such.
fn broken(name: &'static str, bytes: Vec<u8>) -> Sample {
    Sample {
        name,
        bytes,
        network: Kind::Ipv4,
        transport: Some(Kind::OtherIp),
        syn: false,
    }
}
