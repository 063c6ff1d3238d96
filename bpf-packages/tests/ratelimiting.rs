// SPDX-License-Identifier: Apache-2.0
//! The rate limiter, packet by packet and on a wire.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use aya::maps::{Array, HashMap, MapData};
use aya::programs::XdpMode;
use aya::{Ebpf, Pod};
use bpf_packages::namespace::Wire;
use bpf_packages::object::{self, XDP_DROP, XDP_PASS};
use bpf_packages::packet;

const PORT: u16 = 8080;
/// Key of the window that all ports share.
const ALL: u32 = 0;
/// A window that begins then stays at age 0 for the whole test: its border, held still.
const FUTURE: u64 = 1 << 62;

/// `struct window` of ratelimiting.h.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    start: u64,
    current: u64,
    previous: u64,
    lock: u32,
    padding: u32,
}

// SAFETY: plain integers, the padding spelled out: every byte is initialised and any is valid.
unsafe impl Pod for Window {}

/// The loaded package and its maps, by what they are for.
struct Limiter(Ebpf);

impl Limiter {
    /// Loads it with `ports` limited: rates for all together and for each; 0 is no limit.
    fn new(ports: &[u16], rate: u64, port_rate: u64) -> Self {
        let mut ebpf = object::open(&object::compile_package("ratelimiting"));
        object::xdp(&mut ebpf, "limit_syn");
        let mut limiter = Self(ebpf);
        let mut config =
            Array::<&mut MapData, u64>::try_from(limiter.0.map_mut("rl_config_map").unwrap())
                .unwrap();
        config.set(0, rate, 0).unwrap();
        config.set(1, port_rate, 0).unwrap();
        for port in ports {
            limiter
                .map::<u16, u8>("rl_ports_map")
                .insert(port, 1, 0)
                .unwrap();
        }
        limiter
    }

    fn map<K: Pod, V: Pod>(&mut self, name: &str) -> HashMap<&mut MapData, K, V> {
        self.0.map_mut(name).unwrap().try_into().unwrap()
    }

    /// Holds the window of `port` still, at its border, with these counts.
    fn hold(&mut self, port: u32, current: u64, previous: u64) {
        let window = Window {
            start: FUTURE,
            current,
            previous,
            ..Window::default()
        };
        self.map("rl_window_map").insert(port, window, 0).unwrap();
    }

    fn window(&mut self, port: u32) -> Window {
        self.map("rl_window_map").get(&port, 0).unwrap()
    }

    /// Holds the windows of all and of `ports` still and empty.
    fn stop_time(mut self, ports: &[u16]) -> Self {
        self.hold(ALL, 0, 0);
        for port in ports {
            self.hold(u32::from(*port), 0, 0);
        }
        self
    }

    fn verdict(&mut self, bytes: &[u8]) -> u32 {
        object::verdict(object::xdp(&mut self.0, "limit_syn"), bytes)
    }

    /// How many of `count` SYNs to `port` are let through.
    fn passed(&mut self, port: u16, count: usize) -> usize {
        let syn = packet::syn(port);
        (0..count)
            .filter(|_| self.verdict(&syn) == XDP_PASS)
            .count()
    }

    /// SYNs seen and dropped; 0 where nothing was counted yet.
    fn counted(&mut self) -> (u64, u64) {
        let mut count = |name| self.map::<u64, u64>(name).get(&0, 0).unwrap_or(0);
        (count("rl_recv_count_map"), count("rl_drop_count_map"))
    }
}

#[test]
fn the_rate_is_admitted_and_not_one_more() {
    for rate in [1, 2, 7, 100] {
        let mut limiter = Limiter::new(&[PORT], rate, 0).stop_time(&[PORT]);
        let rate = usize::try_from(rate).unwrap();
        assert_eq!(limiter.passed(PORT, rate + 20), rate);
        assert_eq!(
            limiter.counted(),
            (rate as u64 + 20, 20),
            "seen and dropped"
        );
    }
}

