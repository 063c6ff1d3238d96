// SPDX-License-Identifier: Apache-2.0
//! Content-addressed bytes, in a directory or in an S3 bucket.
//!
//! A blob is staged under the identifier of its upload, made durable, and only then
//! published under its digest; the database learns of it last. A crash can leave bytes that
//! nothing refers to, never a reference to bytes that are not there.

mod directory;
mod running;
mod s3;
mod tail;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt, stream::BoxStream};
use registry_schema::{Digest, digest::Hasher};

pub use directory::Directory;
pub use s3::{Place, S3};

/// Bytes that arrive or leave in pieces.
pub type ByteStream = BoxStream<'static, Result<Bytes, std::io::Error>>;

/// Longest blob whose bytes are checked whenever they are read as a whole; longer ones are
/// left to the scrub, because hashing would take longer than sending.
pub const CHECKED: u64 = 8 * 1024 * 1024;

/// Why bytes were not stored or read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum BlobError {
    /// A file operation failed.
    #[error("{action} {} failed: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    /// The bucket did not do what was asked, after several tries.
    #[error("{action} in the bucket failed: {source}")]
    Bucket {
        action: &'static str,
        source: object_store::Error,
    },
    /// The bucket said that it stored something, and has something else.
    #[error("the bucket stored {actual} bytes of {digest}, not {expected}")]
    Stored {
        digest: Digest,
        expected: u64,
        actual: u64,
    },
    /// The name of the bucket is malformed.
    #[error("`{0}` names no bucket; write s3://BUCKET or s3://BUCKET/PREFIX")]
    Place(String),
    /// A sync failed, so that nobody knows what is on the disk.
    #[error(
        "the disk did not confirm a write; the registry takes no more writes until it is restarted"
    )]
    Unsafe,
    /// The staged bytes are not what the client says they are.
    #[error("content is {actual}, not {expected} as the upload says")]
    Digest { expected: Digest, actual: Digest },
    /// The stored bytes are no longer what they were.
    #[error(
        "stored blob {expected} has changed on disk; restore it from a backup or push it again"
    )]
    Damaged { expected: Digest },
    /// The bytes are not there.
    #[error("the bytes of blob {0} are missing; restore them from a backup or push them again")]
    Missing(Digest),
    /// The body is longer than a blob may be.
    #[error("the blob is larger than {limit} bytes, which is the limit of this registry")]
    TooLarge { limit: u64 },
    /// The body is not as long as its range says.
    #[error("the chunk is {actual} bytes long, but its range says {expected}")]
    Length { expected: u64, actual: u64 },
    /// The client went away, or sent a broken body.
    #[error("the body ended early: {0}")]
    Body(String),
    /// There is no upload with that identifier.
    #[error("no bytes are staged under {0}")]
    NotStaged(String),
}

/// Where the bytes are. Cloning is cheap.
#[derive(Debug, Clone)]
pub enum Blobs {
    /// In a directory of this machine, which one registry has to itself.
    Directory(Directory),
    /// In a bucket, which replicas share.
    S3(S3),
}

/// What has arrived of an upload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arrived {
    /// How many bytes.
    pub bytes: u64,
    /// Where they are, in order, in a store that replicas share.
    pub parts: Vec<Part>,
}

/// A piece of an upload that waits to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its place in the upload, in bytes.
    pub start: u64,
    /// Its length in bytes, at least 1.
    pub size_bytes: u64,
    /// The name of its object.
    pub object: String,
}

/// What a request adds to an upload.
pub struct Addition {
    /// The bytes.
    pub body: ByteStream,
    /// How many of them the client promised, if it did.
    pub exactly: Option<u64>,
    /// How many bytes the whole upload may have.
    pub limit: u64,
}

impl Addition {
    /// No more bytes.
    pub fn nothing() -> Self {
        Self {
            body: Box::pin(futures::stream::empty()),
            exactly: None,
            limit: u64::MAX,
        }
    }

    /// The body, as errors of this layer, ending in one where it is too long or too short.
    fn checked(self, start: u64) -> BoxStream<'static, Result<Bytes, BlobError>> {
        let Self {
            body,
            exactly,
            limit,
        } = self;
        let pieces =
            body.map(move |piece| piece.map_err(|error| BlobError::Body(error.to_string())));
        let mut length = start;
        let counted = pieces.map(move |piece| {
            let piece = piece?;
            length += piece.len() as u64;
            if length > limit {
                Err(BlobError::TooLarge { limit })
            } else {
                Ok(piece)
            }
        });
        match exactly {
            None => Box::pin(counted.fuse()),
            Some(expected) => Box::pin(measured(counted, expected).fuse()),
        }
    }
}

