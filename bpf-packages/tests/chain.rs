// SPDX-License-Identifier: Apache-2.0
//! The packages in a chain, woven as a node weaves them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use aya::Ebpf;
use aya::maps::{Array, HashMap, PerCpuArray};
use bpf_packages::chain::{Chain, Member};
use bpf_packages::namespace::with_bpffs;
use bpf_packages::object::{self, XDP_DROP, XDP_PASS};
use bpf_packages::packet;

const PORT: u16 = 80;

/// Limits connections to [`PORT`] to one in a second that never ends.
fn limit_to_one(limiter: &mut Ebpf) {
    let config = limiter.map_mut("rl_config_map").unwrap();
    Array::<_, u64>::try_from(config)
        .unwrap()
        .set(0, 1, 0)
        .unwrap();
    let ports = limiter.map_mut("rl_ports_map").unwrap();
    HashMap::<_, u16, u8>::try_from(ports)
        .unwrap()
        .insert(PORT, 1, 0)
        .unwrap();
    let windows = limiter.map_mut("rl_window_map").unwrap();
    // start, current, previous, lock: at the border of a window that begins in a century.
    HashMap::<_, u32, [u64; 4]>::try_from(windows)
        .unwrap()
        .insert(0, [1 << 62, 0, 0, 0], 0)
        .unwrap();
}

/// TCP packets that packet-count has seen.
fn tcp(counter: &Ebpf) -> u64 {
    let map = counter.map("packet_counts").unwrap();
    let counts = PerCpuArray::<_, [u64; 2]>::try_from(map).unwrap();
    counts
        .get(&4, 0)
        .unwrap()
        .iter()
        .map(|[packets, _]| packets)
        .sum()
}

/// The verdicts on ten SYNs, and what was counted, with the packages in this order.
fn chain(order: [&str; 2]) -> (Vec<u32>, u64) {
    let objects = order.map(object::compile_package);
    let function = |name| {
        if name == "ratelimiting" {
            "limit_syn"
        } else {
            "count_xdp"
        }
    };
    let members: Vec<_> = objects
        .iter()
        .zip(order)
        .map(|(object, name)| Member {
            object,
            function: function(name),
        })
        .collect();
    with_bpffs(|| {
        let mut chain = Chain::load(&members, true);
        let place = |name| order.iter().position(|found| *found == name).unwrap();
        limit_to_one(&mut chain.objects[place("ratelimiting")]);
        let syn = packet::syn(PORT);
        let verdicts = (0..10)
            .map(|_| object::verdict(chain.head(), &syn))
            .collect();
        (verdicts, tcp(&chain.objects[place("packet-count")]))
    })
}

#[test]
fn what_the_limiter_drops_does_not_reach_the_counter_behind_it() {
    let (verdicts, counted) = chain(["ratelimiting", "packet-count"]);
    assert_eq!(verdicts[0], XDP_PASS);
    assert!(
        verdicts[1..].iter().all(|verdict| *verdict == XDP_DROP),
        "{verdicts:?}"
    );
    assert_eq!(counted, 1);
}

#[test]
fn a_counter_before_the_limiter_sees_everything() {
    let (verdicts, counted) = chain(["packet-count", "ratelimiting"]);
    assert_eq!(verdicts[0], XDP_PASS);
    assert!(
        verdicts[1..].iter().all(|verdict| *verdict == XDP_DROP),
        "{verdicts:?}"
    );
    assert_eq!(counted, 10);
}
