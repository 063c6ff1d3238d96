// SPDX-License-Identifier: Apache-2.0
//! What a decision is about, and what it rests on.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use registry_schema::{
    Digest, PackageName, Reference, Version, trust::policy::Policy, version::VersionRange,
};
use serde::{Deserialize, Serialize};

use crate::{
    pull::{Blob, Target},
    trust::TrustStore,
};

/// Of how many versions it is asked whether they were withdrawn.
const MOST_WITHDRAWN: usize = 32;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Host and port of the registry.
    pub registry: String,
    /// The package.
    pub package: PackageName,
    /// The version; none if any will do, such as the latest.
    pub version: Option<Version>,
    /// The range that the version must fit; none if any will do.
    #[serde(default)]
    pub range: Option<VersionRange>,
    /// The exact index; none if any will do.
    pub digest: Option<Digest>,
    /// The target.
    pub target: Target,
}

impl Asked {
    /// What `reference` asks for, where `registry` is the one in use.
    pub fn new(registry: &str, reference: &Reference, target: Target) -> Self {
        Self {
            registry: registry.to_owned(),
            package: reference.package.clone(),
            version: reference.version().cloned(),
            range: reference.range().cloned(),
            digest: reference.digest.clone(),
            target,
        }
    }

    /// Whether it says which version it wants, and leaves no choice to the registry.
    pub const fn is_named(&self) -> bool {
        self.version.is_some() || self.digest.is_some()
    }
}

/// What a decision rests on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Basis {
    /// Who is trusted.
    pub trust: TrustStore,
    /// What is demanded.
    pub policy: Policy,
    /// What was seen before.
    pub memory: Memory,
    /// The time.
    pub now: DateTime<Utc>,
}

impl Basis {
    /// Rests on `trust` alone: no rules, no memory.
    pub fn new(trust: TrustStore, now: DateTime<Utc>) -> Self {
        Self {
            trust,
            policy: Policy::default(),
            memory: Memory::default(),
            now,
        }
    }
}

/// What was seen before of one package and its registry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Versions of the package that were accepted.
    #[serde(default)]
    pub seen: BTreeMap<Version, Seen>,
    /// The registry's signed revocation feed.
    #[serde(default)]
    pub feed: Option<Blob>,
    /// What runs or lies here already: neither an expired root nor a feed that is old or
    /// missing stops it, though it is said.
    #[serde(default)]
    pub installed: Option<Digest>,
    /// The text of the last checkpoint of the registry's log.
    #[serde(default)]
    pub checkpoint: Option<String>,
}

impl Memory {
    /// The versions that were seen and that `asked` could have led to, highest first.
    pub fn eligible<'a>(
        &'a self,
        asked: &'a Asked,
        actual: &'a Version,
    ) -> impl Iterator<Item = (&'a Version, &'a Seen)> {
        let eligible = |version: &Version| match &asked.range {
            Some(range) => version.matches(range),
            None => !version.is_prerelease() || actual.is_prerelease(),
        };
        self.seen
            .iter()
            .rev()
            .filter(move |(version, _)| eligible(version))
    }

    /// The highest versions above `actual` that were seen and that `asked` could have led to:
    /// those that must have been withdrawn, or `actual` is refused.
    pub fn above<'a>(
        &'a self,
        asked: &'a Asked,
        actual: &'a Version,
    ) -> impl Iterator<Item = &'a Version> {
        let eligible = self.eligible(asked, actual).map(|(version, _)| version);
        eligible
            .take_while(move |version| *version > actual)
            .take(MOST_WITHDRAWN)
    }
}

/// A version that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The digest of its index.
    pub digest: Digest,
    /// How many entries the log had when the version was last chosen, as the latest or for a
    /// range; none if it was only ever named. What the log said of it before counts no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_at: Option<u64>,
}
