// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg-registry scrub`

use registry_schema::exit;

use super::print;
use crate::{
    Config, job,
    service::scrub::{self, Scrub},
    start,
};

/// Reads and hashes everything that is stored, as fast as the disk gives it.
pub(super) async fn run(config: Config) -> anyhow::Result<u8> {
    let app = start::open_beside(config).await?;
    let Some(claim) = job::Claim::take(&app, "scrub").await? else {
        eprintln!("the registry is scrubbing already");
        return Ok(exit::CONFLICT);
    };
    let scrub = Scrub {
        before: app.clock.now(),
        bytes_per_second: None,
        repair_from: app.config.upkeep.repair_from.clone(),
    };
    let outcome = claim.during(Box::pin(scrub::run(&app, &scrub))).await;
    claim.release(job::scrub::job().every, &outcome).await?;
    let report = outcome?;
    print(&report)?;
    app.db.close().await;
    Ok(if report.damaged.iter().all(|damage| damage.repaired) {
        exit::OK
    } else {
        exit::FINDINGS
    })
}
