// SPDX-License-Identifier: Apache-2.0
//! Table `accounts`.

use chrono::{DateTime, Utc};

use super::{Db, StoreError, Tx};

const INSERT: &str = "insert into accounts (name, administrator, created_at) values ($1, $2, $3) \
                      on conflict (name) do nothing";

/// Adds an account; one of the same name stays as it is.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn insert(
    tx: &mut Tx,
    name: &str,
    administrator: bool,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(INSERT).bind(name).bind(administrator).bind(now)
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const COUNT: &str = "select count(*) from accounts";

/// How many accounts there are; none means that the server never started on this database.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn count(db: &Db) -> Result<i64, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_scalar(COUNT).fetch_one(c).await)?)
}

const ADMINISTRATOR: &str = "select administrator from accounts where name = $1";

/// Whether the account is an administrator; `None` if there is no such account.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn administrator(db: &Db, name: &str) -> Result<Option<bool>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_scalar(ADMINISTRATOR).bind(name).fetch_optional(c).await)?)
}
