// SPDX-License-Identifier: Apache-2.0
//! Bodies of the REST API about the log. Nobody need believe them: the same is in checkpoint
//! and tiles, which prove themselves.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::entry::Entry;

/// The log at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogDetail {
    /// Its name.
    pub origin: String,
    /// The key that checkpoints are checked with, as `name+hash+base64`.
    pub key: String,
    /// How many entries it has.
    pub size: u64,
    /// The root over them, in base64.
    pub root: String,
    /// The witnesses whose cosignatures are kept, and how far each has seen the log.
    pub witnesses: Vec<LogWitness>,
}

/// Somebody who watches that the log only grows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogWitness {
    /// Its key, as `name+hash+base64`.
    pub key: String,
    /// The largest log that it cosigned; none if it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// When that was kept here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<DateTime<Utc>>,
}

/// An entry with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoggedEntry {
    /// Its place, from 0.
    pub index: u64,
    /// What it says.
    pub entry: Entry,
}

/// A page of entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogPage {
    /// The entries: newest first, or oldest first if `from` was given.
    pub entries: Vec<LoggedEntry>,
    /// What to ask for next, as `before` or `from`; none on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}
