// SPDX-License-Identifier: Apache-2.0
//! Uploads: begin, continue, ask, finish, cancel.
//!
//! How far an upload is, is the length of its staged file; no other record of it exists
//! that a crash could make disagree.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use chrono::{DateTime, Duration, Utc};
use registry_schema::{Digest, name::RepositoryName};
use tokio::sync::Mutex as AsyncMutex;

use super::{
    ServiceError,
    access::{self, Action, Caller},
    blob,
};
use crate::{
    app::App,
    blob::ByteStream,
    store::{self, uploads::Upload},
};

/// One lock per upload in progress, so that of two requests that continue the same
/// upload the second sees what the first has written.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<HashMap<String, Weak<AsyncMutex<()>>>>);

impl Sessions {
    /// The lock of an upload. It lives as long as somebody holds it.
    pub fn lock(&self, id: &str) -> Arc<AsyncMutex<()>> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = sessions.get(id).and_then(Weak::upgrade) {
            return lock;
        }
        sessions.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::new(AsyncMutex::new(()));
        sessions.insert(id.to_owned(), Arc::downgrade(&lock));
        lock
    }
}

/// How far an upload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Its identifier.
    pub id: String,
    /// How many bytes have arrived.
    pub offset: u64,
}

/// Begins an upload.
///
/// # Errors
/// The errors of [`access::demand`]; [`ServiceError::Store`], [`ServiceError::Blob`].
pub async fn begin(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
) -> Result<Progress, ServiceError> {
    access::demand(app, caller, repository, Action::Push).await?;
    let now = app.clock.now();
    let upload = Upload {
        id: app.random.id(now).to_string(),
        repository: repository.clone(),
        account: caller.known(app)?.name.clone(),
        expires_at: now + Duration::seconds(app.config.upload_seconds.into()),
    };
    app.blobs.stage(&upload.id).await?;
    let mut tx = app.db.begin().await?;
    store::repositories::insert(&mut tx, repository, now).await?;
    store::uploads::insert(&mut tx, &upload, now).await?;
    tx.commit().await?;
    Ok(Progress {
        id: upload.id,
        offset: 0,
    })
}

/// Finds an upload that the caller may continue: an upload is its repository's and its
/// account's, and nobody else learns that it exists.
async fn find(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    id: &str,
) -> Result<u64, ServiceError> {
    access::demand(app, caller, repository, Action::Push).await?;
    let unknown = || ServiceError::UploadUnknown(id.chars().take(64).collect());
    let upload = store::uploads::find(&app.db, id)
        .await?
        .ok_or_else(unknown)?;
    let ours = upload.repository == *repository
        && upload.account == caller.name()
        && upload.expires_at > app.clock.now();
    if !ours {
        return Err(unknown());
    }
    app.blobs.staged_bytes(id).await?.ok_or_else(unknown)
}

/// How far an upload is.
///
/// # Errors
/// [`ServiceError::UploadUnknown`]; the errors of [`access::demand`].
pub async fn status(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    id: &str,
) -> Result<Progress, ServiceError> {
    Ok(Progress {
        id: id.to_owned(),
        offset: find(app, caller, repository, id).await?,
    })
}

/// Appends a chunk, as a whole or not at all. `range` is where the client says it goes;
/// without it, it goes at the end.
///
/// # Errors
/// [`ServiceError::Offset`] if the chunk does not begin at the end, and the upload is as it
/// was; [`ServiceError::UploadUnknown`]; [`ServiceError::Blob`].
pub async fn append(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    id: &str,
    range: Option<Range<u64>>,
    body: ByteStream,
) -> Result<Progress, ServiceError> {
    let lock = app.sessions.lock(id);
    let _held = lock.lock().await;
    let offset = find(app, caller, repository, id).await?;
    append_held(app, id, offset, range, body).await
}

async fn append_held(
    app: &App,
    id: &str,
    offset: u64,
    range: Option<Range<u64>>,
    body: ByteStream,
) -> Result<Progress, ServiceError> {
    if let Some(range) = &range
        && range.start != offset
    {
        return Err(ServiceError::Offset {
            id: id.to_owned(),
            given: range.start,
            offset,
        });
    }
    let exactly = range.map(|range| range.end - range.start);
    let length = app
        .blobs
        .append(id, body, exactly, app.config.max_blob_bytes)
        .await?;
    app.metrics.received(length - offset);
    Ok(Progress {
        id: id.to_owned(),
        offset: length,
    })
}

/// Appends the last chunk, which may be empty, checks the digest and makes the blob
/// readable in the repository. Bytes of another digest end the upload.
///
/// # Errors
/// [`ServiceError::Offset`] as for [`append`]; [`ServiceError::Blob`] with
/// [`BlobError::Digest`](crate::blob::BlobError::Digest).
pub async fn finish(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    id: &str,
    range: Option<Range<u64>>,
    body: ByteStream,
    digest: &Digest,
) -> Result<(), ServiceError> {
    let lock = app.sessions.lock(id);
    let _held = lock.lock().await;
    let offset = find(app, caller, repository, id).await?;
    append_held(app, id, offset, range, body).await?;
    let staged = match app.blobs.publish(id, digest).await {
        Ok(staged) => staged,
        Err(error) => {
            end(app, id).await?;
            return Err(error.into());
        }
    };
    let mut tx = app.db.begin().await?;
    blob::record(app, &mut tx, repository, digest, staged.size_bytes).await?;
    store::uploads::delete(&mut tx, id).await?;
    tx.commit().await?;
    Ok(())
}

/// Forgets an upload and its bytes.
///
/// # Errors
/// [`ServiceError::UploadUnknown`]; the errors of [`access::demand`].
pub async fn cancel(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    id: &str,
) -> Result<(), ServiceError> {
    let lock = app.sessions.lock(id);
    let _held = lock.lock().await;
    find(app, caller, repository, id).await?;
    end(app, id).await
}

async fn end(app: &App, id: &str) -> Result<(), ServiceError> {
    let mut tx = app.db.begin().await?;
    store::uploads::delete(&mut tx, id).await?;
    tx.commit().await?;
    Ok(app.blobs.discard(id).await?)
}

/// How long staged bytes may lie without an upload that owns them: a request that begins an
/// upload stages first.
const UNOWNED: Duration = Duration::hours(1);

/// Ends uploads that have expired, and removes staged bytes that no upload owns.
///
/// # Errors
/// [`ServiceError::Store`] or [`ServiceError::Blob`].
pub async fn sweep(app: &App) -> Result<(), ServiceError> {
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let expired = store::uploads::expire(&mut tx, now).await?;
    tx.commit().await?;
    let mut removed = 0;
    for id in app.blobs.staged_ids()? {
        if begun_at(&id) < now - UNOWNED && store::uploads::find(&app.db, &id).await?.is_none() {
            app.blobs.discard(&id).await?;
            removed += 1;
        }
    }
    if expired > 0 || removed > 0 {
        tracing::info!(expired, removed, "swept uploads");
    }
    Ok(())
}

/// When an upload began: its identifier says so. What is no identifier is old.
fn begun_at(id: &str) -> DateTime<Utc> {
    let id = uuid::Uuid::parse_str(id).ok();
    let (seconds, nanos) = id
        .and_then(|id| id.get_timestamp())
        .map_or((0, 0), |at| at.to_unix());
    DateTime::from_timestamp(i64::try_from(seconds).unwrap_or(0), nanos).unwrap_or_default()
}
