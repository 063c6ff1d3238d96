// SPDX-License-Identifier: Apache-2.0
//! Where content is read from: a registry, or a layout on this machine. Nothing that
//! comes from either is believed before its digest was compared.

use std::pin::Pin;

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use registry_schema::{
    Digest, PackageName, Version,
    name::{RepositoryName, Tag},
};

use crate::{
    Explain,
    layout::{Layout, LayoutError},
    oci::Descriptor,
    registry::{Document, MAX_MANIFEST_BYTES, Registry, RegistryError, of_type},
};

/// Pieces of a blob, whose digest nobody has compared yet.
pub type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, SourceError>> + Send>>;

/// How much of a file is read at once, in bytes.
const PIECE: usize = 64 << 10;

/// Where content is read from.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// A registry.
    Registry(&'a Registry),
    /// A folder or archive.
    Layout(&'a Layout),
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The registry did not give it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The layout does not have it.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

impl Explain for SourceError {
    fn code(&self) -> &'static str {
        match self {
            Self::Registry(error) => error.code(),
            Self::Layout(error) => error.code(),
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Registry(error) => error.exit_code(),
            Self::Layout(error) => error.exit_code(),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.help(),
            Self::Layout(error) => error.help(),
        }
    }
}

impl SourceError {
    /// Whether the thing is simply not there.
    pub const fn is_missing(&self) -> bool {
        matches!(
            self,
            Self::Registry(RegistryError::NotFound { .. })
                | Self::Layout(LayoutError::Missing { .. })
        )
    }
}

impl<'a> From<&'a Registry> for Source<'a> {
    fn from(registry: &'a Registry) -> Self {
        Self::Registry(registry)
    }
}

impl<'a> From<&'a Layout> for Source<'a> {
    fn from(layout: &'a Layout) -> Self {
        Self::Layout(layout)
    }
}

