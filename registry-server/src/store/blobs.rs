// SPDX-License-Identifier: Apache-2.0
//! Table `blobs`: which repository holds which content.

use chrono::{DateTime, Utc};
use registry_schema::{Digest, name::RepositoryName};

use super::{Db, StoreError, Tx, cell, count, uncount};

const INSERT: &str = "insert into blobs (repository, digest, size_bytes, created_at, leased_until) values ($1, $2, $3, $4, $5) \
     on conflict (repository, digest) do update set leased_until = excluded.leased_until";

/// Records that the repository holds `digest`, whose bytes are durable already, and
/// keeps it from collection until `leased_until`.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn insert(
    tx: &mut Tx,
    repository: &RepositoryName,
    digest: &Digest,
    size_bytes: u64,
    now: DateTime<Utc>,
    leased_until: DateTime<Utc>,
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(INSERT).bind(repository.as_str()).bind(digest.as_str())
        .bind(count(size_bytes)).bind(now).bind(leased_until).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const SIZE: &str = "select size_bytes from blobs where repository = $1 and digest = $2";

/// The size in bytes of a blob of the repository; `None` if it is not in this repository.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn size(
    db: &Db,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<u64>, StoreError> {
    let size: Option<i64> = on!(Db, db, c => sqlx::query_scalar(SIZE).bind(repository.as_str())
        .bind(digest.as_str()).fetch_optional(c).await)?;
    Ok(size.map(uncount))
}

/// The same within a transaction.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn size_in(
    tx: &mut Tx,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<u64>, StoreError> {
    let size: Option<i64> = on!(Tx, tx, c => sqlx::query_scalar(SIZE).bind(repository.as_str())
        .bind(digest.as_str()).fetch_optional(&mut **c).await)?;
    Ok(size.map(uncount))
}

const HOLDERS: &str =
    "select repository from blobs where digest = $1 order by repository limit 100";

/// Up to 100 repositories that hold `digest`.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn holders(db: &Db, digest: &Digest) -> Result<Vec<RepositoryName>, StoreError> {
    let names: Vec<String> =
        on!(Db, db, c => sqlx::query_scalar(HOLDERS).bind(digest.as_str()).fetch_all(c).await)?;
    names
        .iter()
        .map(|name| cell("blobs", "repository", name))
        .collect()
}

const DELETE: &str = "delete from blobs where repository = $1 and digest = $2";

/// Takes a blob out of the repository; `false` if it was not there.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn delete(
    tx: &mut Tx,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(DELETE).bind(repository.as_str()).bind(digest.as_str())
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const TOTAL: &str = "select count(*), cast(coalesce(sum(size_bytes), 0) as bigint) from blobs";

/// How many blobs all repositories hold, and how many bytes; shared content counts in each.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn total(db: &Db) -> Result<(u64, u64), StoreError> {
    let (number, bytes): (i64, i64) = on!(Db, db, c => sqlx::query_as(TOTAL).fetch_one(c).await)?;
    Ok((uncount(number), uncount(bytes)))
}
