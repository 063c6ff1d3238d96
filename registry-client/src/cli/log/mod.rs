// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg log`: one file per verb.

mod monitor;
mod proof;
mod show;
mod verify;

use clap::Subcommand;
use registry_schema::transparency::{VerifierKey, note::KeyKind};

use super::{failure::Failure, session::Session};
use crate::{
    log::{Checkpoints, LogKeys},
    registry::Registry,
};

/// Check a registry's publish log, which says what was published and signed by whom
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Show(show::Args),
    Verify(verify::Args),
    Monitor(monitor::Args),
    Proof(proof::Args),
}

pub(super) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    match command {
        Command::Show(args) => show::run(&args, session).await,
        Command::Verify(args) => verify::run(&args, session).await,
        Command::Monitor(args) => monitor::run(&args, session).await,
        Command::Proof(args) => proof::run(&args, session).await,
    }
}

/// Which key speaks for the log
#[derive(Debug, clap::Args)]
struct KeyArg {
    /// Key of the log, `name+hash+base64`, which you have from the registry's operators;
    /// without it the key that was met first counts, and stays
    #[arg(long, value_name = "KEY", value_parser = log_key)]
    log_key: Option<VerifierKey>,
}

fn log_key(text: &str) -> Result<VerifierKey, String> {
    let key: VerifierKey = text.parse().map_err(|error| format!("{error}"))?;
    match key.kind() {
        KeyKind::Text => Ok(key),
        KeyKind::Witness => Err(format!(
            "`{}` is the key of a witness, not of a log",
            key.name()
        )),
    }
}

impl KeyArg {
    /// The keys of the log of `registry`: those given, else those met first.
    async fn find(
        &self,
        registry: &Registry,
        kept: &Checkpoints,
        session: &Session,
    ) -> Result<LogKeys, Failure> {
        if let Some(key) = &self.log_key {
            return Ok(key.clone().into());
        }
        if let Some(key) = kept.key_of(registry.host())? {
            return Ok(key.into());
        }
        let detail = registry.log().await?;
        let key = log_key(&detail.key).map_err(|reason| {
            Failure::new(
                "log::key",
                format!("the registry names no usable key: {reason}"),
            )
        })?;
        kept.pin(registry.host(), &key)?;
        session.say(format!(
            "met the log of {} for the first time; from now on its key is\n{key}",
            registry.host()
        ));
        Ok(key.into())
    }
}

/// The registry that is named, or the default one.
fn registry(host: Option<&String>, session: &Session) -> Result<Registry, Failure> {
    let host = host.map_or_else(|| session.default_registry(), |host| Ok(host.clone()))?;
    session.connect(&host)
}
