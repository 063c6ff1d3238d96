// SPDX-License-Identifier: Apache-2.0
//! What the catalogue reads: tables `packages`, `versions`, `version_objects`, `signatures`,
//! `stars` and `pulls`, joined for showing.

use chrono::{DateTime, Utc};
use registry_schema::api::{Deprecation, SignatureState};
use registry_schema::{Digest, PackageName, Version};
use registry_schema::{notice::Notice, review::Pending};

use super::{Db, StoreError, Tx, cell, uncount};

/// A version as a list shows it.
#[derive(Debug, Clone)]
pub struct ListedVersion {
    /// The version.
    pub version: Version,
    /// Digest of its index.
    pub index_digest: Digest,
    /// When it was published.
    pub published_at: DateTime<Utc>,
    /// Whether it is withdrawn.
    pub yanked: bool,
    /// Why it was withdrawn.
    pub yank_reason: Option<Notice>,
    /// The advice against it.
    pub deprecated: Option<Deprecation>,
    /// The best of its signatures.
    pub signature: SignatureState,
    /// Pulls, each puller once a day.
    pub pulls: u64,
    /// What it waits for, if it is not published yet.
    pub pending: Option<Pending>,
}

#[derive(sqlx::FromRow)]
struct ListedRow {
    version: String,
    index_digest: String,
    published_at: DateTime<Utc>,
    yanked: bool,
    yank_reason: Option<String>,
    message: Option<String>,
    replacement: Option<String>,
    deprecated_at: Option<DateTime<Utc>>,
    signature: Option<i64>,
    pulls: i64,
}

const VERSIONS: &str = "select v.version, v.index_digest, v.published_at, v.yanked_at is not null as yanked, \
     v.yank_reason, d.message, d.replacement, d.deprecated_at, \
     (select cast(max(case s.state when 'verified' then 3 when 'revoked' then 2 when 'unknown_key' then 1 else 0 end) as bigint) \
      from signatures s where s.repository = v.package and s.subject = v.index_digest) as signature, \
     (select count(*) from pulls p where p.package = v.package and p.version = v.version) as pulls \
     from versions v left join deprecations d on d.package = v.package and d.version = v.version \
     where v.package = $1";

/// All versions of a package, highest first; none for a package that does not exist.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn versions(db: &Db, package: &PackageName) -> Result<Vec<ListedVersion>, StoreError> {
    let rows: Vec<ListedRow> =
        on!(Db, db, c => sqlx::query_as(VERSIONS).bind(package.to_string()).fetch_all(c).await)?;
    let mut versions = rows
        .into_iter()
        .map(ListedVersion::try_from)
        .collect::<Result<Vec<_>, StoreError>>()?;
    versions.sort_unstable_by(|a, b| b.version.cmp(&a.version));
    Ok(versions)
}

impl TryFrom<ListedRow> for ListedVersion {
    type Error = StoreError;

    fn try_from(row: ListedRow) -> Result<Self, StoreError> {
        let (message, since) = (row.message.as_deref(), row.deprecated_at);
        let advice = message.zip(since).map(|(message, since)| {
            super::lifecycle::deprecation(message, row.replacement.as_deref(), since)
        });
        let reason = row.yank_reason.as_deref();
        Ok(Self {
            yank_reason: reason
                .map(|reason| cell("versions", "yank_reason", reason))
                .transpose()?,
            deprecated: advice.transpose()?,
            version: cell("versions", "version", &row.version)?,
            index_digest: cell("versions", "index_digest", &row.index_digest)?,
            published_at: row.published_at,
            yanked: row.yanked,
            signature: match row.signature {
                Some(3) => SignatureState::Signed,
                Some(2) => SignatureState::Revoked,
                Some(1) => SignatureState::UnknownKey,
                _ => SignatureState::Unsigned,
            },
            pulls: uncount(row.pulls),
            pending: None,
        })
    }
}

/// What was published as one version.
#[derive(Debug, Clone)]
pub struct Published {
    /// The manifest as canonical JSON.
    pub config: String,
    /// The README blob, if there is one.
    pub readme_digest: Option<Digest>,
    /// Bytes of everything the index leads to.
    pub size_bytes: u64,
}

#[derive(sqlx::FromRow)]
struct PublishedRow {
    config: String,
    readme_digest: Option<String>,
    size_bytes: i64,
}

const PUBLISHED: &str =
    "select config, readme_digest, size_bytes from versions where package = $1 and version = $2";

