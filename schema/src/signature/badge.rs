// SPDX-License-Identifier: Apache-2.0
//! Badges: what a platform vouches for of a version.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Predicate type of a badge.
pub const BADGE_PREDICATE: &str = "https://bpfpkg.io/badge/v1";

/// The predicate of a badge: a platform tested, reviewed or supports exactly this version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Badge {
    /// Who gives it, for a person; who really did is the signer.
    pub platform: String,
    /// What it says, such as `tested` or `supported`.
    pub badge: String,
    /// When it was given.
    pub issued_at: DateTime<Utc>,
    /// Until when it counts; for ever if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// A page that says more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
}
