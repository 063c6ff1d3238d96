// SPDX-License-Identifier: Apache-2.0
//! Table `contents`: the bytes of each digest, however many repositories hold it.
//!
//! A transaction that also touches `blobs` touches that first: all take their locks in the
//! same order.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use registry_schema::Digest;

use super::{Db, StoreError, Tx, cell, count, uncount};

/// What is known of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// They were right when last looked at.
    Present,
    /// They were found wrong or missing, and nobody reads them.
    Damaged,
    /// Somebody is removing them.
    Removing,
    /// They were removed.
    Removed,
}

impl FromStr for State {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "present" => Ok(Self::Present),
            "damaged" => Ok(Self::Damaged),
            "removing" => Ok(Self::Removing),
            "removed" => Ok(Self::Removed),
            _ => Err("not one of the four states"),
        }
    }
}

/// A content.
#[derive(Debug, Clone)]
pub struct Content {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// What is known of its bytes.
    pub state: State,
    /// How often they were taken away.
    pub removals: i64,
    /// When something last happened to them: stored, or let go of by a repository.
    pub changed_at: DateTime<Utc>,
    /// Whether a repository holds it.
    pub held: bool,
}

#[derive(sqlx::FromRow)]
struct Row {
    digest: String,
    size_bytes: i64,
    state: String,
    removals: i64,
    changed_at: DateTime<Utc>,
    held: bool,
}

impl TryFrom<Row> for Content {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            digest: cell("contents", "digest", &row.digest)?,
            size_bytes: uncount(row.size_bytes),
            state: cell("contents", "state", &row.state)?,
            removals: row.removals,
            changed_at: row.changed_at,
            held: row.held,
        })
    }
}

const FIND: &str = "select c.digest, c.size_bytes, c.state, c.removals, c.changed_at, \
                    exists (select 1 from blobs b where b.digest = c.digest) as held \
                    from contents c where c.digest = $1";

/// What is known of a digest's bytes; `None` if they never were here.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn find(db: &Db, digest: &Digest) -> Result<Option<Content>, StoreError> {
    let row: Option<Row> =
        on!(Db, db, c => sqlx::query_as(FIND).bind(digest.as_str()).fetch_optional(c).await)?;
    row.map(Content::try_from).transpose()
}

const HOLD: &str = "insert into contents (digest, size_bytes, state, removals, changed_at, checked_at) \
                    values ($1, $2, 'present', 0, $3, $3) \
                    on conflict (digest) do update set size_bytes = excluded.size_bytes, \
                      state = case when contents.state = 'removing' then contents.state else 'present' end, \
                      changed_at = excluded.changed_at, checked_at = excluded.checked_at \
                    returning state, removals";

/// Notes that the bytes were just stored and found right. Gives what they are now, and how
/// often they were taken away: if that is not as it was before they were stored, they may
/// be gone again.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn hold(
    tx: &mut Tx,
    digest: &Digest,
    size_bytes: u64,
    now: DateTime<Utc>,
) -> Result<(State, i64), StoreError> {
    let (state, removals): (String, i64) = on!(Tx, tx, c => sqlx::query_as(HOLD).bind(digest.as_str())
        .bind(count(size_bytes)).bind(now).fetch_one(&mut **c).await)?;
    Ok((cell("contents", "state", &state)?, removals))
}

const TOUCH: &str = "update contents set changed_at = $2 where digest = $1 and state <> 'removing'";

/// Starts the time anew after which bytes that nobody holds are removed; `false` if they
/// are being removed already.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn touch(tx: &mut Tx, digest: &Digest, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(TOUCH).bind(digest.as_str()).bind(now)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const UNHELD: &str = "select c.digest, c.size_bytes, c.state, c.removals, c.changed_at, false as held from contents c \
                      where c.digest > $1 and (c.state = 'removing' or (c.state <> 'removed' and c.changed_at <= $2)) \
                      and not exists (select 1 from blobs b where b.digest = c.digest) order by c.digest limit $3";

/// Up to `limit` contents after `last` that no repository has held since `before`, or that
/// somebody began to remove, by digest.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn unheld(
    db: &Db,
    last: &str,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Content>, StoreError> {
    let rows: Vec<Row> = on!(Db, db, c => sqlx::query_as(UNHELD).bind(last).bind(before).bind(limit)
        .fetch_all(c).await)?;
    rows.into_iter().map(Content::try_from).collect()
}

const LOCK: &str = "update contents set state = state where digest = $1 and state <> 'removed' and changed_at <= $2";
const HELD: &str = "select count(*) from blobs where digest = $1";
const CONDEMN: &str = "update contents set state = 'removing', removals = removals + 1 \
                       where digest = $1 and state <> 'removing'";

