// SPDX-License-Identifier: Apache-2.0
//! Writing at the end of a file, so that a broken request leaves it as it was.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

use super::{
    BlobError,
    directory::{io, run},
};

/// The end of a staged file while it grows. Dropped without [`Tail::keep`], as when the
/// client goes away, it cuts the file back to where it was.
pub(super) struct Tail {
    end: Arc<Mutex<End>>,
    path: PathBuf,
    start: u64,
}

struct End {
    file: File,
    /// Whether more may be written: a write that was under way when its request ended must
    /// not come after the cut.
    open: bool,
    length: u64,
}

impl Tail {
    pub(super) fn new(file: File, path: &Path) -> Result<Self, BlobError> {
        let start = file.metadata().map_err(io("reading", path))?.len();
        let (open, length) = (true, start);
        Ok(Self {
            end: Arc::new(Mutex::new(End { file, open, length })),
            path: path.to_owned(),
            start,
        })
    }

    pub(super) async fn write(&self, pieces: Vec<Bytes>) -> Result<(), BlobError> {
        let (end, path) = (self.end.clone(), self.path.clone());
        run(move || {
            let mut end = end.lock().unwrap_or_else(PoisonError::into_inner);
            for piece in pieces {
                if end.open {
                    end.file.write_all(&piece).map_err(io("writing", &path))?;
                    end.length += piece.len() as u64;
                }
            }
            Ok(())
        })
        .await
    }

    pub(super) fn keep(self) -> u64 {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        end.open = false;
        end.length
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
