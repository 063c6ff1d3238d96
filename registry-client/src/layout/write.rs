// SPDX-License-Identifier: Apache-2.0
//! Writing a layout: a packed version as a folder, or anything as an archive whose
//! bytes depend on nothing but what is in it.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use registry_schema::{
    Digest,
    canonical::{self, CanonicalError},
    media_type,
};
use serde_json::json;
use tempfile::NamedTempFile;

use super::{INDEX, LayoutError, MARKER, REF_NAME, VERSION, archive::padding};
use crate::{
    file,
    oci::{Annotations, Descriptor, Index},
    pack::PackedVersion,
};

/// Writes `packed` as a new folder, all at once.
///
/// # Errors
/// [`LayoutError::Exists`] if `folder` is there, [`LayoutError::File`].
pub fn write(folder: &Path, packed: &PackedVersion) -> Result<(), LayoutError> {
    refuse_existing(folder)?;
    let mut entry = Descriptor::of(media_type::OCI_INDEX, &packed.index);
    entry.artifact_type = Some(media_type::PACKAGE.to_owned());
    entry
        .annotations
        .insert(REF_NAME.to_owned(), packed.version.to_string());
    let index = index_of(vec![entry])?;
    let marker = marker()?;
    let failed = failed(folder);
    let beside = file::parent(folder);
    fs::create_dir_all(&beside).map_err(&failed)?;
    let staging = tempfile::Builder::new()
        .prefix(".bpfpkg-")
        .tempdir_in(&beside)
        .map_err(&failed)?;
    let fill = || -> io::Result<()> {
        let blobs = staging.path().join("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        let manifests = packed.manifests.iter().map(|(_, bytes)| bytes);
        for bytes in packed
            .blobs
            .values()
            .chain(manifests)
            .chain([&packed.index])
        {
            fs::write(blobs.join(Digest::sha256(bytes).hex()), bytes)?;
        }
        fs::write(staging.path().join(MARKER), &marker)?;
        fs::write(staging.path().join(INDEX), &index)?;
        fs::rename(staging.path(), folder)
    };
    fill().map_err(failed)?;
    let _ = staging.keep();
    Ok(())
}

/// The text of `index.json` for its entries.
pub(crate) fn index_of(manifests: Vec<Descriptor>) -> Result<Vec<u8>, CanonicalError> {
    canonical::to_vec(&Index {
        schema_version: 2,
        media_type: Some(media_type::OCI_INDEX.to_owned()),
        artifact_type: None,
        manifests,
        annotations: Annotations::new(),
    })
}

fn marker() -> Result<Vec<u8>, CanonicalError> {
    canonical::to_vec(&json!({"imageLayoutVersion": VERSION}))
}

fn refuse_existing(path: &Path) -> Result<(), LayoutError> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(LayoutError::Exists {
        path: path.to_owned(),
    })
}

fn failed(path: &Path) -> impl Fn(io::Error) -> LayoutError {
    let path = path.to_owned();
    move |source| LayoutError::File {
        action: "written",
        path: path.clone(),
        source,
    }
}

/// An archive that is being written beside its place, and moved there when it is
/// complete. Dropped before that, it leaves nothing behind.
pub(crate) struct ArchiveWriter {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
}

impl ArchiveWriter {
    /// Begins an archive with `oci-layout` and `index.json`.
    pub(crate) fn begin(path: &Path, index: &[u8]) -> Result<Self, LayoutError> {
        refuse_existing(path)?;
        let file = tempfile::Builder::new()
            .prefix(".bpfpkg-")
            .tempfile_in(file::parent(path))
            .map_err(failed(path))?;
        let mut writer = Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
        };
        writer.whole(MARKER, &marker()?)?;
        writer.whole(INDEX, index)?;
        Ok(writer)
    }

    /// Adds a manifest or small blob.
    pub(crate) fn document(&mut self, digest: &Digest, bytes: &[u8]) -> Result<(), LayoutError> {
        self.blob(digest, bytes.len() as u64)?;
        self.bytes(bytes)?;
        self.end(bytes.len() as u64)
    }

    /// Begins a blob of `size` bytes, which follow in pieces; then comes
    /// [`ArchiveWriter::end`].
    pub(crate) fn blob(&mut self, digest: &Digest, size: u64) -> Result<(), LayoutError> {
        let name = format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex());
        self.header(&name, size)
    }

    /// Adds a piece of the blob that was begun.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), LayoutError> {
        self.file.write_all(bytes).map_err(failed(&self.path))
    }

    /// Ends a blob of `size` bytes.
    pub(crate) fn end(&mut self, size: u64) -> Result<(), LayoutError> {
        let zeros = [0; 512];
        self.bytes(&zeros[..usize::try_from(padding(size)).unwrap_or(0)])
    }

    /// Ends the archive and moves it to its place.
    ///
    /// # Errors
    /// [`LayoutError::Exists`] if something has appeared there meanwhile.
    pub(crate) fn finish(mut self) -> Result<(), LayoutError> {
        let failed = failed(&self.path);
        self.file.write_all(&[0; 1024]).map_err(&failed)?;
        let file = self
            .file
            .into_inner()
            .map_err(|error| failed(error.into_error()))?;
        file.as_file().sync_all().map_err(&failed)?;
        file.persist_noclobber(&self.path).map_err(|error| {
            if error.error.kind() == io::ErrorKind::AlreadyExists {
                LayoutError::Exists {
                    path: self.path.clone(),
                }
            } else {
                failed(error.error)
            }
        })?;
        Ok(())
    }

    fn whole(&mut self, name: &str, bytes: &[u8]) -> Result<(), LayoutError> {
        self.header(name, bytes.len() as u64)?;
        self.bytes(bytes)?;
        self.end(bytes.len() as u64)
    }

    /// A header without owner or time, so that the same content gives the same bytes.
    fn header(&mut self, name: &str, size: u64) -> Result<(), LayoutError> {
        let field = tar::Header::new_ustar().as_old().name.len();
        // A SHA-512 digest is longer than the field for names: its name goes before it.
        let short = if name.len() > field {
            // The length counts itself, and has three digits.
            let record = format!("{} path={name}\n", name.len() + " path=\n".len() + 3);
            self.bytes(
                plain("name-of-next", record.len() as u64, tar::EntryType::XHeader).as_bytes(),
            )?;
            self.bytes(record.as_bytes())?;
            self.end(record.len() as u64)?;
            &name[..field]
        } else {
            name
        };
        self.bytes(plain(short, size, tar::EntryType::Regular).as_bytes())
    }
}

fn plain(name: &str, size: u64, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    header
}
