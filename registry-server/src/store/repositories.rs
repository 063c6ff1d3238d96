// SPDX-License-Identifier: Apache-2.0
//! Table `repositories`.

use chrono::{DateTime, Utc};
use registry_schema::name::RepositoryName;

use super::{Db, StoreError, Tx, cell};

const INSERT: &str = "insert into repositories (name, namespace, created_at) values ($1, $2, $3) \
                      on conflict (name) do nothing";

/// Makes the repository unless it exists. Its namespace must.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn insert(
    tx: &mut Tx,
    name: &RepositoryName,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(INSERT).bind(name.as_str()).bind(name.namespace()).bind(now)
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const LOCK: &str = "update repositories set created_at = created_at where name = $1";

/// Lets one transaction after the other change what the repository holds: what this one
/// finds there stays until it ends. (On SQLite all writers wait for each other anyway.)
/// Whoever adds manifests or tags, or takes manifests, tags or blobs away, takes this first.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn lock(tx: &mut Tx, name: &RepositoryName) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(LOCK).bind(name.as_str()).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const EXISTS: &str = "select count(*) from repositories where name = $1";

/// Whether anything was ever pushed to `name`.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn exists(db: &Db, name: &RepositoryName) -> Result<bool, StoreError> {
    let count: i64 =
        on!(Db, db, c => sqlx::query_scalar(EXISTS).bind(name.as_str()).fetch_one(c).await)?;
    Ok(count > 0)
}

const LIST: &str = "select r.name from repositories r join namespaces n on n.name = r.namespace \
                    where r.name > $1 and (n.visibility = 'public' or $2 or exists \
                      (select 1 from namespace_members m where m.namespace = n.name and m.account = $3)) \
                    order by r.name limit $4";

/// Up to `limit` repositories after `last` that `account` may read (all of them if
/// `everything`), by name.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn list(
    db: &Db,
    last: &str,
    account: &str,
    everything: bool,
    limit: i64,
) -> Result<Vec<RepositoryName>, StoreError> {
    let names: Vec<String> = on!(Db, db, c => sqlx::query_scalar(LIST).bind(last).bind(everything)
        .bind(account).bind(limit).fetch_all(c).await)?;
    names
        .iter()
        .map(|name| cell("repositories", "name", name))
        .collect()
}
