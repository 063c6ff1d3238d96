// SPDX-License-Identifier: Apache-2.0
//! Hands namespaces over when it is time, and looks whether domains still carry their tokens.

use std::time::Duration;

use super::Job;
use crate::service::{proof, transfer};

/// The job.
pub fn job() -> Job {
    Job {
        name: "ownership",
        every: Duration::from_mins(10),
        work: |app| {
            Box::pin(async move {
                transfer::run(&app).await?;
                proof::run(&app).await
            })
        },
    }
}
