// SPDX-License-Identifier: Apache-2.0
//! Table `reviews`: what was decided about versions.

use chrono::{DateTime, Utc};
use registry_schema::{Digest, PackageName, Version};

use super::{Db, StoreError, Tx, cell};

/// A decision as it is kept.
#[derive(Debug, Clone)]
pub struct Review {
    /// Its identifier.
    pub id: String,
    /// The package.
    pub package: PackageName,
    /// The version.
    pub version: Version,
    /// Digest of its index.
    pub index_digest: Digest,
    /// `accepted`, `approved` or `refused`.
    pub decision: String,
    /// The account; empty for the rules alone.
    pub decided_by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub decided_at: DateTime<Utc>,
    /// The signed record.
    pub record: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    package: String,
    version: String,
    index_digest: String,
    decision: String,
    decided_by: String,
    reason: String,
    decided_at: DateTime<Utc>,
    record: String,
}

impl TryFrom<Row> for Review {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        const TABLE: &str = "reviews";
        Ok(Self {
            id: row.id,
            package: cell(TABLE, "package", &row.package)?,
            version: cell(TABLE, "version", &row.version)?,
            index_digest: cell(TABLE, "index_digest", &row.index_digest)?,
            decision: row.decision,
            decided_by: row.decided_by,
            reason: row.reason,
            decided_at: row.decided_at,
            record: row.record,
        })
    }
}

const INSERT: &str = "insert into reviews \
     (id, package, version, index_digest, decision, decided_by, reason, decided_at, record) \
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// Adds a decision.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn insert(tx: &mut Tx, review: &Review) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(INSERT).bind(&review.id).bind(review.package.to_string())
        .bind(review.version.to_string()).bind(review.index_digest.as_str()).bind(&review.decision)
        .bind(&review.decided_by).bind(&review.reason).bind(review.decided_at).bind(&review.record)
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const LIST: &str = "select id, package, version, index_digest, decision, decided_by, reason, decided_at, record \
                    from reviews where package = $1 and version = $2 order by decided_at, id";

/// What was decided about a version, oldest first.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn list(
    db: &Db,
    package: &PackageName,
    version: &Version,
) -> Result<Vec<Review>, StoreError> {
    let rows: Vec<Row> = on!(Db, db, c => sqlx::query_as(LIST).bind(package.to_string())
        .bind(version.to_string()).fetch_all(c).await)?;
    rows.into_iter().map(Review::try_from).collect()
}

const LOOSE: &str = "select r.id, r.package, r.version, r.index_digest, r.decision, r.decided_by, r.reason, r.decided_at, r.record \
                     from reviews r where r.attached_at is null and exists (select 1 from manifests m \
                       where m.repository = r.package and m.digest = r.index_digest) order by r.decided_at limit 100";

/// Up to 100 decisions whose record is not among the referrers of its index yet.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn loose(db: &Db) -> Result<Vec<Review>, StoreError> {
    let rows: Vec<Row> = on!(Db, db, c => sqlx::query_as(LOOSE).fetch_all(c).await)?;
    rows.into_iter().map(Review::try_from).collect()
}

const ATTACHED: &str = "update reviews set attached_at = $2 where id = $1";

/// Notes that the record is among the referrers.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn attached(tx: &mut Tx, id: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(ATTACHED).bind(id).bind(now).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}
