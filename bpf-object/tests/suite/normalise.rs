// SPDX-License-Identifier: Apache-2.0
//! Objects with the section names of other tools are loaded as what is declared.

use bpf_object::{NormaliseError, Weave, inspect, normalise, weave};
use registry_schema::hook::ProgramType::{Tc, Xdp};

use crate::support::compile;
use crate::support::kernel::{Sandbox, first_value, load_program, run_program};

#[test]
fn foreign_names_load_and_run() {
    let Some(_sandbox) = Sandbox::new() else {
        return;
    };
    let object = compile("foreign", &[]);
    assert!(
        aya::EbpfLoader::new().load(&object).is_err(),
        "aya knows these names by now"
    );
    let named = normalise(&object, &[("limit", Xdp), ("in", Tc), ("out", Tc)]).unwrap();
    let mut ebpf = aya::EbpfLoader::new().load(&named).unwrap();
    for (function, verdict) in [("limit", 2), ("in", 0), ("out", 0)] {
        load_program(&mut ebpf, function);
        assert_eq!(run_program(&ebpf, function, &[0; 64]), verdict);
    }
    assert_eq!(first_value(&ebpf, "seen"), 111);
}

#[test]
fn names_come_from_the_declared_types() {
    let object = compile("foreign", &[]);
    let named = normalise(&object, &[("limit", Xdp), ("in", Tc), ("out", Tc)]).unwrap();
    let sections: Vec<(String, String)> = inspect(&named)
        .unwrap()
        .programs
        .into_iter()
        .map(|program| (program.function, program.section))
        .collect();
    let expected = [
        ("limit", "xdp"),
        ("in", "classifier"),
        ("out", "classifier/out"),
    ];
    assert_eq!(
        sections,
        expected.map(|(f, s)| (f.to_owned(), s.to_owned()))
    );
    // What the loader would fail at was not asked for and is gone.
    assert_eq!(
        normalise(&named, &[("limit", Xdp), ("in", Tc), ("out", Tc)]).unwrap(),
        named
    );
}

#[test]
fn an_object_that_needs_nothing_stays_as_it_is() {
    let object = compile("gamma", &[]);
    assert_eq!(normalise(&object, &[("gamma", Xdp)]).unwrap(), object);
}

#[test]
fn sections_of_one_type_are_joined() {
    let Some(_sandbox) = Sandbox::new() else {
        return;
    };
    let object = compile("foreign", &["-DTWO"]);
    let named = normalise(&object, &[("limit", Xdp), ("second", Xdp)]).unwrap();
    let mut ebpf = aya::EbpfLoader::new().load(&named).unwrap();
    for (function, verdict) in [("limit", 2), ("second", 1)] {
        load_program(&mut ebpf, function);
        assert_eq!(run_program(&ebpf, function, &[0; 64]), verdict);
    }
    assert_eq!(first_value(&ebpf, "seen"), 1001);
    let woven = weave(
        &named,
        &Weave {
            function: "second".to_owned(),
            next_index: 1,
            proceed_on: vec![2],
            fallthrough: None,
            array_name: "next".to_owned(),
            array_entries: 1,
            counter: None,
        },
    )
    .unwrap();
    let mut ebpf = aya::EbpfLoader::new().load(&woven.bytes).unwrap();
    load_program(&mut ebpf, "second");
    assert_eq!(run_program(&ebpf, "second", &[0; 64]), 1);
}

#[test]
fn what_cannot_be_named_is_said() {
    let object = compile("foreign", &[]);
    let absent = normalise(&object, &[("absent", Xdp)]).unwrap_err();
    assert!(
        matches!(absent, NormaliseError::NoSuchProgram { .. }),
        "{absent}"
    );
    let other = registry_schema::hook::ProgramType::Other;
    let never = normalise(&object, &[("never", other)]).unwrap_err();
    assert!(
        matches!(&never, NormaliseError::NoName { section, .. } if section == "struct_ops/never")
    );
    let mixed = normalise(
        &compile("alpha", &[]),
        &[("alpha", Xdp), ("after_alpha", Tc)],
    );
    assert!(matches!(mixed, Err(NormaliseError::Mixed { .. })));
}

#[test]
fn a_name_that_is_given_away_takes_no_type_information_along() {
    let object = compile("foreign", &["-DTWO"]);
    let fields = ["xdp_md.data", "xdp_md.data_end"];
    // `limit` gets the name of the section that `second` leaves or loses.
    for types in [&[("limit", Xdp)][..], &[("limit", Xdp), ("second", Tc)]] {
        let named = normalise(&object, types).unwrap();
        let profile = inspect(&named).unwrap();
        let limit = profile
            .programs
            .iter()
            .find(|found| found.function == "limit")
            .unwrap();
        assert_eq!(limit.section, "xdp");
        assert_eq!(profile.core_fields, fields);
        if let Some(_sandbox) = Sandbox::new() {
            let mut ebpf = aya::EbpfLoader::new().load(&named).unwrap();
            load_program(&mut ebpf, "limit");
            assert_eq!(run_program(&ebpf, "limit", &[0; 64]), 2);
            // Its length was read from where this kernel keeps it.
            assert_eq!(first_value(&ebpf, "seen"), 1);
        }
    }
}
