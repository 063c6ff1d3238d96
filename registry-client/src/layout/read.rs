// SPDX-License-Identifier: Apache-2.0
//! Reading a layout: what it names, what refers to it, and bytes by their digest.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use registry_schema::{
    Digest, PackageName, media_type,
    name::{RepositoryName, Tag},
    trust::{
        revocation::{MAX_FEED, REVOCATION_TYPE},
        root::{MAX_ROOT, ROOT_TYPE},
    },
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    ANNOTATION_REGISTRY, INDEX, LayoutError, MARKER, REF_NAME, VERSION,
    archive::{self, Span},
};
use crate::{
    file,
    oci::{Annotations, Descriptor, Index},
    registry::MAX_MANIFEST_BYTES,
};

/// Most entries of `index.json`.
const MAX_ROOTS: usize = 10_000;

/// A layout that is open for reading. Whatever comes out of it was compared with its
/// digest.
#[derive(Debug)]
pub struct Layout {
    path: PathBuf,
    place: Place,
    roots: Vec<Root>,
    referrers: BTreeMap<Digest, Vec<Descriptor>>,
    /// Trust roots and revocation feeds: the registry, and the layer of the manifest.
    trust: Vec<(String, Descriptor)>,
}

/// What a layout names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The repository that the name says, or the package's own.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Tag,
    /// What is named.
    pub entry: Descriptor,
}

