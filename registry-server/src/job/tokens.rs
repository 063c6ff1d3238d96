// SPDX-License-Identifier: Apache-2.0
//! Forgets tokens, sessions, logins and exchanges that have ended.

use std::time::Duration;

use super::Job;
use crate::service::token;

/// The job.
pub fn job() -> Job {
    Job {
        name: "tokens",
        every: Duration::from_hours(1),
        work: |app| Box::pin(async move { token::sweep(&app).await }),
    }
}