/// The same pieces, and an error at the end if they are not `expected` bytes in all.
fn measured(
    pieces: impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static,
    expected: u64,
) -> impl Stream<Item = Result<Bytes, BlobError>> + Send {
    let state = (Box::pin(pieces), 0_u64, false);
    futures::stream::unfold(state, move |(mut pieces, actual, ended)| async move {
        if ended {
            return None;
        }
        match pieces.next().await {
            Some(Ok(piece)) => {
                let actual = actual + piece.len() as u64;
                Some((Ok(piece), (pieces, actual, false)))
            }
            Some(Err(error)) => Some((Err(error), (pieces, actual, true))),
            None if actual == expected => None,
            None => {
                let error = BlobError::Length { expected, actual };
                Some((Err(error), (pieces, actual, true)))
            }
        }
    })
}

/// A published blob as the store itself sees it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its digest, by its name; nobody has hashed it for this list.
    pub digest: Digest,
    /// How many bytes it has.
    pub size_bytes: u64,
    /// When it was last written.
    pub modified_at: DateTime<Utc>,
}

/// The call for whichever store it is.
macro_rules! each {
    ($blobs:expr, $store:ident => $body:expr) => {
        match $blobs {
            Blobs::Directory($store) => $body,
            Blobs::S3($store) => $body,
        }
    };
}

impl Blobs {
    /// Opens the blob directory at `root`, made if absent.
    ///
    /// # Errors
    /// [`BlobError::Io`] with the path.
    pub fn open(root: &Path) -> Result<Self, BlobError> {
        Ok(Self::Directory(Directory::open(root)?))
    }

    /// Whether several registries use this store at the same time. How far an upload is, is
    /// then in the database; else it is the length of the staged file.
    pub const fn is_shared(&self) -> bool {
        matches!(self, Self::S3(_))
    }

    /// Whether writes are still safe.
    pub fn writable(&self) -> bool {
        each!(self, store => store.writable())
    }

    /// Begins an empty upload.
    ///
    /// # Errors
    /// [`BlobError::Io`]; [`BlobError::Unsafe`] after a failed sync.
    pub async fn stage(&self, id: &str) -> Result<(), BlobError> {
        match self {
            Self::Directory(directory) => directory.stage(id).await,
            Self::S3(_) => Ok(()),
        }
    }

