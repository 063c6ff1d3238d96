// SPDX-License-Identifier: Apache-2.0
//! What the rules of a namespace let go: manifests that nothing names, tags beyond a number.

use chrono::{DateTime, Utc};
use registry_schema::{Digest, name::RepositoryName};

use super::{Db, StoreError, Tx, cell};

/// A manifest that a rule of its namespace lets go.
#[derive(Debug, Clone)]
pub struct Untagged {
    /// Where it is.
    pub repository: RepositoryName,
    /// Its digest.
    pub digest: Digest,
}

const UNTAGGED: &str = "select m.repository, m.digest from manifests m join repositories r on r.name = m.repository \
                        where r.namespace = $1 and m.created_at <= $2 and ($3 = '' or m.repository = $3) and ($4 = '' or m.digest = $4) \
                        and not exists (select 1 from tags t where t.repository = m.repository and t.digest = m.digest) \
                        and not exists (select 1 from manifest_references p where p.repository = m.repository \
                          and p.target = m.digest and p.kind = 'manifest') \
                        and not exists (select 1 from manifests s where s.repository = m.repository and s.digest = m.subject) \
                        and not exists (select 1 from versions v where v.package = m.repository and v.index_digest = m.digest) \
                        and not exists (select 1 from pending_versions w where w.package = m.repository and w.index_digest = m.digest) \
                        order by m.repository, m.digest limit 1000";

/// Up to 1000 manifests of a namespace that were pushed before `before` and have no tag, no
/// index that lists them, no subject that is there, and are no version.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn untagged(
    db: &Db,
    namespace: &str,
    before: DateTime<Utc>,
) -> Result<Vec<Untagged>, StoreError> {
    let rows: Vec<(String, String)> = on!(Db, db, c => sqlx::query_as(UNTAGGED).bind(namespace).bind(before)
        .bind("").bind("").fetch_all(c).await)?;
    rows.into_iter()
        .map(|(repository, digest)| {
            Ok(Untagged {
                repository: cell("manifests", "repository", &repository)?,
                digest: cell("manifests", "digest", &digest)?,
            })
        })
        .collect()
}

/// Whether one of them is still such a manifest, within the transaction that removes it.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn is_untagged(
    tx: &mut Tx,
    untagged: &Untagged,
    before: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let Untagged { repository, digest } = untagged;
    let row: Option<(String, String)> = on!(Tx, tx, c => sqlx::query_as(UNTAGGED).bind(repository.namespace())
        .bind(before).bind(repository.as_str()).bind(digest.as_str()).fetch_optional(&mut **c).await)?;
    Ok(row.is_some())
}

const TAGGED: &str = "select t.repository, t.name, t.digest, t.updated_at from tags t join repositories r on r.name = t.repository \
                      where r.namespace = $1 and not exists (select 1 from versions v where v.package = t.repository and v.version = t.name) \
                      order by t.repository, t.updated_at desc, t.name";

/// A tag that is no version.
#[derive(Debug, Clone)]
pub struct PlainTag {
    /// Where it is.
    pub repository: RepositoryName,
    /// Its name.
    pub name: String,
    /// What it names.
    pub digest: Digest,
    /// When it was last set.
    pub updated_at: DateTime<Utc>,
}

/// The tags of a namespace that are no versions; in each repository, the newest first.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn plain_tags(db: &Db, namespace: &str) -> Result<Vec<PlainTag>, StoreError> {
    let rows: Vec<(String, String, String, DateTime<Utc>)> =
        on!(Db, db, c => sqlx::query_as(TAGGED).bind(namespace).fetch_all(c).await)?;
    rows.into_iter()
        .map(|(repository, name, digest, updated_at)| {
            Ok(PlainTag {
                repository: cell("tags", "repository", &repository)?,
                digest: cell("tags", "digest", &digest)?,
                name,
                updated_at,
            })
        })
        .collect()
}
