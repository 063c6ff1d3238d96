// SPDX-License-Identifier: Apache-2.0
//! Table `uploads`: whose upload goes where. How far it is, is the length of its file.

use chrono::{DateTime, Utc};
use registry_schema::name::RepositoryName;

use super::{Db, StoreError, Tx, cell};

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
    Ok(super::uncount(number))
}