    /// How many bytes of an upload have arrived, where the store itself knows; `None` if
    /// nothing is staged under `id`.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub async fn staged_bytes(&self, id: &str) -> Result<Option<u64>, BlobError> {
        match self {
            Self::Directory(directory) => directory.staged_bytes(id).await,
            Self::S3(_) => Ok(None),
        }
    }

    /// Appends to an upload of which `arrived` is there, as a whole or not at all; gives
    /// what is there then. The caller lets nobody else append meanwhile.
    ///
    /// # Errors
    /// [`BlobError::TooLarge`], [`BlobError::Length`], [`BlobError::Body`] if the client
    /// breaks off, [`BlobError::NotStaged`], [`BlobError::Io`], [`BlobError::Bucket`].
    pub async fn append(
        &self,
        id: &str,
        arrived: &Arrived,
        addition: Addition,
    ) -> Result<Arrived, BlobError> {
        each!(self, store => store.append(id, arrived, addition).await)
    }

    /// Appends the last bytes of an upload, checks the digest of all of it, and makes it
    /// readable under that digest. Bytes that are there already count as success. Gives the
    /// size in bytes.
    ///
    /// # Errors
    /// [`BlobError::Digest`] if the bytes are others, and then nothing was stored;
    /// [`BlobError::Unsafe`] if a sync fails; those of [`Blobs::append`].
    pub async fn publish(
        &self,
        id: &str,
        arrived: &Arrived,
        addition: Addition,
        digest: &Digest,
    ) -> Result<u64, BlobError> {
        each!(self, store => store.publish(id, arrived, addition, digest).await)
    }

    /// Forgets an upload.
    ///
    /// # Errors
    /// [`BlobError::Io`], [`BlobError::Bucket`].
    pub async fn discard(&self, id: &str) -> Result<(), BlobError> {
        each!(self, store => store.discard(id).await)
    }

    /// The identifiers of all uploads that have staged bytes.
    ///
    /// # Errors
    /// [`BlobError::Io`], [`BlobError::Bucket`].
    pub async fn staged_ids(&self) -> Result<Vec<String>, BlobError> {
        each!(self, store => store.staged_ids().await)
    }

    /// Reads a whole blob of at most `limit` bytes and checks its digest.
    ///
    /// # Errors
    /// [`BlobError::Damaged`] if the bytes have changed, [`BlobError::Missing`],
    /// [`BlobError::TooLarge`], [`BlobError::Io`], [`BlobError::Bucket`].
    pub async fn read(&self, digest: &Digest, limit: u64) -> Result<Bytes, BlobError> {
        let bytes = each!(self, store => store.read(digest, limit).await)?;
        if digest.check(&bytes).is_err() {
            let expected = digest.clone();
            return Err(BlobError::Damaged { expected });
        }
        Ok(bytes)
    }

    /// Streams `length` bytes of a blob from `start`. A stream of a `whole` blob of at most
    /// [`CHECKED`] bytes ends in an error instead of its last piece if the bytes are not
    /// what the digest says.
    ///
    /// # Errors
    /// [`BlobError::Missing`], [`BlobError::Io`], [`BlobError::Bucket`].
    pub async fn stream(
        &self,
        digest: &Digest,
        start: u64,
        length: u64,
        whole: bool,
    ) -> Result<ByteStream, BlobError> {
        let pieces = each!(self, store => store.stream(digest, start, length).await)?;
        if whole && length <= CHECKED {
            Ok(verified(pieces, length, digest.clone()))
        } else {
            Ok(pieces)
        }
    }

    /// Hashes the stored bytes, holding a piece of them at a time; `pace` is asked after
    /// each piece of so many bytes.
    ///
    /// # Errors
    /// [`BlobError::Damaged`], [`BlobError::Missing`], [`BlobError::Io`],
    /// [`BlobError::Bucket`].
    pub async fn verify<P: Future<Output = ()>>(
        &self,
        digest: &Digest,
        pace: impl Fn(u64) -> P,
    ) -> Result<u64, BlobError> {
        let size = self.size(digest).await?;
        let size = size.ok_or_else(|| BlobError::Missing(digest.clone()))?;
        let mut pieces = each!(self, store => store.stream(digest, 0, size).await)?;
        let mut hasher = Hasher::new(digest.algorithm());
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|source| unread(digest, source))?;
            hasher.update(&piece);
            pace(piece.len() as u64).await;
        }
        if hasher.finish() == *digest {
            Ok(size)
        } else {
            let expected = digest.clone();
            Err(BlobError::Damaged { expected })
        }
    }

    /// The size of a stored blob in bytes; `None` if it is not there.
    ///
    /// # Errors
    /// [`BlobError::Io`], [`BlobError::Bucket`].
    pub async fn size(&self, digest: &Digest) -> Result<Option<u64>, BlobError> {
        each!(self, store => store.size(digest).await)
    }

    /// Removes a blob's bytes; that they are gone already is no error.
    ///
    /// # Errors
    /// [`BlobError::Io`], [`BlobError::Bucket`].
    pub async fn remove(&self, digest: &Digest) -> Result<(), BlobError> {
        each!(self, store => store.remove(digest).await)
    }

    /// Puts damaged bytes where nobody reads them, for somebody to look at.
    ///
    /// # Errors
    /// [`BlobError::Io`], [`BlobError::Bucket`].
    pub async fn set_aside(&self, digest: &Digest) -> Result<(), BlobError> {
        each!(self, store => store.set_aside(digest).await)
    }

    /// Everything that is stored under a digest, in no particular order.
    pub fn list(&self) -> BoxStream<'static, Result<Entry, BlobError>> {
        each!(self, store => store.list())
    }

    /// Checks that the store answers and can be written, for the readiness probe.
    ///
    /// # Errors
    /// [`BlobError::Io`], [`BlobError::Unsafe`], [`BlobError::Bucket`].
    pub async fn probe(&self) -> Result<(), BlobError> {
        each!(self, store => store.probe().await)
    }
}

/// A disk that cannot give the bytes back has lost them; any other error may pass.
fn unread(digest: &Digest, source: std::io::Error) -> BlobError {
    if source.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) {
        let expected = digest.clone();
        return BlobError::Damaged { expected };
    }
    BlobError::Io {
        action: "reading blob",
        path: digest.as_str().into(),
        source,
    }
}

/// The same pieces; before the last of `length` bytes the digest of all must be right.
fn verified(pieces: ByteStream, length: u64, digest: Digest) -> ByteStream {
    let mut left = length;
    let mut check = Some((Hasher::new(digest.algorithm()), digest));
    Box::pin(pieces.map(move |piece| {
        let piece = piece?;
        left = left.saturating_sub(piece.len() as u64);
        if let Some((hasher, _)) = &mut check {
            hasher.update(&piece);
        }
        if left == 0
            && let Some((hasher, digest)) = check.take()
            && hasher.finish() != digest
        {
            tracing::error!(%digest, "stored blob has changed on disk");
            let expected = digest;
            return Err(std::io::Error::other(BlobError::Damaged { expected }));
        }
        Ok(piece)
    }))
}
