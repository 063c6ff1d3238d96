// SPDX-License-Identifier: Apache-2.0
//! A packed version as a folder in OCI image layout, for tools that read folders
//! and for looking at.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use registry_schema::{
    Digest,
    canonical::{self, CanonicalError},
    exit, media_type,
};
use serde_json::json;

use crate::{
    Explain, file,
    oci::{Annotations, Descriptor, Index},
    pack::PackedVersion,
};

/// Why a layout cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// Something is in the way. It is not touched.
    #[error("`{path}` exists already and was not touched")]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// The system refused.
    #[error("layout `{path}` cannot be written: {source}")]
    File {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A document has no canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
}

impl Explain for LayoutError {
    fn code(&self) -> &'static str {
        "layout"
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Exists { .. } => exit::CONFLICT,
            Self::File { .. } | Self::Canonical(_) => exit::FAILURE,
        }
    }

    fn help(&self) -> Option<String> {
        Some("name another folder, or remove this one".to_owned())
    }
}

/// Writes `packed` as a new folder, all at once.
///
/// # Errors
/// [`LayoutError::Exists`] if `folder` is there, [`LayoutError::File`].
pub fn write(folder: &Path, packed: &PackedVersion) -> Result<(), LayoutError> {
    if folder.symlink_metadata().is_ok() {
        return Err(LayoutError::Exists {
            path: folder.to_owned(),
        });
    }
    let mut entry = Descriptor::of(media_type::OCI_INDEX, &packed.index);
    entry.artifact_type = Some(media_type::PACKAGE.to_owned());
    entry.annotations.insert(
        "org.opencontainers.image.ref.name".to_owned(),
        packed.version.to_string(),
    );
    let index = canonical::to_vec(&Index {
        schema_version: 2,
        media_type: Some(media_type::OCI_INDEX.to_owned()),
        artifact_type: None,
        manifests: vec![entry],
        annotations: Annotations::new(),
    })?;
    let marker = canonical::to_vec(&json!({"imageLayoutVersion": "1.0.0"}))?;
    let failed = |source: io::Error| LayoutError::File {
        path: folder.to_owned(),
        source,
    };
    let beside = file::parent(folder);
    fs::create_dir_all(&beside).map_err(failed)?;
    let staging = tempfile::Builder::new()
        .prefix(".bpfpkg-")
        .tempdir_in(&beside)
        .map_err(failed)?;
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
        fs::write(staging.path().join("oci-layout"), &marker)?;
        fs::write(staging.path().join("index.json"), &index)?;
        fs::rename(staging.path(), folder)
    };
    fill().map_err(failed)?;
    let _ = staging.keep();
    Ok(())
}
