// SPDX-License-Identifier: Apache-2.0
//! Copying versions with everything that belongs to them, digests unchanged: from a
//! registry or a layout to a registry.
//!
//! Blobs go first, then manifests from the bottom up, then tags; so what can be seen at
//! the destination is complete. What is there already is not sent again: a copy that
//! was interrupted is repeated at little cost.

mod graph;
mod name;
mod pipe;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use registry_schema::{
    Digest, Version,
    canonical::CanonicalError,
    exit, media_type,
    name::{NameError, RepositoryName, Tag},
};
use serde::Serialize;

pub use self::{
    graph::{Plan, Planned, Wanted},
    name::{ContentName, ContentNameError, Destination, Place},
    pipe::Checked,
};
use crate::{
    Explain,
    oci::{Manifest, simple_manifest},
    registry::{Begun, Registry, RegistryError, Stored},
    source::{Source, SourceError},
};

/// How often a blob is tried before a failing connection is believed.
const TRIES: u32 = 3;

/// Why content was not copied.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum CopyError {
    /// The source does not give it.
    #[error(transparent)]
    Source(SourceError),
    /// The destination does not take it.
    #[error(transparent)]
    Destination(#[from] RegistryError),
    /// There is nothing to copy.
    #[error("`{from}` has no version of `{repository}`")]
    Nothing {
        repository: RepositoryName,
        from: String,
    },
    /// A document cannot be copied with all that belongs to it.
    #[error("manifest `{digest}` cannot be copied: {reason}")]
    NotCopied { digest: Digest, reason: String },
    /// More than is kept in memory.
    #[error("`{repository}` has too many manifests for one copy; copy its versions one by one")]
    TooMuch { repository: RepositoryName },
    /// The source sends other bytes than it promised.
    #[error("blob `{digest}` from `{from}` is damaged: {reason}")]
    Damaged {
        digest: Digest,
        from: String,
        reason: String,
    },
    /// A version is there with other content.
    #[error("`{repository}:{tag}` is there already as {there}; the copy would be {own}")]
    Taken {
        repository: RepositoryName,
        tag: Tag,
        there: Digest,
        own: Digest,
    },
    /// The destination's name is too long.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A document has no canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
}

impl Explain for CopyError {
    fn code(&self) -> &'static str {
        match self {
            Self::Source(error) => error.code(),
            Self::Destination(error) => error.code(),
            Self::Nothing { .. } => "copy::nothing",
            Self::NotCopied { .. } | Self::TooMuch { .. } | Self::Canonical(_) => "copy::content",
            Self::Damaged { .. } => "copy::damaged",
            Self::Taken { .. } => "copy::taken",
            Self::Name(_) => "copy::name",
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Source(error) => error.exit_code(),
            Self::Destination(error) => error.exit_code(),
            Self::Nothing { .. } => exit::NOT_FOUND,
            Self::NotCopied { .. } | Self::TooMuch { .. } | Self::Canonical(_) => exit::FAILURE,
            Self::Damaged { .. } => exit::VERIFICATION,
            Self::Taken { .. } => exit::CONFLICT,
            Self::Name(_) => exit::USAGE,
        }
    }

    fn help(&self) -> Option<String> {
        Some(
            match self {
                Self::Source(error) => return error.help(),
                Self::Destination(error) => return error.help(),
                Self::Canonical(_) => return None,
                Self::Nothing { .. } => "check the name; tags other than versions must be named",
                Self::NotCopied { .. } => "ask its publisher to publish it in OCI's current form",
                Self::TooMuch { .. } => "name a version instead of `--all-versions`",
                Self::Damaged { .. } => {
                    "nothing of it was stored; copy from another mirror, or tell the registry's operator"
                }
                Self::Taken { .. } => {
                    "a version never changes once it is published; find out which of the two is right"
                }
                Self::Name(_) => "name a shorter repository at the destination",
            }
            .to_owned(),
        )
    }
}

