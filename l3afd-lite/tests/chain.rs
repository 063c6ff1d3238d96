// SPDX-License-Identifier: Apache-2.0
//! Chains in a real kernel, on a veth pair of their own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use l3afd_lite::chain::Engine;
use l3afd_lite::desired::XdpMode;
use l3afd_lite::kernel::{Kernel, KernelError};
use registry_schema::hook::Hook;
use support::flood::Sender;
use support::objects::{count, generation, set_stop};
use support::sandbox::{Sandbox, place, run, wait_until};

const PROGRAMS: [&str; 4] = ["a", "b", "c", "d"];

fn permutations() -> Vec<[&'static str; 4]> {
    let mut all = Vec::new();
    for first in PROGRAMS {
        for second in PROGRAMS {
            for third in PROGRAMS {
                for fourth in PROGRAMS {
                    let order = [first, second, third, fourth];
                    if PROGRAMS.iter().all(|program| order.contains(program)) {
                        all.push(order);
                    }
                }
            }
        }
    }
    all
}

/// Sends packets that stop at each program in turn, and at none: who has seen how many
/// tells the order.
fn proves_order(kernel: &Engine, sender: &Sender, hook: Hook, order: &[&str]) {
    let place = place(hook);
    for stop in 0..=order.len() {
        if let Some(program) = order.get(stop) {
            set_stop(kernel, &place, program, true);
        }
        let before: Vec<u64> = order
            .iter()
            .map(|program| count(kernel, &place, program))
            .collect();
        assert_eq!(sender.send(1), 1);
        wait_until("the packet arrives", || {
            count(kernel, &place, order[0]) > before[0]
        });
        let seen: Vec<u64> = order
            .iter()
            .zip(&before)
            .map(|(program, before)| count(kernel, &place, program) - before)
            .collect();
        let expected: Vec<u64> = (0..order.len())
            .map(|position| u64::from(position <= stop))
            .collect();
        assert_eq!(seen, expected, "{order:?}, stopped at {stop}");
        if let Some(program) = order.get(stop) {
            set_stop(kernel, &place, program, false);
        }
    }
}

fn every_order_runs(hook: Hook, engine: impl FnOnce(Engine) -> Engine) {
    let sandbox = Sandbox::new();
    let kernel = engine(Engine::new(sandbox.bpffs()));
    let place = place(hook);
    let sender = Sender::new();
    kernel.prepare().unwrap();
    for (order, number) in permutations().into_iter().zip(1..) {
        kernel.load(&generation(&place, number, &order)).unwrap();
        kernel.attach(&place, XdpMode::Auto, number).unwrap();
        let actual = kernel.chain(&place).unwrap();
        assert_eq!(
            actual
                .running()
                .map(|running| (running.number, running.intact())),
            Some((number, true))
        );
        proves_order(&kernel, &sender, hook, &order);
        if number > 1 {
            kernel
                .retire(&place, number - 1, &PROGRAMS.map(str::to_owned))
                .unwrap();
        }
    }
    let ends: u64 = kernel
        .ends(&place, 24)
        .unwrap()
        .iter()
        .map(|end| end.packets)
        .sum();
    assert_eq!(ends, 5, "each packet of the last order ended once");
    kernel.remove(&place).unwrap();
    assert_eq!(kernel.chain(&place).unwrap().link, None);
    assert_eq!(
        kernel.foreign(&place).unwrap(),
        [],
        "nothing is left attached"
    );
}

#[test]
fn every_order_of_four_xdp_programs_runs_as_written() {
    every_order_runs(Hook::Xdp, |engine| engine);
}

#[test]
fn every_order_of_four_tc_programs_runs_as_written() {
    every_order_runs(Hook::TcIngress, |engine| engine);
}

#[test]
fn every_order_of_four_tc_programs_runs_as_written_in_a_filter() {
    every_order_runs(Hook::TcIngress, Engine::with_filters);
}

#[test]
fn programs_join_and_leave_and_keep_their_maps() {
    let sandbox = Sandbox::new();
    let kernel = Engine::new(sandbox.bpffs());
    let place = place(Hook::Xdp);
    let sender = Sender::new();
    kernel.prepare().unwrap();
    let chains: [&[&str]; 5] = [&["a"], &["a", "b"], &["c", "a", "b"], &["c", "b"], &["b"]];
    for (chain, number) in chains.into_iter().zip(1..) {
        kernel.load(&generation(&place, number, chain)).unwrap();
        kernel.attach(&place, XdpMode::Generic, number).unwrap();
        let kept: Vec<String> = chain.iter().map(|&instance| instance.to_owned()).collect();
        kernel.retire(&place, number - 1, &kept).unwrap();
        proves_order(&kernel, &sender, Hook::Xdp, chain);
    }
    assert_eq!(
        count(&kernel, &place, "b"),
        4 * 2,
        "b was in four chains and kept counting"
    );
    kernel.remove(&place).unwrap();
    assert_eq!(kernel.chain(&place).unwrap().link, None);
    assert!(kernel.places().unwrap().is_empty());
}

