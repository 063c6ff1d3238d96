// SPDX-License-Identifier: Apache-2.0
//! What was seen of each registry: the versions of each package, the revocation feed. A registry that goes back, or forgets what it revoked, is found out by it.
//!
//! One folder per registry, one file per thing, each replaced at once and synced.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use registry_schema::{
    Digest, PackageName, Version, exit,
    reference::{ReferenceError, check_host},
    trust::{
        revocation::{Feed, FeedError, MAX_FEED},
        root::SignedRoot,
    },
};

use crate::{
    Explain, file,
    log::{Checkpoints, LogKeys},
    pull::Blob,
    verify::{Asked, Memory, Seen},
};

/// Largest list of versions that is read, in bytes.
const MAX_VERSIONS: u64 = 16 << 20;
const VERSIONS: &str = "versions.json";
const FEED: &str = "revocations.json";

/// Most versions of one package that are remembered: the highest ones.
const MOST: usize = 500;

type Versions = BTreeMap<PackageName, BTreeMap<Version, Seen>>;

/// Why something could not be remembered, or may not be.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum MemoryError {
    /// A file cannot be read or written.
    #[error("`{path}`, where what was seen is noted, cannot be used: {source}")]
    File { path: PathBuf, source: io::Error },
    /// A file is not what was written.
    #[error("`{path}`, where what was seen is noted, is damaged: {reason}")]
    Damaged { path: PathBuf, reason: String },
    /// The registry has no name that can be noted.
    #[error(transparent)]
    Host(#[from] ReferenceError),
    /// The feed is refused.
    #[error(transparent)]
    Feed(#[from] FeedError),
}

impl Explain for MemoryError {
    fn code(&self) -> &'static str {
        match self {
            Self::File { .. } | Self::Damaged { .. } => "memory",
            Self::Host(_) => "memory::host",
            Self::Feed(_) => "memory::feed",
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::File { .. } | Self::Damaged { .. } => exit::FAILURE,
            Self::Host(_) => exit::USAGE,
            Self::Feed(_) => exit::VERIFICATION,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::File { .. } => Some("check its owner, its mode and the free space".to_owned()),
            Self::Damaged { path, .. } => Some(format!(
                "restore it, or remove `{}` and begin to remember anew",
                path.display()
            )),
            Self::Host(_) => None,
            Self::Feed(_) => Some(
                "keep what you have, and ask the operator of the registry what happened".to_owned(),
            ),
        }
    }
}

/// The folder.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    folder: PathBuf,
}

impl MemoryStore {
    /// Uses `seen` in `$BPFPKG_STATE`, else in `$XDG_STATE_HOME/bpfpkg` or
    /// `~/.local/state/bpfpkg`; none if there is no home directory.
    pub fn of_user() -> Option<Self> {
        let named = std::env::var_os("BPFPKG_STATE").filter(|value| !value.is_empty());
        let user = || {
            let folder = file::user_folder("XDG_STATE_HOME", ".local/state");
            folder.map(|folder| folder.join("bpfpkg"))
        };
        let folder = named.map(PathBuf::from).or_else(user)?;
        Some(Self::at(folder.join("seen")))
    }

