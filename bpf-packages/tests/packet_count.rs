// SPDX-License-Identifier: Apache-2.0
//! The packet counter, packet by packet and on a wire.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::time::Duration;

use aya::maps::PerCpuArray;
use aya::programs::{TcAttachType, XdpMode};
use aya::{Ebpf, Pod};
use bpf_packages::namespace::{Wire, ip};
use bpf_packages::object::{self, TC_ACT_UNSPEC, XDP_PASS};
use bpf_packages::packet::{self, Kind, Sample};

/// In the order of `enum kind` of packet-count.h.
const KINDS: [Kind; 8] = [
    Kind::Ipv4,
    Kind::Ipv6,
    Kind::Arp,
    Kind::Other,
    Kind::Tcp,
    Kind::Udp,
    Kind::Icmp,
    Kind::OtherIp,
];

/// `struct traffic` of packet-count.h.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Traffic {
    packets: u64,
    bytes: u64,
}

// SAFETY: two plain integers without padding.
unsafe impl Pod for Traffic {}

type Counts = BTreeMap<Kind, Traffic>;

fn open() -> Ebpf {
    object::open(&object::compile_package("packet-count"))
}

/// What is counted, summed over CPUs, without what is zero.
fn counts(ebpf: &Ebpf) -> Counts {
    let map = ebpf.map("packet_counts").unwrap();
    let map = PerCpuArray::<_, Traffic>::try_from(map).unwrap();
    let of = |key: u32| {
        let mut sum = Traffic::default();
        for cpu in map.get(&key, 0).unwrap().iter() {
            sum.packets += cpu.packets;
            sum.bytes += cpu.bytes;
        }
        sum
    };
    let all = (0..).zip(KINDS).map(|(key, kind)| (kind, of(key)));
    all.filter(|(_, sum)| sum.packets > 0).collect()
}

/// What should be counted after these packets.
fn expected<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Counts {
    let mut expected = Counts::new();
    for sample in samples {
        for kind in [Some(sample.network), sample.transport]
            .into_iter()
            .flatten()
        {
            let traffic = expected.entry(kind).or_default();
            traffic.packets += 1;
            traffic.bytes += sample.bytes.len() as u64;
        }
    }
    expected
}

/// The corpus without what a test run would hand over in several buffers, unlike a device.
fn in_one_page() -> Vec<Sample> {
    let mut corpus = packet::corpus(80);
    corpus.retain(|sample| sample.bytes.len() < 3000);
    corpus
}

#[test]
fn each_packet_counts_under_its_own_protocols() {
    for sample in in_one_page() {
        let mut ebpf = open();
        let verdict = object::verdict(object::xdp(&mut ebpf, "count_xdp"), &sample.bytes);
        assert_eq!(verdict, XDP_PASS, "{}", sample.name);
        assert_eq!(counts(&ebpf), expected([&sample]), "{}", sample.name);
    }
}

#[test]
fn traffic_control_counts_as_the_driver_does() {
    let corpus = in_one_page();
    let mut ebpf = open();
    for sample in &corpus {
        let verdict = object::verdict(object::tc(&mut ebpf, "count_tc"), &sample.bytes);
        assert_eq!(verdict, TC_ACT_UNSPEC, "{}", sample.name);
    }
    assert_eq!(counts(&ebpf), expected(&corpus));
}

/// The fewest bytes that the kernel takes for a test run on TC: a whole first IP header.
fn shortest_on_tc(bytes: &[u8]) -> usize {
    match bytes[12..14] {
        [0x08, 0x00] => 14 + 20,
        [0x86, 0xdd] => 14 + 40,
        _ => 14 + 1,
    }
}

