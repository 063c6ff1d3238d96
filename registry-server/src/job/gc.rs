// SPDX-License-Identifier: Apache-2.0
//! Collects garbage.

use std::time::Duration;

use super::Job;
use crate::service::gc;

/// The job; its name is also the claim that keeps garbage from being collected.
pub fn job() -> Job {
    Job {
        name: "gc",
        every: Duration::from_hours(1),
        work: |app| {
            Box::pin(async move {
                let report = gc::run(&app, false).await?;
                tracing::info!(
                    blobs = report.blobs,
                    contents = report.contents,
                    bytes = report.content_bytes,
                    orphans = report.orphans,
                    "collected garbage"
                );
                Ok(())
            })
        },
    }
}
