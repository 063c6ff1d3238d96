// SPDX-License-Identifier: Apache-2.0
//! Blobs as files of one directory: `blobs/<algorithm>/<two digits>/<hex>`,
//! `staging/<upload>` for what is still arriving, `quarantine/` for what was damaged.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use registry_schema::{
    Digest,
    digest::{Algorithm, Hasher},
};
use tokio::{
    io::{AsyncReadExt, AsyncSeekExt, SeekFrom},
    task::{JoinHandle, spawn_blocking},
};

use super::{Addition, Arrived, BlobError, ByteStream, Entry, running::Running, tail::Tail};

/// How much is read from disk at a time.
const PIECE: usize = 128 * 1024;
/// How much of a body is collected before it is written.
const BATCH: usize = 256 * 1024;
/// A body up to this length waits in memory until it is whole, and is then checked and
/// written at once.
const SMALL: usize = 1024 * 1024;

/// The blob directory. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Directory {
    root: PathBuf,
    /// Set by the first failed sync: a second one might report success for pages that
    /// the kernel has dropped.
    failed: Arc<AtomicBool>,
    running: Running,
}

/// What is known of a staged file that is to be published.
enum Known {
    /// Nothing.
    Nothing,
    /// It is empty, and this belongs in it.
    Content(Vec<Bytes>),
    /// What it holds was hashed as it came.
    Hashed(Digest, u64),
}

pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> BlobError {
    let path = path.to_owned();
    move |source| BlobError::Io {
        action,
        path,
        source,
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}

impl Directory {
    /// Opens the blob directory at `root`, made if absent.
    ///
    /// # Errors
    /// [`BlobError::Io`] with the path.
    pub fn open(root: &Path) -> Result<Self, BlobError> {
        for part in ["staging", "quarantine", "blobs/sha256", "blobs/sha512"] {
            let path = root.join(part);
            std::fs::create_dir_all(&path).map_err(io("making directory", &path))?;
        }
        let directory = Self::at(root);
        for part in ["blobs", ""] {
            directory.sync_directory(&root.join(part))?;
        }
        Ok(directory)
    }

    /// The directory of a backup, of which nothing needs to be there.
    pub fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            failed: Arc::default(),
            running: Running::default(),
        }
    }

    pub(super) fn writable(&self) -> bool {
        !self.failed.load(Ordering::Relaxed)
    }

    fn demand_writable(&self) -> Result<(), BlobError> {
        if self.writable() {
            Ok(())
        } else {
            Err(BlobError::Unsafe)
        }
    }

    fn staged(&self, id: &str) -> PathBuf {
        self.root.join("staging").join(id)
    }

    /// Where the bytes of a digest are.
    pub fn published(&self, digest: &Digest) -> PathBuf {
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

    pub(super) async fn stage(&self, id: &str) -> Result<(), BlobError> {
        self.demand_writable()?;
        let path = self.staged(id);
        tokio::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .await
            .map_err(io("making", &path))?;
        Ok(())
    }

    pub(super) async fn staged_bytes(&self, id: &str) -> Result<Option<u64>, BlobError> {
        let path = self.staged(id);
        match tokio::fs::metadata(&path).await {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(io("reading", &path)(error)),
        }
    }

    pub(super) async fn append(
        &self,
        id: &str,
        arrived: &Arrived,
        addition: Addition,
    ) -> Result<Arrived, BlobError> {
        self.demand_writable()?;
        let hasher = self.running.take(id, arrived.bytes, Algorithm::Sha256);
        let pieces = addition.checked(arrived.bytes);
        let (bytes, hasher) = self.write(id, hasher, pieces).await?;
        if let Some(hasher) = hasher {
            self.running.keep(id, bytes, hasher);
        }
        Ok(Arrived {
            bytes,
            parts: Vec::new(),
        })
    }

    /// Writes at the end of a staged file, all of it or nothing; gives its length, and its
    /// hash if `hasher` has seen what came before.
    async fn write(
        &self,
        id: &str,
        hasher: Option<Hasher>,
        mut pieces: impl Stream<Item = Result<Bytes, BlobError>> + Unpin,
    ) -> Result<(u64, Option<Hasher>), BlobError> {
        let path = self.staged(id);
        let opened = OpenOptions::new().append(true).open(&path);
        let file = opened.map_err(|error| not_staged(id, &path, error))?;
        let mut tail = Tail::new(file, &path, hasher)?;
        let mut waiting = Vec::new();
        let mut length = 0;
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            length += piece.len();
            waiting.push(piece);
            if length >= BATCH {
                tail.write(std::mem::take(&mut waiting)).await?;
                length = 0;
            }
        }
        tail.write(waiting).await?;
        tail.keep().await
    }

    pub(super) async fn publish(
        &self,
        id: &str,
        arrived: &Arrived,
        addition: Addition,
        digest: &Digest,
    ) -> Result<u64, BlobError> {
        self.demand_writable()?;
        let mut pieces = addition.checked(arrived.bytes);
        let (mut first, mut length) = (Vec::new(), 0);
        while length <= SMALL
            && let Some(piece) = pieces.next().await
        {
            let piece = piece?;
            length += piece.len();
            first.push(piece);
        }
        let hasher = self.running.take(id, arrived.bytes, digest.algorithm());
        let known = if length <= SMALL && arrived.bytes == 0 {
            Known::Content(first)
        } else {
            let pieces = stream::iter(first).map(Ok).chain(pieces);
            let (length, hasher) = self.write(id, hasher, pieces).await?;
            hasher.map_or(Known::Nothing, |hasher| {
                Known::Hashed(hasher.finish(), length)
            })
        };
        let (directory, id, digest) = (self.clone(), id.to_owned(), digest.clone());
        run(move || directory.publish_now(&id, &known, &digest)).await
    }

    /// Checks and publishes a staged file.
    fn publish_now(&self, id: &str, known: &Known, digest: &Digest) -> Result<u64, BlobError> {
        let staged = self.staged(id);
        let opened = OpenOptions::new().read(true).write(true).open(&staged);
        let mut file = opened.map_err(|error| not_staged(id, &staged, error))?;
        let (actual, size) = match known {
            Known::Content(pieces) => hash_pieces(pieces, digest.algorithm()),
            Known::Hashed(digest, size) => (digest.clone(), *size),
            Known::Nothing => {
                hash(&mut file, digest.algorithm()).map_err(io("reading", &staged))?
            }
        };
        if actual != *digest {
            return Err(BlobError::Digest {
                expected: digest.clone(),
                actual,
            });
        }
        if let Known::Content(pieces) = known {
            let written = pieces.iter().try_for_each(|piece| file.write_all(piece));
            if let Err(error) = written {
                drop(file.set_len(0));
                return Err(io("writing", &staged)(error));
            }
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
        Ok(size)
    }

    pub(super) async fn discard(&self, id: &str) -> Result<(), BlobError> {
        self.running.forget(id);
        remove(&self.staged(id)).await
    }

    pub(super) async fn staged_ids(&self) -> Result<Vec<String>, BlobError> {
        let path = self.root.join("staging");
        run(move || {
            let entries = std::fs::read_dir(&path).map_err(io("listing", &path))?;
            Ok(entries
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .collect())
        })
        .await
    }

    pub(super) async fn read(&self, digest: &Digest, limit: u64) -> Result<Bytes, BlobError> {
        let (path, digest) = (self.published(digest), digest.clone());
        run(move || {
            let file = File::open(&path).map_err(|error| missing(&digest, &path, error))?;
            let mut bytes = Vec::new();
            file.take(limit + 1)
                .read_to_end(&mut bytes)
                .map_err(io("reading", &path))?;
            if bytes.len() as u64 > limit {
                return Err(BlobError::TooLarge { limit });
            }
            Ok(Bytes::from(bytes))
        })
        .await
    }

    pub(super) async fn stream(
        &self,
        digest: &Digest,
        start: u64,
        length: u64,
    ) -> Result<ByteStream, BlobError> {
        let path = self.published(digest);
        let opened = tokio::fs::File::open(&path).await;
        let mut file = opened.map_err(|error| missing(digest, &path, error))?;
        if start > 0 {
            file.seek(SeekFrom::Start(start))
                .await
                .map_err(io("reading", &path))?;
        }
        Ok(Box::pin(stream::try_unfold((file, length), next_piece)))
    }

    pub(super) async fn size(&self, digest: &Digest) -> Result<Option<u64>, BlobError> {
        let path = self.published(digest);
        match tokio::fs::metadata(&path).await {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(io("reading", &path)(error)),
        }
    }

    pub(super) async fn remove(&self, digest: &Digest) -> Result<(), BlobError> {
        remove(&self.published(digest)).await
    }

    pub(super) async fn set_aside(&self, digest: &Digest) -> Result<(), BlobError> {
        let published = self.published(digest);
        let name = format!("{}-{}", digest.algorithm(), digest.hex());
        let aside = self.root.join("quarantine").join(name);
        match tokio::fs::rename(&published, &aside).await {
            Err(error) if !is_absent(&error) => Err(io("setting aside", &published)(error)),
            _ => Ok(()),
        }
    }

    pub(super) fn list(&self) -> BoxStream<'static, Result<Entry, BlobError>> {
        let root = self.root.join("blobs");
        let folders = [Algorithm::Sha256, Algorithm::Sha512]
            .into_iter()
            .flat_map(|algorithm| (0..=u8::MAX).map(move |first| (algorithm, first)));
        let listed = stream::iter(folders).then(move |(algorithm, first)| {
            let folder = root.join(algorithm.as_str()).join(format!("{first:02x}"));
            run(move || list_folder(&folder, algorithm))
        });
        Box::pin(listed.flat_map(|folder| {
            stream::iter(match folder {
                Ok(entries) => entries.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            })
        }))
    }

    pub(super) async fn probe(&self) -> Result<(), BlobError> {
        self.demand_writable()?;
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

fn not_staged(id: &str, path: &Path, error: std::io::Error) -> BlobError {
    if is_absent(&error) {
        BlobError::NotStaged(id.to_owned())
    } else {
        io("opening", path)(error)
    }
}

fn missing(digest: &Digest, path: &Path, error: std::io::Error) -> BlobError {
    if is_absent(&error) {
        BlobError::Missing(digest.clone())
    } else {
        io("opening", path)(error)
    }
}

async fn remove(path: &Path) -> Result<(), BlobError> {
    match tokio::fs::remove_file(path).await {
        Err(error) if !is_absent(&error) => Err(io("removing", path)(error)),
        _ => Ok(()),
    }
}

/// What a folder holds; files whose names are no digests are not ours.
fn list_folder(folder: &Path, algorithm: Algorithm) -> Result<Vec<Entry>, BlobError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(io("listing", folder)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(io("listing", folder))?;
        let name = entry.file_name();
        let digest = format!("{algorithm}:{}", name.to_string_lossy()).parse();
        // It may have been removed since the folder was read.
        let (Ok(digest), Ok(metadata)) = (digest, entry.metadata()) else {
            continue;
        };
        let modified = metadata.modified().map_err(io("reading", folder))?;
        found.push(Entry {
            digest,
            size_bytes: metadata.len(),
            modified_at: DateTime::<Utc>::from(modified),
        });
    }
    Ok(found)
}