#[test]
fn a_foreign_xdp_program_is_named_and_left_alone() {
    let sandbox = Sandbox::new();
    let place = place(Hook::Xdp);
    let theirs = Engine::new(sandbox.path().join("bpf/theirs"));
    theirs.prepare().unwrap();
    theirs.load(&generation(&place, 1, &["theirs"])).unwrap();
    theirs.attach(&place, XdpMode::Auto, 1).unwrap();

    let ours = Engine::new(sandbox.bpffs());
    ours.prepare().unwrap();
    ours.load(&generation(&place, 1, &["ours"])).unwrap();
    let error = ours.attach(&place, XdpMode::Auto, 1).unwrap_err();
    let KernelError::Foreign { id, ref name, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(
        Some(id),
        theirs
            .chain(&place)
            .unwrap()
            .link
            .map(|link| link.program_id)
    );
    assert_eq!(name, "seen_xdp");
    assert!(ours.chain(&place).unwrap().link.is_none());
    assert_eq!(ours.foreign(&place).unwrap(), [(id, "seen_xdp".to_owned())]);
}

#[test]
fn tc_programs_of_other_owners_run_on_behind_ours() {
    let sandbox = Sandbox::new();
    let place = place(Hook::TcIngress);
    let engines = [
        Engine::new(sandbox.path().join("bpf/theirs")),
        Engine::new(sandbox.bpffs()),
    ];
    for engine in &engines {
        engine.prepare().unwrap();
        engine.load(&generation(&place, 1, &["only"])).unwrap();
        engine.attach(&place, XdpMode::Auto, 1).unwrap();
    }
    let foreign = engines[1].foreign(&place).unwrap();
    assert_eq!(foreign.len(), 1);
}

#[test]
fn a_slot_that_somebody_changed_is_seen_and_mended() {
    let sandbox = Sandbox::new();
    let kernel = Engine::new(sandbox.bpffs());
    let place = place(Hook::Xdp);
    kernel.prepare().unwrap();
    kernel.load(&generation(&place, 1, &["a", "b"])).unwrap();
    kernel.attach(&place, XdpMode::Auto, 1).unwrap();
    let array = sandbox
        .bpffs()
        .join("chains")
        .join(place.key())
        .join("g1/array");
    run(&[
        "bpftool",
        "map",
        "delete",
        "pinned",
        array.to_str().unwrap(),
        "key",
        "1",
        "0",
        "0",
        "0",
    ]);
    let intact = || kernel.chain(&place).unwrap().running().unwrap().intact();
    assert!(!intact());
    kernel.mend(&place, 1).unwrap();
    assert!(intact());
    proves_order(&kernel, &Sender::new(), Hook::Xdp, &["a", "b"]);
}

#[test]
fn a_map_of_another_shape_is_not_taken_over() {
    let sandbox = Sandbox::new();
    let kernel = Engine::new(sandbox.bpffs());
    let place = place(Hook::Xdp);
    kernel.prepare().unwrap();
    kernel.load(&generation(&place, 1, &["a"])).unwrap();
    kernel.attach(&place, XdpMode::Auto, 1).unwrap();
    let mut next = generation(&place, 2, &["a"]);
    next.members[0].maps[0].value_size = 16;
    let error = kernel.load(&next).unwrap_err().to_string();
    assert!(
        error.contains("map `seen` has value size 16, but the running one has 8"),
        "{error}"
    );
    let actual = kernel.chain(&place).unwrap();
    assert_eq!(
        actual.generations.len(),
        1,
        "nothing of the new generation stays"
    );
    assert_eq!(actual.running().map(|running| running.number), Some(1));
}

#[test]
fn bytes_that_changed_after_they_were_verified_are_not_loaded() {
    let sandbox = Sandbox::new();
    let kernel = Engine::new(sandbox.bpffs());
    let place = place(Hook::Xdp);
    kernel.prepare().unwrap();
    let mut request = generation(&place, 1, &["a", "b"]);
    let last = request.members[1].bytes.len() - 1;
    request.members[1].bytes[last] ^= 1;
    let error = kernel.load(&request).unwrap_err();
    assert!(matches!(error, KernelError::Hash { .. }), "{error}");
    assert!(kernel.chain(&place).unwrap().generations.is_empty());
}

#[test]
fn what_is_no_bpffs_is_refused_with_how_to_mount_one() {
    let dir = tempfile::tempdir().unwrap();
    let error = Engine::new(dir.path().join("pins"))
        .prepare()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("not on a BPF file system") && error.contains("mount -t bpf bpf"),
        "{error}"
    );
}
