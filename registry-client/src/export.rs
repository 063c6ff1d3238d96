// SPDX-License-Identifier: Apache-2.0
//! Writing versions with everything that belongs to them as one archive. The same
//! versions always give the same bytes.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use bytes::Bytes;
use futures::TryStreamExt;
use registry_schema::{Digest, name::RepositoryName};

use crate::{
    Explain,
    copy::{Checked, CopyError, Plan},
    layout::{ArchiveWriter, LayoutError, REF_NAME, index_of},
    oci::{Annotations, Descriptor},
    source::{Source, SourceError},
};

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

/// Writes `parts` as an archive. `progress` is told the size of each blob that is done.
///
/// # Errors
/// [`ExportError`]; then there is no archive.
pub async fn export(
    path: &Path,
    parts: &[Part<'_>],
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Exported, ExportError> {
    let entries = entries(parts);
    let mut contents = BTreeMap::new();
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
