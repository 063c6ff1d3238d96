// SPDX-License-Identifier: Apache-2.0
//! What a restart remembers: what was wished, and what each generation consists of.
//! What runs is not in here: that is read from the kernel.
//!
//! A generation is written down when it is loaded and configured, before it is
//! attached; so whatever the kernel runs, its record is on disk already.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use registry_schema::Digest;
use serde::{Deserialize, Serialize};

use crate::desired::{Desired, XdpMode};
use crate::kernel::LoadedProgram;
use crate::place::Place;
use crate::wanted::Member;

/// What is kept on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// What was wished last.
    pub desired: Desired,
    /// Digest of the configuration file whose wishes were taken over last.
    #[serde(default)]
    pub config: Option<Digest>,
    /// Digests that references, each with its registry, led to when they were last accepted.
    #[serde(default)]
    pub resolved: BTreeMap<String, Digest>,
    /// Chains by the key of their place.
    #[serde(default)]
    pub chains: BTreeMap<String, ChainRecord>,
    /// Probes by name.
    #[serde(default)]
    pub probes: BTreeMap<String, ProbeRecord>,
}

/// What is known of one chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainRecord {
    /// The mode it was attached in.
    pub mode: XdpMode,
    /// Generations that were loaded and not yet removed.
    pub generations: Vec<GenerationRecord>,
    /// Packets each program of removed generations has seen, by instance and function.
    #[serde(default)]
    pub runs: BTreeMap<String, u64>,
}

/// What one generation consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationRecord {
    /// Its number.
    pub number: u64,
    /// Its programs, head first.
    pub members: Vec<LoadedMember>,
}

/// A program that was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedMember {
    /// What it is.
    pub member: Member,
    /// Digest of the bytes that were given to the kernel.
    pub woven: Digest,
    /// What the kernel calls it.
    pub program: LoadedProgram,
}

/// What is known of one probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeRecord {
    /// The generation.
    pub number: u64,
    /// What it attaches to.
    pub attach: String,
    /// The program.
    pub loaded: LoadedMember,
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum JournalError {
    /// The directory or a file in it cannot be used.
    #[error("{action} {path}: {source}; check that `state_dir` is writable and its disk not full")]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// Another process works with the same state.
    #[error(
        "{0} is in use by another l3afd-lite; ask the running daemon through its socket, or stop it first"
    )]
    Busy(PathBuf),
}

/// The directory where the journal lives.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    /// None for one who only looks.
    lock: Option<nix::fcntl::Flock<File>>,
}

impl Journal {
    /// The record of a chain.
    pub fn chain(&self, place: &Place) -> Option<&ChainRecord> {
        self.chains.get(&place.key())
    }

    /// The record of a chain, made if it is not there.
    pub fn chain_mut(&mut self, place: &Place) -> &mut ChainRecord {
        self.chains.entry(place.key()).or_default()
    }
}

impl StateDir {
    /// Makes the directory where needed and locks it.
    ///
    /// # Errors
    /// [`JournalError::Busy`] if another process holds it, [`JournalError::Io`].
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let error = |source| JournalError::Io {
            action: "opening",
            path: path.to_owned(),
            source,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(error)?;
        let lock = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(error)?;
        let lock = nix::fcntl::Flock::lock(lock, nix::fcntl::FlockArg::LockExclusiveNonblock)
            .map_err(|_| JournalError::Busy(path.to_owned()))?;
        Ok(Self {
            path: path.to_owned(),
            lock: Some(lock),
        })
    }

    /// Looks at a directory that somebody else may be using.
    pub fn look(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            lock: None,
        }
    }

    /// Where the directory is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the journal. One that cannot be read is put aside, never overwritten, and
    /// its new name is returned beside an empty journal.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn read(&self) -> Result<(Journal, Option<PathBuf>), JournalError> {
        let path = self.path.join("journal.json");
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((Journal::default(), None));
            }
            bytes => bytes.map_err(|source| JournalError::Io {
                action: "reading",
                path: path.clone(),
                source,
            })?,
        };
        if let Some(journal) = parse(&bytes) {
            return Ok((journal, None));
        }
        if self.lock.is_none() {
            return Ok((Journal::default(), None));
        }
        let aside = (1..1000)
            .map(|n| self.path.join(format!("journal.damaged-{n}")))
            .find(|path| !path.exists());
        let aside = aside.unwrap_or_else(|| self.path.join("journal.damaged"));
        fs::rename(&path, &aside).map_err(|source| JournalError::Io {
            action: "putting aside",
            path,
            source,
        })?;
        Ok((Journal::default(), Some(aside)))
    }

    /// Writes the journal so that, whenever the machine stops, the old or the new one
    /// is there.
    ///
    /// # Errors
    /// [`JournalError::Io`]; the old journal is unharmed then. [`JournalError::Busy`] for
    /// one who only looks.
    pub fn write(&self, journal: &Journal) -> Result<(), JournalError> {
        if self.lock.is_none() {
            return Err(JournalError::Busy(self.path.clone()));
        }
        let path = self.path.join("journal.json");
        write_whole(&path, &render(journal)).map_err(|source| JournalError::Io {
            action: "writing",
            path,
            source,
        })
    }
}

/// The journal as a line with the digest of what follows, and what follows.
fn render(journal: &Journal) -> Vec<u8> {
    let body = serde_json::to_vec_pretty(journal).unwrap_or_default();
    let mut bytes = format!("{}\n", Digest::sha256(&body)).into_bytes();
    bytes.extend(body);
    bytes
}

fn parse(bytes: &[u8]) -> Option<Journal> {
    let line = bytes.iter().position(|byte| *byte == b'\n')?;
    let digest: Digest = std::str::from_utf8(&bytes[..line]).ok()?.parse().ok()?;
    let body = &bytes[line + 1..];
    digest.check(body).ok()?;
    serde_json::from_slice(body).ok()
}

/// Writes a file beside `path`, makes it durable, and renames it over `path`.
///
/// # Errors
/// What the file system reports; `path` is unharmed then.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    path.parent()
        .map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}
