// SPDX-License-Identifier: Apache-2.0
//! `l3afd-lite run`

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use registry_schema::Digest;
use tokio::signal::unix::{SignalKind, signal};

use super::{CliError, Common, agent};
use crate::agent::{Agent, AgentError, Report};
use crate::api::{ListenError, listen, listen_metrics, metrics_routes, routes};
use crate::chain::Engine;
use crate::config::{Config, OnStop};
use crate::desired::Desired;
use crate::fetch::Ask;
use crate::journal::JournalError;

#[derive(Debug, Args)]
pub(super) struct RunArgs {}

pub(super) async fn run(_args: &RunArgs, common: &Common) -> Result<(), CliError> {
    let (config, file) = common.read()?;
    let digest = file.map_or_else(|| Digest::sha256(b""), |(_, digest)| digest);
    let desired = config.desired();
    let socket_path = config.api.socket.clone();
    let socket = listen(&socket_path)?;
    let agent = Arc::new(patiently(config).await?);
    let signals = |kind| {
        signal(kind).map_err(|source| ListenError::Socket {
            path: socket_path.clone(),
            source,
        })
    };
    let mut terminated = signals(SignalKind::terminate())?;
    let mut interrupted = signals(SignalKind::interrupt())?;

    let page = metrics_routes(Arc::clone(&agent));
    if let Some(address) = agent.config().metrics.listen {
        let listener = listen_metrics(address).await?;
        tokio::spawn(async move { axum::serve(listener, page).await });
    }
    let commands = routes(Arc::clone(&agent));
    tokio::spawn(async move { axum::serve(socket, commands).await });
    tracing::info!(socket = %socket_path.display(), "started");

    tokio::select! {
        report = agent.start(desired, digest) => log(&report?),
        _ = terminated.recv() => return Ok(()),
        _ = interrupted.recv() => return Ok(()),
    }
    // A registry that hangs must not keep the rest waiting.
    let watching = Arc::clone(&agent);
    tokio::spawn(async move {
        loop {
            watching.watch().await;
            tokio::time::sleep(watching.config().interval()).await;
        }
    });
    let mut interval = tokio::time::interval(agent.config().interval());
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval.tick().await;
    loop {
        let round = async {
            interval.tick().await;
            agent.settle(Ask::Kept).await
        };
        tokio::select! {
            _ = terminated.recv() => break,
            _ = interrupted.recv() => break,
            settled = round => {
                if let Err(error) = settled {
                    tracing::error!("{error}");
                }
            }
        }
    }
    if agent.config().on_stop == OnStop::Unload {
        log(&agent.apply(&Desired::default()).await?);
    }
    tracing::info!("stopped");
    let _ = std::fs::remove_file(&socket_path);
    Ok(())
}

/// A command that works without the daemon may hold the state for a moment.
async fn patiently(config: Config) -> Result<Agent<Engine>, CliError> {
    for _ in 0..100 {
        match agent(config.clone()) {
            Err(CliError::Agent(AgentError::Journal(JournalError::Busy(_)))) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            agent => return agent,
        }
    }
    agent(config)
}

fn log(report: &Report) {
    for outcome in &report.outcomes {
        tracing::info!(subject = outcome.subject, state = ?outcome.state, "settled");
    }
}
