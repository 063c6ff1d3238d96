// SPDX-License-Identifier: Apache-2.0
//! `l3afd-lite unload`

use clap::Args;
use http::Method;

use super::{CliError, Common, agent, daemon};
use crate::chain::Engine;
use crate::desired::Desired;

#[derive(Debug, Args)]
pub(super) struct UnloadArgs {}

pub(super) async fn run(_args: &UnloadArgs, common: &Common) -> Result<(), CliError> {
    let (config, _) = common.read()?;
    let report = if let Some(daemon) = daemon(&config) {
        daemon.request(Method::POST, "/v1/unload", &()).await?
    } else {
        let engine = Engine::new(&config.bpffs);
        let report = agent(config)?.apply(&Desired::default()).await?;
        engine
            .remove_all()
            .map_err(crate::agent::AgentError::from)?;
        report
    };
    common.conclude(&report)
}
