// SPDX-License-Identifier: Apache-2.0
//! `l3afd-lite chain …`

use std::fmt::Write as _;

use clap::Subcommand;

use super::{CliError, Common, status};
use crate::agent::{ChainStatus, ProgramStatus};

#[derive(Debug, Subcommand)]
pub(super) enum ChainCommand {
    /// Show the programs of each chain: what was signed, what runs, how often
    Show {
        /// Only chains of this interface
        #[arg(long, value_name = "NAME")]
        interface: Option<String>,
    },
}

pub(super) async fn run(command: &ChainCommand, common: &Common) -> Result<(), CliError> {
    let ChainCommand::Show { interface } = command;
    let (config, _) = common.read()?;
    let mut chains = status::read(config).await?.chains;
    chains.retain(|chain| {
        interface
            .as_ref()
            .is_none_or(|interface| chain.place.interface == *interface)
    });
    common.print(&chains, || describe(&chains))
}

fn describe(chains: &[ChainStatus]) -> String {
    if chains.is_empty() {
        return "no chain\n".to_owned();
    }
    let mut text = String::new();
    for chain in chains {
        let generation = chain
            .generation
            .map_or_else(String::new, |number| format!(", generation {number}"));
        let _ = writeln!(text, "{}: {}{generation}", chain.place, chain.state);
        for program in &chain.programs {
            let last = program.position + 1 == chain.programs.len();
            describe_program(&mut text, program, last);
        }
        for foreign in &chain.foreign {
            let _ = writeln!(
                text,
                "   not ours, on the same hook: program {} ({})",
                foreign.id, foreign.name
            );
        }
        if let Some(problem) = &chain.problem {
            let _ = writeln!(text, "   not as asked for: {}", problem.message);
        }
    }
    text
}

fn describe_program(text: &mut String, program: &ProgramStatus, last: bool) {
    let (branch, stem) = if last {
        ("└─", "  ")
    } else {
        ("├─", "│ ")
    };
    let ProgramStatus {
        position,
        package,
        version,
        function,
        program_id,
        tag,
        runs,
        ..
    } = program;
    let _ = writeln!(
        text,
        "{branch} {position} {package}@{version} {function}: program {program_id}, tag {tag}, {runs} packets"
    );
    let signer = program.signer.as_ref().map_or_else(
        || "UNSIGNED".to_owned(),
        |signer| format!("signed by {signer}"),
    );
    let _ = writeln!(text, "{stem}    {} {signer}", program.digest);
    if let Some(revoked) = &program.revoked {
        let _ = writeln!(text, "{stem}    REVOKED: {revoked}");
    }
    if let Some(stale) = &program.stale {
        let _ = writeln!(text, "{stem}    STALE: {stale}");
    }
    let _ = writeln!(text, "{stem}    loaded as {}", program.woven);
    let ends: Vec<_> = program
        .ends
        .iter()
        .map(|(verdict, packets)| format!("{verdict} {packets}"))
        .collect();
    let ends = if ends.is_empty() {
        String::new()
    } else {
        format!("; ended here: {}", ends.join(", "))
    };
    let _ = writeln!(
        text,
        "{stem}    goes on after {}{ends}",
        program.proceed_on.join(", ")
    );
}
