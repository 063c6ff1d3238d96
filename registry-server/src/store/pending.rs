// SPDX-License-Identifier: Apache-2.0
//! Table `pending_versions`: versions that only those see who may publish them.

use chrono::{DateTime, Utc};
use registry_schema::{Digest, PackageName, Version};

use super::{Db, StoreError, Tx, cell, packages::NewVersion};

/// A version that waits.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// What becomes rows of the catalogue on release.
    pub new: NewVersion,
    /// Where a mirror has it from.
    pub source: Option<String>,
    /// What a reviewer should know.
    pub notes: Vec<String>,
    /// When it was pushed.
    pub pushed_at: DateTime<Utc>,
    /// Since when it waits for a reviewer; none while it waits for signatures.
    pub review_since: Option<DateTime<Utc>>,
}

#[derive(sqlx::FromRow)]
struct Row {
    content: String,
    source: Option<String>,
    notes: String,
    pushed_at: DateTime<Utc>,
    review_since: Option<DateTime<Utc>>,
}

const TABLE: &str = "pending_versions";

fn json<T: serde::de::DeserializeOwned>(column: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt {
        table: TABLE,
        column,
        value: text.chars().take(100).collect(),
        reason: error.to_string(),
    })
}

impl TryFrom<Row> for Waiting {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            new: json("content", &row.content)?,
            source: row.source,
            notes: json("notes", &row.notes)?,
            pushed_at: row.pushed_at,
            review_since: row.review_since,
        })
    }
}

fn text<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| unreachable!("plain data has a JSON form"))
}

const INSERT: &str = "insert into pending_versions \
     (package, version, index_digest, content, source, notes, pushed_at, pushed_by) \
     values ($1, $2, $3, $4, $5, $6, $7, $8)";

/// Adds a version that waits for signatures.
///
/// # Errors
/// [`StoreError::Statement`], also if the version waits already.
pub async fn insert(tx: &mut Tx, waiting: &Waiting) -> Result<(), StoreError> {
    let new = &waiting.new;
    on!(Tx, tx, c => sqlx::query(INSERT).bind(new.package.to_string()).bind(new.version.to_string())
        .bind(new.index_digest.as_str()).bind(text(new)).bind(&waiting.source).bind(text(&waiting.notes))
        .bind(waiting.pushed_at).bind(&new.published_by).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const FIND: &str = "select content, source, notes, pushed_at, review_since from pending_versions \
                    where package = $1 and version = $2";

/// The waiting version, if it is one.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn find(
    db: &Db,
    package: &PackageName,
    version: &Version,
) -> Result<Option<Waiting>, StoreError> {
    let row: Option<Row> = on!(Db, db, c => sqlx::query_as(FIND).bind(package.to_string())
        .bind(version.to_string()).fetch_optional(c).await)?;
    row.map(Waiting::try_from).transpose()
}

/// The same within a transaction.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn find_in(
    tx: &mut Tx,
    package: &PackageName,
    version: &Version,
) -> Result<Option<Waiting>, StoreError> {
    let row: Option<Row> = on!(Tx, tx, c => sqlx::query_as(FIND).bind(package.to_string())
        .bind(version.to_string()).fetch_optional(&mut **c).await)?;
    row.map(Waiting::try_from).transpose()
}

const OF: &str = "select content, source, notes, pushed_at, review_since from pending_versions \
                  where package = $1 order by pushed_at, version";

/// The waiting versions of a package, oldest first.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn of(db: &Db, package: &PackageName) -> Result<Vec<Waiting>, StoreError> {
    let rows: Vec<Row> =
        on!(Db, db, c => sqlx::query_as(OF).bind(package.to_string()).fetch_all(c).await)?;
    rows.into_iter().map(Waiting::try_from).collect()
}

const BY_DIGEST: &str = "select content, source, notes, pushed_at, review_since from pending_versions \
                         where package = $1 and index_digest = $2 order by version";

/// The waiting versions that have this index.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn by_digest(
    tx: &mut Tx,
    package: &PackageName,
    digest: &Digest,
) -> Result<Vec<Waiting>, StoreError> {
    let rows: Vec<Row> = on!(Tx, tx, c => sqlx::query_as(BY_DIGEST).bind(package.to_string())
        .bind(digest.as_str()).fetch_all(&mut **c).await)?;
    rows.into_iter().map(Waiting::try_from).collect()
}

const OF_NAMESPACE: &str = "select p.content, p.source, p.notes, p.pushed_at, p.review_since from pending_versions p \
     join repositories r on r.name = p.package where r.namespace = $1 order by p.package, p.version";

/// The waiting versions of a namespace.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn of_namespace(tx: &mut Tx, namespace: &str) -> Result<Vec<Waiting>, StoreError> {
    let rows: Vec<Row> = on!(Tx, tx, c => sqlx::query_as(OF_NAMESPACE).bind(namespace)
        .fetch_all(&mut **c).await)?;
    rows.into_iter().map(Waiting::try_from).collect()
}

