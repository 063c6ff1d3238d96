// SPDX-License-Identifier: Apache-2.0
//! Tables `trust_roots`, `revocations` and `revocation_feed`.

use chrono::{DateTime, Utc};
use registry_schema::{
    Digest, PackageName, Version,
    trust::revocation::{Revoked, Subject},
};

use super::{Db, StoreError, Tx, cell};

const LATEST: &str = "select body from trust_roots order by version desc limit 1";

/// The newest trust root, as it was signed.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn latest_root(db: &Db) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_scalar(LATEST).fetch_optional(c).await)?)
}

/// As [`latest_root`], in a transaction.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn latest_root_in(tx: &mut Tx) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(on!(Tx, tx, c => sqlx::query_scalar(LATEST).fetch_optional(&mut **c).await)?)
}

const ROOT: &str = "select body from trust_roots where version = $1";

/// One version of the trust root.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn root(db: &Db, version: i64) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_scalar(ROOT).bind(version).fetch_optional(c).await)?)
}

const INSERT_ROOT: &str = "insert into trust_roots (version, body, published_at, published_by) \
     values ($1, $2, $3, $4) on conflict (version) do nothing";

/// Adds a version of the trust root; `false` if it is there already.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn insert_root(
    tx: &mut Tx,
    version: i64,
    body: &[u8],
    at: DateTime<Utc>,
    by: &str,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(INSERT_ROOT).bind(version).bind(body).bind(at).bind(by)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows == 1)
}

/// The feed that was signed last.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct SignedFeed {
    /// Its version; 0 if none was signed yet.
    pub version: i64,
    /// The envelope; none if none was signed yet.
    pub body: Option<Vec<u8>>,
    /// When it was signed.
    pub issued_at: Option<DateTime<Utc>>,
    /// When it counts no more.
    pub expires_at: Option<DateTime<Utc>>,
}

const FEED: &str = "select version, body, issued_at, expires_at from revocation_feed where id = 1";

/// The feed that was signed last.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn feed(db: &Db) -> Result<SignedFeed, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(FEED).fetch_one(c).await)?)
}

const TAKE: &str =
    "update revocation_feed set version = version + 1 where id = 1 returning version";

/// Takes the next version of the feed, and keeps others from taking one until the
/// transaction ends.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn take_feed(tx: &mut Tx) -> Result<i64, StoreError> {
    Ok(on!(Tx, tx, c => sqlx::query_scalar(TAKE).fetch_one(&mut **c).await)?)
}

const SET: &str =
    "update revocation_feed set body = $1, issued_at = $2, expires_at = $3 where id = 1";

/// Keeps the feed whose version was taken.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn set_feed(
    tx: &mut Tx,
    body: &[u8],
    issued_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(SET).bind(body).bind(issued_at).bind(expires_at)
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    subject: String,
    revoked_at: DateTime<Utc>,
    reason: String,
    note: String,
}

impl TryFrom<Row> for Revoked {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            subject: cell("revocations", "subject", &row.subject)?,
            at: row.revoked_at,
            reason: cell("revocations", "reason", &row.reason)?,
            note: row.note,
        })
    }
}

const LIST: &str =
    "select subject, revoked_at, reason, note from revocations order by sequence limit 50000";

/// Everything that is revoked, in the order in which it was.
///
/// # Errors
/// [`StoreError::Statement`], [`StoreError::Corrupt`].
pub async fn revoked_in(tx: &mut Tx) -> Result<Vec<Revoked>, StoreError> {
    let rows: Vec<Row> = on!(Tx, tx, c => sqlx::query_as(LIST).fetch_all(&mut **c).await)?;
    rows.into_iter().map(Revoked::try_from).collect()
}

const FIND: &str = "select subject, revoked_at, reason, note from revocations where subject = $1";

/// Why `subject` is revoked, if it is.
///
/// # Errors
/// [`StoreError::Statement`], [`StoreError::Corrupt`].
pub async fn find_revoked(db: &Db, subject: &Subject) -> Result<Option<Revoked>, StoreError> {
    let row: Option<Row> = on!(Db, db, c => sqlx::query_as(FIND).bind(subject.to_string())
        .fetch_optional(c).await)?;
    row.map(Revoked::try_from).transpose()
}

const INSERT: &str = "insert into revocations \
     (subject, sequence, revoked_at, reason, note, added_at, added_by) \
     values ($1, $2, $3, $4, $5, $6, $7) \
     on conflict (subject) do update set sequence = excluded.sequence, note = excluded.note, \
     added_at = excluded.added_at, added_by = excluded.added_by, \
     revoked_at = case when excluded.revoked_at < revocations.revoked_at \
     then excluded.revoked_at else revocations.revoked_at end, \
     reason = case when excluded.reason = 'superseded' \
     then revocations.reason else excluded.reason end \
     where excluded.revoked_at < revocations.revoked_at \
     or (revocations.reason = 'superseded' and excluded.reason <> 'superseded')";

/// Adds a revocation, or makes one that is there stricter; `false` if the subject is revoked
/// as strictly already.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn insert_revoked(
    tx: &mut Tx,
    revoked: &Revoked,
    sequence: i64,
    at: DateTime<Utc>,
    by: &str,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(INSERT).bind(revoked.subject.to_string()).bind(sequence)
        .bind(revoked.at).bind(revoked.reason.as_str()).bind(&revoked.note).bind(at).bind(by)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows == 1)
}

const OFFERED: &str = "select package, version from versions where yanked_at is null \
     and (index_digest = $1 or 'version:' || package || ':' || version = $1)";

/// The versions that are what `subject` names and that are not withdrawn.
///
/// # Errors
/// [`StoreError::Statement`], [`StoreError::Corrupt`].
pub async fn offered(
    tx: &mut Tx,
    subject: &Subject,
) -> Result<Vec<(PackageName, Version)>, StoreError> {
    let rows: Vec<(String, String)> = on!(Tx, tx, c => sqlx::query_as(OFFERED)
        .bind(subject.to_string()).fetch_all(&mut **c).await)?;
    rows.into_iter()
        .map(|(package, version)| {
            Ok((
                cell("versions", "package", &package)?,
                cell("versions", "version", &version)?,
            ))
        })
        .collect()
}

const REVOKED_VERSION: &str = "select count(*) from revocations r \
     join versions v on r.subject in (v.index_digest, 'version:' || v.package || ':' || v.version) \
     where v.package = $1 and v.version = $2";

/// Whether a version, or its index, is revoked.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn is_revoked(
    tx: &mut Tx,
    package: &PackageName,
    version: &Version,
) -> Result<bool, StoreError> {
    let entries: i64 = on!(Tx, tx, c => sqlx::query_scalar(REVOKED_VERSION)
        .bind(package.to_string()).bind(version.to_string()).fetch_one(&mut **c).await)?;
    Ok(entries > 0)
}

const BY_INDEX: &str = "select distinct p.namespace from versions v \
     join packages p on p.package = v.package where v.index_digest = $1";

/// The namespaces that published a version with this index.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn publishers_of(db: &Db, index: &Digest) -> Result<Vec<String>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_scalar(BY_INDEX).bind(index.as_str()).fetch_all(c).await)?)
}

const BY_KEY: &str = "select distinct p.namespace from signatures s \
     join versions v on v.package = s.repository and v.index_digest = s.subject \
     join packages p on p.package = v.package \
     where s.fingerprint = $1 and s.state = 'verified'";

/// The namespaces that published a version which this key verifiably signed.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn publishers_with(db: &Db, key: &str) -> Result<Vec<String>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_scalar(BY_KEY).bind(key).fetch_all(c).await)?)
}
