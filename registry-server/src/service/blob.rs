// SPDX-License-Identifier: Apache-2.0
//! Blobs of repositories: read, mount, delete.

use bytes::Bytes;
use chrono::Duration;
use registry_schema::{Digest, name::RepositoryName};
use serde_json::json;

use super::{
    ServiceError,
    access::{self, Action, Caller, Right, Standing},
    audit,
    cache::BlobKey,
    quota,
    visible::{self, View},
};
use crate::{
    app::App,
    blob::BlobError,
    store::{self, Tx},
};

/// How long a fresh blob is kept although nothing refers to it yet.
pub(super) const LEASE: Duration = Duration::hours(24);

/// Largest blob that is read whole instead of streamed, in bytes.
const SMALL: u64 = 64 * 1024;

/// A blob that may be read.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Whether everybody may read it.
    pub public: bool,
}

/// Finds a blob of the repository. That another repository has it is no help.
///
/// # Errors
/// [`ServiceError::BlobUnknown`]; the errors of [`access::demand`].
pub async fn find(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Found, ServiceError> {
    let (commits, key) = (app.db.commits(), BlobKey(repository, digest));
    if let Some(found) = app.reads.blobs.get(&key, commits) {
        return Ok(found);
    }
    let standing = access::demand(app, caller, repository, Action::Pull).await?;
    let found = store::blobs::find(&app.db, repository, digest).await?;
    let (size_bytes, _) = found.ok_or_else(|| unknown(repository, digest))?;
    let public = demand_shown(app, caller, standing, repository, digest).await?;
    let found = Found { size_bytes, public };
    if public {
        let key = (repository.clone(), digest.clone());
        app.reads.blobs.keep(key, &found, commits);
    }
    Ok(found)
}

/// The bytes of a blob that was [found](find) and is small enough to be held in memory;
/// `None` for a larger one, which is to be streamed.
///
/// # Errors
/// [`ServiceError::Blob`].
pub async fn content(
    app: &App,
    digest: &Digest,
    size_bytes: u64,
) -> Result<Option<Bytes>, ServiceError> {
    if size_bytes > SMALL {
        return Ok(None);
    }
    if let Some(bytes) = app.reads.content.get(digest) {
        return Ok(Some(bytes));
    }
    let bytes = app.blobs.read(digest, SMALL).await?;
    if bytes.len() as u64 != size_bytes {
        let expected = digest.clone();
        return Err(BlobError::Damaged { expected }.into());
    }
    app.reads.content.insert(digest.clone(), bytes.clone());
    Ok(Some(bytes))
}

/// The same for somebody who asks whether to push the blob: whoever may push is promised
/// that it stays for a while, although nothing refers to it yet.
///
/// # Errors
/// As those of [`find`].
pub async fn find_to_keep(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Found, ServiceError> {
    let standing = access::demand(app, caller, repository, Action::Pull).await?;
    let found = store::blobs::find(&app.db, repository, digest).await?;
    let (size_bytes, leased_until) = found.ok_or_else(|| unknown(repository, digest))?;
    let public = demand_shown(app, caller, standing, repository, digest).await?;
    let right = standing.right;
    let now = app.clock.now();
    // A write for every question would be dear: half of a lease is long enough too.
    if right >= Right::Write && leased_until < now + LEASE / 2 {
        let mut tx = app.db.begin().await?;
        if !store::blobs::lease(&mut tx, repository, digest, now + LEASE).await? {
            return Err(unknown(repository, digest));
        }
        tx.commit().await?;
    }
    Ok(Found { size_bytes, public })
}

/// Demands that the caller sees the blob; says whether everybody does.
async fn demand_shown(
    app: &App,
    caller: &Caller,
    standing: Standing,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<bool, ServiceError> {
    let shown = visible::is_shown(app, repository, digest).await?;
    if !shown && visible::view(app, caller, standing).await? == View::Outside {
        return Err(unknown(repository, digest));
    }
    Ok(standing.public && shown)
}

fn unknown(repository: &RepositoryName, digest: &Digest) -> ServiceError {
    ServiceError::BlobUnknown {
        repository: repository.clone(),
        digest: digest.clone(),
    }
}

/// Notes that the repository holds a blob whose bytes are durable.
pub(super) async fn record(
    app: &App,
    tx: &mut Tx,
    repository: &RepositoryName,
    digest: &Digest,
    size_bytes: u64,
) -> Result<(), ServiceError> {
    let now = app.clock.now();
    Ok(store::blobs::insert(tx, repository, digest, size_bytes, now, now + LEASE).await?)
}

/// Makes a blob of another repository, `from` or any that the caller may read, a blob of
/// this one too. `false` if there is none: the client then uploads it, and learns nothing
/// about what it may not read.
///
/// # Errors
/// The errors of [`access::demand`] for pushing to `repository`.
pub async fn mount(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    digest: &Digest,
    from: Option<&RepositoryName>,
) -> Result<bool, ServiceError> {
    access::demand(app, caller, repository, Action::Push).await?;
    let holders = match from {
        Some(from) => vec![from.clone()],
        None => store::blobs::holders(&app.db, digest).await?,
    };
    for holder in holders {
        // By account and by the scope of the token: what this request could not read, it
        // cannot mount.
        let seen = match access::demand(app, caller, &holder, Action::Pull).await {
            Ok(standing) => demand_shown(app, caller, standing, &holder, digest).await,
            Err(error) => Err(error),
        };
        match seen {
            Ok(_) => {}
            Err(error @ ServiceError::Store(_)) => return Err(error),
            Err(_) => continue,
        }
        let mut tx = app.db.begin().await?;
        if let Some(size) = store::blobs::size_in(&mut tx, &holder, digest).await? {
            store::repositories::insert(&mut tx, repository, app.clock.now()).await?;
            record(app, &mut tx, repository, digest, size).await?;
            quota::check(&mut tx, repository.namespace()).await?;
            tx.commit().await?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Takes a blob out of the repository.
///
/// # Errors
/// [`ServiceError::BlobUnknown`]; [`ServiceError::BlobUsed`] while a manifest points at
/// it; the errors of [`access::demand`].
pub async fn delete(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<(), ServiceError> {
    access::demand(app, caller, repository, Action::Delete).await?;
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    store::repositories::lock(&mut tx, repository).await?;
    // The collection of garbage locks the row alone.
    if !store::blobs::lease(&mut tx, repository, digest, now).await? {
        return Err(unknown(repository, digest));
    }
    if let Some(user) = store::manifests::user_of(&mut tx, repository, digest).await? {
        return Err(ServiceError::BlobUsed {
            digest: digest.clone(),
            user,
        });
    }
    store::blobs::delete(&mut tx, repository, digest).await?;
    store::contents::touch(&mut tx, digest, now).await?;
    let subject = format!("{repository}@{digest}");
    audit::append(app, &mut tx, caller, "blob.delete", &subject, json!({})).await?;
    Ok(tx.commit().await?)
}
