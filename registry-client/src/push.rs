// SPDX-License-Identifier: Apache-2.0
//! Publishing: blobs, manifests, the index by its digest, signatures, and the
//! version's tag last, so that a tag never shows what is not there or not signed.

use chrono::{DateTime, Utc};
use registry_schema::{Digest, exit, media_type, name::RepositoryName};

use crate::{
    Explain,
    oci::{Descriptor, Manifest},
    pack::PackedVersion,
    pull::{PullError, fetch_signatures},
    registry::{Registry, RegistryError, Stored},
    sign::{self, SignError, Signatory, SignatureManifest},
    verify::signature::{Roots, judge},
};

/// What became of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The digest of its index.
    pub digest: Digest,
    /// Whether the tag was set now, or was there with the same content.
    pub new: bool,
    /// Whether a signature was added now.
    pub signed: bool,
    /// Bytes that were sent.
    pub sent_bytes: u64,
    /// Bytes that the registry had already.
    pub skipped_bytes: u64,
}

/// Why a version was not published.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The registry did not take it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Signatures that are there cannot be read.
    #[error(transparent)]
    Signatures(#[from] PullError),
    /// It cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The version is there with other content.
    #[error("version {version} of `{package}` is published already as {published}; yours is {own}")]
    VersionTaken {
        /// The package.
        package: String,
        /// The version.
        version: String,
        /// The digest of what is there.
        published: Digest,
        /// The digest of what was to be published.
        own: Digest,
    },
}

impl Explain for PushError {
    fn code(&self) -> &'static str {
        match self {
            Self::Registry(error) => error.code(),
            Self::Signatures(error) => error.code(),
            Self::Sign(error) => error.code(),
            Self::VersionTaken { .. } => "push::version_taken",
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Registry(error) => error.exit_code(),
            Self::Signatures(error) => error.exit_code(),
            Self::Sign(error) => error.exit_code(),
            Self::VersionTaken { .. } => exit::CONFLICT,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.help(),
            Self::Signatures(error) => error.help(),
            Self::Sign(error) => error.help(),
            Self::VersionTaken { .. } => {
                Some("a version never changes once it is published: raise `version`".to_owned())
            }
        }
    }
}

/// Publishes `packed`, signed by `signatory` if there is one. `progress` is told of each
/// blob and manifest: its length in bytes, and whether it was sent.
///
/// What the registry has already is not sent again, so an interrupted push is
/// repeated at little cost.
///
/// # Errors
/// [`PushError::VersionTaken`] before anything is sent, if the version is there with
/// other content; else what the registry or the key reports.
pub async fn push(
    registry: &Registry,
    packed: &PackedVersion,
    signatory: Option<&Signatory>,
    now: DateTime<Utc>,
    progress: &(dyn Fn(u64, Stored) + Sync),
) -> Result<Pushed, PushError> {
    let repository = RepositoryName::from(&packed.package);
    let tag = packed.version.to_string();
    let digest = packed.digest();
    let known = registry.digest_of(&repository, &tag).await?;
    if let Some(published) = known.clone().filter(|published| *published != digest) {
        return Err(PushError::VersionTaken {
            package: packed.package.to_string(),
            version: tag,
            published,
            own: digest,
        });
    }
    let mut pushed = Pushed {
        digest,
        new: known.is_none(),
        signed: false,
        sent_bytes: 0,
        skipped_bytes: 0,
    };
    for (blob_digest, bytes) in &packed.blobs {
        let length = bytes.len() as u64;
        let stored = registry
            .push_blob(&repository, blob_digest, bytes.clone())
            .await?;
        pushed.count(length, stored);
        progress(length, stored);
    }
    let children = packed
        .manifests
        .iter()
        .map(|(entry, bytes)| (&entry.digest, media_type::OCI_MANIFEST, bytes));
    let index = [(&pushed.digest.clone(), media_type::OCI_INDEX, &packed.index)];
    for (manifest_digest, media_type, bytes) in children.chain(index) {
        registry
            .push_manifest(
                &repository,
                manifest_digest.as_str(),
                media_type,
                bytes.clone(),
            )
            .await?;
        pushed.count(bytes.len() as u64, Stored::Sent);
        progress(bytes.len() as u64, Stored::Sent);
    }
    if let Some(signatory) = signatory {
        let subject = Descriptor::of(media_type::OCI_INDEX, &packed.index);
        pushed.signed = sign(registry, &repository, subject, signatory, now).await?;
    }
    if pushed.new {
        registry
            .push_manifest(
                &repository,
                &tag,
                media_type::OCI_INDEX,
                packed.index.clone(),
            )
            .await?;
    }
    Ok(pushed)
}

impl Pushed {
    fn count(&mut self, length: u64, stored: Stored) {
        match stored {
            Stored::Sent => self.sent_bytes += length,
            Stored::Skipped => self.skipped_bytes += length,
        }
    }
}

/// Signs what `subject` describes in both forms, unless this key has; says whether it
/// did. Whoever signs keyless adds a signature each time: it says when.
///
/// # Errors
/// [`PushError::Registry`], [`PushError::Signatures`] or [`PushError::Sign`].
pub async fn sign(
    registry: &Registry,
    repository: &RepositoryName,
    subject: Descriptor,
    signatory: &Signatory,
    now: DateTime<Utc>,
) -> Result<bool, PushError> {
    let digest = subject.digest.clone();
    if let Signatory::Key(key) = signatory {
        let known = fetch_signatures(registry, repository, &digest).await?;
        let keys = [key.public().clone()];
        let by_this_key = |signature| judge(signature, &digest, &keys, &Roots::default()).is_ok();
        if known.iter().any(by_this_key) {
            return Ok(false);
        }
    }
    let bundle = sign::sign_descriptor(signatory, subject, now).await?;
    attach(registry, repository, &digest, bundle).await?;

    // Older verifiers know only the tag.
    let tag = digest.tag(".sig");
    let earlier = match registry.manifest(repository, &tag).await {
        Ok(document) => serde_json::from_slice::<Manifest>(&document.bytes)
            .map(|m| m.layers)
            .unwrap_or_default(),
        Err(RegistryError::NotFound { .. }) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let name = format!("{}/{repository}", registry.host());
    if let Some(simple) = signatory.sign_simple(&name, &digest, earlier).await? {
        push_blobs(registry, repository, &simple).await?;
        registry
            .push_manifest(repository, &tag, media_type::OCI_MANIFEST, simple.bytes)
            .await?;
    }
    Ok(true)
}

/// Stores a manifest that refers to `subject`, and its blobs.
///
/// # Errors
/// [`RegistryError`].
pub async fn attach(
    registry: &Registry,
    repository: &RepositoryName,
    subject: &Digest,
    referrer: SignatureManifest,
) -> Result<(), RegistryError> {
    push_blobs(registry, repository, &referrer).await?;
    registry
        .push_referrer(repository, subject, referrer.entry, referrer.bytes)
        .await
}

async fn push_blobs(
    registry: &Registry,
    repository: &RepositoryName,
    signature: &SignatureManifest,
) -> Result<(), RegistryError> {
    for blob in &signature.blobs {
        registry
            .push_blob(repository, &Digest::sha256(blob), blob.clone())
            .await?;
    }
    Ok(())
}
