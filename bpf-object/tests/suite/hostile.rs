// SPDX-License-Identifier: Apache-2.0
//! What strangers send: every wrong file is refused with the value that is
//! wrong, and no bytes whatever make anything panic.

use bpf_object::{ObjectError, Weave, inspect, limits, normalise, weave};
use proptest::prelude::*;
use registry_schema::hook::ProgramType;

use crate::support::compile;

const OBJECT: &[u8] = include_bytes!("../fixtures/alpha.elf");

/// Everything that is ever done with an object.
fn everything(bytes: &[u8]) -> Result<(), ObjectError> {
    let profile = inspect(bytes);
    let functions: Vec<String> = profile
        .iter()
        .flat_map(|profile| {
            profile
                .programs
                .iter()
                .map(|program| program.function.clone())
        })
        .chain(["alpha".to_owned()])
        .take(4)
        .collect();
    for function in functions {
        for kind in [ProgramType::Xdp, ProgramType::Tc, ProgramType::Kprobe] {
            if let Ok(named) = normalise(bytes, &[(&function, kind)]) {
                let again = normalise(&named, &[(&function, kind)]);
                assert_eq!(again.as_ref(), Ok(&named), "what was named once stays so");
            }
        }
        let woven = weave(
            bytes,
            &Weave {
                function,
                next_index: 1,
                proceed_on: vec![2, 0],
                fallthrough: Some(-1),
                array_name: "next".to_owned(),
                array_entries: 2,
                counter: None,
            },
        );
        if let (Ok(woven), Ok(_)) = (woven, &profile) {
            inspect(&woven.bytes).expect("what was woven can be read");
        }
    }
    profile.map(|_| ())
}

fn patched(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut object = OBJECT.to_vec();
    object[at..at + bytes.len()].copy_from_slice(bytes);
    object
}

/// Where the header of the named section lies in the file.
fn section_header(object: &[u8], name: &str) -> usize {
    use object::read::elf::FileHeader as _;
    let header = object::elf::FileHeader64::<object::Endianness>::parse(object).unwrap();
    let endian = header.endian().unwrap();
    let sections = header.sections(endian, object).unwrap();
    let (index, _) = sections.section_by_name(endian, name.as_bytes()).unwrap();
    usize::try_from(header.e_shoff(endian)).unwrap() + index.0 * 64
}

#[test]
fn the_untouched_object_passes() {
    assert_eq!(everything(OBJECT), Ok(()));
}

#[test]
fn other_files_are_named() {
    let text = |bytes: &[u8]| everything(bytes).unwrap_err().to_string();
    assert!(text(b"").contains("nothing"));
    assert!(text(b"#!/bin/sh\n").contains("23 21 2f 62"));
    assert!(text(&patched(18, &[62, 0])).contains("x86-64 (62), an eBPF object is 247"));
    assert!(text(&patched(18, &[1, 9])).contains("(2305)"));
    assert!(text(&patched(4, &[1])).contains("ELF class is 1"));
    assert!(text(&patched(5, &[9])).contains("byte order is 9"));
    assert!(text(&patched(16, &[2, 0])).contains("ELF type is 2"));
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let found = everything(&own[..own.len().min(1 << 20)]).unwrap_err();
    assert!(
        matches!(found, ObjectError::ForeignMachine { .. }),
        "{found}"
    );
}

#[test]
fn large_files_are_refused_before_they_are_read() {
    let mut object = OBJECT.to_vec();
    object.resize(limits::OBJECT_BYTES + 1, 0);
    assert!(matches!(
        everything(&object),
        Err(ObjectError::TooLarge {
            size: 16_777_217,
            ..
        })
    ));
}

