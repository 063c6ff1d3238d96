// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg-registry fsck`

use registry_schema::exit;

use super::print;
use crate::{Config, service::fsck, start};

/// Checks that everything the database says is there.
pub(super) async fn run(config: Config, json: bool) -> anyhow::Result<u8> {
    let app = start::open_beside(config).await?;
    let report = fsck::run(&app).await?;
    app.db.close().await;
    if json {
        print(&report)?;
    } else {
        for problem in &report.problems {
            println!("{}: {}", problem.kind, problem.message);
        }
        println!(
            "{} manifests and {} contents of {} bytes looked at; {} leftovers; {} problems",
            report.manifests,
            report.contents,
            report.content_bytes,
            report.leftovers,
            report.problems.len()
        );
    }
    Ok(if report.problems.is_empty() {
        exit::OK
    } else {
        exit::FINDINGS
    })
}
