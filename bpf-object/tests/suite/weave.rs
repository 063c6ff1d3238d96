// SPDX-License-Identifier: Apache-2.0
//! Woven programs in the kernel: whatever the order and wherever it stops, every
//! verdict and every counter is right.

use crate::support::compile;
use crate::support::kernel::{Chain, Member, Sandbox, first_value, load_program, run_program};
use bpf_object::weave::Counter;
use bpf_object::{Weave, WeaveError, normalise, weave};
use registry_schema::digest::Digest;
use registry_schema::hook::ProgramType;

const NAMES: [&str; 4] = ["alpha", "beta", "gamma", "delta"];
const RUNS: [&str; 4] = ["alpha_runs", "beta_runs", ".bss", "delta_runs"];

/// All orders of four.
fn orders() -> Vec<[usize; 4]> {
    let mut out = Vec::new();
    for code in 0..256_usize {
        let order = [code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6];
        if (0..4).all(|member| order.contains(&member)) {
            out.push(order);
        }
    }
    out
}

/// A packet that tells each member its verdict.
fn packet(order: [usize; 4], stop: usize, proceed: i32, stopped: i32) -> Vec<u8> {
    let mut packet = vec![0; 64];
    for (slot, member) in order.into_iter().enumerate() {
        let verdict = if slot == stop { stopped } else { proceed };
        packet[14 + member] = verdict.to_le_bytes()[0];
    }
    packet
}

struct Case {
    flags: &'static [&'static str],
    kind: ProgramType,
    proceed_on: &'static [i32],
    stops: &'static [i32],
    fallthrough: Option<i32>,
}

fn every_order_and_stop(case: &Case) {
    let Some(sandbox) = Sandbox::new() else {
        return;
    };
    let objects: Vec<Vec<u8>> = NAMES
        .iter()
        .map(|name| normalise(&compile(name, case.flags), &[(name, case.kind)]).unwrap())
        .collect();
    assert_eq!(orders().len(), 24);
    for order in orders() {
        let members: Vec<Member<'_>> = order
            .iter()
            .map(|member| Member {
                object: &objects[*member],
                function: NAMES[*member],
            })
            .collect();
        let chain = Chain::load(&sandbox, &members, case.proceed_on, case.fallthrough);
        for stop in 0..=4 {
            for (proceed, stopped) in case
                .proceed_on
                .iter()
                .flat_map(|p| case.stops.iter().map(move |s| (*p, *s)))
            {
                check(&chain, order, stop, proceed, stopped, case.fallthrough);
            }
        }
    }
}

fn check(
    chain: &Chain,
    order: [usize; 4],
    stop: usize,
    proceed: i32,
    stopped: i32,
    fallthrough: Option<i32>,
) {
    let what = format!("order {order:?}, stop at {stop} with {stopped}, else {proceed}");
    let runs = |chain: &Chain| -> Vec<u64> {
        chain
            .members
            .iter()
            .zip(order)
            .map(|((_, ebpf), member)| first_value(ebpf, RUNS[member]))
            .collect()
    };
    let last = stop.min(3);
    let (end, returned) = if stop < 4 {
        (stopped, stopped)
    } else {
        (proceed, fallthrough.unwrap_or(proceed))
    };
    let slot = u32::try_from(last).unwrap();
    let (before, ended, all) = (runs(chain), chain.ended(slot, end), chain.ended_in_all());

    assert_eq!(
        chain.run(&packet(order, stop, proceed, stopped)),
        returned,
        "{what}"
    );

    let expected: Vec<u64> = before
        .iter()
        .enumerate()
        .map(|(slot, runs)| runs + u64::from(slot <= last))
        .collect();
    assert_eq!(runs(chain), expected, "{what}");
    assert_eq!(chain.ended(slot, end), ended + 1, "{what}");
    assert_eq!(chain.ended_in_all(), all + 1, "{what}");
}

