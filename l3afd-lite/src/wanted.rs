// SPDX-License-Identifier: Apache-2.0
//! What shall run, exactly: wishes with every name replaced by the digest it led to.

use std::collections::BTreeMap;

use registry_schema::{Digest, PackageName, Version};
use serde::{Deserialize, Serialize};

use crate::desired::XdpMode;
use crate::load::MapEntries;
use crate::place::Place;

/// One program of a chain, or a probe, down to its digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The package.
    pub package: PackageName,
    /// Its version.
    pub version: Version,
    /// Digest of the package's index: what was signed and verified.
    pub digest: Digest,
    /// Digest of the object in it.
    pub object: Digest,
    /// Fingerprint of the key that signed it; none for an unsigned package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// The function.
    pub function: String,
    /// Which directory of maps it uses: programs of one package share theirs.
    pub instance: String,
    /// Verdicts after which the chain goes on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proceed_on: Vec<String>,
    /// Values of read-only globals, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub globals: Vec<(String, Vec<u8>)>,
    /// Entries of maps that hold parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<MapEntries>,
}

impl Member {
    /// Whether `other` may go on running where this one is wanted: all but what can be
    /// changed in place is the same.
    pub fn runs_as(&self, other: &Self) -> bool {
        let Self {
            package,
            version: _,
            digest: _,
            object,
            signer: _,
            function,
            instance,
            proceed_on,
            globals,
            entries: _,
        } = self;
        *package == other.package
            && *object == other.object
            && *function == other.function
            && *instance == other.instance
            && *proceed_on == other.proceed_on
            && *globals == other.globals
    }

    /// Package and version, for people.
    pub fn title(&self) -> String {
        format!("{}@{}", self.package, self.version)
    }
}

/// A chain down to digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedChain {
    /// How it attaches.
    pub mode: XdpMode,
    /// Its programs, head first; at least one.
    pub members: Vec<Member>,
}

/// A probe down to digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedProbe {
    /// What it attaches to.
    pub attach: String,
    /// The program.
    pub member: Member,
}

/// What is wished of one chain or probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish<T> {
    /// It shall run.
    Run(T),
    /// What shall run could not be found out: what runs now goes on.
    Keep,
    /// It shall not run.
    Remove,
}

/// All wishes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Chains by place. Places that are not here shall have none.
    pub chains: BTreeMap<Place, Wish<WantedChain>>,
    /// Probes by name. Names that are not here shall not run.
    pub probes: BTreeMap<String, Wish<WantedProbe>>,
}
