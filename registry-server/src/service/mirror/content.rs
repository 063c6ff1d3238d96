// SPDX-License-Identifier: Apache-2.0
//! From what another registry sends to what this one holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use registry_client::{
    Explain,
    copy::{Checked, CopyError, Plan, Planned},
    registry::Registry,
    source::Source,
};
use registry_schema::{
    Digest, Version, exit,
    federation::UpstreamMode,
    media_type,
    name::{RepositoryName, Tag},
};

use super::{Answer, Failed, source_of};
use crate::{
    app::App,
    service::{
        ServiceError,
        access::{Account, Caller, Credential},
        document::Document,
        manifest::{self, Given, NewManifest},
        tag::{self, LATEST},
        upload,
    },
    store::{
        self,
        upstreams::{Remote, Upstream},
    },
};

/// What a registry may take for any blob, and for each MiB of one more.
const BLOB_DEADLINE: Duration = Duration::from_secs(30);
const MIB_DEADLINE: Duration = Duration::from_secs(10);

/// In whose name content is stored: that of whoever named its upstream.
pub(in crate::service) fn keeper(name: &str) -> Caller {
    Caller {
        account: Some(Account {
            name: name.to_owned(),
            administrator: true,
            credential: Credential::Console,
            scopes: None,
        }),
        grants: None,
    }
}

/// Takes up a version, or whatever else a plan consists of.
pub(super) async fn take(
    app: &App,
    repository: &RepositoryName,
    upstream: &Upstream,
    source: &RepositoryName,
    registry: &Registry,
    plan: Plan,
) -> Result<(), Failed> {
    let caller = keeper(&upstream.created_by);
    let place = |size_bytes| Remote {
        size_bytes,
        host: upstream.host.clone(),
        plain_http: upstream.plain_http,
        source: source.clone(),
    };
    note_blobs(app, repository, &plan, place).await?;
    for (digest, size) in judged_by(&plan, Kept::Everything) {
        if store::blobs::size(&app.db, repository, &digest)
            .await?
            .is_none()
        {
            fetch_blob(app, &caller, repository, &digest, size, registry, source).await?;
        }
    }
    let given = Given {
        source: Some(format!("{}/{source}", upstream.host)),
        ..Given::default()
    };
    store_manifests(app, &caller, repository, &plan, &given, false).await?;
    Ok(())
}

/// Notes where the blobs of a plan are, so that their manifests may be stored before them.
pub(in crate::service) async fn note_blobs(
    app: &App,
    repository: &RepositoryName,
    plan: &Plan,
    place: impl Fn(u64) -> Remote,
) -> Result<(), ServiceError> {
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    store::repositories::insert(&mut tx, repository, now).await?;
    for (digest, size) in &plan.blobs {
        store::upstreams::note(&mut tx, repository, digest, &place(*size), now).await?;
    }
    Ok(tx.commit().await?)
}

/// Which blobs of a version are brought here at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) enum Kept {
    /// All that the catalogue judges it by.
    Everything,
    /// The same without the objects.
    WithoutObjects,
    /// The objects alone.
    Objects,
}

/// The blobs that the catalogue judges packages and signatures by, with their sizes.
pub(in crate::service) fn judged_by(plan: &Plan, kept: Kept) -> BTreeMap<Digest, u64> {
    let mut wanted = BTreeMap::new();
    let signatures: BTreeSet<_> = plan
        .tags
        .iter()
        .filter(|(tag, _)| tag.as_str().strip_suffix(".sig").is_some())
        .map(|(_, digest)| digest)
        .collect();
    for planned in &plan.manifests {
        let Ok(document) = Document::parse(&planned.bytes, Some(&planned.entry.media_type)) else {
            continue;
        };
        let kind = document.artifact_type.as_deref();
        let package = kind == Some(media_type::PACKAGE);
        let signature =
            kind == Some(media_type::SIGSTORE_BUNDLE) || signatures.contains(&planned.entry.digest);
        if !package && !signature {
            continue;
        }
        for blob in document.config.iter().chain(&document.layers) {
            let object = blob.media_type == media_type::OBJECT;
            let chosen = match kept {
                Kept::Everything => true,
                Kept::WithoutObjects => !object,
                Kept::Objects => object,
            };
            if chosen {
                wanted.insert(blob.digest.clone(), blob.size);
            }
        }
    }
    wanted
}

