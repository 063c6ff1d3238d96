// SPDX-License-Identifier: Apache-2.0
//! Any bytes: inspected, and if they are an object, normalised and woven.
//! `make fuzz` begins with the objects of all our sources.
#![no_main]

use bpf_object::weave::Counter;
use bpf_object::{Weave, inspect, normalise, weave};
use libfuzzer_sys::fuzz_target;
use registry_schema::hook::ProgramType;

fuzz_target!(|bytes: &[u8]| {
    let Ok(profile) = inspect(bytes) else { return };
    for program in profile.programs.iter().take(4) {
        let kind = program.suggested_type.unwrap_or(ProgramType::Xdp);
        let Ok(named) = normalise(bytes, &[(&program.function, kind)]) else {
            continue;
        };
        let again = normalise(&named, &[(&program.function, kind)]);
        assert_eq!(again.as_ref(), Ok(&named), "what was named once stays so");
        let woven = weave(
            &named,
            &Weave {
                function: program.function.clone(),
                next_index: 1,
                proceed_on: vec![2, 0, -1],
                fallthrough: Some(-1),
                array_name: "weave_next".to_owned(),
                array_entries: 2,
                counter: Some(Counter {
                    name: "weave_ends".to_owned(),
                    slot: 0,
                }),
            },
        );
        if let Ok(woven) = woven {
            assert!(inspect(&woven.bytes).is_ok(), "what was woven can be read");
        }
    }
});
