// SPDX-License-Identifier: Apache-2.0
//! `l3afd-lite status`

use std::fmt::Write as _;

use clap::Args;

use super::{CliError, Common, daemon, looking};
use crate::agent::{ProgramStatus, Status};
use crate::config::{Config, Mode};

#[derive(Debug, Args)]
pub(super) struct StatusArgs {}

pub(super) async fn run(_args: &StatusArgs, common: &Common) -> Result<(), CliError> {
    let (config, _) = common.read()?;
    let with_daemon = daemon(&config).is_some();
    let status = read(config).await?;
    common.print(&status, || describe(&status, with_daemon))
}

/// The status as the daemon gives it, or as it is without one.
pub(super) async fn read(config: Config) -> Result<Status, CliError> {
    Ok(match daemon(&config) {
        Some(daemon) => daemon.get("/v1/status").await?,
        None => {
            tokio::task::block_in_place(|| looking(config).and_then(|agent| Ok(agent.status()?)))?
        }
    })
}

fn describe(status: &Status, with_daemon: bool) -> String {
    let mut text = String::new();
    let daemon = if with_daemon {
        "daemon running"
    } else {
        "no daemon running; what is pinned goes on"
    };
    let mode = match status.mode {
        Mode::Trusted => "only packages signed by trusted keys",
        Mode::Normal => "unsigned packages too",
    };
    let _ = writeln!(text, "l3afd-lite {}: {daemon}; runs {mode}", status.version);
    for chain in &status.chains {
        let programs: Vec<_> = chain
            .programs
            .iter()
            .map(|p| format!("{}@{}", p.package, p.version))
            .collect();
        let programs = if programs.is_empty() {
            "no program".to_owned()
        } else {
            programs.join(" → ")
        };
        let _ = writeln!(
            text,
            "{:<32} {:<8} {programs}",
            chain.place.to_string(),
            chain.state
        );
        chain
            .programs
            .iter()
            .for_each(|program| describe_marks(&mut text, program));
        if let Some(problem) = &chain.problem {
            let _ = writeln!(text, "    {}", problem.message);
        }
        for foreign in &chain.foreign {
            let _ = writeln!(
                text,
                "    not ours, on the same hook: program {} ({})",
                foreign.id, foreign.name
            );
        }
    }
    for probe in &status.probes {
        let program = probe
            .program
            .as_ref()
            .map(|program| format!("{}@{}", program.package, program.version));
        let program = program.unwrap_or_else(|| "no program".to_owned());
        let _ = writeln!(
            text,
            "{:<32} {:<8} {program} on {}",
            format!("probe {}", probe.name),
            probe.state,
            probe.attach
        );
        probe
            .program
            .iter()
            .for_each(|program| describe_marks(&mut text, program));
        if let Some(problem) = &probe.problem {
            let _ = writeln!(text, "    {}", problem.message);
        }
    }
    if status.chains.is_empty() && status.probes.is_empty() {
        text.push_str("nothing is asked for, and nothing runs\n");
    }
    text
}

/// What an operator should know of a program that runs.
fn describe_marks(text: &mut String, program: &ProgramStatus) {
    let marks = [("REVOKED", &program.revoked), ("STALE", &program.stale)];
    for (mark, why) in marks {
        if let Some(why) = why {
            let _ = writeln!(text, "    {mark} {}: {why}", program.package);
        }
    }
}
