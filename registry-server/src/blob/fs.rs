// SPDX-License-Identifier: Apache-2.0
//! Blobs as files of one directory: `blobs/<algorithm>/<two digits>/<hex>`, and
//! `staging/<upload>` for what is still arriving.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use registry_schema::{Digest, digest::Hasher};
use tokio::{
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, SeekFrom},
    task::spawn_blocking,
};

use super::BlobError;

/// Bytes that arrive or leave in pieces.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, std::io::Error>> + Send>>;

/// How much is read from disk at a time.
const PIECE: usize = 128 * 1024;

/// The blob directory. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Blobs {
    root: PathBuf,
    /// Set by the first failed sync: a second one might report success for pages that
    /// the kernel has dropped.
    failed: Arc<AtomicBool>,
}

/// A staged upload that was hashed and found right.
#[derive(Debug, Clone, Copy)]
pub struct Staged {
    /// Its size in bytes.
    pub size_bytes: u64,
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> BlobError {
    let path = path.to_owned();
    move |source| BlobError::Io {
        action,
        path,
        source,
    }
}

impl Blobs {
    /// Opens the blob directory at `root`, made if absent.
    ///
    /// # Errors
    /// [`BlobError::Io`] with the path.
    pub fn open(root: &Path) -> Result<Self, BlobError> {
        for part in ["staging", "blobs/sha256", "blobs/sha512"] {
            let path = root.join(part);
            std::fs::create_dir_all(&path).map_err(io("making directory", &path))?;
        }
        let blobs = Self {
            root: root.to_owned(),
            failed: Arc::default(),
        };
        for part in ["blobs", ""] {
            blobs.sync_directory(&root.join(part))?;
        }
        Ok(blobs)
    }

    /// Whether writes are still safe.
    pub fn writable(&self) -> bool {
        !self.failed.load(Ordering::Relaxed)
    }

    fn staged(&self, id: &str) -> PathBuf {
        self.root.join("staging").join(id)
    }

    fn published(&self, digest: &Digest) -> PathBuf {
        self.root
            .join("blobs")
            .join(digest.algorithm().as_str())
            .join(&digest.hex()[..2])
            .join(digest.hex())
    }

    fn sync_directory(&self, path: &Path) -> Result<(), BlobError> {
        File::open(path)
            .map_err(io("opening", path))?
            .sync_all()
            .map_err(|_| self.fail())
    }

    fn fail(&self) -> BlobError {
        self.failed.store(true, Ordering::Relaxed);
        BlobError::Unsafe
    }

    /// Begins an empty upload.
    ///
    /// # Errors
    /// [`BlobError::Io`]; [`BlobError::Unsafe`] after a failed sync.
    pub async fn stage(&self, id: &str) -> Result<(), BlobError> {
        if !self.writable() {
            return Err(BlobError::Unsafe);
        }
        let path = self.staged(id);
        tokio::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .await
            .map_err(io("making", &path))?;
        Ok(())
    }