/// What was published as `version`, if there is such a version.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn published(
    db: &Db,
    package: &PackageName,
    version: &Version,
) -> Result<Option<Published>, StoreError> {
    let row: Option<PublishedRow> = on!(Db, db, c => sqlx::query_as(PUBLISHED)
        .bind(package.to_string()).bind(version.to_string()).fetch_optional(c).await)?;
    let Some(row) = row else { return Ok(None) };
    let readme_digest = row.readme_digest.as_deref();
    Ok(Some(Published {
        config: row.config,
        readme_digest: readme_digest
            .map(|digest| cell("versions", "readme_digest", digest))
            .transpose()?,
        size_bytes: uncount(row.size_bytes),
    }))
}

/// An object of a version.
#[derive(Debug, Clone)]
pub struct Object {
    /// `bpfel`, `bpfeb`, `linux/amd64`, …
    pub target: String,
    /// The ELF file.
    pub object_digest: Digest,
    /// The derived profile as JSON.
    pub profile: String,
    /// The findings as a JSON array.
    pub findings: String,
}

#[derive(sqlx::FromRow)]
struct ObjectRow {
    target: String,
    object_digest: String,
    profile: String,
    findings: String,
}

const OBJECTS: &str = "select target, object_digest, profile, findings from version_objects \
                       where package = $1 and version = $2 order by target";

/// The objects of a version, by target.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn objects(
    db: &Db,
    package: &PackageName,
    version: &Version,
) -> Result<Vec<Object>, StoreError> {
    let rows: Vec<ObjectRow> = on!(Db, db, c => sqlx::query_as(OBJECTS)
        .bind(package.to_string()).bind(version.to_string()).fetch_all(c).await)?;
    rows.into_iter()
        .map(|row| {
            Ok(Object {
                target: row.target,
                object_digest: cell("version_objects", "object_digest", &row.object_digest)?,
                profile: row.profile,
                findings: row.findings,
            })
        })
        .collect()
}

const MOST_PULLED: &str = "select p.package from packages p join namespaces n on n.name = p.namespace \
     left join pulls l on l.package = p.package \
     where n.visibility = 'public' \
     group by p.package order by count(l.puller) desc, p.package limit $1";

/// The public packages with the most pulls.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn most_pulled(db: &Db, limit: i64) -> Result<Vec<PackageName>, StoreError> {
    let names: Vec<String> =
        on!(Db, db, c => sqlx::query_scalar(MOST_PULLED).bind(limit).fetch_all(c).await)?;
    names
        .iter()
        .map(|name| cell("packages", "package", name))
        .collect()
}

const NAMESPACES_OF: &str = "select namespace from namespace_members where account = $1";

/// The namespaces that an account is a member of.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn namespaces_of(db: &Db, account: &str) -> Result<Vec<String>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_scalar(NAMESPACES_OF).bind(account).fetch_all(c).await)?)
}

// What was given before a signer epoch began was earned by others.
const STARS: &str = "select count(*) from stars s where s.package = $1 \
     and not exists (select 1 from epochs e where e.package = s.package and e.began_at > s.starred_at)";

/// How many accounts starred a package in its signer epoch.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn stars(db: &Db, package: &PackageName) -> Result<u64, StoreError> {
    let number: i64 =
        on!(Db, db, c => sqlx::query_scalar(STARS).bind(package.to_string()).fetch_one(c).await)?;
    Ok(uncount(number))
}

const STARRED: &str = "select count(*) from stars s where s.package = $1 and s.account = $2 \
     and not exists (select 1 from epochs e where e.package = s.package and e.began_at > s.starred_at)";

/// Whether an account starred a package in its signer epoch.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn starred(db: &Db, package: &PackageName, account: &str) -> Result<bool, StoreError> {
    let number: i64 = on!(Db, db, c => sqlx::query_scalar(STARRED).bind(package.to_string())
        .bind(account).fetch_one(c).await)?;
    Ok(number > 0)
}

const STAR: &str = "insert into stars (package, account, starred_at, version) values ($1, $2, $3, $4) \
     on conflict (package, account) do update set starred_at = excluded.starred_at, version = excluded.version \
     where exists (select 1 from epochs e where e.package = stars.package and e.began_at > stars.starred_at)";

/// Gives a package the account's one star, on a version; `false` if it has it already in this
/// signer epoch.
///
/// # Errors
/// [`StoreError::Statement`], also if there is no such package or account.
pub async fn star(
    tx: &mut Tx,
    package: &PackageName,
    account: &str,
    version: &Version,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(STAR).bind(package.to_string()).bind(account).bind(now)
        .bind(version.to_string())
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const UNSTAR: &str = "delete from stars where package = $1 and account = $2";

/// Takes the account's star back; `false` if there was none.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn unstar(tx: &mut Tx, package: &PackageName, account: &str) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(UNSTAR).bind(package.to_string()).bind(account)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}