impl Source<'_> {
    /// Host and port, or the path: what a person would call it.
    pub fn name(&self) -> String {
        match self {
            Self::Registry(registry) => registry.host().to_owned(),
            Self::Layout(layout) => layout.path().display().to_string(),
        }
    }

    /// Reads the manifest or index behind a tag or a digest. `latest` of a layout is its
    /// highest stable version, unless something has that tag.
    ///
    /// # Errors
    /// [`SourceError`] if it is not there, is too large, or is not what the digest says.
    pub async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &str,
    ) -> Result<Document, SourceError> {
        let layout = match self {
            Self::Registry(registry) => {
                return Ok(registry.manifest(repository, reference).await?);
            }
            Self::Layout(layout) => layout,
        };
        if let Ok(digest) = reference.parse::<Digest>() {
            let bytes = layout.bytes(&digest, MAX_MANIFEST_BYTES)?;
            return Ok(Document::of(bytes.into()));
        }
        let named = layout.find(repository, reference).or_else(|| {
            let latest = (reference == "latest").then(|| highest(layout, repository))??;
            layout.find(repository, latest.as_str())
        });
        let entry = named.ok_or_else(|| LayoutError::Missing {
            what: format!("`{repository}:{reference}`"),
            path: layout.path().to_owned(),
        })?;
        let bytes = layout.bytes(&entry.digest, MAX_MANIFEST_BYTES)?;
        Ok(Document {
            bytes: bytes.into(),
            media_type: entry.media_type.clone(),
        })
    }

    /// Reads the manifest that a descriptor promises, at most its size.
    ///
    /// # Errors
    /// As [`Source::manifest`].
    pub async fn manifest_of(
        &self,
        repository: &RepositoryName,
        descriptor: &Descriptor,
    ) -> Result<Bytes, SourceError> {
        Ok(match self {
            Self::Registry(registry) => registry.manifest_of(repository, descriptor).await?,
            Self::Layout(layout) => {
                let limit = descriptor.size.min(MAX_MANIFEST_BYTES);
                layout.bytes(&descriptor.digest, limit)?.into()
            }
        })
    }

    /// Reads a blob: not a byte more than `descriptor` promises, and never more than
    /// `limit`.
    ///
    /// # Errors
    /// [`SourceError`] if it is not there, is larger, or is not what the digest says.
    pub async fn blob(
        &self,
        repository: &RepositoryName,
        descriptor: &Descriptor,
        limit: u64,
    ) -> Result<Bytes, SourceError> {
        Ok(match self {
            Self::Registry(registry) => registry.blob(repository, descriptor, limit).await?,
            Self::Layout(layout) => {
                let limit = descriptor.size.min(limit);
                layout.bytes(&descriptor.digest, limit)?.into()
            }
        })
    }

    /// Everything that refers to a digest.
    ///
    /// # Errors
    /// [`SourceError`]; what nothing refers to has an empty list.
    pub async fn referrers(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Vec<Descriptor>, SourceError> {
        Ok(match self {
            Self::Registry(registry) => registry.all_referrers(repository, digest).await?,
            Self::Layout(layout) => layout.referrers(digest).to_vec(),
        })
    }

    /// What refers to a digest and is or may be of one kind.
    ///
    /// # Errors
    /// As [`Source::referrers`].
    pub async fn referrers_of_type(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        artifact_type: &str,
    ) -> Result<Vec<Descriptor>, SourceError> {
        let found = self.referrers(repository, digest).await?;
        Ok(of_type(found, artifact_type))
    }

    /// All tags of a repository, in no order; none if there is no such repository.
    ///
    /// # Errors
    /// [`SourceError`].
    pub async fn tags(&self, repository: &RepositoryName) -> Result<Vec<Tag>, SourceError> {
        Ok(match self {
            Self::Registry(registry) => registry.tags(repository).await?,
            Self::Layout(layout) => tags_of(layout, repository).cloned().collect(),
        })
    }

    /// The versions of a package that may be chosen.
    ///
    /// # Errors
    /// [`SourceError`]; for a registry also if there is no such package.
    pub async fn versions(&self, package: &PackageName) -> Result<Vec<Version>, SourceError> {
        Ok(match self {
            Self::Registry(registry) => registry.versions(package).await?,
            Self::Layout(layout) => tags_of(layout, &RepositoryName::from(package))
                .filter_map(|tag| tag.as_str().parse().ok())
                .collect(),
        })
    }

    /// A blob in pieces, for whoever hashes them on the way.
    ///
    /// # Errors
    /// [`SourceError`] if it is not there.
    pub async fn pieces(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Pieces, SourceError> {
        match self {
            Self::Registry(registry) => {
                let pieces = registry.pieces(repository, digest).await?;
                Ok(pieces.map_err(SourceError::from).boxed())
            }
            Self::Layout(layout) => layout_pieces(layout, digest),
        }
    }
}

/// The tags of a repository within a layout.
fn tags_of<'a>(layout: &'a Layout, repository: &RepositoryName) -> impl Iterator<Item = &'a Tag> {
    layout
        .roots()
        .iter()
        .filter(move |root| root.repository == *repository)
        .map(|root| &root.tag)
}

/// The tag of the highest stable version.
fn highest(layout: &Layout, repository: &RepositoryName) -> Option<Tag> {
    highest_version(tags_of(layout, repository))
}

/// The tag of the highest stable version among others.
pub(crate) fn highest_version<'a>(tags: impl Iterator<Item = &'a Tag>) -> Option<Tag> {
    tags.filter_map(|tag| Some((tag.as_str().parse::<Version>().ok()?, tag)))
        .filter(|(version, _)| !version.is_prerelease())
        .max_by(|(a, _), (b, _)| a.cmp(b))
        .map(|(_, tag)| tag.clone())
}

/// Layouts are read where they are opened: a file of this machine needs no waiting.
fn layout_pieces(layout: &Layout, digest: &Digest) -> Result<Pieces, SourceError> {
    let blob = layout.blob_file(digest)?;
    let failed = {
        let path = layout.path().to_owned();
        move |source| {
            SourceError::Layout(LayoutError::File {
                action: "read",
                path: path.clone(),
                source,
            })
        }
    };
    Ok(stream::try_unfold((blob, 0), move |(blob, offset)| {
        let mut buffer = vec![0; PIECE];
        let read = blob.read_at(offset, &mut buffer).map_err(&failed);
        std::future::ready(read.map(|read| {
            buffer.truncate(read);
            (read > 0).then(|| (Bytes::from(buffer), (blob, offset + read as u64)))
        }))
    })
    .boxed())
}