#[test]
fn at_the_border_the_whole_previous_second_counts() {
    let mut limiter = Limiter::new(&[PORT], 10, 0);
    limiter.hold(ALL, 2, 5);
    assert_eq!(limiter.passed(PORT, 20), 3, "2 + 5 of 10 are taken");
    let window = limiter.window(ALL);
    assert_eq!(
        (window.current, window.previous),
        (5, 5),
        "only accepted ones enter the window"
    );
}

#[test]
fn a_window_of_long_ago_takes_no_room() {
    let mut limiter = Limiter::new(&[PORT], 1_000_000, 0);
    let old = Window {
        start: 0,
        current: 1_000_000,
        previous: 1_000_000,
        ..Window::default()
    };
    limiter.map("rl_window_map").insert(ALL, old, 0).unwrap();
    assert_eq!(limiter.passed(PORT, 5), 5);
    assert!(
        limiter.window(ALL).start > 0,
        "the window moved on to this second"
    );
}

#[test]
fn each_port_and_all_together_are_limited_at_once() {
    let ports = [80, 443, 8080];
    let mut limiter = Limiter::new(&ports, 7, 3).stop_time(&ports);
    assert_eq!(limiter.passed(80, 10), 3, "its own limit");
    assert_eq!(
        limiter.passed(443, 10),
        3,
        "its own limit, untouched by the first port"
    );
    assert_eq!(limiter.passed(8080, 10), 1, "what is left for all");
    assert_eq!(limiter.window(80).current, 3);
    assert_eq!(
        limiter.window(8080).current,
        1,
        "refused by one window, counted in neither"
    );
    assert_eq!(limiter.window(ALL).current, 7);
    assert_eq!(limiter.counted(), (30, 23));
}

#[test]
fn every_shape_of_syn_is_limited_and_nothing_else() {
    for sample in packet::corpus(PORT) {
        let mut limiter = Limiter::new(&[PORT], 1, 0).stop_time(&[PORT]);
        assert_eq!(
            limiter.verdict(&sample.bytes),
            XDP_PASS,
            "{}: the first",
            sample.name
        );
        let second = if sample.syn { XDP_DROP } else { XDP_PASS };
        assert_eq!(
            limiter.verdict(&sample.bytes),
            second,
            "{}: the second",
            sample.name
        );
        let counted = if sample.syn { (2, 1) } else { (0, 0) };
        assert_eq!(limiter.counted(), counted, "{}", sample.name);
    }
}

#[test]
fn every_truncation_of_every_packet_passes() {
    // Nothing fits any more, so whatever is taken for a SYN would be dropped.
    let mut limiter = Limiter::new(&[PORT], 1, 1).stop_time(&[PORT]);
    limiter.hold(ALL, 1, 0);
    for sample in packet::corpus(PORT) {
        let whole = if sample.name.contains("padded") {
            54
        } else {
            sample.bytes.len()
        };
        for length in 14..whole {
            let verdict = limiter.verdict(&sample.bytes[..length]);
            assert_eq!(verdict, XDP_PASS, "{} cut to {length} bytes", sample.name);
        }
    }
    assert_eq!(limiter.counted(), (0, 0));
}

#[test]
fn no_configuration_stops_other_traffic() {
    let rates = [
        0,
        1,
        2,
        u64::MAX,
        u64::MAX / 2,
        1_000_000_000,
        1_000_000_001,
    ];
    for rate in rates {
        for port_rate in rates {
            let mut limiter = Limiter::new(&[PORT, 0, u16::MAX], rate, port_rate);
            for sample in packet::corpus(PORT).iter().filter(|sample| !sample.syn) {
                assert_eq!(limiter.verdict(&sample.bytes), XDP_PASS, "{}", sample.name);
            }
            assert_eq!(limiter.passed(81, 5), 5, "a port that is not listed");
            assert_eq!(limiter.passed(0, 5), 5, "no service has port 0");
            assert!(
                limiter.passed(PORT, 1) == 1,
                "the first of a second, at {rate}, {port_rate}"
            );
        }
    }
}

