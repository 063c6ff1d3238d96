// SPDX-License-Identifier: Apache-2.0
//! What makes a tag a version of a package: the checks, and the rows of the catalogue.
//!
//! A version is a SemVer tag in a repository `namespace/name` on an index of our artifact
//! type. The index leads to package manifests, each to the same config and to one object;
//! what the object can do is derived here from its bytes.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use registry_schema::{
    Digest, PackageManifest, Version,
    manifest::MAX_MANIFEST as MAX_CONFIG,
    manifest::ManifestError,
    media_type,
    name::{RepositoryName, Tag},
    profile::{Finding, Severity},
};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::{
    ServiceError,
    access::Caller,
    document::{Descriptor, Document},
    manifest::NewManifest,
    names, pending,
};
use crate::{
    app::App,
    store::{
        self, Tx,
        packages::{NewObject, NewVersion},
    },
};

/// Why an index is no version.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum PublishError {
    /// The index leads to no package manifest.
    #[error("the index has no package manifest: no entry has the annotation `io.bpfpkg.target`")]
    NoPackageManifest,
    /// An entry of the index is not stored, or no manifest.
    #[error("entry {0} of the index is not in the repository; push it first")]
    EntryUnknown(Digest),
    /// A package manifest has another config.
    #[error(
        "package manifest {manifest} has a config of type `{actual}`; it must be `application/vnd.bpfpkg.config.v1+json`"
    )]
    ConfigType { manifest: Digest, actual: String },
    /// The package manifests do not agree.
    #[error(
        "the package manifests of the index have different configs, {first} and {second}; all targets of a version share one"
    )]
    ConfigsDiffer { first: Digest, second: Digest },
    /// The config is no package manifest.
    #[error("config {digest}: {source}")]
    Config {
        digest: Digest,
        source: ManifestError,
    },
    /// The config has another text than the canonical one.
    #[error(
        "config {0} is not canonical JSON (sorted keys, no white space); write it with `bpfpkg build`"
    )]
    NotCanonical(Digest),
    /// The config is another package's or another version's.
    #[error("the config says {inside}, but it was pushed as {pushed}; both must be the same")]
    OtherName { inside: String, pushed: String },
    /// A target has no object, or an object no target.
    #[error("the config declares the targets {declared}, but the index carries {carried}")]
    Targets { declared: String, carried: String },
    /// A package manifest has no object, or several.
    #[error(
        "package manifest {manifest} has {actual} layers of type `application/vnd.bpfpkg.object.v1+elf`; it must have one"
    )]
    Objects { manifest: Digest, actual: usize },
    /// The object cannot be read.
    #[error("object {digest} for {target} cannot be read: {reason}")]
    Object {
        digest: Digest,
        target: String,
        reason: String,
    },
    /// The object and the config contradict each other.
    #[error("object {digest} for {target} does not fit its package: {findings}")]
    Findings {
        digest: Digest,
        target: String,
        findings: String,
    },
}

/// A version that passed all checks and waits for its transaction.
#[derive(Debug)]
pub struct Publish {
    new: NewVersion,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Committed {
    /// It is a version now.
    Published,
    /// It was one already.
    Known,
    /// Only those see it who may publish.
    Waits,
}

/// Checks whether the manifest is about to become a version, and if so reads everything
/// that it leads to. `None` for all other content, which needs no check.
///
/// # Errors
/// [`ServiceError::Publish`] with what is wrong; [`ServiceError::Store`],
/// [`ServiceError::Blob`].
pub(super) async fn prepare(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    document: &Document,
    digest: &Digest,
    manifest: &NewManifest,
) -> Result<Option<Publish>, ServiceError> {
    let Some(package) = repository.package() else {
        return Ok(None);
    };
    if manifest.given.unlisted
        || !document.is_index
        || document.artifact_type.as_deref() != Some(media_type::PACKAGE)
    {
        return Ok(None);
    }
    let Some(version) = manifest
        .tags
        .iter()
        .find_map(|tag| tag.as_str().parse().ok())
    else {
        return Ok(None);
    };
    let contents = Contents::read(app, repository, document).await?;
    let (inside_name, inside_version) = (
        &contents.config.package.name,
        &contents.config.package.version,
    );
    if *inside_name != package || *inside_version != version {
        let inside = format!("{inside_name}:{inside_version}");
        let pushed = format!("{package}:{version}");
        return Err(PublishError::OtherName { inside, pushed }.into());
    }
    let mut objects = Vec::new();
    for carried in &contents.objects {
        objects.push(inspect(app, &contents.config, carried, &manifest.given.objects).await?);
    }
    Ok(Some(Publish {
        new: NewVersion {
            package,
            version,
            index_digest: digest.clone(),
            config: contents.config_text,
            readme_digest: contents.readme,
            size_bytes: contents.size_bytes + manifest.body.len() as u64,
            published_by: caller.name().to_owned(),
            objects,
        },
    }))
}

impl Publish {
    /// Writes the rows of the catalogue; a version that is there already stays as it is.
    /// Where versions wait, it waits.
    pub(super) async fn commit(
        &self,
        app: &App,
        tx: &mut Tx,
        source: Option<&str>,
    ) -> Result<Committed, ServiceError> {
        let (package, now) = (&self.new.package, app.clock.now());
        // The tag was checked in this transaction: if there is a version, it is this one.
        if store::packages::index_of(tx, package, &self.new.version)
            .await?
            .is_some()
        {
            return Ok(Committed::Known);
        }
        let notes = names::give_package(app, tx, package).await?;
        if app.config.policy.is_public() {
            if pending::hold(app, tx, &self.new, source, notes).await? {
                super::limit::publish(app, tx, &self.new.published_by).await?;
            }
            return Ok(Committed::Waits);
        }
        super::limit::publish(app, tx, &self.new.published_by).await?;
        store::packages::insert_version(tx, &self.new, now).await?;
        store::changes::append(tx, package, now).await?;
        Ok(Committed::Published)
    }

