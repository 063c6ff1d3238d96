// SPDX-License-Identifier: Apache-2.0
//! Ends uploads that were forgotten, and removes what broken ones left behind.

use std::time::Duration;

use super::Job;
use crate::service::upload;

/// The job.
pub fn job() -> Job {
    Job {
        name: "uploads",
        every: Duration::from_mins(10),
        work: |app| Box::pin(async move { upload::sweep(&app).await }),
    }
}