#[test]
fn without_rates_nothing_is_limited_and_all_is_counted() {
    let mut limiter = Limiter::new(&[PORT], 0, 0);
    assert_eq!(limiter.passed(PORT, 1000), 1000);
    assert_eq!(limiter.counted(), (1000, 0));
}

#[test]
fn counters_that_exist_are_continued() {
    let mut limiter = Limiter::new(&[PORT], 1, 0).stop_time(&[PORT]);
    limiter
        .map::<u64, u64>("rl_recv_count_map")
        .insert(0, 40, 0)
        .unwrap();
    limiter
        .map::<u64, u64>("rl_drop_count_map")
        .insert(0, 30, 0)
        .unwrap();
    limiter.passed(PORT, 3);
    assert_eq!(limiter.counted(), (43, 32));
}

#[test]
fn two_cpus_admit_no_more_than_one() {
    // Long enough for both to be at it at once, wherever each begins.
    const RATE: u64 = 3_000_000;
    const EACH: u32 = 2_000_000;
    let mut limiter = Limiter::new(&[PORT], RATE, 0).stop_time(&[PORT]);
    let program = object::xdp(&mut limiter.0, "limit_syn");
    let syn = packet::syn(PORT);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| object::run(program, &syn, EACH));
        }
    });
    assert_eq!(limiter.counted(), (4_000_000, 4_000_000 - RATE));
    assert_eq!(limiter.window(ALL).current, RATE);
}

/// How many connections to `to` come about, of `count` asked for one after the other.
fn connections(to: SocketAddr, count: usize) -> usize {
    let attempt = |_: &usize| TcpStream::connect_timeout(&to, Duration::from_millis(200)).is_ok();
    (0..count).filter(attempt).count()
}

#[test]
fn on_a_wire_the_rate_connects_and_the_rest_does_not() {
    object::require_root();
    let wire = Wire::new();
    let ports = [8080, 8081];
    for mode in [XdpMode::Driver, XdpMode::Skb] {
        let mut limiter = Limiter::new(&ports, 6, 4).stop_time(&ports);
        // The listeners live on this side; their sockets stay in the namespace they were made in.
        let _listeners: Vec<_> = wire.right.run(|| {
            object::xdp(&mut limiter.0, "limit_syn")
                .attach("veth0", mode)
                .unwrap();
            let listen = |port| TcpListener::bind(("::", port)).unwrap();
            [8080, 8081, 8082].map(listen).into()
        });
        let connected: BTreeMap<_, _> = wire.left.run(|| {
            let to = |at: &str| (at.to_owned(), connections(at.parse().unwrap(), 5));
            ["10.9.0.2:8080", "[fd09::2]:8081", "[fd09::2]:8082"]
                .iter()
                .map(|at| to(at))
                .collect()
        });
        assert_eq!(connected["10.9.0.2:8080"], 4, "its own rate");
        assert_eq!(connected["[fd09::2]:8081"], 2, "what is left for all");
        assert_eq!(connected["[fd09::2]:8082"], 5, "not limited");
        assert_eq!(limiter.counted(), (10, 4));
        assert_eq!(echoed(&wire), 20, "UDP is not limited");
    }
}

/// How many of 20 UDP datagrams come back across the wire.
fn echoed(wire: &Wire) -> usize {
    let right = wire.right.run(|| UdpSocket::bind("10.9.0.2:9000").unwrap());
    let left = wire.left.run(|| UdpSocket::bind("10.9.0.1:0").unwrap());
    let wait = Some(Duration::from_secs(5));
    left.set_read_timeout(wait).unwrap();
    right.set_read_timeout(wait).unwrap();
    let round = |_: &i32| {
        left.send_to(b"there", "10.9.0.2:9000").unwrap();
        let mut text = [0; 16];
        let (length, from) = right.recv_from(&mut text).unwrap();
        right.send_to(&text[..length], from).unwrap();
        left.recv(&mut text).is_ok()
    };
    (0..20).filter(round).count()
}
