// SPDX-License-Identifier: Apache-2.0
//! Table `deprecations`, and the columns of `versions` that say what was yanked.

use chrono::{DateTime, Utc};
use registry_schema::{
    Digest, PackageName, Version,
    api::{Deprecation, NewDeprecation},
    notice::Notice,
};

use super::{Db, StoreError, Tx, cell};

const YANK: &str =
    "update versions set yanked_at = $3, yank_reason = $4 where package = $1 and version = $2";

/// Withdraws a version.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn yank(
    tx: &mut Tx,
    package: &PackageName,
    version: &Version,
    reason: &Notice,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(YANK).bind(package.to_string()).bind(version.to_string())
        .bind(now).bind(reason.as_str()).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const UNYANK: &str =
    "update versions set yanked_at = null, yank_reason = null where package = $1 and version = $2";

/// Takes the withdrawal of a version back.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn unyank(
    tx: &mut Tx,
    package: &PackageName,
    version: &Version,
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(UNYANK).bind(package.to_string()).bind(version.to_string())
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

/// How `deprecations` names a version, or all of a package.
fn key(version: Option<&Version>) -> String {
    version.map_or_else(String::new, ToString::to_string)
}

const DEPRECATE: &str = "insert into deprecations (package, version, message, replacement, deprecated_at) \
     values ($1, $2, $3, $4, $5) on conflict (package, version) do update \
     set message = excluded.message, replacement = excluded.replacement";

/// Notes the advice against a version, or against all of a package. Advice that is there
/// keeps its date and gets the new words.
///
/// # Errors
/// [`StoreError::Statement`], also if there is no such package.
pub async fn deprecate(
    tx: &mut Tx,
    package: &PackageName,
    version: Option<&Version>,
    new: &NewDeprecation,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let replacement = new.replacement.as_ref().map(ToString::to_string);
    on!(Tx, tx, c => sqlx::query(DEPRECATE).bind(package.to_string()).bind(key(version))
        .bind(new.message.as_str()).bind(&replacement).bind(now).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const RESTORE: &str = "delete from deprecations where package = $1 and version = $2";

/// Takes the advice back; `false` if there was none.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn restore(
    tx: &mut Tx,
    package: &PackageName,
    version: Option<&Version>,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(RESTORE).bind(package.to_string()).bind(key(version))
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

#[derive(sqlx::FromRow)]
struct DeprecationRow {
    version: String,
    message: String,
    replacement: Option<String>,
    deprecated_at: DateTime<Utc>,
}

/// Advice as its cells say it.
pub(super) fn deprecation(
    message: &str,
    replacement: Option<&str>,
    since: DateTime<Utc>,
) -> Result<Deprecation, StoreError> {
    Ok(Deprecation {
        message: cell("deprecations", "message", message)?,
        replacement: replacement
            .map(|text| cell("deprecations", "replacement", text))
            .transpose()?,
        since,
    })
}

/// The advice against a package and against its versions.
#[derive(Debug, Clone, Default)]
pub struct Deprecations {
    /// Against all of it.
    pub package: Option<Deprecation>,
    /// Against single versions.
    pub versions: Vec<(Version, Deprecation)>,
}

impl Deprecations {
    /// The advice against one version alone.
    pub fn of(&self, version: &Version) -> Option<&Deprecation> {
        let mut all = self.versions.iter();
        all.find_map(|(about, advice)| (about == version).then_some(advice))
    }
}

const DEPRECATIONS: &str =
    "select version, message, replacement, deprecated_at from deprecations where package = $1";

/// All advice against a package and its versions.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn deprecations(db: &Db, package: &PackageName) -> Result<Deprecations, StoreError> {
    let rows: Vec<DeprecationRow> = on!(Db, db, c => sqlx::query_as(DEPRECATIONS)
        .bind(package.to_string()).fetch_all(c).await)?;
    let mut found = Deprecations::default();
    for row in rows {
        let replacement = row.replacement.as_deref();
        let advice = deprecation(&row.message, replacement, row.deprecated_at)?;
        if row.version.is_empty() {
            found.package = Some(advice);
        } else {
            let version = cell("deprecations", "version", &row.version)?;
            found.versions.push((version, advice));
        }
    }
    Ok(found)
}

/// A version as somebody who pulls it must see it.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// The version.
    pub version: Version,
    /// Why it was yanked, if it was.
    pub yanked: Option<String>,
    /// Whether there is advice against it or its package.
    pub deprecated: bool,
}

#[derive(sqlx::FromRow)]
struct PulledRow {
    version: String,
    yanked: bool,
    yank_reason: Option<String>,
    deprecated: bool,
}

const PULLED: &str = "select v.version, v.yanked_at is not null as yanked, v.yank_reason, \
     exists (select 1 from deprecations d where d.package = v.package and d.version in ('', v.version)) as deprecated \
     from versions v where v.package = $1 and v.index_digest = $2 order by v.version limit 1";

/// The version whose index is `digest`, if there is one.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn pulled(
    db: &Db,
    package: &PackageName,
    digest: &Digest,
) -> Result<Option<Pulled>, StoreError> {
    let row: Option<PulledRow> = on!(Db, db, c => sqlx::query_as(PULLED)
        .bind(package.to_string()).bind(digest.as_str()).fetch_optional(c).await)?;
    row.map(|row| {
        Ok(Pulled {
            version: cell("versions", "version", &row.version)?,
            yanked: row.yanked.then(|| row.yank_reason.unwrap_or_default()),
            deprecated: row.deprecated,
        })
    })
    .transpose()
}