async fn next_piece(
    (mut file, left): (tokio::fs::File, u64),
) -> Result<Option<(Bytes, (tokio::fs::File, u64))>, std::io::Error> {
    if left == 0 {
        return Ok(None);
    }
    let wanted = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
    let mut piece = vec![0; wanted];
    file.read_exact(&mut piece).await?;
    Ok(Some((Bytes::from(piece), (file, left - wanted as u64))))
}

fn hash_pieces(pieces: &[Bytes], algorithm: Algorithm) -> (Digest, u64) {
    let mut hasher = Hasher::new(algorithm);
    for piece in pieces {
        hasher.update(piece);
    }
    let size = pieces.iter().map(|piece| piece.len() as u64).sum();
    (hasher.finish(), size)
}

fn hash(file: &mut File, algorithm: Algorithm) -> Result<(Digest, u64), std::io::Error> {
    let mut hasher = Hasher::new(algorithm);
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
pub(super) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    finished(spawn_blocking(work)).await
}

/// Waits for file work.
pub(super) async fn finished<T>(work: JoinHandle<Result<T, BlobError>>) -> Result<T, BlobError> {
    work.await.unwrap_or_else(|error| {
        Err(BlobError::Io {
            action: "working on",
            path: PathBuf::new(),
            source: std::io::Error::other(error),
        })
    })
}
