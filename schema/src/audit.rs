// SPDX-License-Identifier: Apache-2.0
//! The audit log: what one entry says, and how entries hang together.
//!
//! The hash of an entry is the SHA-256 of its canonical JSON without `hash`, and each entry
//! holds the hash of the one before it. Whoever noted one hash can later tell whether any
//! entry up to it was changed, taken out or added.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    canonical::{self, CanonicalError},
    digest::Digest,
};

/// What stands before the first entry.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One change of state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// Its place; the first is 1, and there are no gaps.
    pub sequence: i64,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// The account; empty for nobody.
    pub actor: String,
    /// What the account proved itself with; never the secret.
    pub credential: String,
    /// `noun.verb`, for instance `version.yank`.
    pub action: String,
    /// What was changed: `namespace`, `namespace/name…`, or `kind:name` for what belongs to
    /// no namespace.
    pub subject: String,
    /// What else there is to know.
    pub detail: Value,
    /// Hash of the entry before; [`GENESIS`] for the first.
    pub previous: String,
    /// Hash of this one.
    pub hash: String,
}

/// A page of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditPage {
    /// The entries: newest first, or oldest first if `after` was given.
    pub entries: Vec<AuditEntry>,
    /// What to ask for next, as `before` or `after`; none on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// Where and how the log does not hang together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditBreak {
    /// An entry is missing, or one was added.
    #[error("where entry {expected} should be is entry {found}")]
    Gap {
        /// The number that should have come.
        expected: i64,
        /// The number that came.
        found: i64,
    },
    /// The entry before it is not the one that it followed when it was written.
    #[error("entry {0} does not follow the one before it: that one was changed or replaced")]
    Previous(i64),
    /// The entry itself was changed.
    #[error("entry {0} was changed: its content does not have its hash")]
    Content(i64),
    /// The end was cut off.
    #[error("entries after {found} are missing: the log went on to {expected}")]
    Cut {
        /// The number of the last entry, as noted.
        expected: i64,
        /// The number of the last entry that is there.
        found: i64,
    },
    /// The hash that somebody noted is not the one that the log has there.
    #[error("entry {0} is not the one that was noted: the log was rewritten")]
    Rewritten(i64),
}

impl AuditBreak {
    /// The first entry that is wrong or missing.
    pub const fn sequence(&self) -> i64 {
        match self {
            Self::Gap { expected, .. } => *expected,
            Self::Cut { found, .. } => *found + 1,
            Self::Previous(at) | Self::Content(at) | Self::Rewritten(at) => *at,
        }
    }
}

impl AuditEntry {
    /// Computes the hash that the entry must have.
    ///
    /// # Errors
    /// [`CanonicalError::Number`] if `detail` holds a number that is no 64-bit integer.
    pub fn digest(&self) -> Result<String, CanonicalError> {
        let mut value = serde_json::to_value(self)?;
        if let Some(members) = value.as_object_mut() {
            members.remove("hash");
        }
        let bytes = canonical::to_vec(&value)?;
        Ok(Digest::sha256(&bytes).hex().to_owned())
    }

    /// Checks that this entry comes right after the one with number `sequence` and hash
    /// `previous`, and has its own hash.
    ///
    /// # Errors
    /// [`AuditBreak`] other than [`AuditBreak::Cut`].
    pub fn follows(&self, sequence: i64, previous: &str) -> Result<(), AuditBreak> {
        if self.sequence != sequence + 1 {
            return Err(AuditBreak::Gap {
                expected: sequence + 1,
                found: self.sequence,
            });
        }
        if self.previous != previous {
            return Err(AuditBreak::Previous(self.sequence));
        }
        match self.digest() {
            Ok(digest) if digest == self.hash => Ok(()),
            _ => Err(AuditBreak::Content(self.sequence)),
        }
    }
}
