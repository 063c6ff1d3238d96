// SPDX-License-Identifier: Apache-2.0
//! How many XDP and TC programs of given objects load woven, and why others do not.
//!
//! `cargo run -p bpf-object --example survey -- FILE…` as root: each program is
//! loaded alone first, since only those count that load without the weave.

use std::process::ExitCode;

use aya::programs::Program;
use bpf_object::{Weave, inspect, normalise, weave};
use registry_schema::hook::ProgramType;

enum Outcome {
    /// Does not load alone either.
    NotAlone(String),
    Refused(String),
    Woven,
}

fn main() -> ExitCode {
    let (mut alone, mut woven) = (0_u32, 0_u32);
    for path in std::env::args().skip(1) {
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                eprintln!("{path}: {error}");
                return ExitCode::FAILURE;
            }
        };
        let profile = match inspect(&bytes) {
            Ok(profile) => profile,
            Err(error) => {
                println!("{path}: not read: {error}");
                continue;
            }
        };
        for program in profile.programs {
            let kind = program.suggested_type;
            let Some(kind @ (ProgramType::Xdp | ProgramType::Tc)) = kind else {
                continue;
            };
            let outcome = try_one(&bytes, &program.function, kind);
            let text = match &outcome {
                Outcome::NotAlone(reason) => format!("does not load alone: {reason}"),
                Outcome::Refused(reason) => format!("NOT WOVEN: {reason}"),
                Outcome::Woven => "woven".to_owned(),
            };
            println!("{path} {} ({}): {text}", program.function, program.section);
            alone += u32::from(!matches!(outcome, Outcome::NotAlone(_)));
            woven += u32::from(matches!(outcome, Outcome::Woven));
        }
    }
    println!("{woven} of {alone} programs that load alone load woven");
    ExitCode::SUCCESS
}

fn try_one(bytes: &[u8], function: &str, kind: ProgramType) -> Outcome {
    let named = match normalise(bytes, &[(function, kind)]) {
        Ok(named) => named,
        Err(error) => return Outcome::NotAlone(error.to_string()),
    };
    if let Err(reason) = load(&named, function) {
        return Outcome::NotAlone(reason);
    }
    let ask = Weave {
        function: function.to_owned(),
        next_index: 1,
        proceed_on: if kind == ProgramType::Xdp {
            vec![2]
        } else {
            vec![0, -1]
        },
        fallthrough: None,
        array_name: "weave_next".to_owned(),
        array_entries: 2,
        counter: None,
    };
    let loaded = weave(&named, &ask)
        .map_err(|error| error.to_string())
        .and_then(|woven| load(&woven.bytes, function));
    match loaded {
        Ok(()) => Outcome::Woven,
        Err(reason) => Outcome::Refused(reason),
    }
}

fn load(bytes: &[u8], function: &str) -> Result<(), String> {
    let mut ebpf = aya::EbpfLoader::new()
        .load(bytes)
        .map_err(|error| format!("{error:?}"))?;
    let loaded = match ebpf.program_mut(function) {
        Some(Program::Xdp(program)) => program.load(),
        Some(Program::SchedClassifier(program)) => program.load(),
        _ => return Err("the loader does not see it".to_owned()),
    };
    // Of a verifier's log the end says why.
    loaded.map_err(|error| {
        let text = error.to_string();
        let start = text.char_indices().rev().nth(400).map_or(0, |(at, _)| at);
        text.get(start..).unwrap_or_default().to_owned()
    })
}
