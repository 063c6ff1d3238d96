// SPDX-License-Identifier: Apache-2.0
//! What belongs to a version: everything its index leads to, everything that refers to
//! any of it, and the tags under which older tools keep signatures.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use registry_schema::{
    Digest, Version, media_type,
    name::{RepositoryName, Tag},
};
use serde::Deserialize;

use super::CopyError;
use crate::{
    oci::{Annotations, Descriptor},
    source::{Source, SourceError, highest_version},
};

/// Most manifests that one copy may hold.
const MAX_MANIFESTS: usize = 20_000;
/// Most bytes that the manifests of one copy may have together: they are kept in memory.
const MAX_MANIFESTS_BYTES: usize = 256 << 20;
/// What signing tools put behind a digest's tag.
const ATTACHED: [&str; 3] = [".sig", ".att", ".sbom"];

/// Which tags of a repository are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// One tag; its highest stable version if none is named.
    Tag(Option<Tag>),
    /// One manifest, without a tag.
    Digest(Digest),
    /// All tags.
    All,
}

/// Everything that one copy consists of.
#[derive(Debug, Default)]
pub struct Plan {
    /// Manifests, each behind those that it leads to.
    pub manifests: Vec<Planned>,
    /// Configs and layers, each once, with their sizes in bytes.
    pub blobs: BTreeMap<Digest, u64>,
    /// Tags in the order in which they are set: signatures, then versions.
    pub tags: Vec<(Tag, Digest)>,
    known: BTreeSet<Digest>,
    bytes: usize,
}

/// A manifest of a plan.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Describes it, as a list of referrers does.
    pub entry: Descriptor,
    /// Its bytes, which have that digest.
    pub bytes: Bytes,
    /// What it refers to.
    pub subject: Option<Digest>,
}

/// The links of a manifest or index of any kind.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Links {
    schema_version: u32,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
    subject: Option<Descriptor>,
    #[serde(default)]
    annotations: Annotations,
}

impl Plan {
    /// Finds out what a copy of `wanted` consists of. Reads manifests, and no blob.
    ///
    /// # Errors
    /// [`CopyError::Source`] if something is promised and not there;
    /// [`CopyError::NotCopied`] for documents of the first form of images;
    /// [`CopyError::TooMuch`] beyond what is kept in memory.
    pub async fn of(
        source: Source<'_>,
        repository: &RepositoryName,
        wanted: &Wanted,
    ) -> Result<Self, CopyError> {
        let all = source.tags(repository).await?;
        let mut plan = Self::default();
        let mut versions = Vec::new();
        match wanted {
            Wanted::Digest(digest) => {
                plan.walk(source, repository, digest.as_str()).await?;
            }
            Wanted::Tag(tag) => {
                let named = tag.clone().or_else(|| highest_version(all.iter()));
                let tag = named.ok_or_else(|| CopyError::Nothing {
                    repository: repository.clone(),
                    from: source.name(),
                })?;
                let digest = plan.walk(source, repository, tag.as_str()).await?;
                versions.push((tag, digest));
            }
            Wanted::All => {
                for tag in all.iter().filter(|tag| !is_attached(tag)) {
                    let digest = plan.walk(source, repository, tag.as_str()).await?;
                    versions.push((tag.clone(), digest));
                }
                if versions.is_empty() {
                    return Err(CopyError::Nothing {
                        repository: repository.clone(),
                        from: source.name(),
                    });
                }
            }
        }
        plan.walk_attached(source, repository, &all).await?;
        // Versions last, in their order: who sees one finds all that belongs to it.
        versions.sort_by_key(|(tag, _)| (tag.as_str().parse::<Version>().ok(), tag.clone()));
        plan.tags.extend(versions);
        Ok(plan)
    }

    /// The sum of the blobs' sizes.
    pub fn blob_bytes(&self) -> u64 {
        self.blobs.values().sum()
    }

    /// How many of the manifests refer to others: signatures and the like.
    pub fn referrers(&self) -> usize {
        let refers = |planned: &&Planned| planned.subject.is_some();
        self.manifests.iter().filter(refers).count()
    }

    /// The manifest of a digest.
    pub fn find(&self, digest: &Digest) -> Option<&Planned> {
        self.manifests
            .iter()
            .find(|planned| planned.entry.digest == *digest)
    }

    /// Signatures that are kept under a tag made of the digest they are for.
    async fn walk_attached(
        &mut self,
        source: Source<'_>,
        repository: &RepositoryName,
        all: &[Tag],
    ) -> Result<(), CopyError> {
        let known: Vec<_> = self.known.iter().cloned().collect();
        for (digest, suffix) in known
            .iter()
            .flat_map(|digest| ATTACHED.map(|suffix| (digest, suffix)))
        {
            let name = digest.tag(suffix);
            if let Some(tag) = all.iter().find(|tag| tag.as_str() == name) {
                let attached = self.walk(source, repository, tag.as_str()).await?;
                self.tags.push((tag.clone(), attached));
            }
        }
        Ok(())
    }

