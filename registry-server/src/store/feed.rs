// SPDX-License-Identifier: Apache-2.0
//! What was published last, for feeds.

use chrono::{DateTime, Utc};
use registry_schema::{PackageName, Version};

use super::{Db, StoreError, cell};

/// A version that was published.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The package.
    pub package: PackageName,
    /// The version.
    pub version: Version,
    /// When.
    pub published_at: DateTime<Utc>,
    /// By whom.
    pub published_by: String,
    /// The package manifest as JSON.
    pub config: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    package: String,
    version: String,
    published_at: DateTime<Utc>,
    published_by: String,
    config: String,
}

/// A new signer epoch of a package.
#[derive(Debug, Clone)]
pub struct NewEpoch {
    /// The package.
    pub package: PackageName,
    /// Its number.
    pub number: u32,
    /// `signer` or `transfer`.
    pub cause: String,
    /// When it began.
    pub began_at: DateTime<Utc>,
}

const EPOCHS: &str = "select e.package, e.number, e.cause, e.began_at from epochs e \
     join packages p on p.package = e.package join namespaces n on n.name = p.namespace \
     where e.number > 1 and ($1 = '' or p.namespace = $1) and ($2 = '' or p.package = $2) \
     and (n.visibility = 'public' or $1 <> '') order by e.began_at desc, e.package, e.number limit $3";

/// The signer epochs that began last and were not the first, chosen as by [`latest`].
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn epochs(
    db: &Db,
    namespace: &str,
    package: &str,
    limit: i64,
) -> Result<Vec<NewEpoch>, StoreError> {
    let rows: Vec<(String, i64, String, DateTime<Utc>)> = on!(Db, db, c => sqlx::query_as(EPOCHS)
        .bind(namespace).bind(package).bind(limit).fetch_all(c).await)?;
    rows.into_iter()
        .map(|(package, number, cause, began_at)| {
            Ok(NewEpoch {
                package: cell("epochs", "package", &package)?,
                number: u32::try_from(number).unwrap_or(u32::MAX),
                cause,
                began_at,
            })
        })
        .collect()
}

const LATEST: &str = "select v.package, v.version, v.published_at, v.published_by, v.config \
     from versions v join packages p on p.package = v.package join namespaces n on n.name = p.namespace \
     where v.yanked_at is null and ($1 = '' or p.namespace = $1) and ($2 = '' or p.package = $2) \
     and (n.visibility = 'public' or $1 <> '') \
     order by v.published_at desc, v.package, v.version limit $3";

/// The versions published last: of one package, of one namespace, or, with neither, of all
/// public ones. Withdrawn versions are left out.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn latest(
    db: &Db,
    namespace: &str,
    package: &str,
    limit: i64,
) -> Result<Vec<Entry>, StoreError> {
    let rows: Vec<Row> = on!(Db, db, c => sqlx::query_as(LATEST).bind(namespace).bind(package)
        .bind(limit).fetch_all(c).await)?;
    rows.into_iter()
        .map(|row| {
            Ok(Entry {
                package: cell("versions", "package", &row.package)?,
                version: cell("versions", "version", &row.version)?,
                published_at: row.published_at,
                published_by: row.published_by,
                config: row.config,
            })
        })
        .collect()
}
