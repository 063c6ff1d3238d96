// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg-registry serve`

use std::io::Write;

use registry_schema::exit;
use tokio::signal::unix::{SignalKind, signal};

use crate::{Config, Running};

/// Serves until SIGINT or SIGTERM, then ends what is running.
pub(super) async fn run(config: Config) -> anyhow::Result<u8> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let running = crate::start(config).await?;
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
    Ok(exit::OK)
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
