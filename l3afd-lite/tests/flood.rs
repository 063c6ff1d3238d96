// SPDX-License-Identifier: Apache-2.0
//! A chain that changes under a flood loses no packet, and no packet sees half of a
//! change.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use l3afd_lite::chain::Engine;
use l3afd_lite::desired::XdpMode;
use l3afd_lite::kernel::Kernel;
use registry_schema::hook::Hook;
use support::flood::Flood;
use support::objects::{count, generation};
use support::sandbox::{Sandbox, place, wait_until};

const PACKETS: u64 = 1_000_000;
const ORDERS: [&[&str]; 4] = [
    &["a", "b", "c", "d"],
    &["d", "c", "b", "a"],
    &["b", "d", "a", "c"],
    &["c", "a", "d", "b"],
];

fn reordered_under_flood(hook: Hook) {
    let sandbox = Sandbox::new();
    let kernel = Engine::new(sandbox.bpffs());
    let place = place(hook);
    kernel.prepare().unwrap();
    kernel.load(&generation(&place, 1, ORDERS[0])).unwrap();
    kernel.attach(&place, XdpMode::Generic, 1).unwrap();

    let flood = Flood::start();
    let kept: Vec<String> = ORDERS[0]
        .iter()
        .map(|&instance| instance.to_owned())
        .collect();
    let mut number = 1;
    while flood.sent() < PACKETS || number < 12 {
        number += 1;
        let order = ORDERS[usize::try_from(number).unwrap() % ORDERS.len()];
        kernel.load(&generation(&place, number, order)).unwrap();
        kernel.attach(&place, XdpMode::Generic, number).unwrap();
        // The daemon waits for a grace period, in which packets leave the old generation.
        std::thread::sleep(std::time::Duration::from_millis(50));
        kernel.retire(&place, number - 1, &kept).unwrap();
    }
    let sent = flood.stop();
    let seen = || {
        ORDERS[0]
            .iter()
            .map(|instance| count(&kernel, &place, instance))
            .collect::<Vec<_>>()
    };
    wait_until(
        "all packets that were sent are seen by every program",
        || seen() == [sent; 4],
    );
    assert!(sent >= PACKETS);
    println!(
        "{hook}: {sent} packets, {number} generations, {:?} seen by each program, 0 lost",
        seen()[0]
    );
}

#[test]
fn an_xdp_chain_reordered_under_a_million_packets_loses_none() {
    reordered_under_flood(Hook::Xdp);
}

#[test]
fn a_tc_chain_reordered_under_a_million_packets_loses_none() {
    reordered_under_flood(Hook::TcIngress);
}