    /// The last checkpoints of logs, which lie beside.
    pub fn checkpoints(&self) -> Checkpoints {
        Checkpoints::at(self.folder.with_file_name("logs"))
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Uses `folder`, which is made when it is needed.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// What was seen of a package, its registry, and the log that `root` names.
    ///
    /// # Errors
    /// [`MemoryError::File`], [`MemoryError::Damaged`], [`MemoryError::Host`].
    pub fn recall(
        &self,
        registry: &str,
        package: &PackageName,
        root: Option<&SignedRoot>,
    ) -> Result<Memory, MemoryError> {
        let place = self.place(registry)?;
        // What is not readable with the keys of today is met when the network is asked.
        let log = root.and_then(|root| root.root().log.as_ref());
        let keys = log.and_then(|trust| LogKeys::try_from(trust).ok());
        let last = keys.and_then(|keys| self.checkpoints().last(&keys).ok().flatten());
        Ok(Memory {
            seen: versions(&place)?.remove(package).unwrap_or_default(),
            feed: self.feed(registry)?,
            checkpoint: last.map(|signed| signed.checkpoint().text()),
            installed: None,
        })
    }

    /// Notes that a version was accepted with the index `digest`, of what was `asked` for.
    /// `log_size` is how many entries the log has now, if that is known.
    ///
    /// # Errors
    /// As [`MemoryStore::recall`]; then nothing was changed.
    pub fn remember(
        &self,
        asked: &Asked,
        version: &Version,
        digest: &Digest,
        log_size: Option<u64>,
    ) -> Result<(), MemoryError> {
        let place = self.place(&asked.registry)?;
        let _lock = lock(&place)?;
        let mut versions = versions(&place)?;
        let seen = versions.entry(asked.package.clone()).or_default();
        let before = seen.get(version);
        let chosen_at = log_size.filter(|_| !asked.is_named());
        let now = Seen {
            digest: digest.clone(),
            chosen_at: chosen_at.max(before.and_then(|before| before.chosen_at)),
        };
        if before == Some(&now) {
            return Ok(());
        }
        seen.insert(version.clone(), now);
        while seen.len() > MOST {
            seen.pop_first();
        }
        let bytes = serde_json::to_vec(&versions)
            .unwrap_or_else(|_| unreachable!("names and digests have a JSON form"));
        write(&place.join(VERSIONS), &bytes)
    }

    /// The registry's revocation feed as it was kept; what it is worth is checked when it is
    /// used.
    ///
    /// # Errors
    /// [`MemoryError::File`], [`MemoryError::Host`].
    pub fn feed(&self, registry: &str) -> Result<Option<Blob>, MemoryError> {
        read(&self.place(registry)?.join(FEED), MAX_FEED as u64).map(|bytes| bytes.map(Blob))
    }

    /// Keeps a revocation feed that the keys of `root` have signed, and that does not go
    /// back behind the one that is kept.
    ///
    /// # Errors
    /// [`MemoryError::Feed`]; [`MemoryError::File`]. Then the old one stays.
    pub fn take_feed(&self, root: &SignedRoot, bytes: &[u8]) -> Result<Feed, MemoryError> {
        let registry = &root.root().registry;
        let (keys, needed) = root.revocation_keys().unwrap_or_default();
        let feed = Feed::open(bytes, keys, needed)?;
        feed.check_registry(registry)?;
        let place = self.place(registry)?;
        let _lock = lock(&place)?;
        if let Some(kept) = self.feed(registry)? {
            // One that the keys of today did not sign says nothing.
            if let Ok(kept) = Feed::open(&kept.0, keys, needed) {
                feed.check_follows(&kept)?;
            }
        }
        write(&place.join(FEED), bytes)?;
        Ok(feed)
    }

    /// The folder of a registry: a host has no slash in it, and is never `.` or `..`.
    fn place(&self, registry: &str) -> Result<PathBuf, MemoryError> {
        check_host(registry)?;
        Ok(self.folder.join(registry))
    }
}

fn versions(place: &Path) -> Result<Versions, MemoryError> {
    let path = place.join(VERSIONS);
    let Some(bytes) = read(&path, MAX_VERSIONS)? else {
        return Ok(Versions::new());
    };
    serde_json::from_slice(&bytes).map_err(|error| MemoryError::Damaged {
        path,
        reason: error.to_string(),
    })
}

fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, MemoryError> {
    match file::read_bounded(path, limit) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed(path, source)),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), MemoryError> {
    file::write_private(path, bytes).map_err(|source| failed(path, source))
}

/// Keeps other processes from writing until it is dropped.
fn lock(place: &Path) -> Result<File, MemoryError> {
    let path = place.join("lock");
    let open = || {
        file::create_private_folder(place)?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)?;
        file.lock()?;
        Ok(file)
    };
    open().map_err(|source| failed(&path, source))
}

fn failed(path: &Path, source: io::Error) -> MemoryError {
    MemoryError::File {
        path: path.to_owned(),
        source,
    }
}
