// SPDX-License-Identifier: Apache-2.0
//! Whether a version is in the publish log of its registry, from the proof that came with it.

use std::fmt;

use chrono::{DateTime, Utc};
use registry_schema::{
    Digest, Identity, PackageName, Version,
    transparency::{
        Change, CheckpointError, Entry, EntryError, LoggedSignature, MerkleError, NoteError, Proof,
        ProofError, SignedCheckpoint, VerifierKey, merkle,
    },
    trust::root::LogTrust,
};
use serde::{Deserialize, Serialize};

use super::Contents;
use crate::pull::Blob;

/// Why a proof does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum LogFault {
    /// It is no proof.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// It carries no entry.
    #[error("the proof carries no entry")]
    NoEntry,
    /// Its entry is none.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// Its entry is about something else.
    #[error("the entry is about {actual}, not about {expected}")]
    OtherEntry { actual: String, expected: String },
    /// The entry is not where the proof says.
    #[error(transparent)]
    Inclusion(#[from] MerkleError),
    /// The log did not sign the checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A key of the trust root cannot be used.
    #[error("a key of the log in the trust root cannot be used: {0}")]
    Key(NoteError),
    /// The checkpoint is of another log.
    #[error("the checkpoint is of log `{actual}`, not of `{expected}`")]
    OtherLog { actual: String, expected: String },
    /// A witness's signature is forged.
    #[error("a witness's signature does not hold: {0}")]
    Witness(NoteError),
    /// Too few witnesses saw the checkpoint.
    #[error("the checkpoint is signed by {found} witnesses; {needed} are demanded")]
    Witnesses { found: usize, needed: u32 },
    /// The log has two heads of one size.
    #[error(
        "log `{origin}` has two different trees of {size} entries: {seen} was seen before, and {shown} is shown now"
    )]
    Forked {
        origin: String,
        size: u64,
        seen: String,
        shown: String,
    },
}

/// Where a version is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Included {
    /// The log.
    pub origin: String,
    /// The number of the entry, from 0.
    pub index: u64,
    /// How many entries the log had.
    pub size: u64,
    /// The root hash of the log, in base64.
    pub root: String,
    /// When the version was logged.
    pub logged_at: DateTime<Utc>,
    /// The signatures that were there then.
    pub signatures: Vec<LoggedSignature>,
    /// The witnesses that saw the log so.
    pub witnesses: Vec<String>,
}

impl Included {
    /// When the log saw a signature of `identity`, if it did.
    pub fn saw(&self, identity: &Identity) -> Option<DateTime<Utc>> {
        self.signatures
            .iter()
            .any(|one| one.signer == *identity)
            .then_some(self.logged_at)
    }
}

impl fmt::Display for Included {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "entry {} of {} in {}, {} UTC",
            self.index,
            self.size,
            self.origin,
            self.logged_at.format("%Y-%m-%d %H:%M")
        )?;
        match self.witnesses.len() {
            0 => Ok(()),
            1 => f.write_str("; 1 witness"),
            many => write!(f, "; {many} witnesses"),
        }
    }
}

/// Checks the proofs that came with a version: one must hold. `witnesses` is how many must
/// have seen the checkpoint, instead of what the root says; `seen` are the size and root
/// hash of the last checkpoint.
///
/// # Errors
/// [`LogFault`], of the last proof.
pub(super) fn check(
    proofs: &[Blob],
    contents: &Contents,
    trust: &LogTrust,
    witnesses: Option<u32>,
    seen: Option<&(u64, String)>,
) -> Result<Included, LogFault> {
    let package = &contents.manifest.package;
    let needed = witnesses.unwrap_or(trust.witness_threshold);
    let mut last = LogFault::NoEntry;
    for proof in proofs {
        let about = (&package.name, &package.version, &contents.digest);
        match check_inclusion(&proof.0, about, trust, needed) {
            Ok(included) => return not_forked(included, seen),
            Err(fault) => last = fault,
        }
    }
    Err(last)
}

/// Checks one proof: its entry publishes this version with this index, and is in the tree
/// that the log, and at least `witnesses` witnesses, have signed.
///
/// # Errors
/// All variants of [`LogFault`] but `Forked`.
pub fn check_inclusion(
    proof: &[u8],
    (package, version, digest): (&PackageName, &Version, &Digest),
    trust: &LogTrust,
    witnesses: u32,
) -> Result<Included, LogFault> {
    let proof = Proof::parse(proof)?;
    let bytes = proof.extra.as_deref().ok_or(LogFault::NoEntry)?;
    let entry = Entry::parse(bytes)?;
    let signatures = match entry.change() {
        Change::Publish {
            package: p,
            version: v,
            digest: d,
            signatures,
        } if p == package && v == version && d == digest => signatures.clone(),
        other => {
            return Err(LogFault::OtherEntry {
                actual: format!("{} {}", other.kind(), other.subject()),
                expected: format!("publish {package}:{version} as {digest}"),
            });
        }
    };
    let signed = open_checkpoint(proof.checkpoint.as_bytes(), trust)?;
    let checkpoint = signed.checkpoint();
    merkle::check_inclusion(
        merkle::leaf(bytes),
        proof.index,
        checkpoint.size,
        &proof.path,
        &checkpoint.root,
    )?;
    let keys = keys(&trust.witnesses)?;
    let seen_by = signed.cosignatures(&keys).map_err(LogFault::Witness)?;
    if seen_by.len() < witnesses as usize {
        let found = seen_by.len();
        let needed = witnesses;
        return Err(LogFault::Witnesses { found, needed });
    }
    Ok(Included {
        origin: checkpoint.origin.clone(),
        index: proof.index,
        size: checkpoint.size,
        root: checkpoint.root.to_string(),
        logged_at: entry.time(),
        signatures,
        witnesses: seen_by.into_iter().map(|one| one.witness).collect(),
    })
}

/// Reads a checkpoint that one of the log's keys has signed.
///
/// # Errors
/// [`LogFault::Checkpoint`] by the last key, [`LogFault::OtherLog`], [`LogFault::Key`].
pub fn open_checkpoint(bytes: &[u8], trust: &LogTrust) -> Result<SignedCheckpoint, LogFault> {
    let mut last = None;
    for key in keys(&trust.keys)? {
        match SignedCheckpoint::open(bytes, &key) {
            Ok(signed) if signed.checkpoint().origin == trust.origin => return Ok(signed),
            Ok(signed) => {
                last = Some(LogFault::OtherLog {
                    actual: signed.checkpoint().origin.clone(),
                    expected: trust.origin.clone(),
                });
            }
            Err(error) => last = Some(error.into()),
        }
    }
    Err(last.unwrap_or(LogFault::NoEntry))
}

fn keys(texts: &[String]) -> Result<Vec<VerifierKey>, LogFault> {
    let parse = |text: &String| text.parse().map_err(LogFault::Key);
    texts.iter().map(parse).collect()
}

fn not_forked(included: Included, seen: Option<&(u64, String)>) -> Result<Included, LogFault> {
    match seen {
        Some((size, root)) if *size == included.size && *root != included.root => {
            Err(LogFault::Forked {
                origin: included.origin,
                size: *size,
                seen: root.clone(),
                shown: included.root,
            })
        }
        _ => Ok(included),
    }
}
