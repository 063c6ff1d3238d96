// SPDX-License-Identifier: Apache-2.0
//! `l3afd-lite plan`

use clap::Args;
use http::Method;

use super::{CliError, Common, daemon, looking};

#[derive(Debug, Args)]
pub(super) struct PlanArgs {}

pub(super) async fn run(_args: &PlanArgs, common: &Common) -> Result<(), CliError> {
    let (config, _) = common.read()?;
    let desired = config.desired();
    let report = match daemon(&config) {
        Some(daemon) => daemon.request(Method::POST, "/v1/plan", &desired).await?,
        None => looking(config)?.plan(&desired).await?,
    };
    common.conclude(&report)
}
