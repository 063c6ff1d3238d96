// SPDX-License-Identifier: Apache-2.0
//! Tables `change_head` and `changes`: the feed that search indexes follow.

use chrono::{DateTime, Utc};
use registry_schema::PackageName;

use super::{Db, StoreError, Tx, cell};

/// A package that changed.
#[derive(Debug, Clone)]
pub struct Change {
    /// Its place in the feed; later changes have higher numbers.
    pub sequence: i64,
    /// What changed. Read the package anew: the feed does not say how.
    pub package: PackageName,
}

#[derive(sqlx::FromRow)]
struct Row {
    sequence: i64,
    package: String,
}

const ADVANCE: &str =
    "update change_head set sequence = sequence + 1 where id = 1 returning sequence";
const INSERT: &str = "insert into changes (sequence, package, changed_at) values ($1, $2, $3)";

/// Notes that a package changed. The row of the head stays locked until the
/// transaction ends, so that followers never see a number and later a smaller one.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn append(
    tx: &mut Tx,
    package: &PackageName,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let sequence: i64 = on!(Tx, tx, c => sqlx::query_scalar(ADVANCE).fetch_one(&mut **c).await)?;
    on!(Tx, tx, c => sqlx::query(INSERT).bind(sequence).bind(package.to_string()).bind(now)
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const HEAD: &str = "select sequence from change_head where id = 1";

/// The number of the last change; 0 before the first.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn head(db: &Db) -> Result<i64, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_scalar(HEAD).fetch_one(c).await)?)
}

const LIST: &str =
    "select sequence, package from changes where sequence > $1 order by sequence limit $2";

/// Up to `limit` changes after `sequence`, in order.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn list(db: &Db, sequence: i64, limit: i64) -> Result<Vec<Change>, StoreError> {
    let rows: Vec<Row> =
        on!(Db, db, c => sqlx::query_as(LIST).bind(sequence).bind(limit).fetch_all(c).await)?;
    rows.into_iter()
        .map(|row| {
            Ok(Change {
                sequence: row.sequence,
                package: cell("changes", "package", &row.package)?,
            })
        })
        .collect()
}
