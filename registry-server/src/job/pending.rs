// SPDX-License-Identifier: Apache-2.0
//! Ends the wait of versions that nobody signed, and attaches records of decisions that were
//! left over.

use std::time::Duration;

use super::Job;
use crate::service::{record, review};

/// The job.
pub fn job() -> Job {
    Job {
        name: "pending",
        every: Duration::from_mins(10),
        work: |app| {
            Box::pin(async move {
                review::expire(&app).await?;
                record::attach_all(&app).await
            })
        },
    }
}
