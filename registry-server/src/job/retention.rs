// SPDX-License-Identifier: Apache-2.0
//! Removes what the rules of namespaces let go.

use std::time::Duration;

use super::Job;
use crate::service::retention;

/// The job.
pub fn job() -> Job {
    Job {
        name: "retention",
        every: Duration::from_hours(1),
        work: |app| Box::pin(async move { retention::run(&app).await }),
    }
}
