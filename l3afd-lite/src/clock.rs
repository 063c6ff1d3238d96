// SPDX-License-Identifier: Apache-2.0
//! The daemon's one look at the wall clock.

use chrono::{DateTime, Utc};

/// What time it is.
#[expect(
    clippy::disallowed_methods,
    reason = "the library takes times as arguments; this is where they come from"
)]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}
