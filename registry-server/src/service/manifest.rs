// SPDX-License-Identifier: Apache-2.0
//! Manifests: put, get, delete, and who refers to them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use registry_schema::{
    Digest, Version,
    name::{RepositoryName, Tag},
};
use serde_json::json;

use super::{
    ServiceError,
    access::{self, Action, Caller},
    audit,
    cache::ManifestKey,
    document::{Document, DocumentError, MAX_MANIFEST},
    epoch,
    lifecycle::{self, Pulled},
    log, pending,
    publish::{self, Committed},
    quota, record, signature,
    tag::{self, Condition, Page},
    visible::{self, View},
};
use crate::{
    app::App,
    store::{
        self, Tx,
        manifests::{Manifest, ReferenceKind, Referrer},
    },
};

/// How a manifest is named.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ManifestName {
    /// By tag.
    Tag(Tag),
    /// By digest.
    Digest(Digest),
}

/// A manifest about to be stored.
#[derive(Debug)]
pub struct NewManifest {
    /// Its exact bytes.
    pub body: Vec<u8>,
    /// The media type it was sent as, if the client said.
    pub media_type: Option<String>,
    /// Its digest, where the client named it by digest.
    pub digest: Option<Digest>,
    /// The tags to set.
    pub tags: Vec<Tag>,
    /// What must hold of each of them.
    pub condition: Condition,
    /// What is known of it beside its bytes.
    pub given: Given,
}

/// What a mirror knows of a manifest beside its bytes.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// Objects that are looked at and not kept.
    pub objects: BTreeMap<Digest, Bytes>,
    /// Where it came from, for the audit log.
    pub source: Option<String>,
    /// Whether it stays out of the catalogue, whatever its tag says.
    pub unlisted: bool,
}

/// A stored manifest.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its digest.
    pub digest: Digest,
    /// What it refers to.
    pub subject: Option<Digest>,
    /// Whether the publish log says by now what it is to say of it.
    pub logged: bool,
    /// The version that others do not see yet.
    pub pending: Option<Version>,
}

/// Stores a manifest, sets its tags, and publishes a version if that is what it is: all of
/// it in one transaction, or nothing.
///
/// # Errors
/// [`ServiceError::Document`], [`ServiceError::ManifestDigest`],
/// [`ServiceError::ReferenceUnknown`], [`ServiceError::ReferenceSize`],
/// [`ServiceError::Publish`]; those of a tag's check and of [`access::demand`].
pub async fn put(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    new: NewManifest,
) -> Result<Stored, ServiceError> {
    access::demand(app, caller, repository, Action::Push).await?;
    let document = Document::parse(&new.body, new.media_type.as_deref())?;
    let digest = digest_of(&new)?;
    let publish = publish::prepare(app, caller, repository, &document, &digest, &new).await?;
    let signatures = signature::read_from(app, repository, &document, &new.tags).await?;
    let now = app.clock.now();
    let manifest = form(&document, &digest, new.body);
    let signs = !signatures.is_empty();
    let mut tx = app.db.begin().await?;
    store::repositories::insert(&mut tx, repository, now).await?;
    store::repositories::lock(&mut tx, repository).await?;
    check_references(&mut tx, repository, &document).await?;
    if store::manifests::insert(&mut tx, repository, &manifest, now).await? {
        insert_references(&mut tx, repository, &digest, &document).await?;
    }
    let waits = publish.is_some() && app.config.policy.is_public();
    let mut moved = Vec::new();
    for tag in &new.tags {
        tag::check(&mut tx, repository, tag, &digest, &document).await?;
        tag::demand(&mut tx, repository, tag, &new.condition).await?;
        let before = store::tags::find_in(&mut tx, repository, tag).await?;
        let publishes = publish.as_ref().is_some_and(|publish| publish.is(tag));
        moved.extend((before.as_ref() != Some(&digest) && !publishes).then_some(tag));
        // The tag of a version that waits is set on its release.
        if !(publishes && waits) {
            store::tags::set(&mut tx, repository, tag, &digest, now).await?;
        }
    }
    let source = new.given.source.as_deref();
    let mut committed = Committed::Known;
    if let Some(publish) = &publish {
        committed = publish.commit(app, &mut tx, source).await?;
    }
    let mut judged = signature::record(app, &mut tx, repository, &digest, signatures).await?;
    quota::check(&mut tx, repository.namespace()).await?;
    judged.extend((committed == Committed::Waits).then(|| digest.clone()));
    let decided = settle(app, &mut tx, caller, repository, &judged).await?;
    if committed == Committed::Published || signs {
        renew(app, &mut tx, caller, repository).await?;
    }
    let mut waiting = None;
    if let Some(publish) = &publish {
        if committed == Committed::Published {
            publish.log(app, &mut tx).await?;
            let (subject, detail) = publish.entry(source);
            audit::append(app, &mut tx, caller, "version.publish", &subject, detail).await?;
        } else if committed == Committed::Waits && !decided {
            waiting = Some(publish.version().clone());
        }
    }
    for tag in moved {
        let subject = format!("{repository}:{tag}");
        let detail = json!({ "digest": digest });
        audit::append(app, &mut tx, caller, "tag.set", &subject, detail).await?;
    }
    tx.commit().await?;
    app.metrics.received(manifest.body.len() as u64);
    let quiet = committed != Committed::Published && !signs && !decided;
    let logged = quiet || log::settle(app).await;
    if decided {
        // Boxed, for it puts a manifest too.
        Box::pin(record::attach_all(app)).await?;
    }
    Ok(Stored {
        digest,
        subject: document.subject,
        logged,
        pending: waiting,
    })
}