#[test]
fn every_truncation_is_refused() {
    for length in 0..OBJECT.len() {
        assert!(everything(&OBJECT[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn sizes_that_ask_for_too_much() {
    let gamma = compile("gamma", &[]);
    let with_size = |section: &str, size: u64| {
        let mut object = gamma.clone();
        let at = section_header(&object, section) + 32;
        object[at..at + 8].copy_from_slice(&size.to_le_bytes());
        everything(&object).unwrap_err()
    };
    let bss = with_size(".bss", 1 << 40);
    assert!(
        bss.to_string()
            .contains("`.bss` asks for 1099511627776 bytes"),
        "{bss}"
    );
    assert!(matches!(
        with_size(".rodata", u64::MAX),
        ObjectError::Truncated { .. }
    ));
    assert!(matches!(
        with_size(".BTF", 1 << 40),
        ObjectError::Truncated { .. }
    ));
    assert!(matches!(
        with_size("xdp", 12),
        ObjectError::Malformed { .. } | ObjectError::Truncated { .. }
    ));
}

#[test]
fn counts_beyond_the_budget() {
    let sections = patched(60, &u16::MAX.to_le_bytes());
    assert!(matches!(
        everything(&sections),
        Err(ObjectError::TooMany {
            what: "sections",
            ..
        })
    ));
    let none = patched(60, &[0, 0]);
    assert!(matches!(
        everything(&none),
        Err(ObjectError::TooMany {
            what: "sections",
            ..
        })
    ));
}

#[test]
fn sections_that_all_show_the_same_bytes() {
    let mut object = OBJECT.to_vec();
    let whole = (OBJECT.len() as u64).to_le_bytes();
    for name in [".BTF", ".maps", "xdp"] {
        let at = section_header(OBJECT, name);
        object[at + 24..at + 32].fill(0);
        object[at + 32..at + 40].copy_from_slice(&whole);
    }
    assert!(matches!(
        everything(&object),
        Err(ObjectError::Overlap { .. } | ObjectError::Malformed { .. })
    ));
}

#[test]
fn a_symbol_beyond_its_section() {
    let mut object = OBJECT.to_vec();
    let table = section_header(OBJECT, ".symtab");
    let word = |at: usize| {
        usize::try_from(u64::from_le_bytes(OBJECT[at..at + 8].try_into().unwrap())).unwrap()
    };
    let (start, size) = (word(table + 24), word(table + 32));
    // The last symbol is one of the programs or maps.
    let last = start + size - 24;
    object[last + 8..last + 16].copy_from_slice(&(1_u64 << 60).to_le_bytes());
    assert!(matches!(
        everything(&object),
        Err(ObjectError::Truncated { .. })
    ));
}

#[test]
fn every_single_byte_may_be_anything() {
    for (at, byte) in OBJECT.iter().enumerate() {
        for value in [0x00, 0xff, byte ^ 0x80, byte.wrapping_add(1)] {
            let _ = everything(&patched(at, &[value]));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_mutation_panics(
        changes in prop::collection::vec((0..OBJECT.len(), any::<[u8; 8]>(), 1..=8_usize), 1..12),
        cut in prop::option::of(0..OBJECT.len()),
    ) {
        let mut object = OBJECT.to_vec();
        for (at, bytes, length) in changes {
            let end = (at + length).min(object.len());
            object[at..end].copy_from_slice(&bytes[..end - at]);
        }
        object.truncate(cut.unwrap_or(usize::MAX));
        let _ = everything(&object);
    }

    #[test]
    fn no_instructions_panic(code in prop::collection::vec(any::<[u8; 8]>(), 61)) {
        // The fixture's program section, filled with any instructions.
        let at = section_header(OBJECT, "xdp");
        let start = usize::try_from(u64::from_le_bytes(OBJECT[at + 24..at + 32].try_into().unwrap())).unwrap();
        let mut object = OBJECT.to_vec();
        object[start..start + 61 * 8].copy_from_slice(&code.concat());
        let _ = everything(&object);
    }
}

/// What a loader does with an object before the kernel sees it.
fn parse_as_the_loader(object: &[u8]) {
    let Ok(mut parsed) = aya_obj::Object::parse(object) else {
        return;
    };
    let code = parsed
        .functions
        .keys()
        .map(|(section, _)| *section)
        .collect();
    let maps: Vec<(String, aya_obj::Map)> = parsed.maps.clone().into_iter().collect();
    let descriptors = maps.iter().map(|(name, map)| (name.as_str(), 1, map));
    let _ = parsed.relocate_maps(descriptors, &code);
    let _ = parsed.relocate_calls(&code);
}

#[test]
fn nothing_that_was_inspected_crashes_the_loader() {
    let objects: Vec<Vec<u8>> = ["alpha", "beta", "gamma", "delta", "can"]
        .iter()
        .map(|name| compile(name, &[]))
        .collect();
    let mutation = (
        0..objects.len(),
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    );
    let config = ProptestConfig {
        cases: 4000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let result = runner.run(&mutation, |(which, changes)| {
        let mut object = objects[which].clone();
        for (at, value) in changes {
            let at = at.index(object.len());
            object[at] = value;
        }
        let Ok(profile) = inspect(&object) else {
            return Ok(());
        };
        let types: Vec<(&str, ProgramType)> = profile
            .programs
            .iter()
            .map(|program| {
                (
                    program.function.as_str(),
                    program.suggested_type.unwrap_or(ProgramType::Xdp),
                )
            })
            .collect();
        if let Ok(named) = normalise(&object, &types) {
            parse_as_the_loader(&named);
        }
        Ok(())
    });
    result.unwrap();
}

#[test]
fn headers_of_line_information_that_end_within_a_part() {
    let object = compile("alpha", &[]);
    let whole = [0x9f, 0xeb, 1, 0, 32, 0, 0, 0];
    let header = object.windows(8).position(|bytes| bytes == whole);
    let at = header.expect("a header of .BTF.ext") + 4;
    for length in 0..=40 {
        let mut object = object.clone();
        object[at] = length;
        match inspect(&object) {
            Err(_) => assert_ne!(length, 32, "that is what the compiler writes"),
            // Its parts are all read by us too.
            Ok(_) => parse_as_the_loader(&object),
        }
        let within = !(length == 24 || length >= 32);
        assert!(!within || inspect(&object).is_err(), "{length}");
    }
}