    /// Takes up what a tag or digest leads to, and what refers to any of it.
    async fn walk(
        &mut self,
        source: Source<'_>,
        repository: &RepositoryName,
        reference: &str,
    ) -> Result<Digest, CopyError> {
        let document = source.manifest(repository, reference).await?;
        let digest = match reference.parse::<Digest>() {
            Ok(digest) => digest,
            Err(_) => document.digest(),
        };
        let mut found = Vec::new();
        let mut open = VecDeque::from([(digest.clone(), document.media_type, document.bytes)]);
        while let Some((digest, media_type, bytes)) = open.pop_front() {
            if !self.known.insert(digest.clone()) {
                continue;
            }
            self.bytes += bytes.len();
            if self.known.len() > MAX_MANIFESTS || self.bytes > MAX_MANIFESTS_BYTES {
                return Err(CopyError::TooMuch {
                    repository: repository.clone(),
                });
            }
            let links = read(&digest, &bytes)?;
            for blob in links
                .config
                .iter()
                .chain(&links.layers)
                .filter(|blob| stays(blob))
            {
                self.blobs.insert(blob.digest.clone(), blob.size);
            }
            let referrers = source.referrers(repository, &digest).await?;
            for link in links.manifests.iter().chain(&referrers) {
                if self.known.contains(&link.digest) {
                    continue;
                }
                let bytes = match source.manifest_of(repository, link).await {
                    // Lists that clients keep by hand name what was deleted long ago.
                    Err(error) if error.is_missing() && !links.manifests.contains(link) => {
                        tracing::warn!(digest = %link.digest, "a referrer is listed and not there");
                        continue;
                    }
                    other => other?,
                };
                open.push_back((link.digest.clone(), link.media_type.clone(), bytes));
            }
            found.push(planned(digest, &media_type, bytes, links));
        }
        // Found from the top down; stored from the bottom up.
        self.manifests.extend(in_order(found));
        Ok(digest)
    }
}

/// Puts each manifest behind those that it lists, and each referrer behind its subject.
fn in_order(found: Vec<(Planned, Vec<Digest>)>) -> Vec<Planned> {
    let mut left: VecDeque<_> = found.into();
    let mut waiting: BTreeSet<Digest> = left
        .iter()
        .map(|(planned, _)| planned.entry.digest.clone())
        .collect();
    let mut ordered = Vec::with_capacity(left.len());
    let mut idle = 0;
    while let Some((planned, needs)) = left.pop_front() {
        // A digest cannot lead to itself, so something is always free; the count is for
        // what would break that.
        if idle <= left.len() && needs.iter().any(|needed| waiting.contains(needed)) {
            idle += 1;
            left.push_back((planned, needs));
            continue;
        }
        idle = 0;
        waiting.remove(&planned.entry.digest);
        ordered.push(planned);
    }
    ordered
}

fn read(digest: &Digest, bytes: &[u8]) -> Result<Links, CopyError> {
    let refuse = |reason: String| CopyError::NotCopied {
        digest: digest.clone(),
        reason,
    };
    let links: Links = serde_json::from_slice(bytes).map_err(|error| refuse(error.to_string()))?;
    if links.schema_version == 2 {
        Ok(links)
    } else {
        Err(refuse(format!(
            "it is of schema version {}",
            links.schema_version
        )))
    }
}

fn planned(digest: Digest, media_type: &str, bytes: Bytes, links: Links) -> (Planned, Vec<Digest>) {
    let size = bytes.len() as u64;
    let subject = links.subject.map(|subject| subject.digest);
    let kind = links.artifact_type.or_else(|| {
        let config = links.config.map(|config| config.media_type);
        subject.as_ref().and(config)
    });
    let needs = links
        .manifests
        .into_iter()
        .map(|child| child.digest)
        .chain(subject.clone())
        .collect();
    let media_type = [links.media_type.as_deref(), Some(media_type)]
        .into_iter()
        .flatten()
        .find(|said| !said.is_empty())
        .unwrap_or(media_type::OCI_MANIFEST)
        .to_owned();
    let entry = Descriptor {
        media_type,
        digest,
        size,
        artifact_type: kind,
        platform: None,
        annotations: links.annotations,
    };
    let planned = Planned {
        entry,
        bytes,
        subject,
    };
    (planned, needs)
}

/// Whether a blob is kept in the registry. Some layers may only be had elsewhere.
fn stays(blob: &Descriptor) -> bool {
    !blob.media_type.contains("nondistributable") && !blob.media_type.contains("foreign")
}

/// Whether a tag is made of a digest: it goes where that digest goes.
fn is_attached(tag: &Tag) -> bool {
    let name = tag.as_str();
    let bare = ATTACHED
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(name);
    bare.split_once('-')
        .is_some_and(|(algorithm, hex)| format!("{algorithm}:{hex}").parse::<Digest>().is_ok())
}

impl From<SourceError> for CopyError {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}
