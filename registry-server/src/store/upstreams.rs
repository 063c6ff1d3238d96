// SPDX-License-Identifier: Apache-2.0
//! Tables `upstreams` and `remote_blobs`.

use chrono::{DateTime, Utc};
use registry_schema::{Digest, federation::UpstreamMode, name::RepositoryName};

use super::{Db, StoreError, Tx, cell, count, uncount};

/// A registry that a namespace's content comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// The namespace.
    pub namespace: String,
    /// What is done with its content.
    pub mode: UpstreamMode,
    /// Host and optional port.
    pub host: String,
    /// Whether it is spoken to without encryption.
    pub plain_http: bool,
    /// What stands before the name of a package there.
    pub prefix: String,
    /// For how many seconds a tag is believed.
    pub tag_seconds: u32,
    /// When it was named.
    pub created_at: DateTime<Utc>,
    /// Who named it.
    pub created_by: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    namespace: String,
    mode: String,
    host: String,
    plain_http: bool,
    prefix: String,
    tag_seconds: i64,
    created_at: DateTime<Utc>,
    created_by: String,
}

impl From<Row> for Upstream {
    fn from(row: Row) -> Self {
        Self {
            namespace: row.namespace,
            mode: if row.mode == CACHE {
                UpstreamMode::Cache
            } else {
                UpstreamMode::Foreign
            },
            host: row.host,
            plain_http: row.plain_http,
            prefix: row.prefix,
            tag_seconds: u32::try_from(row.tag_seconds).unwrap_or(u32::MAX),
            created_at: row.created_at,
            created_by: row.created_by,
        }
    }
}

const CACHE: &str = "cache";
const FOREIGN: &str = "foreign";

const fn word(mode: UpstreamMode) -> &'static str {
    match mode {
        UpstreamMode::Cache => CACHE,
        UpstreamMode::Foreign => FOREIGN,
    }
}

const LIST: &str = "select namespace, mode, host, plain_http, prefix, tag_seconds, created_at, created_by \
     from upstreams order by namespace, position";

/// All upstreams of all namespaces, in the order in which they are asked.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn list(db: &Db) -> Result<Vec<Upstream>, StoreError> {
    let rows: Vec<Row> = on!(Db, db, c => sqlx::query_as(LIST).fetch_all(c).await)?;
    Ok(rows.into_iter().map(Upstream::from).collect())
}

const OF: &str = "select namespace, mode, host, plain_http, prefix, tag_seconds, created_at, created_by \
     from upstreams where namespace = $1 order by position";

/// The upstreams of a namespace, in the order in which they are asked.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn of(tx: &mut Tx, namespace: &str) -> Result<Vec<Upstream>, StoreError> {
    let rows: Vec<Row> =
        on!(Tx, tx, c => sqlx::query_as(OF).bind(namespace).fetch_all(&mut **c).await)?;
    Ok(rows.into_iter().map(Upstream::from).collect())
}

const CLEAR: &str = "delete from upstreams where namespace = $1 and mode = $2";

/// Forgets the upstreams of one mode.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn clear(tx: &mut Tx, namespace: &str, mode: UpstreamMode) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(CLEAR).bind(namespace).bind(word(mode)).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const INSERT: &str = "insert into upstreams \
     (namespace, position, mode, host, plain_http, prefix, tag_seconds, created_at, created_by) \
     values ($1, (select coalesce(max(position), 0) + 1 from upstreams where namespace = $1), $2, $3, $4, $5, $6, $7, $8)";

/// Adds an upstream behind those that are there.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn insert(tx: &mut Tx, new: &Upstream) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(INSERT).bind(&new.namespace).bind(word(new.mode)).bind(&new.host)
        .bind(new.plain_http).bind(&new.prefix).bind(i64::from(new.tag_seconds)).bind(new.created_at)
        .bind(&new.created_by).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

/// Where a blob is that is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Its size in bytes, as its manifest says.
    pub size_bytes: u64,
    /// Host and optional port.
    pub host: String,
    /// Whether it is spoken to without encryption.
    pub plain_http: bool,
    /// The repository there.
    pub source: RepositoryName,
}

#[derive(sqlx::FromRow)]
struct RemoteRow {
    size_bytes: i64,
    host: String,
    plain_http: bool,
    source: String,
}

impl TryFrom<RemoteRow> for Remote {
    type Error = StoreError;

    fn try_from(row: RemoteRow) -> Result<Self, StoreError> {
        Ok(Self {
            size_bytes: uncount(row.size_bytes),
            host: row.host,
            plain_http: row.plain_http,
            source: cell("remote_blobs", "source", &row.source)?,
        })
    }
}

const NOTE: &str = "insert into remote_blobs (repository, digest, size_bytes, host, plain_http, source, noted_at) \
     values ($1, $2, $3, $4, $5, $6, $7) on conflict (repository, digest) do update \
     set host = excluded.host, plain_http = excluded.plain_http, source = excluded.source, noted_at = excluded.noted_at";

/// Notes where a blob of a repository is.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn note(
    tx: &mut Tx,
    repository: &RepositoryName,
    digest: &Digest,
    remote: &Remote,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(NOTE).bind(repository.as_str()).bind(digest.as_str())
        .bind(count(remote.size_bytes)).bind(&remote.host).bind(remote.plain_http)
        .bind(remote.source.as_str()).bind(now).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const FIND: &str = "select size_bytes, host, plain_http, source from remote_blobs \
     where repository = $1 and digest = $2";

/// Where a blob of a repository is, if it is known to be elsewhere.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn find(
    db: &Db,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<Remote>, StoreError> {
    let row: Option<RemoteRow> = on!(Db, db, c => sqlx::query_as(FIND).bind(repository.as_str())
        .bind(digest.as_str()).fetch_optional(c).await)?;
    row.map(Remote::try_from).transpose()
}

/// As [`find`], within a transaction.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn find_in(
    tx: &mut Tx,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<Remote>, StoreError> {
    let row: Option<RemoteRow> = on!(Tx, tx, c => sqlx::query_as(FIND).bind(repository.as_str())
        .bind(digest.as_str()).fetch_optional(&mut **c).await)?;
    row.map(Remote::try_from).transpose()
}