#[test]
fn xdp_in_every_order_with_every_stop() {
    every_order_and_stop(&Case {
        flags: &[],
        kind: ProgramType::Xdp,
        proceed_on: &[2],
        stops: &[0, 1, 3],
        fallthrough: None,
    });
}

#[test]
fn tc_in_every_order_with_every_stop() {
    every_order_and_stop(&Case {
        flags: &["-DTC"],
        kind: ProgramType::Tc,
        proceed_on: &[0, -1],
        stops: &[2],
        fallthrough: Some(-1),
    });
}

fn asked(function: &str) -> Weave {
    Weave {
        function: function.to_owned(),
        next_index: 1,
        proceed_on: vec![0],
        fallthrough: None,
        array_name: "next".to_owned(),
        array_entries: 2,
        counter: None,
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    // The object is kept as a file, so that another compiler changes nothing.
    let object = include_bytes!("../fixtures/alpha.elf");
    let ask = Weave {
        proceed_on: vec![2],
        ..asked("alpha")
    };
    let woven = weave(object, &ask).unwrap();
    assert_eq!(weave(object, &ask).unwrap(), woven);
    assert_eq!(woven.original, Digest::sha256(object));
    assert_eq!(woven.digest, Digest::sha256(&woven.bytes));
    // Other bytes for the same input need another WEAVER_VERSION.
    assert_eq!(
        (woven.weaver, woven.digest.as_str()),
        (
            1,
            "sha256:2e8e0e0ccfb6d2e1975bb104c0f7fb46cde48c0b06d7bb307b71853b34786887"
        )
    );
    let elsewhere = weave(
        object,
        &Weave {
            next_index: 2,
            ..ask
        },
    )
    .unwrap();
    assert_ne!(elsewhere.digest, woven.digest);
}

#[test]
fn only_the_entry_is_woven() {
    let Some(_sandbox) = Sandbox::new() else {
        return;
    };
    let woven = weave(
        &compile("alpha", &[]),
        &Weave {
            proceed_on: vec![2],
            ..asked("alpha")
        },
    )
    .unwrap();
    let mut ebpf = aya::EbpfLoader::new().load(&woven.bytes).unwrap();
    for function in ["before_alpha", "alpha", "after_alpha"] {
        load_program(&mut ebpf, function);
    }
    let mut packet = vec![0; 64];
    packet[21] = 77;
    packet[14] = 3;
    assert_eq!(run_program(&ebpf, "before_alpha", &packet), 1);
    assert_eq!(run_program(&ebpf, "alpha", &packet), 3);
    assert_eq!(run_program(&ebpf, "after_alpha", &packet), 1);
    assert_eq!(first_value(&ebpf, "alpha_runs"), 1);
}

#[test]
fn a_loop_to_the_first_instruction_does_not_run_the_prologue_again() {
    let woven = weave(&compile("refused", &[]), &asked("loops_to_start")).unwrap();
    let code = function_code(&woven.bytes, "loops_to_start");
    // *(u64 *)(r10 - 8) = r1; r0 = 0; if r1 == 0 goto -2; goto the epilogue
    assert_eq!(code[0], [0x7b, 0x1a, 0xf8, 0xff, 0, 0, 0, 0]);
    assert_eq!(code[1], [0xb7, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(code[2], [0x15, 0x01, 0xfe, 0xff, 0, 0, 0, 0]);
    assert_eq!(code[3], [0x05, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(code.len(), 4 + 9, "the epilogue has nine instructions");
}

/// The instructions of a function, as they lie in the object.
fn function_code(object: &[u8], function: &str) -> Vec<[u8; 8]> {
    use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
    let aligned = object.to_vec();
    let file =
        object::read::elf::ElfFile64::<object::Endianness>::parse(aligned.as_slice()).unwrap();
    let symbol = file
        .symbols()
        .find(|symbol| symbol.name() == Ok(function))
        .unwrap();
    let section = file
        .section_by_index(symbol.section_index().unwrap())
        .unwrap();
    let start = usize::try_from(symbol.address()).unwrap();
    let size = usize::try_from(symbol.size()).unwrap();
    section.data().unwrap()[start..start + size]
        .as_chunks()
        .0
        .to_vec()
}

#[test]
fn what_is_not_woven_and_why() {
    let object = compile("refused", &[]);
    let refused = |function: &str| weave(&object, &asked(function)).unwrap_err();
    assert!(matches!(
        refused("packet_load"),
        WeaveError::PacketLoad { at: 1, .. }
    ));
    assert!(
        matches!(refused("called"), WeaveError::CalledAsSubprogram { caller, .. } if caller == "calls")
    );
    assert!(matches!(
        refused("stack_full"),
        WeaveError::StackFull { used: 512, .. }
    ));
    assert!(matches!(
        refused("never_returns"),
        WeaveError::NoExit { .. }
    ));
    let WeaveError::NoSuchProgram { programs, .. } = refused("absent") else {
        panic!()
    };
    assert!(programs.contains("stack_full"), "{programs}");
    assert!(weave(&object, &asked("calls")).is_ok());
}

#[test]
fn a_tail_call_of_its_own_is_woven_only_while_it_cannot_succeed() {
    let woven = weave(&compile("refused", &[]), &asked("tail_calls")).unwrap();
    assert_eq!(woven.notes.len(), 1);
    assert!(woven.notes[0].contains("own_next"), "{:?}", woven.notes);
    for (flag, word) in [("-DPINNED", "pinned"), ("-DFILLED", "fills")] {
        let error = weave(&compile("refused", &[flag]), &asked("tail_calls")).unwrap_err();
        assert!(
            matches!(&error, WeaveError::OwnTailCall { map, .. } if map == "own_next"),
            "{error}"
        );
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn parameters_out_of_range_are_named() {
    let object = include_bytes!("../fixtures/alpha.elf");
    let counter = |name: &str, slot| {
        Some(Counter {
            name: name.to_owned(),
            slot,
        })
    };
    let wrong = [
        Weave {
            array_name: String::new(),
            ..asked("alpha")
        },
        Weave {
            array_name: "sixteen_letters_".to_owned(),
            ..asked("alpha")
        },
        Weave {
            array_name: "a/b".to_owned(),
            ..asked("alpha")
        },
        Weave {
            array_entries: 0,
            ..asked("alpha")
        },
        Weave {
            array_entries: 35,
            ..asked("alpha")
        },
        Weave {
            next_index: 3,
            ..asked("alpha")
        },
        Weave {
            proceed_on: (0..17).collect(),
            ..asked("alpha")
        },
        Weave {
            counter: counter("next", 0),
            ..asked("alpha")
        },
        Weave {
            counter: counter("ends", 2),
            ..asked("alpha")
        },
    ];
    for ask in wrong {
        let error = weave(object, &ask).unwrap_err();
        assert!(matches!(error, WeaveError::Parameter { .. }), "{error}");
    }
    let error = weave(
        object,
        &Weave {
            array_name: "alpha_runs".to_owned(),
            ..asked("alpha")
        },
    );
    assert_eq!(
        error,
        Err(WeaveError::NameTaken {
            name: "alpha_runs".to_owned()
        })
    );
}

#[test]
fn big_endian_objects_are_woven_alike() {
    let little = weave(&compile("gamma", &[]), &asked("gamma")).unwrap();
    let big = weave(&compile("gamma", &["-target", "bpfeb"]), &asked("gamma")).unwrap();
    let profile = |bytes: &[u8]| bpf_object::inspect(bytes).unwrap();
    let (little, big) = (profile(&little.bytes), profile(&big.bytes));
    assert_eq!(little.programs, big.programs);
    assert_eq!(little.maps, big.maps);
    assert_eq!(little.core_fields, big.core_fields);
}
