// SPDX-License-Identifier: Apache-2.0
//! Bodies of the REST API about what a namespace may hold, and what of it may go.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Digest;

/// The rules of a namespace; what is absent or null sets no rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StorageRules {
    /// How many bytes its blobs and manifests may have; only administrators change it.
    #[serde(default)]
    pub quota_bytes: Option<u64>,
    /// After how many days a manifest that no tag, index or subject keeps is removed; 1 to 100000.
    #[serde(default)]
    pub untagged_days: Option<u64>,
    /// How many tags of a repository that are no versions are kept, the newest; 1 to 100000.
    #[serde(default)]
    pub keep_tags: Option<u64>,
}

/// What a namespace holds and may hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamespaceStorage {
    /// Bytes of its blobs and manifests; what several repositories hold counts in each.
    pub used_bytes: u64,
    /// Its rules.
    pub rules: StorageRules,
}

/// What the rules of a namespace let go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Expired {
    /// Whether it is still there: this is only what would go.
    pub dry_run: bool,
    /// What it is; at most 1000 manifests at a time, and all tags.
    pub contents: Vec<ExpiredContent>,
}

/// A tag or manifest that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExpiredContent {
    /// Where it is.
    pub repository: String,
    /// The tag; `null` for a manifest.
    pub tag: Option<String>,
    /// The manifest, or what the tag names.
    pub digest: Digest,
}