/// Stores the manifests of a plan, and sets its tags. A version that fails the checks of
/// the catalogue is stored without being listed, unless it `must_list`.
pub(in crate::service) async fn store_manifests(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    plan: &Plan,
    given: &Given,
    must_list: bool,
) -> Result<(), ServiceError> {
    for planned in &plan.manifests {
        let digest = &planned.entry.digest;
        if store::manifests::find(&app.db, repository, digest)
            .await?
            .is_none()
        {
            manifest::put(app, caller, repository, new(planned, None)).await?;
        }
    }
    for (tag, digest) in &plan.tags {
        let Some(planned) = plan.find(digest) else {
            continue;
        };
        let Some(tag) = own_tag(repository, tag, planned) else {
            continue;
        };
        if tag::resolve(app, repository, &tag).await?.as_ref() == Some(digest) {
            continue;
        }
        let mut named = new(planned, Some(tag.clone()));
        named.given = given.clone();
        match manifest::put(app, caller, repository, named).await {
            Ok(_) => {}
            // A version that is published here never changes, whatever others say.
            Err(error @ ServiceError::Immutable { .. }) if !must_list => {
                tracing::warn!(%error, "an upstream has changed a version");
            }
            Err(error @ ServiceError::Publish(_)) if !must_list => {
                tracing::warn!(%repository, %tag, %error, "mirrored and not listed");
                let mut bare = new(planned, Some(tag));
                bare.given.unlisted = true;
                manifest::put(app, caller, repository, bare).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn new(planned: &Planned, tag: Option<Tag>) -> NewManifest {
    NewManifest {
        condition: tag::Condition::default(),
        body: planned.bytes.to_vec(),
        media_type: Some(planned.entry.media_type.clone()),
        digest: Some(planned.entry.digest.clone()),
        tags: tag.into_iter().collect(),
        given: Given::default(),
    }
}

/// The tag that a manifest gets here: `latest` of a package is the version that it says.
fn own_tag(repository: &RepositoryName, tag: &Tag, planned: &Planned) -> Option<Tag> {
    let package = planned.entry.artifact_type.as_deref() == Some(media_type::PACKAGE);
    if tag.as_str() != LATEST || !package || repository.package().is_none() {
        return Some(tag.clone());
    }
    let version = planned
        .entry
        .annotations
        .get("org.opencontainers.image.version")?;
    Some(version.parse::<Version>().ok()?.tag())
}

/// Brings a blob here, if it is known to be elsewhere.
pub(super) async fn blob(
    app: &App,
    repository: &RepositoryName,
    digest: &Digest,
    upstreams: &[Upstream],
) -> Result<Answer, ServiceError> {
    let is_here = async || -> Result<bool, ServiceError> {
        Ok(store::blobs::size(&app.db, repository, digest)
            .await?
            .is_some())
    };
    if is_here().await? {
        return Ok(Answer::Here);
    }
    let Some(remote) = store::upstreams::find(&app.db, repository, digest).await? else {
        return Ok(Answer::Here);
    };
    let caches: Vec<_> = upstreams
        .iter()
        .filter(|upstream| upstream.mode == UpstreamMode::Cache)
        .collect();
    if !caches.iter().any(|upstream| upstream.host == remote.host) {
        let scheme = if remote.plain_http { "http" } else { "https" };
        return Ok(Answer::There(format!(
            "{scheme}://{}/v2/{}/blobs/{digest}",
            remote.host, remote.source
        )));
    }
    let lock = app.sessions.lock(&format!("mirror {repository} {digest}"));
    let _held = lock.lock().await;
    if is_here().await? {
        return Ok(Answer::Here);
    }
    fetch_from_any(app, repository, digest, &remote, caches).await
}

async fn fetch_from_any(
    app: &App,
    repository: &RepositoryName,
    digest: &Digest,
    remote: &Remote,
    mut caches: Vec<&Upstream>,
) -> Result<Answer, ServiceError> {
    // Who had the manifest is asked first.
    caches.sort_by_key(|upstream| upstream.host != remote.host);
    let mut silent = false;
    for upstream in caches {
        if app.remotes.is_down(&upstream.host, app.clock.now()) {
            silent = true;
            continue;
        }
        let caller = keeper(&upstream.created_by);
        let source = source_of(upstream, repository)?;
        let fetched = match app.remotes.connect(&upstream.host, upstream.plain_http) {
            Ok(registry) => {
                let size = remote.size_bytes;
                fetch_blob(app, &caller, repository, digest, size, &registry, &source).await
            }
            Err(error) => Err(Failed::There(error)),
        };
        let error = match fetched {
            Ok(()) => return Ok(Answer::Here),
            Err(Failed::Here(error)) => return Err(error),
            Err(Failed::There(error)) => error,
        };
        tracing::warn!(upstream = upstream.host, %digest, %error, "a blob was not fetched");
        if error.exit_code() != exit::NOT_FOUND {
            app.remotes.note_down(&upstream.host, app.clock.now());
            silent = true;
        }
    }
    if silent {
        Err(ServiceError::Unavailable("no upstream registry answers"))
    } else {
        Ok(Answer::Here)
    }
}

/// Fetches one blob: not a byte more than its manifest says, and nothing is stored unless
/// its digest is right.
pub(in crate::service) async fn fetch_blob(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    digest: &Digest,
    size: u64,
    registry: &Registry,
    source: &RepositoryName,
) -> Result<(), Failed> {
    let from = Source::Registry(registry);
    let pieces = from.pieces(source, digest).await.map_err(CopyError::from)?;
    let (body, verdict) = Checked::new(pieces, digest.clone(), size);
    let upload = upload::begin(app, caller, repository).await?;
    let mib = u32::try_from(size >> 20).unwrap_or(u32::MAX);
    let deadline = BLOB_DEADLINE + MIB_DEADLINE.saturating_mul(mib);
    let work = upload::finish(
        app,
        caller,
        repository,
        &upload.id,
        None,
        Box::pin(body),
        digest,
    );
    let stored = tokio::time::timeout(deadline, work).await;
    let failed = match stored {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => match verdict.take() {
            Some(broken) => Failed::There(broken.explain(digest, from.name())),
            None => Failed::Here(error),
        },
        Err(_) => Failed::There(CopyError::Damaged {
            digest: digest.clone(),
            from: from.name(),
            reason: format!("it took longer than {} s", deadline.as_secs()),
        }),
    };
    // An upload that failed may be gone already.
    let _ = upload::cancel(app, caller, repository, &upload.id).await;
    Err(failed)
}