/// The digest that the manifest was pushed under, which must be its own, or else its own.
fn digest_of(new: &NewManifest) -> Result<Digest, ServiceError> {
    let Some(digest) = &new.digest else {
        return Ok(Digest::sha256(&new.body));
    };
    digest
        .check(&new.body)
        .map_err(ServiceError::ManifestDigest)?;
    Ok(digest.clone())
}

/// Works out anew who vouches for the repository's package, if it has one.
async fn renew(
    app: &App,
    tx: &mut Tx,
    caller: &Caller,
    repository: &RepositoryName,
) -> Result<(), ServiceError> {
    if let Some(package) = repository.package()
        && store::packages::exists(tx, &package).await?
    {
        epoch::renew(app, tx, caller, &package).await?;
    }
    Ok(())
}

/// The form in which a manifest is kept.
fn form(document: &Document, digest: &Digest, body: Vec<u8>) -> Manifest {
    Manifest {
        digest: digest.clone(),
        media_type: document.media_type.clone(),
        artifact_type: document.artifact_type.clone(),
        subject: document.subject.clone(),
        annotations: document.annotations_json(),
        body: body.into(),
    }
}

/// Publishes what has waited for what arrived. Says whether anything was decided.
async fn settle(
    app: &App,
    tx: &mut Tx,
    caller: &Caller,
    repository: &RepositoryName,
    judged: &BTreeSet<Digest>,
) -> Result<bool, ServiceError> {
    let mut decided = false;
    if let Some(package) = repository.package() {
        for subject in judged {
            decided |= pending::settle(app, tx, caller, &package, subject).await?;
        }
    }
    Ok(decided)
}

/// Demands that everything a manifest points at is in the repository, under the lock of
/// the transaction, so that nothing can be deleted meanwhile. A subject may be missing.
async fn check_references(
    tx: &mut Tx,
    repository: &RepositoryName,
    document: &Document,
) -> Result<(), ServiceError> {
    let blobs = document.config.iter().chain(&document.layers);
    let mut blobs: Vec<_> = blobs.filter(|blob| !blob.is_foreign()).collect();
    // Each look locks its row: in one order, so that no two pushes wait for each other.
    blobs.sort_by(|one, other| one.digest.cmp(&other.digest));
    for blob in blobs {
        let size = match store::blobs::size_in(tx, repository, &blob.digest).await? {
            // It may be known to be elsewhere.
            None => store::upstreams::find_in(tx, repository, &blob.digest)
                .await?
                .map(|remote| remote.size_bytes),
            size => size,
        };
        match size {
            None => {
                let digest = blob.digest.clone();
                return Err(ServiceError::ReferenceUnknown {
                    what: "blob",
                    digest,
                });
            }
            Some(actual) if actual != blob.size => {
                let (digest, given) = (blob.digest.clone(), blob.size);
                return Err(ServiceError::ReferenceSize {
                    digest,
                    given,
                    actual,
                });
            }
            Some(_) => {}
        }
    }
    for child in &document.manifests {
        if !store::manifests::exists_in(tx, repository, &child.digest).await? {
            let digest = child.digest.clone();
            return Err(ServiceError::ReferenceUnknown {
                what: "manifest",
                digest,
            });
        }
    }
    Ok(())
}

async fn insert_references(
    tx: &mut Tx,
    repository: &RepositoryName,
    digest: &Digest,
    document: &Document,
) -> Result<(), ServiceError> {
    let config = document
        .config
        .iter()
        .map(|blob| (blob, ReferenceKind::Config));
    let layers = document
        .layers
        .iter()
        .map(|blob| (blob, ReferenceKind::Layer));
    let manifests = document
        .manifests
        .iter()
        .map(|child| (child, ReferenceKind::Manifest));
    for (target, kind) in config.chain(layers).chain(manifests) {
        if !target.is_foreign() {
            store::manifests::insert_reference(tx, repository, digest, &target.digest, kind)
                .await?;
        }
    }
    Ok(())
}