const QUEUE: &str = "select content, source, notes, pushed_at, review_since from pending_versions \
                     where review_since is not null order by review_since, package, version limit $1";

/// Up to `limit` versions that wait for a reviewer, the longest wait first.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn queue(db: &Db, limit: i64) -> Result<Vec<Waiting>, StoreError> {
    let rows: Vec<Row> = on!(Db, db, c => sqlx::query_as(QUEUE).bind(limit).fetch_all(c).await)?;
    rows.into_iter().map(Waiting::try_from).collect()
}

const NEEDS: &str = "select version from pending_versions where package = $1 and index_digest = $2 \
     union select p.version from pending_versions p join manifest_references r \
     on r.repository = p.package and r.manifest = p.index_digest \
     where p.package = $1 and r.target = $2 and p.index_digest <> $2 order by version limit 1";

/// A waiting version whose index is `digest`, or has it as an entry.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn version_with(
    tx: &mut Tx,
    package: &PackageName,
    digest: &Digest,
) -> Result<Option<Version>, StoreError> {
    let version: Option<String> = on!(Tx, tx, c => sqlx::query_scalar(NEEDS)
        .bind(package.to_string()).bind(digest.as_str()).fetch_optional(&mut **c).await)?;
    version
        .map(|version| cell(TABLE, "version", &version))
        .transpose()
}

const AWAIT_REVIEW: &str = "update pending_versions set review_since = $3 \
                            where package = $1 and version = $2 and review_since is null";

/// Puts a version into the queue of reviewers; `false` if it is there.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn await_review(
    tx: &mut Tx,
    new: &NewVersion,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(AWAIT_REVIEW).bind(new.package.to_string())
        .bind(new.version.to_string()).bind(now).execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const AWAIT_SIGNATURES: &str = "update pending_versions set review_since = null \
                                where package = $1 and version = $2 and review_since is not null";

/// Takes a version out of the queue of reviewers: its signatures count no more.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn await_signatures(tx: &mut Tx, new: &NewVersion) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(AWAIT_SIGNATURES).bind(new.package.to_string())
        .bind(new.version.to_string()).execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const DELETE: &str = "delete from pending_versions where package = $1 and version = $2";

/// Ends the wait; `false` if there was none.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn delete(
    tx: &mut Tx,
    package: &PackageName,
    version: &Version,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(DELETE).bind(package.to_string()).bind(version.to_string())
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const UNSIGNED: &str = "select content, source, notes, pushed_at, review_since from pending_versions \
                        where review_since is null and pushed_at <= $1 order by pushed_at limit 200";

/// Up to 200 versions that were pushed before `before` and still wait for signatures.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn unsigned(db: &Db, before: DateTime<Utc>) -> Result<Vec<Waiting>, StoreError> {
    let rows: Vec<Row> =
        on!(Db, db, c => sqlx::query_as(UNSIGNED).bind(before).fetch_all(c).await)?;
    rows.into_iter().map(Waiting::try_from).collect()
}

const SIGNERS: &str = "select distinct coalesce(signer, 'key:' || fingerprint) from signatures \
                       where repository = $1 and subject = $2 and state = 'verified' order by 1";

/// The identities of the namespace that have signed a digest.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn signers(
    db: &Db,
    package: &PackageName,
    digest: &Digest,
) -> Result<Vec<String>, StoreError> {
    Ok(
        on!(Db, db, c => sqlx::query_scalar(SIGNERS).bind(package.to_string())
        .bind(digest.as_str()).fetch_all(c).await)?,
    )
}

/// The same within a transaction.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn signers_in(
    tx: &mut Tx,
    package: &PackageName,
    digest: &Digest,
) -> Result<Vec<String>, StoreError> {
    Ok(
        on!(Tx, tx, c => sqlx::query_scalar(SIGNERS).bind(package.to_string())
        .bind(digest.as_str()).fetch_all(&mut **c).await)?,
    )
}

const THRESHOLD: &str = "select threshold from namespaces where name = $1";

/// How many identities of a namespace must sign a version.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn threshold(db: &Db, namespace: &str) -> Result<u64, StoreError> {
    let number: Option<i64> =
        on!(Db, db, c => sqlx::query_scalar(THRESHOLD).bind(namespace).fetch_optional(c).await)?;
    Ok(super::uncount(number.unwrap_or(1)))
}

/// The same within a transaction.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn threshold_in(tx: &mut Tx, namespace: &str) -> Result<u64, StoreError> {
    let number: Option<i64> = on!(Tx, tx, c => sqlx::query_scalar(THRESHOLD).bind(namespace)
        .fetch_optional(&mut **c).await)?;
    Ok(super::uncount(number.unwrap_or(1)))
}