#[test]
fn every_truncation_counts_once_and_passes() {
    let mut ebpf = open();
    let (mut packets, mut bytes) = (0, 0);
    for sample in in_one_page() {
        for length in 14..sample.bytes.len() {
            let cut = &sample.bytes[..length];
            let verdict = object::verdict(object::xdp(&mut ebpf, "count_xdp"), cut);
            assert_eq!(verdict, XDP_PASS, "{} cut to {length}", sample.name);
            packets += 1;
            bytes += length as u64;
            if length >= shortest_on_tc(cut) {
                let verdict = object::verdict(object::tc(&mut ebpf, "count_tc"), cut);
                assert_eq!(verdict, TC_ACT_UNSPEC, "{} cut to {length}", sample.name);
                packets += 1;
                bytes += length as u64;
            }
        }
    }
    let counts = counts(&ebpf);
    let sum = |kinds: &[Kind]| {
        let of = |kind| counts.get(kind).copied().unwrap_or_default();
        let add = |(packets, bytes), t: Traffic| (packets + t.packets, bytes + t.bytes);
        kinds.iter().map(of).fold((0, 0), add)
    };
    assert_eq!(sum(&KINDS[..4]), (packets, bytes), "all traffic");
    assert_eq!(sum(&KINDS[4..]), sum(&KINDS[..2]), "what IP carries is IP");
}

/// Where a copy of the package counts on the right end of a wire.
#[derive(Debug, Clone, Copy)]
enum Place {
    Xdp(XdpMode),
    Tc(TcAttachType),
}

const INGRESS: Place = Place::Tc(TcAttachType::Ingress);
const EGRESS: Place = Place::Tc(TcAttachType::Egress);

fn count_at(wire: &Wire, place: Place) -> (Place, Ebpf) {
    let mut ebpf = open();
    wire.right.run(|| match place {
        Place::Xdp(mode) => {
            let program = object::xdp(&mut ebpf, "count_xdp");
            program.attach("veth0", mode).unwrap();
        }
        Place::Tc(direction) => {
            let program = object::tc(&mut ebpf, "count_tc");
            program.attach("veth0", direction).unwrap();
        }
    });
    (place, ebpf)
}

#[test]
fn on_a_wire_every_datagram_is_counted_at_each_place() {
    object::require_root();
    let wire = Wire::new();
    for mode in [XdpMode::Driver, XdpMode::Skb] {
        let places = [Place::Xdp(mode), INGRESS, EGRESS].map(|place| count_at(&wire, place));
        exchange(&wire, "10.9.0", 30, 100);
        exchange(&wire, "fd09:", 20, 200);
        let bytes = 30 * (14 + 20 + 8 + 100) + 20 * (14 + 40 + 8 + 200);
        for (place, ebpf) in &places {
            let counts = counts(ebpf);
            let udp = Traffic { packets: 50, bytes };
            assert_eq!(counts[&Kind::Udp], udp, "{place:?} beside {mode:?}");
            assert!(
                counts[&Kind::Ipv4].packets >= 30,
                "{place:?} beside {mode:?}"
            );
            assert!(
                counts[&Kind::Ipv6].packets >= 20,
                "{place:?} beside {mode:?}"
            );
        }
    }
}

#[test]
fn a_jumbo_frame_counts_with_all_its_bytes() {
    object::require_root();
    let wire = Wire::new();
    for end in [&wire.left, &wire.right] {
        end.run(|| ip("link set veth0 mtu 9000"));
    }
    let places = [Place::Xdp(XdpMode::Skb), INGRESS].map(|place| count_at(&wire, place));
    exchange(&wire, "10.9.0", 3, 8972);
    for (place, ebpf) in &places {
        let udp = Traffic {
            packets: 3,
            bytes: 3 * 9014,
        };
        assert_eq!(counts(ebpf)[&Kind::Udp], udp, "{place:?}");
    }
}

/// Sends `count` datagrams of `size` bytes from left to right, each answered alike.
fn exchange(wire: &Wire, network: &str, count: usize, size: usize) {
    let address = |host: u8, port: u16| match network {
        "fd09:" => format!("[fd09::{host}]:{port}"),
        _ => format!("{network}.{host}:{port}"),
    };
    let right = wire
        .right
        .run(|| UdpSocket::bind(address(2, 9000)).unwrap());
    let left = wire.left.run(|| UdpSocket::bind(address(1, 0)).unwrap());
    let wait = Some(Duration::from_secs(5));
    left.set_read_timeout(wait).unwrap();
    right.set_read_timeout(wait).unwrap();
    let mut buffer = [0; 9000];
    for _ in 0..count {
        left.send_to(&vec![1; size], address(2, 9000)).unwrap();
        let (length, from) = right.recv_from(&mut buffer).unwrap();
        right.send_to(&buffer[..length], from).unwrap();
        assert_eq!(left.recv(&mut buffer).unwrap(), size);
    }
}
