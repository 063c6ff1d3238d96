// SPDX-License-Identifier: Apache-2.0
//! Table `certificates`: client certificates that stand for accounts.

use chrono::{DateTime, Utc};

use super::{Db, StoreError, Tx};

/// A mapping as it is kept.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Certificate {
    /// `uri`, `dns`, `email` or `spki`.
    pub kind: String,
    /// The name, or the hash of the key.
    pub value: String,
    /// The account.
    pub account: String,
    /// When it was added.
    pub added_at: DateTime<Utc>,
    /// By whom.
    pub added_by: String,
}

const INSERT: &str = "insert into certificates (kind, value, account, added_at, added_by) \
     values ($1, $2, $3, $4, $5) on conflict (kind, value) do nothing";

/// Adds a mapping; `false` if the name or key stands for an account already.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn insert(tx: &mut Tx, row: &Certificate) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(INSERT).bind(&row.kind).bind(&row.value)
        .bind(&row.account).bind(row.added_at).bind(&row.added_by)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const FIND: &str = "select account from certificates where kind = $1 and value = $2";

/// The account that a name or key stands for.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn find(db: &Db, kind: &str, value: &str) -> Result<Option<String>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_scalar(FIND).bind(kind).bind(value).fetch_optional(c).await)?)
}

const LIST: &str =
    "select kind, value, account, added_at, added_by from certificates order by kind, value";

/// All mappings.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn list(db: &Db) -> Result<Vec<Certificate>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(LIST).fetch_all(c).await)?)
}

const DELETE: &str = "delete from certificates where kind = $1 and value = $2";

/// Removes a mapping; `false` if there is none.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn delete(tx: &mut Tx, kind: &str, value: &str) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(DELETE).bind(kind).bind(value)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}
