// SPDX-License-Identifier: Apache-2.0
//! Content-addressed bytes.
//!
//! A blob is staged under the identifier of its upload, synced, and only then published
//! under its digest; the database learns of it last. A crash can leave bytes that nothing
//! refers to, never a reference to bytes that are not there.

mod fs;

use std::path::PathBuf;

use registry_schema::Digest;

pub use fs::{Blobs, ByteStream, Staged};

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
