// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg-registry restore`

use std::path::Path;

use registry_schema::exit;

use crate::{
    Config,
    service::{backup, fsck},
    start,
};

/// Brings a backup into an empty registry, and checks all of it.
pub(super) async fn run(config: Config, from: &Path) -> anyhow::Result<u8> {
    let lock = start::lock(&config)?;
    let summary = backup::restore_database(from, &config.data)?;
    let app = start::open_beside(config).await?;
    let restored = backup::restore_blobs(&app, from).await?;
    let report = fsck::run(&app).await?;
    app.db.close().await;
    drop(lock);
    println!(
        "restored {restored} of {} blobs, as of {}",
        summary.contents, summary.taken_at
    );
    for problem in &report.problems {
        println!("{}: {}", problem.kind, problem.message);
    }
    Ok(if report.problems.is_empty() {
        exit::OK
    } else {
        exit::FINDINGS
    })
}
