// SPDX-License-Identifier: Apache-2.0
//! What the program can be told to do: one verb, one file.
//!
//! A verb gives the exit code of `registry_schema::exit` that says how it went, or an
//! error, whose sentence [`run`] prints.

mod admin;
mod audit;
mod backup;
mod config;
mod fsck;
mod gc;
mod health;
mod log;
mod manual;
mod restore;
mod scrub;
mod serve;

use registry_schema::exit;

use crate::{
    Config, StartError,
    config::{Cli, Command},
    config_file::Setting,
    telemetry,
};

/// Does what the command line says, with the settings as `config show` prints them, and gives the exit code.
pub async fn run(cli: Cli, settings: &[Setting]) -> u8 {
    let telemetry = match telemetry::start(&cli.log) {
        Ok(telemetry) => telemetry,
        Err(error) => {
            eprintln!("error: {error}");
            return exit::USAGE;
        }
    };
    let outcome = match cli.command {
        Command::Serve(config) => Box::pin(serve::run(*config)).await,
        Command::Config(verb) => config::run(&verb, settings),
        Command::Health(health) => health::run(&health).await,
        Command::Man(folder) => manual::man(&folder),
        Command::Completions { shell } => manual::completions(shell),
        Command::Gc { dry_run, config } => Box::pin(gc::run(*config, dry_run)).await,
        Command::Fsck { json, config } => Box::pin(fsck::run(*config, json)).await,
        Command::Scrub(config) => Box::pin(scrub::run(*config)).await,
        Command::Backup { to, config } => Box::pin(backup::run(*config, &to)).await,
        Command::Restore { from, config } => Box::pin(restore::run(*config, &from)).await,
        Command::Audit(verb) => audit::run(verb).await,
        Command::Log(verb) => log::run(verb).await,
        Command::Admin(verb) => Box::pin(admin::run(verb)).await,
    };
    telemetry.end().await;
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        error.downcast_ref().map_or(exit::FAILURE, code)
    })
}

/// Demands a database that is there: a mistyped directory must not look like an empty registry.
fn demand_database(config: &Config) -> Result<(), StartError> {
    let path = config.data.join("registry.db");
    match std::fs::metadata(&path) {
        Err(source) if config.database.is_none() => Err(StartError::Data { path, source }),
        _ => Ok(()),
    }
}

/// Prints a report as JSON.
fn print(report: &impl serde::Serialize) -> anyhow::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string_pretty(report)?)?;
    Ok(out.flush()?)
}

fn code(error: &StartError) -> u8 {
    match error {
        StartError::InUse { .. } => exit::CONFLICT,
        StartError::Data { .. }
        | StartError::PublicUrl { .. }
        | StartError::SigstoreRoot { .. }
        | StartError::Tls(_) => exit::USAGE,
        StartError::Listen { .. } | StartError::Store(_) => exit::UNAVAILABLE,
        StartError::Blob(_) | StartError::Service(_) => exit::FAILURE,
    }
}
