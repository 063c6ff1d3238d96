// SPDX-License-Identifier: Apache-2.0
//! Tables `uploads` and `upload_parts`: whose upload goes where, and, in a store that
//! replicas share, what has arrived of it and who continues it. Else the staged file says that.

use chrono::{DateTime, Utc};
use registry_schema::name::RepositoryName;

use super::{Db, StoreError, Tx, cell, uncount};
use crate::blob::Part;

/// An upload in progress.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Its identifier, a UUID.
    pub id: String,
    /// Where the blob will be.
    pub repository: RepositoryName,
    /// The only account that may continue it.
    pub account: String,
    /// When it is forgotten.
    pub expires_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    repository: String,
    account: String,
    expires_at: DateTime<Utc>,
}

impl TryFrom<Row> for Upload {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            repository: cell("uploads", "repository", &row.repository)?,
            id: row.id,
            account: row.account,
            expires_at: row.expires_at,
        })
    }
}

const INSERT: &str = "insert into uploads (id, repository, account, created_at, expires_at) \
                      values ($1, $2, $3, $4, $5)";

/// Adds an upload that begins now.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn insert(tx: &mut Tx, upload: &Upload, now: DateTime<Utc>) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(INSERT).bind(&upload.id).bind(upload.repository.as_str())
        .bind(&upload.account).bind(now).bind(upload.expires_at).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const FIND: &str = "select id, repository, account, expires_at from uploads where id = $1";

/// The upload with this identifier.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn find(db: &Db, id: &str) -> Result<Option<Upload>, StoreError> {
    let row: Option<Row> = on!(Db, db, c => sqlx::query_as(FIND).bind(id).fetch_optional(c).await)?;
    row.map(Upload::try_from).transpose()
}

const DELETE: &str = "delete from uploads where id = $1";

/// Ends an upload.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn delete(tx: &mut Tx, id: &str) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(DELETE).bind(id).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const EXPIRE: &str = "delete from uploads where expires_at <= $1";

/// Ends all uploads that have expired; gives how many.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn expire(tx: &mut Tx, now: DateTime<Utc>) -> Result<u64, StoreError> {
    Ok(
        on!(Tx, tx, c => sqlx::query(EXPIRE).bind(now).execute(&mut **c).await.map(|done| done.rows_affected()))?,
    )
}

const COUNT: &str = "select count(*) from uploads";

/// How many uploads are in progress.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn count(db: &Db) -> Result<u64, StoreError> {
    let number: i64 = on!(Db, db, c => sqlx::query_scalar(COUNT).fetch_one(c).await)?;
    Ok(uncount(number))
}

const CLAIM: &str = "update uploads set holder = $2, held_until = $3 \
                     where id = $1 and (holder is null or held_until <= $4)";

/// Lets `holder` alone continue the upload until `held_until`; `false` while another does,
/// or if there is no such upload.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn claim(
    tx: &mut Tx,
    id: &str,
    holder: &str,
    held_until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(CLAIM).bind(id).bind(holder).bind(held_until).bind(now)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const EXTEND: &str = "update uploads set held_until = $3 where id = $1 and holder = $2";

/// Lets `holder` continue until `held_until`; `false` if another has taken the upload.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn extend(
    tx: &mut Tx,
    id: &str,
    holder: &str,
    held_until: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(EXTEND).bind(id).bind(holder).bind(held_until)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const RELEASE: &str =
    "update uploads set holder = null, held_until = null where id = $1 and holder = $2";

/// Lets others continue the upload; `false` if one has taken it already.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn release(tx: &mut Tx, id: &str, holder: &str) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(RELEASE).bind(id).bind(holder).execute(&mut **c).await
        .map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const PARTS: &str =
    "select start_byte, size_bytes, object from upload_parts where upload = $1 order by start_byte";

/// The staged parts of an upload, in order.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn parts(db: &Db, id: &str) -> Result<Vec<Part>, StoreError> {
    let rows: Vec<(i64, i64, String)> =
        on!(Db, db, c => sqlx::query_as(PARTS).bind(id).fetch_all(c).await)?;
    Ok(rows
        .into_iter()
        .map(|(start, size, object)| Part {
            start: uncount(start),
            size_bytes: uncount(size),
            object,
        })
        .collect())
}

const INSERT_PART: &str =
    "insert into upload_parts (upload, start_byte, size_bytes, object) values ($1, $2, $3, $4)";

/// Adds a staged part to an upload.
///
/// # Errors
/// [`StoreError::Statement`], also if the upload has a part at that place.
pub async fn insert_part(tx: &mut Tx, id: &str, part: &Part) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(INSERT_PART).bind(id).bind(super::count(part.start))
        .bind(super::count(part.size_bytes)).bind(&part.object).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}