#[derive(Debug)]
enum Place {
    Folder,
    Archive {
        file: File,
        entries: BTreeMap<String, Span>,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

/// What of a manifest or index says to what it belongs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Belonging {
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    subject: Option<Descriptor>,
    #[serde(default)]
    annotations: Annotations,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

impl Layout {
    /// Opens a folder, or a tar archive that may be compressed with gzip. Nothing is
    /// unpacked into a folder.
    ///
    /// # Errors
    /// [`LayoutError::Archive`] if the archive is a trap or could be understood in two
    /// ways, [`LayoutError::Document`] if a list in it cannot be used,
    /// [`LayoutError::File`] if the system refuses.
    pub fn open(path: &Path) -> Result<Self, LayoutError> {
        let failed = |source| LayoutError::File {
            action: "read",
            path: path.to_owned(),
            source,
        };
        let place = if fs::metadata(path).map_err(failed)?.is_dir() {
            Place::Folder
        } else {
            let refused = |source| LayoutError::Archive {
                path: path.to_owned(),
                source,
            };
            let file = File::open(path).map_err(failed)?;
            let mut file = archive::uncompressed(file).map_err(refused)?;
            let entries = archive::scan(&mut file).map_err(refused)?;
            Place::Archive { file, entries }
        };
        let mut layout = Self {
            path: path.to_owned(),
            place,
            roots: Vec::new(),
            referrers: BTreeMap::new(),
            trust: Vec::new(),
        };
        let marker: Marker = layout.document(MARKER)?;
        if marker.image_layout_version != VERSION {
            let version: String = marker.image_layout_version.chars().take(32).collect();
            let reason = format!("it is of version `{version}`, and only {VERSION} is known");
            return Err(layout.unusable(MARKER, reason));
        }
        layout.read_index()?;
        Ok(layout)
    }

    /// The file or folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the layout names, in its order.
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// What a tag of a repository names.
    pub fn find(&self, repository: &RepositoryName, tag: &str) -> Option<&Descriptor> {
        self.roots
            .iter()
            .find(|root| root.repository == *repository && root.tag.as_str() == tag)
            .map(|root| &root.entry)
    }

    /// The trust roots of a registry that came along, in their order; nobody has checked
    /// them.
    ///
    /// # Errors
    /// As [`Layout::bytes`].
    pub fn trust_roots(&self, registry: &str) -> Result<Vec<Vec<u8>>, LayoutError> {
        self.trust(registry, ROOT_TYPE, MAX_ROOT as u64)
    }

    /// The revocation feeds of a registry that came along; nobody has checked them.
    ///
    /// # Errors
    /// As [`Layout::bytes`].
    pub fn revocations(&self, registry: &str) -> Result<Vec<Vec<u8>>, LayoutError> {
        self.trust(registry, REVOCATION_TYPE, MAX_FEED as u64)
    }

    fn trust(&self, host: &str, kind: &str, limit: u64) -> Result<Vec<Vec<u8>>, LayoutError> {
        let wanted = |(registry, layer): &&(String, Descriptor)| {
            registry == host && layer.media_type == kind
        };
        let found = self.trust.iter().filter(wanted);
        found
            .map(|(_, layer)| self.bytes(&layer.digest, limit))
            .collect()
    }

    /// What refers to a digest.
    pub fn referrers(&self, digest: &Digest) -> &[Descriptor] {
        self.referrers.get(digest).map_or(&[], Vec::as_slice)
    }

    /// The length of a blob in bytes, if it is there.
    pub fn size(&self, digest: &Digest) -> Option<u64> {
        let name = blob_name(digest);
        match &self.place {
            Place::Folder => fs::metadata(self.path.join(name))
                .ok()
                .map(|found| found.len()),
            Place::Archive { entries, .. } => entries.get(&name).map(|span| span.size),
        }
    }

    /// Reads a manifest or a small blob of at most `limit` bytes.
    ///
    /// # Errors
    /// [`LayoutError::Missing`], [`LayoutError::TooLarge`], [`LayoutError::Damaged`].
    pub fn bytes(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, LayoutError> {
        let size = self
            .size(digest)
            .ok_or_else(|| self.missing(digest.as_str()))?;
        if size > limit {
            return Err(LayoutError::TooLarge {
                digest: digest.clone(),
                path: self.path.clone(),
                limit,
            });
        }
        let bytes = self.file(&blob_name(digest), limit)?;
        digest
            .check(&bytes)
            .map_err(|mismatch| LayoutError::Damaged {
                path: self.path.clone(),
                mismatch,
            })?;
        Ok(bytes)
    }

    /// Opens a blob for reading in pieces. They are unchecked: whoever reads hashes them.
    pub(crate) fn blob_file(&self, digest: &Digest) -> Result<BlobFile, LayoutError> {
        let name = blob_name(digest);
        let size = self
            .size(digest)
            .ok_or_else(|| self.missing(digest.as_str()))?;
        let opened = match &self.place {
            Place::Folder => File::open(self.path.join(name)).map(|file| (file, 0)),
            Place::Archive { file, entries } => {
                let offset = entries.get(&name).map_or(0, |span| span.offset);
                file.try_clone().map(|file| (file, offset))
            }
        };
        let (file, offset) = opened.map_err(|source| LayoutError::File {
            action: "read",
            path: self.path.clone(),
            source,
        })?;
        Ok(BlobFile {
            file,
            span: Span { offset, size },
        })
    }

    fn missing(&self, what: &str) -> LayoutError {
        LayoutError::Missing {
            what: format!("`{what}`"),
            path: self.path.clone(),
        }
    }

    fn file(&self, name: &str, limit: u64) -> Result<Vec<u8>, LayoutError> {
        let read = match &self.place {
            Place::Folder => file::read_bounded(&self.path.join(name), limit),
            Place::Archive { file, entries } => {
                let span = entries.get(name).ok_or_else(|| self.missing(name))?;
                let mut bytes = vec![0; usize::try_from(span.size.min(limit)).unwrap_or(0)];
                file.read_exact_at(&mut bytes, span.offset).map(|()| bytes)
            }
        };
        read.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => self.missing(name),
            _ => LayoutError::File {
                action: "read",
                path: self.path.join(name),
                source,
            },
        })
    }

    fn document<T: DeserializeOwned>(&self, name: &str) -> Result<T, LayoutError> {
        let bytes = self.file(name, MAX_MANIFEST_BYTES)?;
        serde_json::from_slice(&bytes).map_err(|error| self.unusable(name, error.to_string()))
    }

    fn unusable(&self, document: &str, reason: String) -> LayoutError {
        LayoutError::Document {
            document: document.to_owned(),
            path: self.path.clone(),
            reason,
        }
    }

    /// Reads `index.json`, and of each entry what it belongs to.
    fn read_index(&mut self) -> Result<(), LayoutError> {
        let index: Index = self.document(INDEX)?;
        if index.manifests.len() > MAX_ROOTS {
            let reason = format!("it has more than {MAX_ROOTS} entries");
            return Err(self.unusable(INDEX, reason));
        }
        for mut entry in index.manifests {
            let bytes = self.bytes(&entry.digest, MAX_MANIFEST_BYTES)?;
            let name = entry.annotations.remove(REF_NAME);
            if let Some(subject) = name.as_deref().and_then(fallback_subject) {
                // A list of referrers that a registry without a list of its own had.
                let list: Index = serde_json::from_slice(&bytes)
                    .map_err(|error| self.unusable(entry.digest.as_str(), error.to_string()))?;
                list.manifests
                    .into_iter()
                    .for_each(|referrer| self.add_referrer(&subject, referrer));
                continue;
            }
            let Ok(belonging) = serde_json::from_slice::<Belonging>(&bytes) else {
                continue;
            };
            if let Some(name) = &name
                && let Some((repository, tag)) = name_of(name, &belonging)
            {
                self.roots.push(Root {
                    repository,
                    tag,
                    entry: entry.clone(),
                });
            }
            if let (Some(ROOT_TYPE | REVOCATION_TYPE), [layer], Some(registry)) = (
                belonging.artifact_type.as_deref(),
                belonging.layers.as_slice(),
                belonging.annotations.get(ANNOTATION_REGISTRY),
            ) {
                self.trust.push((registry.clone(), layer.clone()));
            }
            if let Some(subject) = &belonging.subject {
                entry.artifact_type = belonging
                    .artifact_type
                    .or_else(|| belonging.config.map(|config| config.media_type));
                entry.annotations = belonging.annotations;
                entry.media_type = belonging.media_type.unwrap_or(entry.media_type);
                self.add_referrer(&subject.digest, entry);
            }
        }
        Ok(())
    }

    fn add_referrer(&mut self, subject: &Digest, referrer: Descriptor) {
        let known = self.referrers.entry(subject.clone()).or_default();
        if !known.iter().any(|one| one.digest == referrer.digest) {
            known.push(referrer);
        }
    }
}

/// A blob within a layout.
pub(crate) struct BlobFile {
    file: File,
    span: Span,
}

impl BlobFile {
    /// Reads up to `buffer.len()` bytes from `offset` on; 0 at the end.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.span.size.saturating_sub(offset);
        let wanted = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        self.file
            .read_at(&mut buffer[..wanted], self.span.offset + offset)
    }
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex())
}

/// The digest whose referrers a tag of the form `sha256-<hex>` lists.
pub(crate) fn fallback_subject(name: &str) -> Option<Digest> {
    let tag = name.rsplit_once(':').map_or(name, |(_, tag)| tag);
    let (algorithm, hex) = tag.split_once('-')?;
    format!("{algorithm}:{hex}").parse().ok()
}

/// Repository and tag of an entry: both from `repository:tag`; from a bare tag, which
/// other tools write, with the package's own name.
fn name_of(name: &str, belonging: &Belonging) -> Option<(RepositoryName, Tag)> {
    if let Some((repository, tag)) = name.rsplit_once(':') {
        return Some((repository.parse().ok()?, tag.parse().ok()?));
    }
    let title = belonging.annotations.get(media_type::ANNOTATION_TITLE)?;
    let package: PackageName = title.parse().ok()?;
    Some((RepositoryName::from(&package), name.parse().ok()?))
}
