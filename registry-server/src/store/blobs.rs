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

const FIND: &str = "select b.size_bytes, b.leased_until from blobs b join contents c on c.digest = b.digest \
                    where b.repository = $1 and b.digest = $2 and c.state = 'present'";

/// The size in bytes of a blob of the repository, and until when it is kept in any case;
/// `None` if it is not in this repository, or damaged.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn find(
    db: &Db,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<(u64, DateTime<Utc>)>, StoreError> {
    let found: Option<(i64, DateTime<Utc>)> = on!(Db, db, c => sqlx::query_as(FIND)
        .bind(repository.as_str()).bind(digest.as_str()).fetch_optional(c).await)?;
    Ok(found.map(|(size, leased_until)| (uncount(size), leased_until)))
}

/// The size alone, as [`find`] finds it.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn size(
    db: &Db,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<u64>, StoreError> {
    Ok(find(db, repository, digest).await?.map(|(size, _)| size))
}

const LOCK: &str = "update blobs set leased_until = leased_until where repository = $1 and digest = $2 \
                    and exists (select 1 from contents c where c.digest = blobs.digest and c.state = 'present') \
                    returning size_bytes";

/// The size in bytes of a blob of the repository, which nobody can take out of it until
/// the transaction ends. Who asks for several asks in the order of their digests.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn size_in(
    tx: &mut Tx,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<u64>, StoreError> {
    let size: Option<i64> = on!(Tx, tx, c => sqlx::query_scalar(LOCK).bind(repository.as_str())
        .bind(digest.as_str()).fetch_optional(&mut **c).await)?;
    Ok(size.map(uncount))
}

const LEASE: &str = "update blobs set leased_until = $3 where repository = $1 and digest = $2";

/// Keeps a blob until `leased_until`, used or not; `false` if the repository has it no more.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn lease(
    tx: &mut Tx,
    repository: &RepositoryName,
    digest: &Digest,
    leased_until: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(LEASE).bind(repository.as_str()).bind(digest.as_str())
        .bind(leased_until).execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

/// A blob that nothing refers to.
#[derive(Debug, Clone)]
pub struct Unused {
    /// Whose it is.
    pub repository: RepositoryName,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size_bytes: u64,
}

const UNUSED: &str = "select b.repository, b.digest, b.size_bytes from blobs b \
                      where (b.digest > $1 or (b.digest = $1 and b.repository > $2)) and b.leased_until <= $3 \
                      and not exists (select 1 from manifest_references r where r.repository = b.repository and r.target = b.digest) \
                      order by b.digest, b.repository limit $4";

/// Up to `limit` blobs after `last` that no manifest refers to and whose lease ended at
/// `now`, by digest.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn unused(
    db: &Db,
    last: (&str, &str),
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Unused>, StoreError> {
    let rows: Vec<(String, String, i64)> = on!(Db, db, c => sqlx::query_as(UNUSED).bind(last.0).bind(last.1)
        .bind(now).bind(limit).fetch_all(c).await)?;
    rows.into_iter()
        .map(|(repository, digest, size)| {
            Ok(Unused {
                repository: cell("blobs", "repository", &repository)?,
                digest: cell("blobs", "digest", &digest)?,
                size_bytes: uncount(size),
            })
        })
        .collect()
}

const LOCK_EXPIRED: &str = "update blobs set leased_until = leased_until \
                            where repository = $1 and digest = $2 and leased_until <= $3";
const USED: &str = "select count(*) from manifest_references where repository = $1 and target = $2";
const DELETE_LOCKED: &str = "delete from blobs where repository = $1 and digest = $2";

/// Takes a blob out of its repository if it is still unused and its lease has ended;
/// `false` if somebody was faster.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn collect(tx: &mut Tx, unused: &Unused, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let (repository, digest) = (unused.repository.as_str(), unused.digest.as_str());
    // A manifest that is being pushed holds this lock first, so the look after it sees it.
    let locked = on!(Tx, tx, c => sqlx::query(LOCK_EXPIRED).bind(repository).bind(digest).bind(now)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    let used: i64 = on!(Tx, tx, c => sqlx::query_scalar(USED).bind(repository).bind(digest)
        .fetch_one(&mut **c).await)?;
    if locked == 0 || used > 0 {
        return Ok(false);
    }
    on!(Tx, tx, c => sqlx::query(DELETE_LOCKED).bind(repository).bind(digest)
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(true)
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
