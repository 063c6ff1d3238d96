// SPDX-License-Identifier: Apache-2.0
//! Whether a version is in the publish log of its registry, from the proofs that came with
//! it.

use std::{collections::BTreeMap, fmt};

use chrono::{DateTime, Utc};
use registry_schema::{
    Identity, PackageName, Version,
    transparency::{Change, Checkpoint, LoggedSignature, NoteError},
    trust::root::LogTrust,
};
use serde::{Deserialize, Serialize};

use super::Contents;
use crate::{
    log::{self, Included, LogFault, LogKeys},
    pull::Blob,
};

/// Why no proof holds.
#[derive(Debug, thiserror::Error)]
pub enum LogRefusal {
    /// A key of the trust root cannot be used.
    #[error("a key of the log in the trust root cannot be used: {0}")]
    Key(#[from] NoteError),
    /// The last of the proofs does not hold.
    #[error(transparent)]
    Fault(#[from] LogFault),
}

/// Where a version is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logged {
    /// The log.
    pub origin: String,
    /// The number of the entry, from 0.
    pub index: u64,
    /// How many entries the log had.
    pub size: u64,
    /// The root hash of the log, in base64.
    pub root: String,
    /// When the version was logged.
    pub at: DateTime<Utc>,
    /// The signatures that were there then.
    pub signatures: Vec<LoggedSignature>,
    /// The witnesses that saw the log so.
    pub witnesses: Vec<String>,
}

impl Logged {
    /// When the log saw a signature of `identity`, if it did.
    pub fn saw(&self, identity: &Identity) -> Option<DateTime<Utc>> {
        let seen = self.signatures.iter().any(|one| one.signer == *identity);
        seen.then_some(self.at)
    }
}

impl From<Included> for Logged {
    fn from(included: Included) -> Self {
        let signatures = match included.entry.change() {
            Change::Publish { signatures, .. } => signatures.clone(),
            _ => Vec::new(),
        };
        let witnesses = included.witnesses.into_iter();
        Self {
            origin: included.checkpoint.origin,
            index: included.index,
            size: included.checkpoint.size,
            root: included.checkpoint.root.to_string(),
            at: included.entry.time(),
            signatures,
            witnesses: witnesses.map(|one| one.witness).collect(),
        }
    }
}

impl fmt::Display for Logged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "entry {} of {} in {}, {} UTC",
            self.index,
            self.size,
            self.origin,
            self.at.format("%Y-%m-%d %H:%M")
        )?;
        match self.witnesses.len() {
            0 => Ok(()),
            1 => f.write_str("; 1 witness"),
            many => write!(f, "; {many} witnesses"),
        }
    }
}

/// What proofs of one log are checked with.
pub(super) struct Log {
    keys: LogKeys,
    last: Option<Checkpoint>,
}

impl Log {
    /// The log that `trust` names. `witnesses` is how many must have seen a checkpoint,
    /// instead of what the root says; `last` is the text of the last checkpoint that was
    /// accepted.
    pub(super) fn new(
        trust: &LogTrust,
        witnesses: Option<u32>,
        last: Option<&str>,
    ) -> Result<Self, LogRefusal> {
        let keys = LogKeys::try_from(&LogTrust {
            witness_threshold: witnesses.unwrap_or(trust.witness_threshold),
            ..trust.clone()
        })?;
        let last = last.map(Checkpoint::parse).transpose();
        let last = last.map_err(LogFault::from)?;
        Ok(Self { keys, last })
    }

    /// Checks the proofs that came with a version: one must hold. Fails with the fault of the
    /// last.
    pub(super) fn check(&self, proofs: &[Blob], contents: &Contents) -> Result<Logged, LogRefusal> {
        let package = &contents.manifest.package;
        let asked = log::Asked {
            package: &package.name,
            version: &package.version,
            digest: &contents.digest,
        };
        let mut fault = LogFault::NoEntry;
        for proof in proofs {
            match log::check_inclusion(&proof.0, asked, &self.keys, self.last.as_ref()) {
                Ok(included) => return Ok(included.into()),
                Err(error) => fault = error,
            }
        }
        Err(fault.into())
    }

    /// The versions of `package` that were withdrawn, each with the number of its entry. All
    /// proofs must hold.
    pub(super) fn withdrawn(
        &self,
        proofs: &[Blob],
        package: &PackageName,
    ) -> Result<BTreeMap<Version, u64>, LogRefusal> {
        let mut withdrawn = BTreeMap::new();
        for proof in proofs {
            let (version, included) =
                log::check_withdrawal(&proof.0, package, &self.keys, self.last.as_ref())?;
            withdrawn.insert(version, included.index);
        }
        Ok(withdrawn)
    }
}
