// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg-registry gc`

use registry_schema::exit;

use super::print;
use crate::{Config, job, service::gc, start};

/// Collects garbage now, beside a running registry or without one.
pub(super) async fn run(config: Config, dry_run: bool) -> anyhow::Result<u8> {
    let app = start::open_beside(config).await?;
    let Some(claim) = job::Claim::take(&app, "gc").await? else {
        eprintln!("garbage is being collected already");
        return Ok(exit::CONFLICT);
    };
    let outcome = claim.during(Box::pin(gc::run(&app, dry_run))).await;
    claim.release(job::gc::job().every, &outcome).await?;
    print(&outcome?)?;
    app.db.close().await;
    Ok(exit::OK)
}
