// SPDX-License-Identifier: Apache-2.0
//! Table `jobs`: which replica runs which background job, and when it is due again.

use chrono::{DateTime, Utc};

use super::{Db, StoreError, Tx};

/// A background job as the replicas share it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// When it is due.
    pub next_at: DateTime<Utc>,
    /// Until when somebody is running it.
    pub held_until: Option<DateTime<Utc>>,
    /// When it last ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Why its last run failed; `None` if it did not.
    pub failure: Option<String>,
}

const FIND: &str =
    "select name, next_at, held_until, finished_at, failure from jobs where name = $1";

/// The job, if it was ever known.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn find(db: &Db, name: &str) -> Result<Option<Job>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(FIND).bind(name).fetch_optional(c).await)?)
}

const LIST: &str = "select name, next_at, held_until, finished_at, failure from jobs order by name";

/// All jobs, by name.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn list(db: &Db) -> Result<Vec<Job>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(LIST).fetch_all(c).await)?)
}

const INSERT: &str =
    "insert into jobs (name, next_at) values ($1, $2) on conflict (name) do nothing";

/// Makes the job known, due at `next_at`, unless it is known already.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn insert(tx: &mut Tx, name: &str, next_at: DateTime<Utc>) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(INSERT).bind(name).bind(next_at).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const CLAIM: &str = "update jobs set holder = $2, held_until = $3, started_at = $4 \
                     where name = $1 and (holder is null or held_until <= $4)";

/// Takes the job until `held_until`; `false` while another holder has it.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn claim(
    tx: &mut Tx,
    name: &str,
    holder: &str,
    held_until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(CLAIM).bind(name).bind(holder).bind(held_until).bind(now)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const EXTEND: &str = "update jobs set held_until = $3 where name = $1 and holder = $2";

/// Keeps the job until `held_until`; `false` if it was lost to another holder.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn extend(
    tx: &mut Tx,
    name: &str,
    holder: &str,
    held_until: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(EXTEND).bind(name).bind(holder).bind(held_until)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const RELEASE: &str = "update jobs set holder = null, held_until = null, next_at = $3, finished_at = $4, \
                       failure = $5 where name = $1 and holder = $2";

/// Gives the job back, due again at `next_at`; says how it went.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn release(
    tx: &mut Tx,
    name: &str,
    holder: &str,
    next_at: DateTime<Utc>,
    now: DateTime<Utc>,
    failure: Option<&str>,
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(RELEASE).bind(name).bind(holder).bind(next_at).bind(now)
        .bind(failure).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}
