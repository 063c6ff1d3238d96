// SPDX-License-Identifier: Apache-2.0
//! Tables `packages`, `versions` and `version_objects`: what a publish writes. The
//! catalogue's reads are in `catalogue.rs`.

use chrono::{DateTime, Utc};
use registry_schema::{Digest, PackageName, Version};

use super::{Db, StoreError, Tx, cell, count};

/// A version about to be recorded.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct NewVersion {
    /// The package.
    pub package: PackageName,
    /// The version.
    pub version: Version,
    /// The digest of its index.
    pub index_digest: Digest,
    /// The package manifest as canonical JSON.
    pub config: String,
    /// The README blob, if there is one.
    pub readme_digest: Option<Digest>,
    /// Size in bytes of everything the index leads to.
    pub size_bytes: u64,
    /// The account that publishes.
    pub published_by: String,
    /// Its objects.
    pub objects: Vec<NewObject>,
}

/// An object of a version about to be recorded.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct NewObject {
    /// `bpfel`, `bpfeb`, `linux/amd64`, …
    pub target: String,
    /// The package manifest that carries it.
    pub manifest_digest: Digest,
    /// The ELF file.
    pub object_digest: Digest,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The derived profile as JSON.
    pub profile: String,
    /// The findings as a JSON array.
    pub findings: String,
}

const UPSERT_PACKAGE: &str = "insert into packages (package, namespace, name, created_at, updated_at) values ($1, $2, $3, $4, $4) \
     on conflict (package) do update set updated_at = excluded.updated_at";
const INSERT_VERSION: &str = "insert into versions \
     (package, version, index_digest, config, readme_digest, size_bytes, published_at, published_by) \
     values ($1, $2, $3, $4, $5, $6, $7, $8)";
const INSERT_OBJECT: &str = "insert into version_objects \
     (package, version, target, manifest_digest, object_digest, size_bytes, profile, findings) \
     values ($1, $2, $3, $4, $5, $6, $7, $8)";

/// Records a version and its objects, and its package if it is the first.
///
/// # Errors
/// [`StoreError::Statement`], also if the version exists.
pub async fn insert_version(
    tx: &mut Tx,
    new: &NewVersion,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let (package, version) = (new.package.to_string(), new.version.to_string());
    on!(Tx, tx, c => sqlx::query(UPSERT_PACKAGE).bind(&package).bind(new.package.namespace().as_str())
        .bind(new.package.name()).bind(now).execute(&mut **c).await.map(|_| ()))?;
    on!(Tx, tx, c => sqlx::query(INSERT_VERSION).bind(&package).bind(&version)
        .bind(new.index_digest.as_str()).bind(&new.config)
        .bind(new.readme_digest.as_ref().map(Digest::as_str)).bind(count(new.size_bytes)).bind(now)
        .bind(&new.published_by).execute(&mut **c).await.map(|_| ()))?;
    for object in &new.objects {
        on!(Tx, tx, c => sqlx::query(INSERT_OBJECT).bind(&package).bind(&version).bind(&object.target)
            .bind(object.manifest_digest.as_str()).bind(object.object_digest.as_str())
            .bind(count(object.size_bytes)).bind(&object.profile).bind(&object.findings)
            .execute(&mut **c).await.map(|_| ()))?;
    }
    Ok(())
}

const VERSION_WITH: &str = "select version from versions where package = $1 and index_digest = $2 \
     union select v.version from versions v join manifest_references r \
     on r.repository = v.package and r.manifest = v.index_digest \
     where v.package = $1 and r.target = $2 order by version limit 1";

/// A version whose index is `digest`, or has it as an entry.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn version_with(
    tx: &mut Tx,
    package: &PackageName,
    digest: &Digest,
) -> Result<Option<Version>, StoreError> {
    let version: Option<String> = on!(Tx, tx, c => sqlx::query_scalar(VERSION_WITH)
        .bind(package.to_string()).bind(digest.as_str()).fetch_optional(&mut **c).await)?;
    version
        .map(|version| cell("versions", "version", &version))
        .transpose()
}

const INDEX_OF: &str = "select index_digest from versions where package = $1 and version = $2";

/// The digest of a version's index, if the version is published.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn index_of(
    tx: &mut Tx,
    package: &PackageName,
    version: &Version,
) -> Result<Option<Digest>, StoreError> {
    let digest: Option<String> = on!(Tx, tx, c => sqlx::query_scalar(INDEX_OF)
        .bind(package.to_string()).bind(version.to_string()).fetch_optional(&mut **c).await)?;
    digest
        .map(|digest| cell("versions", "index_digest", &digest))
        .transpose()
}

const EXISTS: &str = "select count(*) from packages where package = $1";

/// Whether the package has a version.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn exists(tx: &mut Tx, package: &PackageName) -> Result<bool, StoreError> {
    let number: i64 = on!(Tx, tx, c => sqlx::query_scalar(EXISTS).bind(package.to_string())
        .fetch_one(&mut **c).await)?;
    Ok(number > 0)
}

/// A version as far as choosing one needs it.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The version.
    pub version: Version,
    /// The digest of its index.
    pub index_digest: Digest,
    /// Whether it was yanked.
    pub yanked: bool,
}

#[derive(sqlx::FromRow)]
struct ChoiceRow {
    version: String,
    index_digest: String,
    yanked: bool,
}

const CHOICES: &str = "select version, index_digest, yanked_at is not null as yanked from versions where package = $1";

/// All versions of a package, highest first.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn choices(db: &Db, package: &PackageName) -> Result<Vec<Choice>, StoreError> {
    let rows: Vec<ChoiceRow> =
        on!(Db, db, c => sqlx::query_as(CHOICES).bind(package.to_string()).fetch_all(c).await)?;
    let mut choices = rows
        .into_iter()
        .map(|row| {
            Ok(Choice {
                version: cell("versions", "version", &row.version)?,
                index_digest: cell("versions", "index_digest", &row.index_digest)?,
                yanked: row.yanked,
            })
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    choices.sort_unstable_by(|a, b| b.version.cmp(&a.version));
    Ok(choices)
}

const PULLED: &str =
    "select count(*) from pulls where package = $1 and version = $2 and day = $3 and puller = $4";

/// Whether this puller was counted for the version on that day.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn pulled(
    db: &Db,
    package: &PackageName,
    version: &Version,
    day: i64,
    puller: &str,
) -> Result<bool, StoreError> {
    let number: i64 = on!(Db, db, c => sqlx::query_scalar(PULLED).bind(package.to_string())
        .bind(version.to_string()).bind(day).bind(puller).fetch_one(c).await)?;
    Ok(number > 0)
}

const INSERT_PULL: &str = "insert into pulls (package, version, day, puller) values ($1, $2, $3, $4) on conflict do nothing";

/// Counts a pull of a version, at most once per day and puller.
///
/// # Errors
/// [`StoreError::Statement`], also if there is no such version.
pub async fn insert_pull(
    tx: &mut Tx,
    package: &PackageName,
    version: &Version,
    day: i64,
    puller: &str,
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(INSERT_PULL).bind(package.to_string()).bind(version.to_string()).bind(day)
        .bind(puller).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const TOTAL: &str = "select (select count(*) from packages), (select count(*) from versions)";

/// How many packages and how many versions there are.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn total(db: &Db) -> Result<(u64, u64), StoreError> {
    let (packages, versions): (i64, i64) =
        on!(Db, db, c => sqlx::query_as(TOTAL).fetch_one(c).await)?;
    Ok((super::uncount(packages), super::uncount(versions)))
}
