// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg-registry`: reads the command line, starts the registry, waits for a signal.

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use clap::Parser;
use registry_schema::exit;
use registry_server::{
    Running, StartError,
    config::{Cli, Command, Config, LogFormat},
};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = log(&cli.log, cli.log_format) {
        eprintln!("error: --log `{}` is wrong: {error}", cli.log);
        return exit::USAGE.into();
    }
    let Command::Serve(config) = cli.command;
    match serve(config).await {
        Ok(()) => exit::OK.into(),
        Err(error) => {
            eprintln!("error: {error}");
            let code = match error.downcast_ref() {
                Some(StartError::InUse { .. }) => exit::CONFLICT,
                Some(StartError::Data { .. } | StartError::PublicUrl { .. }) => exit::USAGE,
                Some(StartError::Listen { .. } | StartError::Store(_)) => exit::UNAVAILABLE,
                _ => exit::FAILURE,
            };
            code.into()
        }
    }
}

fn log(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(filter)?)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().init(),
    }
    Ok(())
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let running = registry_server::start(config).await?;
    // Whoever started the registry may have stopped listening to it; its clients have not.
    if let Err(error) = greet(&running) {
        tracing::warn!(%error, "cannot write to standard output");
    }
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping");
    running.shutdown().await;
    Ok(())
}

/// Says where the registry is, and at the first start how to log in to it.
fn greet(running: &Running) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on {}", running.origin)?;
    if let Some(token) = &running.admin_token {
        let host = running
            .origin
            .split_once("://")
            .map_or("", |(_, host)| host);
        writeln!(
            out,
            "\nThis is the first start. The administrator's token, shown only now:\n"
        )?;
        writeln!(out, "    {token}\n\nLog in with it:\n")?;
        writeln!(
            out,
            "    echo {token} | bpfpkg login {host} --user admin --password-stdin\n"
        )?;
    }
    out.flush()
}
