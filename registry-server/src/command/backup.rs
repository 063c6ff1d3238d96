// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg-registry backup`

use std::path::Path;

use registry_schema::exit;

use super::print;
use crate::{
    Config, job,
    service::backup::{self, BackupError},
    start,
};

/// Copies database and blobs, beside a running registry or without one.
pub(super) async fn run(config: Config, to: &Path) -> anyhow::Result<u8> {
    let app = start::open_beside(config).await?;
    // What the copied database knows must not go before it is copied too.
    let Some(claim) = job::Claim::take(&app, "gc").await? else {
        return Err(BackupError::Collecting.into());
    };
    let outcome = claim.during(backup::take(&app, to)).await;
    claim
        .release(job::gc::job().every, &Ok::<_, BackupError>(()))
        .await?;
    print(&outcome?)?;
    app.db.close().await;
    Ok(exit::OK)
}