    /// How many bytes of an upload have arrived; `None` if nothing is staged under `id`.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub async fn staged_bytes(&self, id: &str) -> Result<Option<u64>, BlobError> {
        let path = self.staged(id);
        match tokio::fs::metadata(&path).await {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io("reading", &path)(error)),
        }
    }

    /// Appends `body` to an upload, as a whole or not at all; gives the new length.
    /// The caller lets nobody else append meanwhile.
    ///
    /// # Errors
    /// [`BlobError::TooLarge`] beyond `limit` bytes in all, [`BlobError::Length`] if the
    /// body is not `exactly` as long as promised, [`BlobError::Body`] if the client breaks
    /// off, [`BlobError::NotStaged`], [`BlobError::Io`].
    pub async fn append(
        &self,
        id: &str,
        body: ByteStream,
        exactly: Option<u64>,
        limit: u64,
    ) -> Result<u64, BlobError> {
        let path = self.staged(id);
        let mut file = match tokio::fs::OpenOptions::new().append(true).open(&path).await {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(BlobError::NotStaged(id.to_owned()));
            }
            Err(error) => return Err(io("opening", &path)(error)),
        };
        let start = file.metadata().await.map_err(io("reading", &path))?.len();
        // A cancelled request drops this future where it waits: the guard cuts then too.
        let guard = CutBack {
            path: path.clone(),
            length: start,
            armed: true,
        };
        let length = copy(&mut file, &path, start, body, limit).await?;
        match exactly {
            Some(expected) if expected != length - start => Err(BlobError::Length {
                expected,
                actual: length - start,
            }),
            _ => {
                guard.disarm();
                Ok(length)
            }
        }
    }

    /// Hashes an upload, syncs it and makes it readable under `digest`. The staged file
    /// is gone afterwards. Bytes that are there already count as success.
    ///
    /// # Errors
    /// [`BlobError::Digest`] if the bytes are others, and then nothing was stored;
    /// [`BlobError::Unsafe`] if a sync fails; [`BlobError::NotStaged`]; [`BlobError::Io`].
    pub async fn publish(&self, id: &str, digest: &Digest) -> Result<Staged, BlobError> {
        let (blobs, id, digest) = (self.clone(), id.to_owned(), digest.clone());
        run(move || blobs.publish_now(&id, &digest)).await
    }

    fn publish_now(&self, id: &str, digest: &Digest) -> Result<Staged, BlobError> {
        if !self.writable() {
            return Err(BlobError::Unsafe);
        }
        let staged = self.staged(id);
        let mut file = File::open(&staged).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => BlobError::NotStaged(id.to_owned()),
            _ => io("opening", &staged)(error),
        })?;
        let (actual, size_bytes) = hash(&mut file, digest).map_err(io("reading", &staged))?;
        if actual != *digest {
            return Err(BlobError::Digest {
                expected: digest.clone(),
                actual,
            });
        }
        file.sync_all().map_err(|_| self.fail())?;
        let published = self.published(digest);
        let folder = published.parent().unwrap_or(&self.root);
        if !folder.exists() {
            std::fs::create_dir_all(folder).map_err(io("making directory", folder))?;
            self.sync_directory(folder.parent().unwrap_or(&self.root))?;
        }
        // A rename replaces what is there by the same bytes, freshly checked: that also
        // mends a blob that was damaged on disk.
        std::fs::rename(&staged, &published).map_err(io("publishing", &published))?;
        self.sync_directory(folder)?;
        Ok(Staged { size_bytes })
    }

    /// Forgets an upload.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub async fn discard(&self, id: &str) -> Result<(), BlobError> {
        let path = self.staged(id);
        match tokio::fs::remove_file(&path).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(io("removing", &path)(error))
            }
            _ => Ok(()),
        }
    }

    /// The identifiers of all uploads that have a file.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn staged_ids(&self) -> Result<Vec<String>, BlobError> {
        let path = self.root.join("staging");
        let entries = std::fs::read_dir(&path).map_err(io("listing", &path))?;
        Ok(entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect())
    }

    /// Reads a whole blob of at most `limit` bytes and checks its digest.
    ///
    /// # Errors
    /// [`BlobError::Damaged`] if the bytes have changed, [`BlobError::TooLarge`],
    /// [`BlobError::Io`].
    pub async fn read(&self, digest: &Digest, limit: u64) -> Result<Bytes, BlobError> {
        let (path, digest) = (self.published(digest), digest.clone());
        run(move || {
            let file = File::open(&path).map_err(io("opening", &path))?;
            let mut bytes = Vec::new();
            file.take(limit + 1)
                .read_to_end(&mut bytes)
                .map_err(io("reading", &path))?;
            if bytes.len() as u64 > limit {
                return Err(BlobError::TooLarge { limit });
            }
            digest
                .check(&bytes)
                .map_err(|_| BlobError::Damaged { expected: digest })?;
            Ok(Bytes::from(bytes))
        })
        .await
    }

    /// Streams `length` bytes of a blob from `start`. A stream of the whole blob ends in
    /// an error instead of its last piece if the bytes are not what the digest says.
    ///
    /// # Errors
    /// [`BlobError::Io`] if the file cannot be opened.
    pub async fn stream(
        &self,
        digest: &Digest,
        start: u64,
        length: u64,
        whole: bool,
    ) -> Result<ByteStream, BlobError> {
        let path = self.published(digest);
        let mut file = tokio::fs::File::open(&path)
            .await
            .map_err(io("opening", &path))?;
        if start > 0 {
            file.seek(SeekFrom::Start(start))
                .await
                .map_err(io("reading", &path))?;
        }
        let check = whole.then(|| (Hasher::new(digest.algorithm()), digest.clone()));
        Ok(Box::pin(stream::try_unfold(
            (file, length, check),
            next_piece,
        )))
    }

    /// Checks that the directory can be written, for the readiness probe.
    ///
    /// # Errors
    /// [`BlobError::Io`] or [`BlobError::Unsafe`].
    pub async fn probe(&self) -> Result<(), BlobError> {
        if !self.writable() {
            return Err(BlobError::Unsafe);
        }
        let path = self.root.join("probe");
        run(move || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .open(&path)
                .map_err(io("making", &path))?;
            file.write_all(b"ready").map_err(io("writing", &path))
        })
        .await
    }
}

