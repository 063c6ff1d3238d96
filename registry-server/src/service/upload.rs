// SPDX-License-Identifier: Apache-2.0
//! Uploads: begin, continue, ask, finish, cancel.
//!
//! How far an upload is, is the length of its staged file, or the sum of the parts that
//! the database names where replicas share the store; no second record of it exists that a
//! crash could make disagree.

use std::ops::Range;

use chrono::{DateTime, Duration, Utc};
use futures::StreamExt;
use registry_schema::{Digest, name::RepositoryName};

use super::{
    ServiceError,
    access::{self, Action, Caller},
    blob, content,
    quota::{self, Room},
    session::{self, Session},
};
use crate::{
    app::App,
    blob::{Addition, Arrived, BlobError, ByteStream},
    store::{self, uploads::Upload},
};

/// How much of a chunk in the wrong place is read before it is refused, in bytes.
const DRAINED: usize = 32 * 1024 * 1024;

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
    quota::room(app, repository.namespace())
        .await?
        .demand_any()?;
    let now = app.clock.now();
    let upload = Upload {
        id: app.random.id(now).to_string(),
        repository: repository.clone(),
        account: caller.known(app)?.name.clone(),
        expires_at: now + Duration::seconds(app.config.upload_seconds.into()),
    };
    app.blobs.stage(&upload.id).await?;
    let mut tx = app.db.begin_relaxed().await?;
    store::repositories::insert(&mut tx, repository, now).await?;
    store::uploads::insert(&mut tx, &upload, now).await?;
    tx.commit().await?;
    Ok(Progress {
        id: upload.id,
        offset: 0,
    })
}

/// Demands that the caller may continue the upload: an upload is its repository's and its
/// account's, and nobody else learns that it exists.
async fn demand(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    id: &str,
) -> Result<(), ServiceError> {
    access::demand(app, caller, repository, Action::Push).await?;
    let upload = store::uploads::find(&app.db, id).await?;
    let ours = upload.is_some_and(|upload| {
        upload.repository == *repository
            && upload.account == caller.name()
            && upload.expires_at > app.clock.now()
    });
    if ours {
        Ok(())
    } else {
        Err(session::unknown(id))
    }
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
    demand(app, caller, repository, id).await?;
    Ok(Progress {
        id: id.to_owned(),
        offset: session::arrived(app, id).await?.bytes,
    })
}

/// Appends a chunk, as a whole or not at all. `range` is where the client says it goes;
/// without it, it goes at the end.
///
/// # Errors
/// [`ServiceError::Offset`] if the chunk does not begin at the end, and the upload is as it
/// was; [`ServiceError::UploadUnknown`]; [`ServiceError::Blob`]; [`ServiceError::Quota`].
pub async fn append(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    id: &str,
    range: Option<Range<u64>>,
    body: ByteStream,
) -> Result<Progress, ServiceError> {
    demand(app, caller, repository, id).await?;
    let room = quota::room(app, repository.namespace()).await?;
    let mut session = Session::begin(app, id).await?;
    let arrived = session.arrived().await?;
    let addition = addition(app, id, &arrived, range, body, &room).await?;
    let work = app.blobs.append(id, &arrived, addition);
    let now = session
        .during(work)
        .await
        .map_err(|error| room.explain(error))?;
    session
        .keep_parts(&now.parts[arrived.parts.len()..])
        .await?;
    app.metrics.received(now.bytes - arrived.bytes);
    Ok(Progress {
        id: id.to_owned(),
        offset: now.bytes,
    })
}

/// What a chunk adds, if it begins where the upload ends.
async fn addition(
    app: &App,
    id: &str,
    arrived: &Arrived,
    range: Option<Range<u64>>,
    body: ByteStream,
    room: &Room,
) -> Result<Addition, ServiceError> {
    if let Some(range) = &range
        && range.start != arrived.bytes
    {
        // Many clients read no answer before they have sent everything.
        drain(body).await;
        return Err(ServiceError::Offset {
            id: id.to_owned(),
            given: range.start,
            offset: arrived.bytes,
        });
    }
    Ok(Addition {
        body,
        exactly: range.map(|range| range.end - range.start),
        limit: room.limit(app.config.max_blob_bytes),
    })
}

/// Reads what is left of a body, up to a limit, and forgets it.
async fn drain(mut body: ByteStream) {
    let mut left = DRAINED;
    while left > 0
        && let Some(Ok(piece)) = body.next().await
    {
        left = left.saturating_sub(piece.len());
    }
}

/// Appends the last chunk, which may be empty, checks the digest and makes the blob
/// readable in the repository. Bytes of another digest end the upload; after any other
/// error it is as it was.
///
/// # Errors
/// [`ServiceError::Offset`] as for [`append`]; [`ServiceError::Blob`] with
/// [`BlobError::Digest`]; [`ServiceError::Quota`].
pub async fn finish(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    id: &str,
    range: Option<Range<u64>>,
    body: ByteStream,
    digest: &Digest,
) -> Result<(), ServiceError> {
    demand(app, caller, repository, id).await?;
    let room = quota::room(app, repository.namespace()).await?;
    let session = Session::begin(app, id).await?;
    let arrived = session.arrived().await?;
    let addition = addition(app, id, &arrived, range, body, &room).await?;
    let seen = content::look(app, digest).await?;
    let work = app.blobs.publish(id, &arrived, addition, digest);
    let size = match session.during(work).await {
        Ok(size) => size,
        Err(error) => {
            if matches!(error, ServiceError::Blob(BlobError::Digest { .. })) {
                end(app, id).await?;
                session.ended();
            }
            return Err(room.explain(error));
        }
    };
    app.metrics.received(size - arrived.bytes);
    let mut tx = app.db.begin().await?;
    blob::record(app, &mut tx, repository, digest, size).await?;
    content::hold(app, &mut tx, digest, size, seen).await?;
    quota::check(&mut tx, repository.namespace()).await?;
    session.confirm(&mut tx).await?;
    store::uploads::delete(&mut tx, id).await?;
    tx.commit().await?;
    session.ended();
    if app.blobs.is_shared() && !arrived.parts.is_empty() {
        discard_later(app, id);
    }
    Ok(())
}

/// Removes the staged parts of an upload that was published. Nobody waits for it: what a
/// crash leaves here is swept.
fn discard_later(app: &App, id: &str) {
    let (app, id) = (app.clone(), id.to_owned());
    tokio::spawn(async move {
        if let Err(error) = app.blobs.discard(&id).await {
            tracing::info!(upload = id, %error, "staged parts are left to the sweep");
        }
    });
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
    demand(app, caller, repository, id).await?;
    let session = Session::begin(app, id).await?;
    session.arrived().await?;
    end(app, id).await?;
    session.ended();
    Ok(())
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
    for id in app.blobs.staged_ids().await? {
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
