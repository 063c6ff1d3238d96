// SPDX-License-Identifier: Apache-2.0
//! Signs the revocation feed anew before it expires.

use std::time::Duration;

use super::Job;
use crate::service::revocation;

/// The job.
pub fn job() -> Job {
    Job {
        name: "revocation",
        every: Duration::from_hours(1),
        work: |app| Box::pin(async move { revocation::keep_fresh(&app).await }),
    }
}
