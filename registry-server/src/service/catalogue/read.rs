// SPDX-License-Identifier: Apache-2.0
//! One package, one version.

use registry_schema::api::{
    PackageDetail, PackageSummary, Signature, SignatureState, TargetProfile, VersionDetail,
    VersionSummary,
};
use registry_schema::name::RepositoryName;
use registry_schema::trust::revocation::{Revoked, Subject};
use registry_schema::{PackageManifest, PackageName, Version};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::service::ServiceError;
use crate::service::access::{self, Caller};
use crate::service::revocation;
use crate::service::visible::{self, View};
use crate::service::{epoch, foreign, level, pending};
use crate::store::catalogue::{ListedVersion, Object, Published};
use crate::store::{self, StoreError};

/// Largest README that is read, in bytes.
const MAX_README: u64 = 1024 * 1024;

/// A package with all of its versions.
///
/// # Errors
/// [`ServiceError::RepositoryUnknown`], also if the caller may not read it.
pub async fn package(
    app: &App,
    caller: &Caller,
    name: &PackageName,
) -> Result<PackageDetail, ServiceError> {
    demand_read(app, caller, name).await?;
    let versions = versions(app, caller, name).await?;
    let summary = summary(app, name, &versions).await?;
    Ok(PackageDetail {
        summary: summary.ok_or(ServiceError::RepositoryUnknown(repository(name)?))?,
        versions: versions.into_iter().map(listed).collect(),
        epochs: epoch::list(app, name).await?,
    })
}

/// A version with all that is known of it.
///
/// # Errors
/// [`ServiceError::RepositoryUnknown`], also if the caller may not read it;
/// [`ServiceError::VersionUnknown`].
pub async fn version(
    app: &App,
    caller: &Caller,
    name: &PackageName,
    version: &Version,
) -> Result<VersionDetail, ServiceError> {
    demand_read(app, caller, name).await?;
    let versions = versions(app, caller, name).await?;
    if versions.is_empty() {
        return Err(ServiceError::RepositoryUnknown(repository(name)?));
    }
    let found = versions
        .into_iter()
        .find(|listed| listed.version == *version);
    let unknown = || ServiceError::VersionUnknown {
        package: name.clone(),
        version: version.clone(),
    };
    detail(app, name, found.ok_or_else(unknown)?).await
}

/// All versions that the caller sees, highest first: also those that wait, for who may
/// publish or review them.
pub(super) async fn versions(
    app: &App,
    caller: &Caller,
    name: &PackageName,
) -> Result<Vec<ListedVersion>, ServiceError> {
    let mut versions = store::catalogue::versions(&app.db, name).await?;
    let standing = access::standing(app, caller, name.namespace().as_str()).await?;
    if visible::view(app, caller, standing).await? != View::Inside {
        return Ok(versions);
    }
    for waiting in store::pending::of(&app.db, name).await? {
        let pending = pending::describe(app, &waiting).await?;
        let digest = &waiting.new.index_digest;
        let arrived = store::signatures::list(&app.db, &repository(name)?, digest).await?;
        let has = |state: &str| arrived.iter().any(|one| one.state == state);
        versions.push(ListedVersion {
            version: waiting.new.version.clone(),
            index_digest: digest.clone(),
            published_at: waiting.pushed_at,
            yanked: false,
            yank_reason: None,
            deprecated: None,
            signature: match (has("verified"), has("revoked"), has("unknown_key")) {
                (true, ..) => SignatureState::Signed,
                (false, true, _) => SignatureState::Revoked,
                (false, false, true) => SignatureState::UnknownKey,
                (false, false, false) => SignatureState::Unsigned,
            },
            pulls: 0,
            pending: Some(pending),
        });
    }
    versions.sort_unstable_by(|a, b| b.version.cmp(&a.version));
    Ok(versions)
}

/// What one may not read does not exist, whether logged in or not: the catalogue never asks for
/// a password.
pub(super) async fn demand_read(
    app: &App,
    caller: &Caller,
    name: &PackageName,
) -> Result<(), ServiceError> {
    if access::may_read(app, caller, &name.to_string()).await? {
        Ok(())
    } else {
        Err(ServiceError::RepositoryUnknown(repository(name)?))
    }
}

/// The version that `latest` means: the highest stable one that is not withdrawn; where there
/// is none, the highest that is not withdrawn; else the highest.
pub(super) fn latest(versions: &[ListedVersion]) -> Option<&ListedVersion> {
    let shown = || versions.iter().filter(|listed| listed.pending.is_none());
    let standing = || shown().filter(|listed| !listed.yanked);
    standing()
        .find(|listed| !listed.version.is_prerelease())
        .or_else(|| standing().next())
        .or_else(|| shown().next())
        .or_else(|| versions.first())
}

/// What a list shows of a package with these versions; none if there are none.
pub(super) async fn summary(
    app: &App,
    name: &PackageName,
    versions: &[ListedVersion],
) -> Result<Option<PackageSummary>, ServiceError> {
    let Some(latest) = latest(versions) else {
        return Ok(None);
    };
    let manifest = manifest(&published(app, name, latest).await?)?;
    Ok(Some(PackageSummary {
        name: name.clone(),
        version: latest.version.clone(),
        program_types: program_types(&manifest),
        summary: manifest.package.summary,
        license: manifest.package.license,
        keywords: manifest.package.keywords,
        categories: manifest.package.categories,
        signature: latest.signature,
        pulls: versions.iter().map(|listed| listed.pulls).sum(),
        stars: store::catalogue::stars(&app.db, name).await?,
        published_at: latest.published_at,
        yanked: latest.yanked,
        deprecated: store::lifecycle::deprecations(&app.db, name).await?.package,
    }))
}

