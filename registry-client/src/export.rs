// SPDX-License-Identifier: Apache-2.0
//! Writing versions with everything that belongs to them as one archive. The same
//! content always gives the same bytes.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use bytes::Bytes;
use futures::TryStreamExt;
use registry_schema::{Digest, canonical, media_type, name::RepositoryName};

use crate::{
    Explain,
    copy::{Checked, CopyError, Plan},
    layout::{ANNOTATION_REGISTRY, ArchiveWriter, LayoutError, REF_NAME, index_of},
    oci::{Annotations, Descriptor, Manifest},
    source::{Source, SourceError},
};

/// The config of a manifest that needs none.
const EMPTY: &[u8] = b"{}";

/// What goes into an archive: a repository, where it is read, and what of it.
pub struct Part<'a> {
    /// Where it is read.
    pub source: Source<'a>,
    /// The repository.
    pub repository: RepositoryName,
    /// What of it.
    pub plan: Plan,
}

/// Why an archive was not written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Content cannot be read.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The archive cannot be written.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

impl Explain for ExportError {
    fn code(&self) -> &'static str {
        match self {
            Self::Copy(error) => error.code(),
            Self::Layout(error) => error.code(),
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Copy(error) => error.exit_code(),
            Self::Layout(error) => error.exit_code(),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Copy(error) => error.help(),
            Self::Layout(error) => error.help(),
        }
    }
}

/// What an archive holds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Exported {
    /// The names in it, with what they name.
    pub names: Vec<(String, Digest)>,
    /// How many manifests and indexes it has.
    pub manifests: usize,
    /// How many blobs it has.
    pub blobs: usize,
    /// How many bytes the blobs have together.
    pub blob_bytes: u64,
}

/// One file of the archive.
enum Content<'a> {
    Document(Bytes),
    Blob { size: u64, part: &'a Part<'a> },
}

/// A trust root or revocation feed that goes along.
#[derive(Debug, Clone)]
pub struct TrustDocument {
    /// The registry that it is for.
    pub registry: String,
    /// Its payload type.
    pub kind: &'static str,
    /// The signed envelope.
    pub bytes: Bytes,
}

impl TrustDocument {
    /// The manifest that holds it in a layout, and its config.
    fn manifest(&self) -> Result<(Descriptor, Bytes), LayoutError> {
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(media_type::OCI_MANIFEST.to_owned()),
            artifact_type: Some(self.kind.to_owned()),
            config: Descriptor::of(media_type::OCI_EMPTY, EMPTY),
            layers: vec![Descriptor::of(self.kind, &self.bytes)],
            subject: None,
            annotations: Annotations::from([(
                ANNOTATION_REGISTRY.to_owned(),
                self.registry.clone(),
            )]),
        };
        let bytes = canonical::to_vec(&manifest)?;
        let mut entry = Descriptor::of(media_type::OCI_MANIFEST, &bytes);
        entry.artifact_type = manifest.artifact_type;
        Ok((entry, bytes.into()))
    }
}

/// Writes `parts` as an archive, with what they are judged by. `progress` is told the size of each blob that is done.
///
/// # Errors
/// [`ExportError`]; then there is no archive.
pub async fn export(
    path: &Path,
    parts: &[Part<'_>],
    trust: &[TrustDocument],
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Exported, ExportError> {
    let mut entries = entries(parts);
    let mut contents = BTreeMap::new();
    for document in trust {
        let (entry, manifest) = document.manifest()?;
        for bytes in [manifest, document.bytes.clone(), Bytes::from_static(EMPTY)] {
            contents.insert(Digest::sha256(&bytes), Content::Document(bytes));
        }
        entries.push(entry);
    }
    for part in parts {
        for planned in &part.plan.manifests {
            let document = Content::Document(planned.bytes.clone());
            contents.insert(planned.entry.digest.clone(), document);
        }
        for (digest, size) in &part.plan.blobs {
            let blob = Content::Blob { size: *size, part };
            contents.entry(digest.clone()).or_insert(blob);
        }
    }
    let names = entries
        .iter()
        .filter_map(|entry| {
            Some((
                entry.annotations.get(REF_NAME)?.clone(),
                entry.digest.clone(),
            ))
        })
        .collect();
    let index = index_of(entries).map_err(LayoutError::from)?;
    let mut writer = ArchiveWriter::begin(path, &index)?;
    let mut exported = Exported {
        names,
        manifests: 0,
        blobs: 0,
        blob_bytes: 0,
    };
    for (digest, content) in contents {
        match content {
            Content::Document(bytes) => {
                writer.document(&digest, &bytes)?;
                exported.manifests += 1;
            }
            Content::Blob { size, part } => {
                blob(&mut writer, part, &digest, size).await?;
                progress(size);
                exported.blobs += 1;
                exported.blob_bytes += size;
            }
        }
    }
    writer.finish()?;
    Ok(exported)
}

async fn blob(
    writer: &mut ArchiveWriter,
    part: &Part<'_>,
    digest: &Digest,
    size: u64,
) -> Result<(), ExportError> {
    let read = |error: SourceError| ExportError::Copy(error.into());
    let pieces = part
        .source
        .pieces(&part.repository, digest)
        .await
        .map_err(read)?;
    let (mut pieces, verdict) = Checked::new(pieces, digest.clone(), size);
    writer.blob(digest, size)?;
    while let Ok(Some(piece)) = pieces.try_next().await {
        writer.bytes(&piece)?;
    }
    if let Some(broken) = verdict.take() {
        return Err(broken.explain(digest, part.source.name()).into());
    }
    Ok(writer.end(size)?)
}

/// The entries of `index.json`: first what has a name, by its name, then what refers to
/// something.
fn entries(parts: &[Part<'_>]) -> Vec<Descriptor> {
    let (mut named, mut referring) = (BTreeMap::new(), BTreeMap::new());
    let mut roots = BTreeSet::new();
    for part in parts {
        for (tag, digest) in &part.plan.tags {
            let Some(planned) = part.plan.find(digest) else {
                continue;
            };
            let name = format!("{}:{tag}", part.repository);
            let mut entry = bare(&planned.entry);
            entry.annotations.insert(REF_NAME.to_owned(), name.clone());
            named.insert(name, entry);
            roots.insert(digest.clone());
        }
        for planned in &part.plan.manifests {
            if planned.subject.is_some() {
                referring.insert(planned.entry.digest.clone(), bare(&planned.entry));
            }
        }
    }
    referring.retain(|digest, _| !roots.contains(digest));
    named.into_values().chain(referring.into_values()).collect()
}

/// An entry without what the manifest says itself: other tools read a name in it.
fn bare(entry: &Descriptor) -> Descriptor {
    Descriptor {
        annotations: Annotations::new(),
        ..entry.clone()
    }
}
