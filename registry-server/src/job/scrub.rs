// SPDX-License-Identifier: Apache-2.0
//! Looks at what is stored, a little at a time.

use std::time::Duration;

use chrono::TimeDelta;

use super::Job;
use crate::service::scrub::{self, Scrub};

/// The job.
pub fn job() -> Job {
    Job {
        name: "scrub",
        every: Duration::from_mins(10),
        work: |app| {
            Box::pin(async move {
                let upkeep = &app.config.upkeep;
                if upkeep.scrub_days == 0 {
                    return Ok(());
                }
                let scrub = Scrub {
                    before: app.clock.now() - TimeDelta::days(upkeep.scrub_days.into()),
                    bytes_per_second: Some(upkeep.scrub_rate),
                    repair_from: upkeep.repair_from.clone(),
                };
                let report = scrub::run(&app, &scrub).await?;
                if report.contents > 0 || !report.damaged.is_empty() {
                    let (contents, bytes) = (report.contents, report.bytes);
                    tracing::info!(contents, bytes, damaged = report.damaged.len(), "scrubbed");
                }
                Ok(())
            })
        },
    }
}
