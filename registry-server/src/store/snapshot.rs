// SPDX-License-Identifier: Apache-2.0
//! A copy of the whole database, taken while it is in use.

use std::path::Path;

use super::{Db, StoreError};

const VACUUM: &str = "vacuum into $1";

/// Writes a consistent copy of a SQLite database to `path`, which must not exist; `false`
/// for PostgreSQL, whose own program copies it.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn take(db: &Db, path: &Path) -> Result<bool, StoreError> {
    match db {
        // A reader sees one moment of the database, however long it reads.
        Db::Sqlite(readers, ..) => {
            let path = path.to_string_lossy().into_owned();
            sqlx::query(VACUUM).bind(path).execute(readers).await?;
            Ok(true)
        }
        Db::Postgres(_) => Ok(false),
    }
}
