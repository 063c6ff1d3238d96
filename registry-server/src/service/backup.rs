// SPDX-License-Identifier: Apache-2.0
//! Copies of everything, taken while the registry runs, and back.
//!
//! A backup is a directory: the database, the blobs as files named by their digests, and at
//! last `backup.json`, without which it is not complete. The database is copied first and
//! nothing is collected until the last blob is, so that every blob the copy knows is there.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};
use registry_schema::Digest;
use serde::{Deserialize, Serialize};

use super::{ServiceError, content};
use crate::{
    app::App,
    blob::{Addition, Arrived, Blobs, Directory},
    store::{self, Db, contents::State},
};

/// The name of the file that ends a backup.
const CONTENTS: &str = "backup.json";
/// The form of a backup that this release writes and reads.
const FORMAT: u32 = 1;
/// Rows read at a time.
const BATCH: i64 = 500;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The form of the directory.
    pub format: u32,
    /// The release that wrote it.
    pub version: String,
    /// When its database was copied.
    pub taken_at: DateTime<Utc>,
    /// The file with the database, and its digest; `None` where the database was PostgreSQL.
    pub database: Option<(String, Digest)>,
    /// How many blobs it has.
    pub contents: u64,
    /// Their bytes.
    pub content_bytes: u64,
    /// Blobs that were damaged or missing, and are not in it.
    pub damaged: u64,
}

/// Why a backup was not written or read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum BackupError {
    /// A file operation failed.
    #[error("{action} {} failed: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    /// The directory is not empty.
    #[error("{} is not empty; give a directory that is", path.display())]
    NotEmpty { path: PathBuf },
    /// The directory is no backup, or one that was not finished.
    #[error("{} is no complete backup: {reason}", path.display())]
    NotComplete { path: PathBuf, reason: String },
    /// A file of the backup is not what was written.
    #[error("{} has changed since the backup was taken: {reason}", path.display())]
    Changed { path: PathBuf, reason: String },
    /// Garbage is being collected.
    #[error("garbage is being collected; try again when that has ended")]
    Collecting,
    /// The database failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

impl From<store::StoreError> for BackupError {
    fn from(error: store::StoreError) -> Self {
        Self::Service(error.into())
    }
}

impl From<crate::blob::BlobError> for BackupError {
    fn from(error: crate::blob::BlobError) -> Self {
        Self::Service(error.into())
    }
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io {
        action,
        path,
        source,
    }
}

/// Writes a backup into the empty or absent directory `to`. The caller keeps garbage from
/// being collected meanwhile.
///
/// # Errors
/// [`BackupError`]; the directory is then no backup.
pub async fn take(app: &App, to: &Path) -> Result<Summary, BackupError> {
    make_empty(to)?;
    let taken_at = app.clock.now();
    let file = to.join("registry.db");
    let copied = store::snapshot::take(&app.db, &file).await?;
    // The copy says which blobs belong to it; without one the database itself does.
    let (db, database) = if copied {
        let digest = digest_of(&file)?;
        (
            Db::sqlite(&file).await?,
            Some(("registry.db".to_owned(), digest)),
        )
    } else {
        (app.db.clone(), None)
    };
    let mut summary = Summary {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        taken_at,
        database,
        contents: 0,
        content_bytes: 0,
        damaged: 0,
    };
    let target = Directory::at(to);
    let mut last = String::new();
    loop {
        let found = store::contents::list(&db, &last, BATCH).await?;
        let Some(end) = found.last() else { break };
        last = end.digest.to_string();
        for content in found {
            if content.state == State::Present && copy_out(app, &content.digest, &target).await? {
                summary.contents += 1;
                summary.content_bytes += content.size_bytes;
            } else {
                summary.damaged += 1;
            }
        }
    }
    if copied {
        db.close().await;
        // Opening it made it change its own files; what counts is what is there now.
        for left in ["registry.db-wal", "registry.db-shm"] {
            drop(std::fs::remove_file(to.join(left)));
        }
        summary.database = Some(("registry.db".to_owned(), digest_of(&file)?));
    }
    write_summary(to, &summary)?;
    Ok(summary)
}

fn make_empty(path: &Path) -> Result<(), BackupError> {
    use std::os::unix::fs::DirBuilderExt;
    // The database holds the hashes of tokens and the registry's own keys.
    let mut builder = std::fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(path);
    made.map_err(io("making directory", path))?;
    let mut entries = std::fs::read_dir(path).map_err(io("listing", path))?;
    if entries.next().is_some() {
        let path = path.to_owned();
        return Err(BackupError::NotEmpty { path });
    }
    Ok(())
}

