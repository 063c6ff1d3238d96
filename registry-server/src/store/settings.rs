// SPDX-License-Identifier: Apache-2.0
//! Table `settings`: what the server itself remembers between starts.

use super::{Db, StoreError, Tx};

const FIND: &str = "select value from settings where name = $1";

/// The value of `name`, if it was ever set.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn find(db: &Db, name: &str) -> Result<Option<String>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_scalar(FIND).bind(name).fetch_optional(c).await)?)
}

const INSERT: &str =
    "insert into settings (name, value) values ($1, $2) on conflict (name) do nothing";

/// Sets `name` unless it has a value already.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn insert(tx: &mut Tx, name: &str, value: &str) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(INSERT).bind(name).bind(value).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}
