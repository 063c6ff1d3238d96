// SPDX-License-Identifier: Apache-2.0
//! The last checkpoint of each log that was accepted, and the keys that were met first.
//!
//! One file per log, named after the hash of its origin, with the signed note as it came. A
//! new one replaces it only if it continues it: written beside it, synced, renamed, and the
//! folder synced, so that a loss of power cannot bring an older one back.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use registry_schema::{
    Digest,
    transparency::{
        Checkpoint, Hash, SignedCheckpoint, VerifierKey, merkle::check_consistency, note::MAX_NOTE,
    },
};

use super::{LogError, LogFault, LogKeys};
use crate::file;

/// A folder with what is known of logs.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    folder: PathBuf,
}

/// Held while a checkpoint is compared and replaced: of two processes one waits.
struct Turn(#[expect(dead_code, reason = "it is held, not read")] fs::File);

impl Checkpoints {
    /// Keeps them in `folder`, made with mode 0700 when something is kept.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self { folder }
    }

    /// Those of the user: in `$BPFPKG_STATE`, else in `bpfpkg/logs` of the user's folder for
    /// state.
    ///
    /// # Errors
    /// [`LogError::NoFolder`] if no folder is known.
    pub fn of_user() -> Result<Self, LogError> {
        let named = std::env::var_os("BPFPKG_STATE").filter(|value| !value.is_empty());
        let folder = named.map(PathBuf::from).or_else(|| {
            file::user_folder("XDG_STATE_HOME", ".local/state").map(|folder| folder.join("bpfpkg"))
        });
        let folder = folder.ok_or(LogError::NoFolder)?;
        Ok(Self::at(folder.join("logs")))
    }

    /// A separate set of checkpoints below these, for who looks at a log at its own pace.
    #[must_use]
    pub fn below(&self, name: &str) -> Self {
        let name = Digest::sha256(name.as_bytes());
        Self::at(self.folder.join(name.hex()))
    }

    fn path(&self, name: &str, kind: &str) -> PathBuf {
        let hash = Digest::sha256(name.as_bytes());
        self.folder.join(format!("{}.{kind}", hash.hex()))
    }

    /// The last checkpoint that was accepted of this log.
    ///
    /// # Errors
    /// [`LogError::File`]; [`LogFault::Checkpoint`] if the file was damaged, or the log has
    /// another key since.
    pub fn last(&self, log: &LogKeys) -> Result<Option<SignedCheckpoint>, LogError> {
        let path = self.path(log.origin(), "checkpoint");
        match file::read_bounded(&path, MAX_NOTE as u64) {
            Ok(bytes) => Ok(Some(log.open(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(LogError::File { path, source }),
        }
    }

    /// Takes a checkpoint as the last, if it continues the one that was: `proof` are the
    /// hashes that show that it continues `last`, which is what [`Checkpoints::last`] gave.
    /// The first one is taken as it is. Says whether it was taken: if not, somebody else has
    /// taken another meanwhile, and `last` must be read again.
    ///
    /// # Errors
    /// [`LogFault::Forked`], with both checkpoints kept as evidence; [`LogFault::Shrunk`];
    /// those of [`Checkpoints::last`].
    pub fn advance(
        &self,
        log: &LogKeys,
        last: Option<&SignedCheckpoint>,
        seen: &SignedCheckpoint,
        proof: &[Hash],
    ) -> Result<bool, LogError> {
        let _turn = self.turn()?;
        let kept = self.last(log)?;
        let of = |signed: &SignedCheckpoint| signed.checkpoint().clone();
        if kept.as_ref().map(of) != last.map(of) {
            return Ok(false);
        }
        if let Some(last) = kept {
            let (old, new) = (last.checkpoint(), seen.checkpoint());
            if new.size < old.size {
                return Err(shrunk(old, new).into());
            }
            self.continues(&last, seen, proof)?;
            if new.size == old.size {
                return Ok(true);
            }
        }
        self.keep(log, seen)?;
        Ok(true)
    }

    fn keep(&self, log: &LogKeys, seen: &SignedCheckpoint) -> Result<(), LogError> {
        let path = self.path(log.origin(), "checkpoint");
        self.write(&path, seen.note().to_string().as_bytes())
    }

    /// Demands that of two checkpoints the later continues the earlier; keeps nothing else.
    ///
    /// # Errors
    /// [`LogFault::Forked`], with both checkpoints kept as evidence.
    pub fn continues(
        &self,
        earlier: &SignedCheckpoint,
        later: &SignedCheckpoint,
        proof: &[Hash],
    ) -> Result<(), LogError> {
        let (old, new) = (earlier.checkpoint(), later.checkpoint());
        if check_consistency(old.size, &old.root, new.size, &new.root, proof).is_ok() {
            return Ok(());
        }
        let evidence = self.path(&new.origin, &format!("fork-{}-{}", old.size, new.size));
        self.write(
            &evidence,
            format!("{}\n{}", earlier.note(), later.note()).as_bytes(),
        )?;
        Err(LogFault::Forked {
            origin: new.origin.clone(),
            old_size: old.size,
            old_root: old.root,
            new_size: new.size,
            new_root: new.root,
            evidence: Some(evidence),
        }
        .into())
    }

    /// The key of a registry's log that was met first.
    ///
    /// # Errors
    /// [`LogError::File`], also if the file was damaged.
    pub fn key_of(&self, registry: &str) -> Result<Option<VerifierKey>, LogError> {
        let path = self.path(registry, "key");
        let damaged = |error: String| io::Error::new(io::ErrorKind::InvalidData, error);
        let bytes = match file::read_bounded(&path, 4096) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(LogError::File { path, source }),
        };
        let text = String::from_utf8(bytes).map_err(|error| error.to_string());
        let key = text.and_then(|text| {
            let key = text.trim().parse::<VerifierKey>();
            key.map_err(|error| error.to_string())
        });
        key.map(Some).map_err(|error| LogError::File {
            path,
            source: damaged(error),
        })
    }

    /// Keeps the key of a registry's log. A key that is kept stays.
    ///
    /// # Errors
    /// [`LogFault::OtherKey`] if another key is kept; [`LogError::File`].
    pub fn pin(&self, registry: &str, key: &VerifierKey) -> Result<(), LogError> {
        let _turn = self.turn()?;
        match self.key_of(registry)? {
            Some(pinned) if pinned == *key => Ok(()),
            Some(pinned) => Err(LogFault::OtherKey {
                pinned: pinned.to_string(),
                shown: key.to_string(),
            }
            .into()),
            None => self.write(&self.path(registry, "key"), format!("{key}\n").as_bytes()),
        }
    }

    fn turn(&self) -> Result<Turn, LogError> {
        let path = self.folder.join("lock");
        let locked = || {
            file::create_private_folder(&self.folder)?;
            let lock = fs::File::options().create(true).append(true).open(&path)?;
            lock.lock()?;
            Ok(lock)
        };
        locked().map(Turn).map_err(|source| LogError::File {
            path: path.clone(),
            source,
        })
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), LogError> {
        let written = || {
            file::write_private(path, bytes)?;
            // The rename must not be lost either.
            fs::File::open(&self.folder)?.sync_all()
        };
        written().map_err(|source| LogError::File {
            path: path.to_owned(),
            source,
        })
    }
}

fn shrunk(old: &Checkpoint, new: &Checkpoint) -> LogFault {
    LogFault::Shrunk {
        origin: new.origin.clone(),
        kept: old.size,
        shown: new.size,
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, os::unix::fs::PermissionsExt};

    use registry_schema::transparency::{
        Content, Edge, SigningKey, TilePath, Tiles, merkle, note::KeyKind, tile::write_hashes,
    };

    use super::*;

    fn key() -> SigningKey {
        SigningKey::new("registry.example/log", &[1; 32]).expect("a name")
    }

    /// A log of `size` entries, of which those from `fork` on are others.
    fn log(size: u64, fork: u64) -> (SignedCheckpoint, Tiles) {
        let (mut edge, mut changed, mut tiles) =
            (Edge::default(), BTreeMap::new(), Tiles::default());
        for n in 0..size {
            let entry = if n < fork { n } else { n + 1_000_000 };
            edge.push(merkle::leaf(&entry.to_be_bytes()), &mut changed);
        }
        for ((level, number), hashes) in changed {
            let tile = TilePath::of(Content::Hashes(level), number, size).expect("a tile");
            tiles.insert(tile, write_hashes(&hashes)).expect("as wide");
        }
        let (origin, root) = ("registry.example/log".to_owned(), edge.root());
        (Checkpoint { origin, size, root }.sign(&key()), tiles)
    }

    #[test]
    fn a_log_goes_on_and_never_back_or_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = Checkpoints::at(folder.path().join("logs"));
        let keys = LogKeys::from(key().verifier(KeyKind::Text));
        assert!(kept.last(&keys).expect("nothing").is_none());
        let (first, _) = log(300, 300);
        let advance = |seen: &SignedCheckpoint, proof: &[Hash]| {
            let last = kept.last(&keys)?;
            kept.advance(&keys, last.as_ref(), seen, proof)
        };
        assert!(advance(&first, &[]).expect("the first"));
        assert!(advance(&first, &[]).expect("the same"));
        let (second, tiles) = log(700, 700);
        let proof = tiles.consistency(300, 700).expect("all tiles");
        assert!(
            !kept
                .advance(&keys, None, &second, &proof)
                .expect("another was first")
        );
        assert!(advance(&second, &proof).expect("it continues"));
        assert_eq!(kept.last(&keys).expect("one").expect("kept"), second);
        // An old one is replayed.
        assert!(matches!(
            advance(&first, &[]),
            Err(LogError::Fault(LogFault::Shrunk {
                kept: 700,
                shown: 300,
                ..
            }))
        ));
        // Another of the same length, and a longer one that is not its continuation.
        for (size, from) in [(700, 699), (900, 650)] {
            let (forked, tiles) = log(size, from);
            let proof = tiles.consistency(700, size).expect("all tiles");
            let refused = advance(&forked, &proof).expect_err("a fork");
            let LogError::Fault(LogFault::Forked {
                old_root,
                new_root,
                evidence,
                ..
            }) = refused
            else {
                panic!("{refused}")
            };
            assert_eq!(old_root, second.checkpoint().root);
            assert_eq!(new_root, forked.checkpoint().root);
            let evidence = fs::read_to_string(evidence.expect("kept")).expect("a file");
            for one in [&second, &forked] {
                assert!(evidence.contains(&one.note().to_string()));
            }
        }
        // Without a proof nothing goes on.
        let (third, _) = log(701, 701);
        advance(&third, &[]).expect_err("no proof");
        assert_eq!(kept.last(&keys).expect("one").expect("kept"), second);
        let file = kept.path("registry.example/log", "checkpoint");
        let mode = fs::metadata(&file).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // A flipped byte of what is kept is noticed, and not overwritten.
        let mut bytes = fs::read(&file).expect("a file");
        bytes[30] ^= 1;
        fs::write(&file, &bytes).expect("written");
        advance(&third, &[]).expect_err("damaged");
        assert_eq!(fs::read(&file).expect("a file"), bytes);
    }

    #[test]
    fn the_first_key_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = Checkpoints::at(folder.path());
        let first = key().verifier(KeyKind::Text);
        assert_eq!(kept.key_of("registry.example").expect("none"), None);
        kept.pin("registry.example", &first).expect("pinned");
        kept.pin("registry.example", &first).expect("the same");
        assert_eq!(kept.key_of("registry.example").expect("one"), Some(first));
        let other = SigningKey::new("registry.example/log", &[2; 32]).expect("a name");
        assert!(matches!(
            kept.pin("registry.example", &other.verifier(KeyKind::Text)),
            Err(LogError::Fault(LogFault::OtherKey { .. }))
        ));
    }
}
