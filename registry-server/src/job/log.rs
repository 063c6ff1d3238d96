// SPDX-License-Identifier: Apache-2.0
//! Brings into the publish log what a crash kept out of it.

use std::time::Duration;

use super::Job;
use crate::service::log;

/// The job.
pub fn job() -> Job {
    Job {
        name: "publish-log",
        every: Duration::from_secs(5),
        work: |app| Box::pin(async move { log::run(&app).await }),
    }
}