/// Why a version is revoked, by its name or by its index.
async fn revoked(
    app: &App,
    name: &PackageName,
    listed: &ListedVersion,
) -> Result<Option<Revoked>, ServiceError> {
    let version = Subject::Version(name.clone(), listed.version.clone());
    if let Some(revoked) = revocation::find(app, &version).await? {
        return Ok(Some(revoked));
    }
    revocation::find(app, &Subject::Digest(listed.index_digest.clone())).await
}

/// Everything about one version.
pub(super) async fn detail(
    app: &App,
    name: &PackageName,
    listed: ListedVersion,
) -> Result<VersionDetail, ServiceError> {
    let published = published(app, name, &listed).await?;
    let signatures =
        store::signatures::list(&app.db, &repository(name)?, &listed.index_digest).await?;
    let (mut profiles, mut place) = (Vec::new(), None);
    for object in objects(app, name, &listed).await? {
        if place.is_none() {
            place = foreign::place_of(app, name, &object.object_digest).await?;
        }
        profiles.push(TargetProfile {
            target: object.target,
            object: object.object_digest,
            profile: json("version_objects", "profile", &object.profile)?,
            findings: json("version_objects", "findings", &object.findings)?,
        });
    }
    let readme = match &published.readme_digest {
        Some(digest) => {
            String::from_utf8_lossy(&app.blobs.read(digest, MAX_README).await?).into_owned()
        }
        None => String::new(),
    };
    let stars = store::epochs::stars(&app.db, name, &listed.version).await?;
    let (level, level_reasons) = level::of(app, name, &listed).await?;
    let revoked = revoked(app, name, &listed).await?;
    Ok(VersionDetail {
        name: name.clone(),
        version_stars: stars.on_version,
        former_stars: stars.before,
        epoch: epoch::list(app, name).await?.pop(),
        level,
        level_reasons,
        name_notes: store::names::notes(&app.db, name).await?,
        summary: self::listed(listed),
        manifest: manifest(&published)?,
        profiles,
        signatures: signatures.into_iter().map(signature).collect(),
        size: published.size_bytes,
        readme,
        stars: stars.now,
        place,
        revoked,
    })
}

/// Types of the programs, each once, in the order of the manifest.
fn program_types(manifest: &PackageManifest) -> Vec<String> {
    let mut types: Vec<String> = Vec::new();
    for program in &manifest.programs {
        let word = program.program_type.as_str();
        if !types.iter().any(|known| known == word) {
            types.push(word.to_owned());
        }
    }
    types
}

fn listed(version: ListedVersion) -> VersionSummary {
    VersionSummary {
        version: version.version,
        digest: version.index_digest,
        published_at: version.published_at,
        signature: version.signature,
        yanked: version.yanked,
        yank_reason: version.yank_reason,
        deprecated: version.deprecated,
        pulls: version.pulls,
        pending: version.pending,
    }
}

fn signature(row: store::signatures::Signature) -> Signature {
    Signature {
        key: row
            .fingerprint
            .and_then(|fingerprint| fingerprint.parse().ok()),
        signer: row.signer.and_then(|signer| signer.parse().ok()),
        registered: row.state == "verified",
        reason: row.reason,
        received_at: row.seen_at,
    }
}

async fn published(
    app: &App,
    name: &PackageName,
    listed: &ListedVersion,
) -> Result<Published, ServiceError> {
    let version = &listed.version;
    let published = if listed.pending.is_some() {
        let waiting = store::pending::find(&app.db, name, version).await?;
        waiting.map(|waiting| Published {
            config: waiting.new.config,
            readme_digest: waiting.new.readme_digest,
            size_bytes: waiting.new.size_bytes,
        })
    } else {
        store::catalogue::published(&app.db, name, version).await?
    };
    published.ok_or_else(|| ServiceError::VersionUnknown {
        package: name.clone(),
        version: version.clone(),
    })
}

async fn objects(
    app: &App,
    name: &PackageName,
    listed: &ListedVersion,
) -> Result<Vec<Object>, ServiceError> {
    let version = &listed.version;
    if listed.pending.is_none() {
        return Ok(store::catalogue::objects(&app.db, name, version).await?);
    }
    let waiting = store::pending::find(&app.db, name, version).await?;
    let objects = waiting.into_iter().flat_map(|waiting| waiting.new.objects);
    Ok(objects
        .map(|object| Object {
            target: object.target,
            object_digest: object.object_digest,
            profile: object.profile,
            findings: object.findings,
        })
        .collect())
}

fn manifest(published: &Published) -> Result<PackageManifest, ServiceError> {
    json("versions", "config", &published.config)
}

pub(super) fn repository(name: &PackageName) -> Result<RepositoryName, ServiceError> {
    Ok(name.to_string().parse()?)
}

/// Reads a JSON cell that this server wrote.
fn json<T: DeserializeOwned>(
    table: &'static str,
    column: &'static str,
    text: &str,
) -> Result<T, ServiceError> {
    serde_json::from_str(text).map_err(|error| {
        let value = text.chars().take(100).collect();
        StoreError::Corrupt {
            table,
            column,
            value,
            reason: error.to_string(),
        }
        .into()
    })
}
