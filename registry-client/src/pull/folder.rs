// SPDX-License-Identifier: Apache-2.0
//! Putting a verified package in a folder: the whole of it, or nothing.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use registry_schema::exit;

use super::{FetchedPackage, FetchedSignature};
use crate::{Explain, file, verify::VerifiedPackage};

/// Why a package could not be put in a folder.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Something is in the way. It is not touched.
    #[error("`{path}` exists already and was not touched")]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// The system refused.
    #[error("`{path}` cannot be written: {source}")]
    File {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The manifest cannot be written as TOML.
    #[error("the package manifest cannot be written as TOML: {0}")]
    Manifest(#[from] toml::ser::Error),
}

impl Explain for WriteError {
    fn code(&self) -> &'static str {
        match self {
            Self::Exists { .. } => "pull::exists",
            Self::File { .. } | Self::Manifest(_) => "pull::write",
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Exists { .. } => exit::CONFLICT,
            Self::File { .. } | Self::Manifest(_) => exit::FAILURE,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Exists { .. } => {
                "name another folder with `--directory`, or remove this one".to_owned()
            }
            Self::File { .. } | Self::Manifest(_) => {
                "check the folder's owner, mode and free space".to_owned()
            }
        })
    }
}

/// Writes a verified package as a new folder: the object, `package.toml`, the
/// README, and under `evidence/` what anyone needs to check the signature again.
///
/// Everything is written beside the target and renamed into place, so a failure or
/// a kill leaves the target as it was.
///
/// # Errors
/// [`WriteError::Exists`] if `folder` is there, [`WriteError::File`] if the system
/// refuses.
pub fn write_to_dir(
    folder: &Path,
    verified: &VerifiedPackage,
    fetched: &FetchedPackage,
    readme: Option<&[u8]>,
) -> Result<(), WriteError> {
    let failed = |source: io::Error| WriteError::File {
        path: folder.to_owned(),
        source,
    };
    if folder.symlink_metadata().is_ok() {
        return Err(WriteError::Exists {
            path: folder.to_owned(),
        });
    }
    let beside = file::parent(folder);
    fs::create_dir_all(&beside).map_err(failed)?;
    let staging = tempfile::Builder::new()
        .prefix(".bpfpkg-")
        .tempdir_in(&beside)
        .map_err(failed)?;
    let mut files = vec![
        (object_file_name(verified), verified.object.0.clone()),
        (
            "package.toml".to_owned(),
            toml::to_string(&verified.manifest)?.into_bytes(),
        ),
    ];
    files.extend(readme.map(|readme| ("README.md".to_owned(), readme.to_vec())));
    files.extend(evidence(fetched));
    fs::create_dir(staging.path().join("evidence")).map_err(failed)?;
    for (name, bytes) in files {
        let path = staging.path().join(name);
        fs::write(&path, bytes)
            .and_then(|()| fs::File::open(&path)?.sync_all())
            .map_err(failed)?;
    }
    fs::set_permissions(staging.path(), fs::Permissions::from_mode(0o755)).map_err(failed)?;
    match rename_to_new(staging.path(), folder) {
        Ok(()) => {
            // It has moved: there is nothing left to remove.
            let _ = staging.keep();
            Ok(())
        }
        Err(error)
            if error.kind() == io::ErrorKind::AlreadyExists
                || error.kind() == io::ErrorKind::DirectoryNotEmpty =>
        {
            Err(WriteError::Exists {
                path: folder.to_owned(),
            })
        }
        Err(error) => Err(failed(error)),
    }
}

/// What anyone needs to check the signatures again: names and contents.
fn evidence(fetched: &FetchedPackage) -> Vec<(String, Vec<u8>)> {
    let mut files = vec![
        ("evidence/index.json".to_owned(), fetched.index.0.clone()),
        (
            "evidence/manifest.json".to_owned(),
            fetched.manifest.0.clone(),
        ),
        ("evidence/config.json".to_owned(), fetched.config.0.clone()),
    ];
    for (number, signature) in fetched.signatures.iter().enumerate() {
        let (name, bytes) = match signature {
            FetchedSignature::Bundle(bundle) => (
                format!("evidence/signature-{number}.bundle.json"),
                bundle.0.clone(),
            ),
            FetchedSignature::SimpleSigning(simple) => {
                let parts = [
                    ("base64", Some(&simple.signature)),
                    ("certificate.pem", simple.certificate.as_ref()),
                    ("log-entry.json", simple.log_entry.as_ref()),
                    ("timestamp.json", simple.timestamp.as_ref()),
                ];
                files.extend(parts.into_iter().filter_map(|(end, text)| {
                    let name = format!("evidence/signature-{number}.{end}");
                    Some((name, text?.clone().into_bytes()))
                }));
                (
                    format!("evidence/signature-{number}.payload.json"),
                    simple.payload.0.clone(),
                )
            }
        };
        files.push((name, bytes));
    }
    for (number, proof) in fetched.log_proofs.iter().enumerate() {
        let name = format!("evidence/log-proof-{number}.txt");
        files.push((name, proof.0.clone()));
    }
    files
}

/// Renames a folder to a name that is free. An empty folder that appears meanwhile
/// is replaced; anything else makes the kernel refuse.
fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    fs::File::open(file::parent(to))?.sync_all()
}

/// The object's own file name, without any folder that the manifest might name.
fn object_file_name(verified: &VerifiedPackage) -> String {
    let declared = verified
        .manifest
        .objects
        .iter()
        .find(|object| object.target == verified.target.as_str());
    declared
        .and_then(|object| Path::new(&object.path).file_name())
        .and_then(|name| name.to_str())
        .filter(|name| {
            !name.starts_with('.') && !matches!(*name, "package.toml" | "README.md" | "evidence")
        })
        .unwrap_or("object.bpf.o")
        .to_owned()
}
