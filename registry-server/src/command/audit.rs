// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg-registry audit verify` and `audit export`

use std::io::Write;

use registry_schema::exit;

use super::demand_database;
use crate::{
    Config, StartError,
    config::AuditVerb,
    service::audit::{self, Verdict},
    store::{self, Db},
};

/// Says whether the log is whole, or writes it.
pub(super) async fn run(verb: AuditVerb) -> anyhow::Result<u8> {
    match verb {
        AuditVerb::Verify { noted, config } => verify(&open(&config).await?, &noted).await,
        AuditVerb::Export { after, config } => export(&open(&config).await?, after).await,
    }
}

async fn open(config: &Config) -> Result<Db, StartError> {
    demand_database(config)?;
    Ok(match &config.database {
        Some(url) => Db::postgres(url).await?,
        None => Db::sqlite(&config.data.join("registry.db")).await?,
    })
}

async fn verify(db: &Db, noted: &[(i64, String)]) -> anyhow::Result<u8> {
    let mut out = std::io::stdout().lock();
    match audit::verify(db, noted).await? {
        Verdict::Whole { entries, hash } => {
            writeln!(
                out,
                "the audit log is whole: {entries} entries\nnote the last one: {entries}:{hash}"
            )?;
            Ok(exit::OK)
        }
        Verdict::Broken(broken) => {
            let at = broken.sequence();
            writeln!(out, "the audit log is BROKEN at entry {at}: {broken}")?;
            Ok(exit::VERIFICATION)
        }
    }
}

async fn export(db: &Db, mut after: i64) -> anyhow::Result<u8> {
    let mut out = std::io::stdout().lock();
    loop {
        let page = store::audit::after(db, after, "", audit::LARGEST_PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(exit::OK);
        };
        after = last.sequence;
        for entry in page {
            serde_json::to_writer(&mut out, &entry)?;
            writeln!(out)?;
        }
    }
}