/// A manifest that may be read.
#[derive(Debug, Clone)]
pub struct Found {
    /// The manifest.
    pub manifest: Manifest,
    /// Whether everybody may read it.
    pub public: bool,
    /// The version it is, and what is said of that.
    pub version: Option<Pulled>,
}

/// Finds a manifest by tag or digest. `latest` means the highest stable version that is
/// not yanked, where the repository is a package.
///
/// # Errors
/// [`ServiceError::ManifestUnknown`]; the errors of [`access::demand`].
pub async fn find(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    name: &ManifestName,
) -> Result<Found, ServiceError> {
    let (commits, key) = (app.db.commits(), ManifestKey(repository, name));
    if let Some(found) = app.reads.manifests.get(&key, commits) {
        return Ok(found);
    }
    let standing = access::demand(app, caller, repository, Action::Pull).await?;
    let view = visible::view(app, caller, standing).await?;
    let unknown = || ServiceError::ManifestUnknown {
        repository: repository.clone(),
        name: match name {
            ManifestName::Tag(tag) => tag.to_string(),
            ManifestName::Digest(digest) => digest.to_string(),
        },
    };
    let digest = match name {
        ManifestName::Digest(digest) => digest.clone(),
        ManifestName::Tag(tag) => tag::resolve_for(app, view, repository, tag)
            .await?
            .ok_or_else(unknown)?,
    };
    let manifest = store::manifests::find(&app.db, repository, &digest).await?;
    let manifest = manifest.ok_or_else(unknown)?;
    let shown = visible::is_shown(app, repository, &digest).await?;
    if view == View::Outside && !shown {
        return Err(unknown());
    }
    let public = standing.public && shown;
    let version = match repository.package() {
        Some(package) => lifecycle::pulled(app, &package, &digest).await?,
        None => None,
    };
    let found = Found {
        manifest,
        public,
        version,
    };
    if public {
        let key = (repository.clone(), name.clone());
        app.reads.manifests.keep(key, &found, commits);
    }
    Ok(found)
}

/// Deletes a manifest with its tags. What it points at and what refers to it stays.
///
/// # Errors
/// [`ServiceError::ManifestUnknown`]; [`ServiceError::Published`] if a version needs it;
/// the errors of [`access::demand`].
pub async fn delete(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<(), ServiceError> {
    access::demand(app, caller, repository, Action::Delete).await?;
    let mut tx = app.db.begin().await?;
    store::repositories::lock(&mut tx, repository).await?;
    if let Some(package) = repository.package()
        && let Some(version) = store::packages::version_with(&mut tx, &package, digest).await?
    {
        return Err(ServiceError::Published { package, version });
    }
    if let Some(package) = repository.package()
        && let Some(version) = store::pending::version_with(&mut tx, &package, digest).await?
    {
        return Err(ServiceError::Waits { package, version });
    }
    store::tags::delete_of(&mut tx, repository, digest).await?;
    if !store::manifests::delete(&mut tx, repository, digest).await? {
        let (repository, name) = (repository.clone(), digest.to_string());
        return Err(ServiceError::ManifestUnknown { repository, name });
    }
    let subject = format!("{repository}@{digest}");
    audit::append(app, &mut tx, caller, "manifest.delete", &subject, json!({})).await?;
    Ok(tx.commit().await?)
}

/// Which referrers are asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Of this type only; empty for all.
    pub artifact_type: String,
    /// Those after this digest; empty for all.
    pub last: String,
}

/// Lists what refers to a digest, which need not exist, by digest. One page holds
/// everything unless that is larger than what clients read of a manifest.
///
/// # Errors
/// The errors of [`access::demand`]; [`ServiceError::Store`].
pub async fn referrers(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    subject: &Digest,
    mut wanted: Wanted,
) -> Result<Page<Referrer>, ServiceError> {
    let standing = access::demand(app, caller, repository, Action::Pull).await?;
    let (mut entries, mut bytes) = (Vec::new(), 0);
    if visible::view(app, caller, standing).await? == View::Outside
        && !visible::is_shown(app, repository, subject).await?
    {
        let more = false;
        return Ok(Page { entries, more });
    }
    loop {
        let (kind, last) = (&wanted.artifact_type, &wanted.last);
        let batch = store::manifests::referrers(&app.db, repository, subject, kind, last).await?;
        let end = batch.is_empty();
        for referrer in batch {
            bytes += referrer.weight();
            if bytes > MAX_MANIFEST && !entries.is_empty() {
                let more = true;
                return Ok(Page { entries, more });
            }
            wanted.last = referrer.digest.to_string();
            entries.push(referrer);
        }
        if end {
            let more = false;
            return Ok(Page { entries, more });
        }
    }
}

impl From<DocumentError> for ServiceError {
    fn from(error: DocumentError) -> Self {
        Self::Document(error)
    }
}
