// SPDX-License-Identifier: Apache-2.0
//! Which content of a repository belongs to a published version: its index, what that leads
//! to, and what refers to any of it, by subject or by a tag `sha256-<hex>…`.

use registry_schema::{Digest, media_type, name::RepositoryName};

use super::{Db, StoreError};

// From the content up to the index; each step is one of the three ways to belong to
// something. `substr(…, 8, 64)` is the hex of the tag. A package refers to nothing: its own
// version is what makes it public.
const IS_PUBLISHED: &str = "with recursive up (digest) as (select $2 union select e.above from up join \
     (select target as below, manifest as above from manifest_references where repository = $1 \
      union all select digest as below, subject as above from manifests where repository = $1 \
        and subject is not null and coalesce(artifact_type, '') <> $3 \
      union all select t.digest as below, 'sha256:' || substr(t.name, 8, 64) as above from tags t \
        join manifests m on m.repository = t.repository and m.digest = t.digest \
        where t.repository = $1 and t.name like 'sha256-%' and coalesce(m.artifact_type, '') <> $3) e \
      on e.below = up.digest) \
     select count(*) from versions v where v.package = $1 and v.index_digest in (select digest from up)";

/// Whether a manifest or blob belongs to a published version of the repository's package.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn is_published(
    db: &Db,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<bool, StoreError> {
    let number: i64 = on!(Db, db, c => sqlx::query_scalar(IS_PUBLISHED).bind(repository.as_str())
        .bind(digest.as_str()).bind(media_type::PACKAGE).fetch_one(c).await)?;
    Ok(number > 0)
}

const HAS_VERSION: &str = "select count(*) from packages where package = $1";

/// Whether the repository is a package with a published version.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn has_version(db: &Db, repository: &RepositoryName) -> Result<bool, StoreError> {
    let number: i64 = on!(Db, db, c => sqlx::query_scalar(HAS_VERSION).bind(repository.as_str())
        .fetch_one(c).await)?;
    Ok(number > 0)
}

const IS_REVIEWER: &str =
    "select count(*) from accounts where name = $1 and reviewer and disabled_at is null";

/// Whether an account may decide about versions that wait for review.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn is_reviewer(db: &Db, account: &str) -> Result<bool, StoreError> {
    let number: i64 =
        on!(Db, db, c => sqlx::query_scalar(IS_REVIEWER).bind(account).fetch_one(c).await)?;
    Ok(number > 0)
}