/// Marks bytes for removal if nobody has held them since `before`; `false` if somebody has.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn condemn(
    tx: &mut Tx,
    digest: &Digest,
    before: DateTime<Utc>,
) -> Result<bool, StoreError> {
    // Who is about to hold it holds this lock first, so the look after it sees them.
    let locked = on!(Tx, tx, c => sqlx::query(LOCK).bind(digest.as_str()).bind(before)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    let held: i64 =
        on!(Tx, tx, c => sqlx::query_scalar(HELD).bind(digest.as_str()).fetch_one(&mut **c).await)?;
    if locked == 0 || held > 0 {
        return Ok(false);
    }
    on!(Tx, tx, c => sqlx::query(CONDEMN).bind(digest.as_str()).execute(&mut **c).await.map(|_| ()))?;
    Ok(true)
}

const CONDEMN_ORPHAN: &str = "insert into contents (digest, size_bytes, state, removals, changed_at, checked_at) \
                              values ($1, $2, 'removing', 1, $3, $3) on conflict (digest) do update \
                              set state = 'removing', removals = contents.removals + 1 where contents.state = 'removed'";

/// Marks bytes for removal that the database knows nothing of; `false` if it does.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn condemn_orphan(
    tx: &mut Tx,
    digest: &Digest,
    size_bytes: u64,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(CONDEMN_ORPHAN).bind(digest.as_str()).bind(count(size_bytes))
        .bind(now).execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const REMOVED: &str = "update contents set state = 'removed', changed_at = $2 where digest = $1 and state = 'removing'";

/// Notes that bytes marked for removal are gone.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn removed(tx: &mut Tx, digest: &Digest, now: DateTime<Utc>) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(REMOVED).bind(digest.as_str()).bind(now).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const FORGET: &str = "delete from contents where state = 'removed' and changed_at <= $1";

/// Forgets bytes that were removed before `before`.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn forget(tx: &mut Tx, before: DateTime<Utc>) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(FORGET).bind(before).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const DUE: &str = "select c.digest, c.size_bytes, c.state, c.removals, c.changed_at, true as held from contents c \
                   where c.state in ('present', 'damaged') and c.checked_at < $1 \
                   order by c.checked_at, c.digest limit $2";

/// Up to `limit` contents that were last looked at before `before`, the longest ago first.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn due(db: &Db, before: DateTime<Utc>, limit: i64) -> Result<Vec<Content>, StoreError> {
    let rows: Vec<Row> =
        on!(Db, db, c => sqlx::query_as(DUE).bind(before).bind(limit).fetch_all(c).await)?;
    rows.into_iter().map(Content::try_from).collect()
}

const CHECKED: &str = "update contents set checked_at = $2 where digest = $1";

/// Notes that somebody has looked at the bytes.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn checked(tx: &mut Tx, digest: &Digest, now: DateTime<Utc>) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(CHECKED).bind(digest.as_str()).bind(now).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const DAMAGE: &str = "update contents set state = 'damaged', removals = removals + 1, checked_at = $3 \
                      where digest = $1 and removals = $2 and changed_at = $4 and state = 'present'";

/// Notes that the bytes are wrong; `false` if something happened to them since `content`
/// was read.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn damage(
    tx: &mut Tx,
    content: &Content,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(DAMAGE).bind(content.digest.as_str()).bind(content.removals)
        .bind(now).bind(content.changed_at).execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const LIST: &str = "select c.digest, c.size_bytes, c.state, c.removals, c.changed_at, \
                    exists (select 1 from blobs b where b.digest = c.digest) as held \
                    from contents c where c.digest > $1 and c.state in ('present', 'damaged') \
                    order by c.digest limit $2";

/// Up to `limit` contents after `last` that should be there, by digest.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn list(db: &Db, last: &str, limit: i64) -> Result<Vec<Content>, StoreError> {
    let rows: Vec<Row> =
        on!(Db, db, c => sqlx::query_as(LIST).bind(last).bind(limit).fetch_all(c).await)?;
    rows.into_iter().map(Content::try_from).collect()
}

const TOTAL: &str = "select count(*), cast(coalesce(sum(case when state = 'damaged' then 1 else 0 end), 0) as bigint), \
                     cast(coalesce(sum(size_bytes), 0) as bigint) from contents where state in ('present', 'damaged')";

/// How many contents there are, how many of them damaged, and how many bytes in all.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn total(db: &Db) -> Result<(u64, u64, u64), StoreError> {
    let (number, damaged, bytes): (i64, i64, i64) =
        on!(Db, db, c => sqlx::query_as(TOTAL).fetch_one(c).await)?;
    Ok((uncount(number), uncount(damaged), uncount(bytes)))
}
