// SPDX-License-Identifier: Apache-2.0
//! Writing at the end of a file, so that a broken request leaves it as it was.

use std::{
    fs::File,
    io::Write,
    num::NonZeroU64,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use registry_schema::digest::Hasher;
use rustix::fs::{Advice, fadvise};
use tokio::task::JoinHandle;

use super::{
    BlobError,
    directory::{finished, io},
};

/// After how many bytes the kernel is asked to begin writing them to the disk, so that little
/// is left when they must be there.
const STRETCH: u64 = 8 * 1024 * 1024;

/// The end of a staged file while it grows. Dropped without [`Tail::keep`], as when the
/// client goes away, it cuts the file back to where it was.
pub(super) struct Tail {
    end: Arc<Mutex<End>>,
    /// The last write, which may still be under way.
    writing: Option<JoinHandle<Result<(), BlobError>>>,
    path: PathBuf,
    start: u64,
}

struct End {
    file: File,
    /// Whether more may be written: a write that was under way when its request ended must
    /// not come after the cut.
    open: bool,
    length: u64,
    /// What has been written, if all of it from the beginning was seen.
    hasher: Option<Hasher>,
    /// Up to where the kernel was asked to write to the disk.
    begun: u64,
}

impl Tail {
    /// `hasher` has seen what the file holds.
    pub(super) fn new(file: File, path: &Path, hasher: Option<Hasher>) -> Result<Self, BlobError> {
        let start = file.metadata().map_err(io("reading", path))?.len();
        let end = End {
            file,
            open: true,
            length: start,
            hasher,
            begun: start,
        };
        Ok(Self {
            end: Arc::new(Mutex::new(end)),
            writing: None,
            path: path.to_owned(),
            start,
        })
    }

    /// Begins to write, when what was given before is written: one batch is written and
    /// hashed while the next one arrives.
    pub(super) async fn write(&mut self, pieces: Vec<Bytes>) -> Result<(), BlobError> {
        self.settle().await?;
        let (end, path) = (self.end.clone(), self.path.clone());
        let work = move || {
            let mut end = end.lock().unwrap_or_else(PoisonError::into_inner);
            pieces
                .iter()
                .try_for_each(|piece| end.write(piece))
                .map_err(io("writing", &path))
        };
        self.writing = Some(tokio::task::spawn_blocking(work));
        Ok(())
    }

    /// Waits for what is being written.
    async fn settle(&mut self) -> Result<(), BlobError> {
        match self.writing.take() {
            Some(writing) => finished(writing).await,
            None => Ok(()),
        }
    }

    /// Keeps what was written; gives the length of the file, and the hash of all of it if it
    /// was seen from the beginning.
    pub(super) async fn keep(mut self) -> Result<(u64, Option<Hasher>), BlobError> {
        self.settle().await?;
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        end.open = false;
        Ok((end.length, end.hasher.take()))
    }
}

impl End {
    fn write(&mut self, piece: &Bytes) -> std::io::Result<()> {
        if !self.open {
            return Ok(());
        }
        self.file.write_all(piece)?;
        self.length += piece.len() as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(piece);
        }
        if self.length - self.begun >= STRETCH {
            // "These will not be read soon" makes Linux begin to write them. That it cannot is
            // no error: they are synced in the end.
            let length = NonZeroU64::new(self.length - self.begun);
            let _ = fadvise(&self.file, self.begun, length, Advice::DontNeed);
            self.begun = self.length;
        }
        Ok(())
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut end.open, false) {
            return;
        }
        if let Err(error) = end.file.set_len(self.start) {
            tracing::warn!(path = %self.path.display(), %error, "cannot cut a broken upload back");
        }
    }
}
