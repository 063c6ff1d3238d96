// SPDX-License-Identifier: Apache-2.0
//! Bytes kept by their digest, so that nothing is fetched twice. What comes out is
//! checked again: a damaged entry is the same as none.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use registry_schema::Digest;

use crate::file;

/// A folder of blobs, `<algorithm>/<hex>`.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// Uses `$XDG_CACHE_HOME/bpfpkg`, else `~/.cache/bpfpkg`; none if there is no
    /// home directory.
    pub fn of_user() -> Option<Self> {
        file::user_folder("XDG_CACHE_HOME", ".cache").map(|folder| Self {
            folder: folder.join("bpfpkg"),
        })
    }

    /// Uses `folder`.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Finds the bytes of a digest, of at most `limit` bytes. An entry with other
    /// bytes is removed.
    pub fn find(&self, digest: &Digest, limit: u64) -> Option<Vec<u8>> {
        let path = self.path(digest);
        let bytes = file::read_bounded(&path, limit).ok()?;
        if digest.check(&bytes).is_ok() {
            return Some(bytes);
        }
        tracing::warn!(%digest, "a damaged cache entry is removed");
        let _ = fs::remove_file(path);
        None
    }

    /// Keeps bytes under their digest.
    ///
    /// # Errors
    /// Whatever creating or renaming the file reports.
    pub fn keep(&self, digest: &Digest, bytes: &[u8]) -> io::Result<()> {
        file::write_private(&self.path(digest), bytes)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder
            .join(digest.algorithm().as_str())
            .join(digest.hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_entry_is_none() {
        let folder = tempfile::tempdir().expect("folder");
        let cache = Cache::at(folder.path());
        let digest = Digest::sha256(b"bytes");
        assert_eq!(cache.find(&digest, 100), None);
        cache.keep(&digest, b"bytes").expect("kept");
        assert_eq!(
            cache.find(&digest, 100).as_deref(),
            Some(b"bytes".as_slice())
        );
        assert_eq!(cache.find(&digest, 4), None, "above the limit");
        fs::write(cache.path(&digest), b"bytez").expect("damaged");
        assert_eq!(cache.find(&digest, 100), None);
        assert!(!cache.path(&digest).exists());
    }
}
