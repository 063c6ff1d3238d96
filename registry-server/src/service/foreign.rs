// SPDX-License-Identifier: Apache-2.0
//! Packages whose bytes stay in another registry: the catalogue lists and judges them, and
//! who pulls them is sent on.
//!
//! Manifests, configs, READMEs and signatures are kept here, because pages and verdicts are
//! made of them. Objects are fetched once, looked at, and not kept.

use std::collections::BTreeMap;

use registry_client::{
    copy::{ContentName, Plan, Wanted},
    source::Source,
};
use registry_schema::{
    Digest, PackageName, Version,
    federation::{Foreign, NewForeign, UpstreamMode},
    media_type,
    name::RepositoryName,
};
use serde_json::json;

use super::{
    ServiceError,
    access::{self, Caller},
    audit,
    manifest::Given,
    mirror::{self, Kept, UpstreamError},
};
use crate::{
    app::App,
    store::{
        self,
        upstreams::{Remote, Upstream},
    },
};

/// Lists a version of another registry in a package of ours. The content there may go on
/// to change; what is listed is the digest that was there now.
///
/// # Errors
/// Those of [`access::demand_owner`]; [`ServiceError::Upstream`] if the other registry does
/// not give it, or it is no version of this package; [`ServiceError::Publish`] if it fails
/// the checks of a push; [`ServiceError::Immutable`].
pub async fn list(
    app: &App,
    caller: &Caller,
    package: &PackageName,
    new: &NewForeign,
) -> Result<Foreign, ServiceError> {
    let namespace = package.namespace();
    access::demand_owner(
        app,
        caller,
        namespace.as_str(),
        "list versions of other registries",
    )
    .await?;
    let from = parse(&new.source)?;
    let host = from.host.clone();
    app.remotes.check(&host, new.plain_http).await?;
    // Anonymous: this server's logins are not an owner's to use.
    let registry = app
        .remotes
        .connect_anonymous(&host, new.plain_http)
        .map_err(UpstreamError::from)?;
    let repository = RepositoryName::from(package);
    let mut plan = Plan::of(Source::Registry(&registry), &from.repository, &from.wanted)
        .await
        .map_err(UpstreamError::from)?;
    let (version, digest) = version_of(&mut plan, &from.wanted, &new.source)?;
    let remote = |size_bytes| Remote {
        size_bytes,
        host: host.clone(),
        plain_http: new.plain_http,
        source: from.repository.clone(),
    };
    mirror::note_blobs(app, &repository, &plan, remote).await?;
    let keeper = mirror::keeper(caller.name());
    for (small, size) in mirror::judged_by(&plan, Kept::WithoutObjects) {
        mirror::fetch_blob(
            app,
            &keeper,
            &repository,
            &small,
            size,
            &registry,
            &from.repository,
        )
        .await?;
    }
    let mut objects = BTreeMap::new();
    for (object, size) in mirror::judged_by(&plan, Kept::Objects) {
        let described = registry_client::oci::Descriptor {
            media_type: media_type::OBJECT.to_owned(),
            digest: object.clone(),
            size,
            artifact_type: None,
            platform: None,
            annotations: BTreeMap::new(),
        };
        let limit = bpf_object::limits::OBJECT_BYTES as u64;
        let bytes = registry.blob(&from.repository, &described, limit).await;
        let bytes = bytes.map_err(|error| UpstreamError::Copy(error.into()))?;
        objects.insert(object, bytes);
    }
    let source = format!("{host}/{}@{digest}", from.repository);
    let given = Given {
        objects,
        source: Some(source.clone()),
        unlisted: false,
    };
    mirror::store_manifests(app, &keeper, &repository, &plan, &given, true).await?;
    note(app, caller, package, &version, new, &host, &source).await?;
    Ok(Foreign {
        package: package.clone(),
        version,
        digest,
        source,
    })
}

/// A place in another registry.
struct Place {
    host: String,
    repository: RepositoryName,
    wanted: Wanted,
}

fn parse(text: &str) -> Result<Place, ServiceError> {
    let wrong = |reason: String| UpstreamError::Place {
        text: text.chars().take(300).collect(),
        reason,
    };
    let name: ContentName = text
        .parse()
        .map_err(|error: registry_client::copy::ContentNameError| wrong(error.to_string()))?;
    let host = name
        .registry
        .ok_or_else(|| wrong("it has no host".to_owned()))?;
    let wanted = match (name.digest, name.tag) {
        (Some(digest), _) => Wanted::Digest(digest),
        (None, Some(tag)) => Wanted::Tag(Some(tag)),
        (None, None) => return Err(wrong("it has neither tag nor digest".to_owned()).into()),
    };
    Ok(Place {
        host,
        repository: name.repository,
        wanted,
    })
}

/// The version that a plan holds, by its own word; it gets that tag and no other.
fn version_of(
    plan: &mut Plan,
    wanted: &Wanted,
    place: &str,
) -> Result<(Version, Digest), ServiceError> {
    let none = |reason: &str| UpstreamError::NoVersion {
        place: place.chars().take(300).collect(),
        reason: reason.to_owned(),
    };
    let digest = match wanted {
        Wanted::Digest(digest) => Some(digest.clone()),
        Wanted::Tag(_) | Wanted::All => plan.tags.last().map(|(_, digest)| digest.clone()),
    };
    let digest = digest.ok_or_else(|| none("nothing is there"))?;
    let planned = plan.find(&digest).ok_or_else(|| none("nothing is there"))?;
    if planned.entry.artifact_type.as_deref() != Some(media_type::PACKAGE) {
        return Err(none("it has another artifact type").into());
    }
    let version = planned
        .entry
        .annotations
        .get("org.opencontainers.image.version")
        .and_then(|text| text.parse::<Version>().ok())
        .ok_or_else(|| none("its index does not say its version"))?;
    plan.tags.retain(|(_, named)| *named != digest);
    plan.tags.push((version.tag(), digest.clone()));
    Ok((version, digest))
}

/// Notes in the log and among the upstreams that content of this namespace is elsewhere.
async fn note(
    app: &App,
    caller: &Caller,
    package: &PackageName,
    version: &Version,
    new: &NewForeign,
    host: &str,
    source: &str,
) -> Result<(), ServiceError> {
    let namespace = package.namespace().as_str();
    let mut tx = app.db.begin().await?;
    let known = store::upstreams::of(&mut tx, namespace).await?;
    if !known
        .iter()
        .any(|one| one.mode == UpstreamMode::Foreign && one.host == host)
    {
        let upstream = Upstream {
            namespace: namespace.to_owned(),
            mode: UpstreamMode::Foreign,
            host: host.to_owned(),
            plain_http: new.plain_http,
            prefix: String::new(),
            tag_seconds: 0,
            created_at: app.clock.now(),
            created_by: caller.name().to_owned(),
        };
        store::upstreams::insert(&mut tx, &upstream).await?;
    }
    let subject = format!("{package}:{version}");
    let detail = json!({"source": source});
    audit::append(app, &mut tx, caller, "version.list", &subject, detail).await?;
    tx.commit().await?;
    app.remotes.forget();
    Ok(())
}

/// Where the objects of a version are, if they are not here.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn place_of(
    app: &App,
    package: &PackageName,
    object: &Digest,
) -> Result<Option<String>, ServiceError> {
    let repository = RepositoryName::from(package);
    if store::blobs::size(&app.db, &repository, object)
        .await?
        .is_some()
    {
        return Ok(None);
    }
    let remote = store::upstreams::find(&app.db, &repository, object).await?;
    Ok(remote.map(|remote| format!("{}/{}", remote.host, remote.source)))
}
