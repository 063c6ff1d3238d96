// SPDX-License-Identifier: Apache-2.0
//! `l3afd-lite`: the node daemon and its commands.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use l3afd_lite::cli;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let filter = EnvFilter::try_from_env("L3AFD_LITE_LOG")
        .unwrap_or_else(|_| EnvFilter::new(cli.default_log()));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    ExitCode::from(cli::run(cli).await)
}
