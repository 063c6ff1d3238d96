// SPDX-License-Identifier: Apache-2.0
//! Table `tags`.

use chrono::{DateTime, Utc};
use registry_schema::{
    Digest,
    name::{RepositoryName, Tag},
};

use super::{Db, StoreError, Tx, cell};

const FIND: &str = "select digest from tags where repository = $1 and name = $2";

/// The digest that a tag names.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn find(
    db: &Db,
    repository: &RepositoryName,
    tag: &Tag,
) -> Result<Option<Digest>, StoreError> {
    let digest: Option<String> = on!(Db, db, c => sqlx::query_scalar(FIND).bind(repository.as_str())
        .bind(tag.as_str()).fetch_optional(c).await)?;
    digest
        .map(|digest| cell("tags", "digest", &digest))
        .transpose()
}

/// The same within a transaction.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn find_in(
    tx: &mut Tx,
    repository: &RepositoryName,
    tag: &Tag,
) -> Result<Option<Digest>, StoreError> {
    let digest: Option<String> = on!(Tx, tx, c => sqlx::query_scalar(FIND).bind(repository.as_str())
        .bind(tag.as_str()).fetch_optional(&mut **c).await)?;
    digest
        .map(|digest| cell("tags", "digest", &digest))
        .transpose()
}

const SET: &str = "insert into tags (repository, name, digest, updated_at) values ($1, $2, $3, $4) \
                   on conflict (repository, name) do update \
                   set digest = excluded.digest, updated_at = excluded.updated_at";

/// Points a tag at a manifest that the repository holds.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn set(
    tx: &mut Tx,
    repository: &RepositoryName,
    tag: &Tag,
    digest: &Digest,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(SET).bind(repository.as_str()).bind(tag.as_str()).bind(digest.as_str())
        .bind(now).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const LIST: &str = "select name from tags where repository = $1";

/// All tags of a repository, in the order of their bytes, whatever the collation of
/// the database.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn list(db: &Db, repository: &RepositoryName) -> Result<Vec<Tag>, StoreError> {
    let mut names: Vec<String> = on!(Db, db, c => sqlx::query_scalar(LIST).bind(repository.as_str())
        .fetch_all(c).await)?;
    names.sort_unstable();
    names
        .iter()
        .map(|name| cell("tags", "name", name))
        .collect()
}

const DELETE: &str = "delete from tags where repository = $1 and name = $2";

/// Deletes a tag; its manifest stays. `false` if there is no such tag.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn delete(
    tx: &mut Tx,
    repository: &RepositoryName,
    tag: &Tag,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(DELETE).bind(repository.as_str()).bind(tag.as_str())
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const DELETE_OF: &str = "delete from tags where repository = $1 and digest = $2";

/// Deletes all tags that name `digest`.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn delete_of(
    tx: &mut Tx,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(DELETE_OF).bind(repository.as_str()).bind(digest.as_str())
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}
