// SPDX-License-Identifier: Apache-2.0
//! Tables `manifests` and `manifest_references`.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use registry_schema::{Digest, name::RepositoryName};

use super::{Db, StoreError, Tx, cell, count, uncount};

/// A manifest as it was pushed.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The digest under which it was pushed.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its artifact type, or its config's media type.
    pub artifact_type: Option<String>,
    /// What it refers to.
    pub subject: Option<Digest>,
    /// Its annotations as a JSON object.
    pub annotations: Option<String>,
    /// Its exact bytes.
    pub body: Bytes,
}

/// What the list of referrers says about one.
#[derive(Debug, Clone)]
pub struct Referrer {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its artifact type, or its config's media type.
    pub artifact_type: Option<String>,
    /// Its annotations as a JSON object.
    pub annotations: Option<String>,
    /// Its size in bytes.
    pub size_bytes: u64,
}

impl Referrer {
    /// About how many bytes it takes in a list.
    pub fn weight(&self) -> usize {
        let texts = [&self.artifact_type, &self.annotations];
        let texts = texts.into_iter().flatten().map(String::len);
        texts.sum::<usize>() + self.media_type.len() + self.digest.as_str().len() + 100
    }
}

/// What a manifest points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceKind {
    /// The config blob.
    Config,
    /// A layer blob.
    Layer,
    /// An entry of an index.
    Manifest,
}

impl ReferenceKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Layer => "layer",
            Self::Manifest => "manifest",
        }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    digest: String,
    media_type: String,
    artifact_type: Option<String>,
    subject: Option<String>,
    annotations: Option<String>,
    body: Vec<u8>,
}

impl TryFrom<Row> for Manifest {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            digest: cell("manifests", "digest", &row.digest)?,
            media_type: row.media_type,
            artifact_type: row.artifact_type,
            subject: row
                .subject
                .map(|subject| cell("manifests", "subject", &subject))
                .transpose()?,
            annotations: row.annotations,
            body: row.body.into(),
        })
    }
}

const INSERT: &str = "insert into manifests (repository, digest, media_type, artifact_type, subject, annotations, body, size_bytes, created_at) \
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (repository, digest) do nothing";

/// Adds a manifest; `false` if the repository holds it already.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn insert(
    tx: &mut Tx,
    repository: &RepositoryName,
    manifest: &Manifest,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(INSERT).bind(repository.as_str()).bind(manifest.digest.as_str())
        .bind(&manifest.media_type).bind(&manifest.artifact_type)
        .bind(manifest.subject.as_ref().map(Digest::as_str)).bind(&manifest.annotations)
        .bind(&manifest.body[..]).bind(count(manifest.body.len() as u64)).bind(now)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const INSERT_REFERENCE: &str = "insert into manifest_references (repository, manifest, target, kind) values ($1, $2, $3, $4) \
     on conflict do nothing";

/// Notes that `manifest` points at `target`.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn insert_reference(
    tx: &mut Tx,
    repository: &RepositoryName,
    manifest: &Digest,
    target: &Digest,
    kind: ReferenceKind,
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(INSERT_REFERENCE).bind(repository.as_str()).bind(manifest.as_str())
        .bind(target.as_str()).bind(kind.as_str()).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const FIND: &str = "select digest, media_type, artifact_type, subject, annotations, body \
                    from manifests where repository = $1 and digest = $2";

/// The manifest with this digest, if the repository holds it.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn find(
    db: &Db,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<Manifest>, StoreError> {
    let row: Option<Row> = on!(Db, db, c => sqlx::query_as(FIND).bind(repository.as_str())
        .bind(digest.as_str()).fetch_optional(c).await)?;
    row.map(Manifest::try_from).transpose()
}

const EXISTS: &str = "select count(*) from manifests where repository = $1 and digest = $2";

/// Whether the repository holds the manifest, within a transaction.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn exists_in(
    tx: &mut Tx,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<bool, StoreError> {
    let number: i64 = on!(Tx, tx, c => sqlx::query_scalar(EXISTS).bind(repository.as_str())
        .bind(digest.as_str()).fetch_one(&mut **c).await)?;
    Ok(number > 0)
}

const USERS: &str = "select manifest from manifest_references where repository = $1 and target = $2 \
                     order by manifest limit 1";

/// One manifest of the repository that points at `target`, if any does.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn user_of(
    tx: &mut Tx,
    repository: &RepositoryName,
    target: &Digest,
) -> Result<Option<Digest>, StoreError> {
    let user: Option<String> = on!(Tx, tx, c => sqlx::query_scalar(USERS).bind(repository.as_str())
        .bind(target.as_str()).fetch_optional(&mut **c).await)?;
    user.map(|user| cell("manifest_references", "manifest", &user))
        .transpose()
}

const DELETE: &str = "delete from manifests where repository = $1 and digest = $2";

/// Deletes a manifest and what hangs on it; its tags must be gone. `false` if the
/// repository does not hold it.
///
/// # Errors
/// [`StoreError::Statement`], also while a tag names it.
pub async fn delete(
    tx: &mut Tx,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(DELETE).bind(repository.as_str()).bind(digest.as_str())
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

#[derive(sqlx::FromRow)]
struct ReferrerRow {
    digest: String,
    media_type: String,
    artifact_type: Option<String>,
    annotations: Option<String>,
    size_bytes: i64,
}

const REFERRERS: &str = "select digest, media_type, artifact_type, annotations, size_bytes from manifests \
     where repository = $1 and subject = $2 and ($3 = '' or artifact_type = $3) and digest > $4 \
     order by digest limit 16";

/// Up to 16 manifests of the repository that refer to `subject` and come after the digest
/// `last`, by digest; of one artifact type unless that is empty. Annotations may weigh
/// megabytes, hence so few.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn referrers(
    db: &Db,
    repository: &RepositoryName,
    subject: &Digest,
    artifact_type: &str,
    last: &str,
) -> Result<Vec<Referrer>, StoreError> {
    let rows: Vec<ReferrerRow> = on!(Db, db, c => sqlx::query_as(REFERRERS).bind(repository.as_str())
        .bind(subject.as_str()).bind(artifact_type).bind(last).fetch_all(c).await)?;
    rows.into_iter()
        .map(|row| {
            Ok(Referrer {
                digest: cell("manifests", "digest", &row.digest)?,
                media_type: row.media_type,
                artifact_type: row.artifact_type,
                annotations: row.annotations,
                size_bytes: uncount(row.size_bytes),
            })
        })
        .collect()
}