    /// Says it to the publish log.
    pub(super) async fn log(&self, app: &App, tx: &mut Tx) -> Result<(), ServiceError> {
        let new = &self.new;
        super::log::published(app, tx, &new.package, &new.version, &new.index_digest).await
    }

    /// What the audit log says of it: subject and detail.
    pub(super) fn entry(&self, source: Option<&str>) -> (String, Value) {
        let subject = format!("{}:{}", self.new.package, self.new.version);
        let mut detail = json!({"digest": self.new.index_digest});
        if let Some(source) = source {
            detail["source"] = source.into();
        }
        (subject, detail)
    }

    /// The version.
    pub(super) const fn version(&self) -> &Version {
        &self.new.version
    }

    /// Whether this is the tag that makes the version.
    pub(super) fn is(&self, tag: &Tag) -> bool {
        tag.as_str() == self.new.version.to_string()
    }
}

/// What an index of our type leads to.
struct Contents {
    config: PackageManifest,
    config_text: String,
    readme: Option<Digest>,
    objects: Vec<Carried>,
    size_bytes: u64,
}

/// An object and the package manifest that carries it.
struct Carried {
    target: String,
    manifest: Digest,
    object: Descriptor,
}

impl Contents {
    async fn read(
        app: &App,
        repository: &RepositoryName,
        index: &Document,
    ) -> Result<Self, ServiceError> {
        let mut sizes = BTreeMap::new();
        let (mut config, mut readme, mut objects) = (None::<Descriptor>, None, Vec::new());
        for entry in &index.manifests {
            let child = read_entry(app, repository, entry).await?;
            sizes.insert(entry.digest.clone(), entry.size);
            for blob in child.config.iter().chain(&child.layers) {
                sizes.insert(blob.digest.clone(), blob.size);
            }
            let Some(target) = entry.annotations.get(media_type::ANNOTATION_TARGET) else {
                continue;
            };
            let own = package_config(entry, &child)?;
            if let Some(first) = config.replace(own.clone())
                && first.digest != own.digest
            {
                let (first, second) = (first.digest, own.digest);
                return Err(PublishError::ConfigsDiffer { first, second }.into());
            }
            let object = package_object(entry, &child)?;
            objects.push(Carried {
                target: target.clone(),
                manifest: entry.digest.clone(),
                object,
            });
            let text = child
                .layers
                .iter()
                .find(|layer| layer.media_type == media_type::MARKDOWN);
            readme = readme.or_else(|| text.map(|layer| layer.digest.clone()));
        }
        let config = config.ok_or(PublishError::NoPackageManifest)?;
        let (config, config_text) = read_config(app, &config.digest).await?;
        check_targets(&config, &objects)?;
        Ok(Self {
            config,
            config_text,
            readme,
            objects,
            size_bytes: sizes.values().sum(),
        })
    }
}

async fn read_entry(
    app: &App,
    repository: &RepositoryName,
    entry: &Descriptor,
) -> Result<Document, ServiceError> {
    let found = store::manifests::find(&app.db, repository, &entry.digest).await?;
    let found = found.ok_or_else(|| PublishError::EntryUnknown(entry.digest.clone()))?;
    Ok(Document::parse(&found.body, Some(&found.media_type))?)
}

fn package_config(entry: &Descriptor, child: &Document) -> Result<Descriptor, PublishError> {
    match &child.config {
        Some(config) if config.media_type == media_type::CONFIG => Ok(config.clone()),
        other => Err(PublishError::ConfigType {
            manifest: entry.digest.clone(),
            actual: other
                .as_ref()
                .map(|config| config.media_type.clone())
                .unwrap_or_default(),
        }),
    }
}

fn package_object(entry: &Descriptor, child: &Document) -> Result<Descriptor, PublishError> {
    let is_object = |layer: &&Descriptor| layer.media_type == media_type::OBJECT;
    let objects: Vec<_> = child.layers.iter().filter(is_object).collect();
    match objects.as_slice() {
        [object] => Ok((*object).clone()),
        objects => Err(PublishError::Objects {
            manifest: entry.digest.clone(),
            actual: objects.len(),
        }),
    }
}

async fn read_config(
    app: &App,
    digest: &Digest,
) -> Result<(PackageManifest, String), ServiceError> {
    let wrong = |source| PublishError::Config {
        digest: digest.clone(),
        source,
    };
    let bytes = app.blobs.read(digest, MAX_CONFIG as u64).await?;
    let config = PackageManifest::from_json(&bytes).map_err(wrong)?;
    if config.to_json().map_err(wrong)? != bytes {
        return Err(PublishError::NotCanonical(digest.clone()).into());
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok((config, text))
}

fn check_targets(config: &PackageManifest, objects: &[Carried]) -> Result<(), PublishError> {
    let declared: BTreeSet<_> = config
        .objects
        .iter()
        .map(|object| object.target.as_str())
        .collect();
    let carried: BTreeSet<_> = objects
        .iter()
        .map(|object| object.target.as_str())
        .collect();
    if declared == carried && carried.len() == objects.len() {
        return Ok(());
    }
    let words = |targets: &mut dyn Iterator<Item = &str>| {
        targets
            .map(|target| target.chars().take(64).collect())
            .collect::<Vec<String>>()
            .join(", ")
    };
    Err(PublishError::Targets {
        declared: words(&mut declared.into_iter()),
        carried: words(&mut objects.iter().map(|object| object.target.as_str())),
    })
}

/// Derives what an object is and holds it against its config.
async fn inspect(
    app: &App,
    config: &PackageManifest,
    carried: &Carried,
    given: &BTreeMap<Digest, Bytes>,
) -> Result<NewObject, ServiceError> {
    let Carried {
        target,
        manifest,
        object,
    } = carried;
    let digest = &object.digest;
    let (profile, findings) = if matches!(target.as_str(), "bpfel" | "bpfeb") {
        let limit = bpf_object::limits::OBJECT_BYTES as u64;
        let bytes = match given.get(digest) {
            Some(bytes) => bytes.clone(),
            None => app.blobs.read(digest, limit).await?,
        };
        let config = config.clone();
        let unreadable = |reason| PublishError::Object {
            digest: digest.clone(),
            target: target.clone(),
            reason,
        };
        let profile = spawn_blocking(move || {
            bpf_object::inspect(&bytes).map(|profile| {
                let findings = bpf_object::check(&config, &profile);
                (profile, findings)
            })
        });
        // A panic of the reader ends its task, not the server.
        let (profile, findings) = profile
            .await
            .map_err(|_| unreadable("the reader failed on it".to_owned()))?
            .map_err(|error| unreadable(error.to_string()))?;
        refuse(carried, &findings)?;
        (Some(profile), findings)
    } else {
        (None, Vec::new())
    };
    Ok(NewObject {
        target: target.clone(),
        manifest_digest: manifest.clone(),
        object_digest: digest.clone(),
        size_bytes: object.size,
        profile: text(&profile),
        findings: text(&findings),
    })
}

fn text<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| unreachable!("plain data has a JSON form"))
}

fn refuse(carried: &Carried, findings: &[Finding]) -> Result<(), PublishError> {
    let errors: Vec<String> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| format!("{} {}; {}", finding.code, finding.message, finding.fix))
        .collect();
    if errors.is_empty() {
        return Ok(());
    }
    Err(PublishError::Findings {
        digest: carried.object.digest.clone(),
        target: carried.target.clone(),
        findings: errors.join(" · "),
    })
}

impl From<PublishError> for ServiceError {
    fn from(error: PublishError) -> Self {
        Self::Publish(error)
    }
}