/// What became of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Copied {
    /// Manifests and indexes that were sent.
    pub manifests_sent: usize,
    /// Those that were there.
    pub manifests_skipped: usize,
    /// Blobs that were sent.
    pub blobs_sent: usize,
    /// Those that were there, or came from another repository of the same registry.
    pub blobs_skipped: usize,
    /// Bytes of blobs that were sent.
    pub sent_bytes: u64,
    /// Bytes of blobs that were not.
    pub skipped_bytes: u64,
    /// How many of the manifests refer to others: signatures and the like.
    pub referrers: usize,
    /// Tags that were set, with what they name.
    pub tags: Vec<(Tag, Digest)>,
    /// Tags that were there with the same content.
    pub tags_unchanged: usize,
}

/// One copy: from where to where.
pub struct Copy<'a> {
    /// Where content is read.
    pub source: Source<'a>,
    /// Its repository there.
    pub from: &'a RepositoryName,
    /// Where it goes.
    pub registry: &'a Registry,
    /// Its repository there.
    pub to: &'a RepositoryName,
    /// The tag it gets instead of its own, if it is one version.
    pub rename: Option<&'a Tag>,
    /// How many blobs are under way at the same time, at least 1.
    pub jobs: usize,
    /// Whether to look only.
    pub dry_run: bool,
}

