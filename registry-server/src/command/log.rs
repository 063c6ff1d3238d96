// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg-registry log verify`

use std::io::Write;

use registry_schema::{exit, transparency::VerifierKey};

use super::demand_database;
use crate::{
    Config,
    config_log::PublishLogVerb,
    service::log::verify::verify,
    store::{self, Db},
};

/// Says whether the publish log is whole.
pub(super) async fn run(verb: PublishLogVerb) -> anyhow::Result<u8> {
    let PublishLogVerb::Verify { config } = verb;
    check(&config).await
}

async fn check(config: &Config) -> anyhow::Result<u8> {
    demand_database(config)?;
    let db = match &config.database {
        Some(url) => Db::postgres(url).await?,
        None => Db::sqlite(&config.data.join("registry.db")).await?,
    };
    let mut out = std::io::stdout().lock();
    let Some(key) = store::settings::find(&db, "log-verifier").await? else {
        writeln!(
            out,
            "there is no publish log: the registry was never started"
        )?;
        return Ok(exit::NOT_FOUND);
    };
    let key: VerifierKey = key.parse()?;
    Ok(match verify(&db, &key).await? {
        Ok(whole) => {
            let (entries, versions, root) = (whole.entries, whole.versions, whole.root);
            writeln!(
                out,
                "the publish log is whole: {entries} entries, which account for all {versions} public versions\nkey   {key}\nroot  {root}"
            )?;
            if whole.waiting > 0 {
                writeln!(out, "{} more are on their way into it", whole.waiting)?;
            }
            exit::OK
        }
        Err(broken) => {
            writeln!(out, "the publish log is BROKEN: {broken}")?;
            exit::VERIFICATION
        }
    })
}