async fn copy(
    file: &mut tokio::fs::File,
    path: &Path,
    start: u64,
    mut body: ByteStream,
    limit: u64,
) -> Result<u64, BlobError> {
    let mut length = start;
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| BlobError::Body(error.to_string()))?;
        length += piece.len() as u64;
        if length > limit {
            return Err(BlobError::TooLarge { limit });
        }
        file.write_all(&piece).await.map_err(io("writing", path))?;
    }
    file.flush().await.map_err(io("writing", path))?;
    Ok(length)
}

type Reading = (tokio::fs::File, u64, Option<(Hasher, Digest)>);

async fn next_piece(
    (mut file, left, mut check): Reading,
) -> Result<Option<(Bytes, Reading)>, std::io::Error> {
    if left == 0 {
        return Ok(None);
    }
    let wanted = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
    let mut piece = vec![0; wanted];
    file.read_exact(&mut piece).await?;
    let left = left - wanted as u64;
    if let Some((hasher, _)) = &mut check {
        hasher.update(&piece);
    }
    if left == 0
        && let Some((hasher, digest)) = check.take()
        && hasher.finish() != digest
    {
        tracing::error!(%digest, "stored blob has changed on disk");
        return Err(std::io::Error::other(BlobError::Damaged {
            expected: digest,
        }));
    }
    Ok(Some((Bytes::from(piece), (file, left, check))))
}

/// Cuts a file back to a length unless told otherwise.
struct CutBack {
    path: PathBuf,
    length: u64,
    armed: bool,
}

impl CutBack {
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for CutBack {
    fn drop(&mut self) {
        if self.armed
            && let Ok(file) = OpenOptions::new().write(true).open(&self.path)
            && let Err(error) = file.set_len(self.length)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot cut a broken upload back");
        }
    }
}

fn hash(file: &mut File, digest: &Digest) -> Result<(Digest, u64), std::io::Error> {
    let mut hasher = Hasher::new(digest.algorithm());
    let mut piece = vec![0; PIECE];
    let mut size = 0;
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok((hasher.finish(), size));
        }
        hasher.update(&piece[..read]);
        size += read as u64;
    }
}

/// Runs file work where it may block.
async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(BlobError::Io {
            action: "working on",
            path: PathBuf::new(),
            source: std::io::Error::other(error),
        })
    })
}