/// Puts a blob into the backup: as a second name of the same file where that is possible,
/// else as a copy. `false` if its bytes are not there.
async fn copy_out(app: &App, digest: &Digest, target: &Directory) -> Result<bool, BackupError> {
    let to = target.published(digest);
    let folder = to.parent().unwrap_or(&to);
    std::fs::create_dir_all(folder).map_err(io("making directory", folder))?;
    if let Blobs::Directory(directory) = &app.blobs {
        match std::fs::hard_link(directory.published(digest), &to) {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            // Another file system: copy.
            Err(_) => {}
        }
    }
    let Some(size) = app.blobs.size(digest).await? else {
        return Ok(false);
    };
    let mut pieces = app.blobs.stream(digest, 0, size, true).await?;
    let mut file = std::fs::File::create(&to).map_err(io("making", &to))?;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(io("reading blob for", &to))?;
        file.write_all(&piece).map_err(io("writing", &to))?;
    }
    file.sync_all().map_err(io("syncing", &to))?;
    Ok(true)
}

fn write_summary(to: &Path, summary: &Summary) -> Result<(), BackupError> {
    let path = to.join(CONTENTS);
    let text = serde_json::to_vec_pretty(summary)
        .unwrap_or_else(|_| unreachable!("plain data has a JSON form"));
    let mut file = std::fs::File::create(&path).map_err(io("making", &path))?;
    file.write_all(&text).map_err(io("writing", &path))?;
    file.sync_all().map_err(io("syncing", &path))?;
    let folder = std::fs::File::open(to).map_err(io("opening", to))?;
    folder.sync_all().map_err(io("syncing", to))
}

fn digest_of(path: &Path) -> Result<Digest, BackupError> {
    let mut file = std::fs::File::open(path).map_err(io("opening", path))?;
    let mut hasher =
        registry_schema::digest::Hasher::new(registry_schema::digest::Algorithm::Sha256);
    let mut piece = vec![0; 1 << 16];
    loop {
        let read = std::io::Read::read(&mut file, &mut piece).map_err(io("reading", path))?;
        if read == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&piece[..read]);
    }
}

/// Reads what a backup says of itself.
///
/// # Errors
/// [`BackupError::NotComplete`].
pub fn summary(from: &Path) -> Result<Summary, BackupError> {
    let path = from.join(CONTENTS);
    let incomplete = |reason: String| BackupError::NotComplete {
        path: from.to_owned(),
        reason,
    };
    let text = std::fs::read(&path).map_err(|error| incomplete(format!("{CONTENTS}: {error}")))?;
    let summary: Summary = serde_json::from_slice(&text)
        .map_err(|error| incomplete(format!("{CONTENTS}: {error}")))?;
    if summary.format == FORMAT {
        Ok(summary)
    } else {
        Err(incomplete(format!(
            "its form is {}, and this release reads {FORMAT}",
            summary.format
        )))
    }
}

/// Puts the database of a backup where a registry of the data directory `data` finds it.
/// With PostgreSQL there is nothing to do: its own program has restored it.
///
/// # Errors
/// [`BackupError::NotEmpty`] if there is a database already; [`BackupError::Changed`].
pub fn restore_database(from: &Path, data: &Path) -> Result<Summary, BackupError> {
    let summary = summary(from)?;
    let Some((name, digest)) = &summary.database else {
        return Ok(summary);
    };
    let (file, target) = (from.join(name), data.join("registry.db"));
    if target.exists() {
        let path = data.to_owned();
        return Err(BackupError::NotEmpty { path });
    }
    let actual = digest_of(&file)?;
    if actual != *digest {
        let reason = format!("it is {actual}, not {digest}");
        return Err(BackupError::Changed { path: file, reason });
    }
    std::fs::copy(&file, &target).map_err(io("writing", &target))?;
    let written = std::fs::File::open(&target).map_err(io("opening", &target))?;
    written.sync_all().map_err(io("syncing", &target))?;
    Ok(summary)
}

/// Puts the blobs of a backup into the registry's own store, each hashed on its way.
///
/// # Errors
/// [`BackupError`]; blobs that the backup lacks are no error, and the
/// [check](super::fsck) after it names them.
pub async fn restore_blobs(app: &App, from: &Path) -> Result<u64, BackupError> {
    let source = Blobs::Directory(Directory::at(from));
    let (mut last, mut restored) = (String::new(), 0);
    loop {
        let found = store::contents::list(&app.db, &last, BATCH).await?;
        let Some(end) = found.last() else {
            return Ok(restored);
        };
        last = end.digest.to_string();
        for found in found {
            let digest = &found.digest;
            let Some(size) = source.size(digest).await? else {
                continue;
            };
            let pieces = source.stream(digest, 0, size, false).await?;
            let addition = Addition {
                body: Box::pin(pieces.map_err(std::io::Error::other)),
                ..Addition::nothing()
            };
            let id = app.random.id(app.clock.now()).to_string();
            let seen = content::look(app, digest).await?;
            app.blobs.stage(&id).await?;
            let nothing = Arrived::default();
            let stored = app.blobs.publish(&id, &nothing, addition, digest);
            let size = match stored.await {
                Ok(size) => size,
                Err(error) => {
                    let reason = error.to_string();
                    app.blobs.discard(&id).await?;
                    let path = from.to_owned();
                    return Err(BackupError::Changed { path, reason });
                }
            };
            let mut tx = app.db.begin().await?;
            content::hold(app, &mut tx, digest, size, seen).await?;
            tx.commit().await?;
            restored += 1;
        }
    }
}
