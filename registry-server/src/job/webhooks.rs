// SPDX-License-Identifier: Apache-2.0
//! Tells others what happened here.

use std::time::Duration;

use super::Job;
use crate::service::webhook;

/// The job.
pub fn job() -> Job {
    Job {
        name: "webhooks",
        every: Duration::from_secs(5),
        work: |app| Box::pin(async move { webhook::run(&app).await }),
    }
}