impl Copy<'_> {
    /// Carries the copy out. `progress` is told the size of each blob that is done.
    ///
    /// # Errors
    /// [`CopyError::Taken`] before anything is sent, if a version is there with other
    /// content; [`CopyError::Damaged`] if the source sends other bytes than it promises,
    /// of which nothing is stored; else what the two sides report.
    pub async fn run(
        &self,
        plan: &Plan,
        progress: &(dyn Fn(u64, Stored) + Sync),
    ) -> Result<Copied, CopyError> {
        let tags = self.tags_to_set(plan).await?;
        let mut copied = Copied {
            referrers: plan.referrers(),
            tags_unchanged: plan.tags.len() - tags.len(),
            ..Copied::default()
        };
        self.blobs(plan, progress, &mut copied).await?;
        for planned in &plan.manifests {
            self.manifest(planned, &mut copied).await?;
        }
        for (tag, digest) in tags {
            let set = self.tag(plan, &tag, &digest).await?;
            copied.tags.push((tag, set));
        }
        Ok(copied)
    }

    /// The tags that do not name the right thing yet.
    async fn tags_to_set(&self, plan: &Plan) -> Result<Vec<(Tag, Digest)>, CopyError> {
        let mut missing = Vec::new();
        for (number, (tag, digest)) in plan.tags.iter().enumerate() {
            let last = number + 1 == plan.tags.len();
            let tag = self.rename.filter(|_| last).unwrap_or(tag);
            match self.registry.digest_of(self.to, tag.as_str()).await? {
                Some(there) if there == *digest => {}
                Some(there) if tag.as_str().parse::<Version>().is_ok() => {
                    return Err(CopyError::Taken {
                        repository: self.to.clone(),
                        tag: tag.clone(),
                        there,
                        own: digest.clone(),
                    });
                }
                _ => missing.push((tag.clone(), digest.clone())),
            }
        }
        Ok(missing)
    }

    async fn blobs(
        &self,
        plan: &Plan,
        progress: &(dyn Fn(u64, Stored) + Sync),
        copied: &mut Copied,
    ) -> Result<(), CopyError> {
        let moves = plan.blobs.iter().map(|(digest, size)| async move {
            let stored = self.blob(digest, *size).await?;
            progress(*size, stored);
            Ok::<_, CopyError>((*size, stored))
        });
        let mut moves = stream::iter(moves).buffer_unordered(self.jobs.max(1));
        while let Some((size, stored)) = moves.try_next().await? {
            match stored {
                Stored::Sent => {
                    copied.blobs_sent += 1;
                    copied.sent_bytes += size;
                }
                Stored::Skipped => {
                    copied.blobs_skipped += 1;
                    copied.skipped_bytes += size;
                }
            }
        }
        Ok(())
    }

    /// Moves one blob, again if the connection breaks.
    async fn blob(&self, digest: &Digest, size: u64) -> Result<Stored, CopyError> {
        let path = format!("blobs/{digest}");
        if self.registry.exists(self.to, &path).await? {
            return Ok(Stored::Skipped);
        }
        if self.dry_run {
            return Ok(Stored::Sent);
        }
        let mut tries = 1;
        loop {
            match self.send_blob(digest, size).await {
                Err(error) if tries < TRIES && error.exit_code() == exit::UNAVAILABLE => {
                    tracing::info!(%digest, %error, "trying again");
                    tokio::time::sleep(std::time::Duration::from_secs(tries.into())).await;
                    tries += 1;
                }
                other => return other,
            }
        }
    }

    async fn send_blob(&self, digest: &Digest, size: u64) -> Result<Stored, CopyError> {
        let within = match self.source {
            Source::Registry(source) if source.host() == self.registry.host() => Some(self.from),
            _ => None,
        };
        let begun = self.registry.begin_upload(self.to, digest, within).await?;
        let Begun::At(place) = begun else {
            return Ok(Stored::Skipped);
        };
        let pieces = self.source.pieces(self.from, digest).await?;
        let (body, verdict) = Checked::new(pieces, digest.clone(), size);
        let body = reqwest::Body::wrap_stream(body);
        let sent = self.registry.upload(self.to, digest, place, body).await;
        // The source's failure explains that the upload broke, not the other way round.
        if let Some(broken) = verdict.take() {
            return Err(broken.explain(digest, self.source.name()));
        }
        sent?;
        Ok(Stored::Sent)
    }

    async fn manifest(&self, planned: &Planned, copied: &mut Copied) -> Result<(), CopyError> {
        let digest = &planned.entry.digest;
        if self
            .registry
            .exists(self.to, &format!("manifests/{digest}"))
            .await?
        {
            copied.manifests_skipped += 1;
            // An earlier copy may have ended between a referrer and its place in a list.
            if planned.subject.is_none() {
                return Ok(());
            }
        } else {
            copied.manifests_sent += 1;
        }
        if self.dry_run {
            return Ok(());
        }
        let bytes = planned.bytes.clone();
        if let Some(subject) = &planned.subject {
            let entry = planned.entry.clone();
            self.registry
                .push_referrer(self.to, subject, entry, bytes)
                .await?;
        } else {
            let kind = &planned.entry.media_type;
            self.registry
                .push_manifest(self.to, digest.as_str(), kind, bytes)
                .await?;
        }
        Ok(())
    }

    /// Sets a tag, and says what it names then.
    async fn tag(&self, plan: &Plan, tag: &Tag, digest: &Digest) -> Result<Digest, CopyError> {
        let Some(planned) = plan.find(digest) else {
            unreachable!("a plan has all that its tags name");
        };
        if self.dry_run {
            return Ok(digest.clone());
        }
        let (mut kind, mut bytes) = (planned.entry.media_type.as_str(), planned.bytes.clone());
        if let Some(merged) = self.merged(tag, planned).await? {
            (kind, bytes) = (media_type::OCI_MANIFEST, merged);
        }
        let set = Digest::sha256(&bytes);
        self.registry
            .push_manifest(self.to, tag.as_str(), kind, bytes)
            .await?;
        Ok(set)
    }

    /// Where a `.sig` tag is there with signatures that the copy lacks: one manifest
    /// with those of both.
    async fn merged(&self, tag: &Tag, planned: &Planned) -> Result<Option<Bytes>, CopyError> {
        if tag.as_str().strip_suffix(".sig").is_none() {
            return Ok(None);
        }
        let there = match self.registry.manifest(self.to, tag.as_str()).await {
            Ok(document) => document,
            Err(RegistryError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let parse = |bytes: &Bytes| serde_json::from_slice::<Manifest>(bytes).ok();
        let (Some(there), Some(own)) = (parse(&there.bytes), parse(&planned.bytes)) else {
            return Ok(None);
        };
        let mut layers = own.layers;
        let copied = layers.len();
        for layer in there.layers {
            if !layers.contains(&layer) {
                layers.push(layer);
            }
        }
        if layers.len() == copied {
            return Ok(None);
        }
        let (manifest, config) = simple_manifest(layers)?;
        let digest = Digest::sha256(&config);
        self.registry
            .push_blob(self.to, &digest, config.into())
            .await?;
        Ok(Some(manifest.into()))
    }
}
