// SPDX-License-Identifier: Apache-2.0
//! What a registry demands before it shows a version, what waits for that, and what was
//! decided: bodies of the REST API.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Digest, PackageName, Version, notice::Notice};

/// Type of the predicate in which a registry records a decision.
pub const REVIEW_PREDICATE: &str = "https://bpfpkg.dev/review/v1";

/// What a registry demands of a version before others than its publishers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Signatures of the namespace, and what the vetting mode says.
    Public,
    /// Nothing; what is unsigned is shown as unsigned.
    Private,
}

/// Who looks at a version of a public registry before it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Vetting {
    /// The registry's own checks.
    Automated,
    /// Also a person.
    Human,
}

/// What a registry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegistryDetail {
    /// What it demands of a version.
    pub policy: Policy,
    /// Who looks at a version; none where nobody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vetting: Option<Vetting>,
    /// Hours that a version waits for its signatures; none where none are demanded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_hours: Option<u32>,
    /// The key that its records of decisions are signed with, as SPKI PEM.
    pub record_key: String,
}

/// What a version waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Wait {
    /// Signatures by identities of its namespace.
    Signature,
    /// A reviewer.
    Review,
}

/// That a version is not shown yet, except to those who may publish in its namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pending {
    /// What it waits for.
    pub waits_for: Wait,
    /// When it was pushed.
    pub pushed_at: DateTime<Utc>,
    /// By whom.
    pub pushed_by: String,
    /// When it goes if nobody signs; none while it waits for a reviewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<DateTime<Utc>>,
    /// The identities of the namespace that have signed.
    pub signers: Vec<String>,
    /// How many must.
    pub threshold: u64,
    /// What a reviewer should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A version in the queue of reviewers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueuedVersion {
    /// The package.
    pub package: PackageName,
    /// The version.
    pub version: Version,
    /// Digest of its index.
    pub digest: Digest,
    /// What the package is, in one sentence.
    pub summary: String,
    /// Its state.
    #[serde(flatten)]
    pub pending: Pending,
}

/// What was decided about a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Shown: the registry's own checks passed.
    Accepted,
    /// Shown: a reviewer said so.
    Approved,
    /// Not shown: a reviewer said so.
    Refused,
}

impl Decision {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Approved => "approved",
            Self::Refused => "refused",
        }
    }
}

/// A reviewer's decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReview {
    /// `true` shows the version to everybody, `false` takes its tag away.
    pub approve: bool,
    /// Why, for the publisher and for those who use the version.
    pub reason: Notice,
    /// Digest of the index that was looked at; another one is not decided about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// A decision as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Review {
    /// What was decided.
    #[serde(flatten)]
    pub decided: Decided,
    /// The same signed by the registry: a Sigstore bundle, which is also a referrer of the
    /// index.
    pub record: Value,
}

/// The predicate of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Decided {
    /// The registry, as a reference names it.
    pub registry: String,
    /// The package.
    pub package: PackageName,
    /// The version.
    pub version: Version,
    /// Digest of its index.
    pub digest: Digest,
    /// What was decided.
    pub decision: Decision,
    /// The account that decided; empty for the rules alone.
    pub decided_by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub decided_at: DateTime<Utc>,
}
