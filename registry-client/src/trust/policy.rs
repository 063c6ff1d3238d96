// SPDX-License-Identifier: Apache-2.0
//! Where the policy is, and reading it.

use std::{
    io,
    path::{Path, PathBuf},
};

use registry_schema::trust::policy::{MAX_POLICY, Policy, PolicyError};

use super::TrustError;
use crate::file;

/// `$BPFPKG_POLICY`, else `bpfpkg/policy.toml` in the user's configuration folder.
///
/// # Errors
/// [`TrustError::NoFile`] if no folder is known.
pub fn default_policy_path() -> Result<PathBuf, TrustError> {
    if let Some(path) = std::env::var_os("BPFPKG_POLICY").filter(|value| !value.is_empty()) {
        return Ok(path.into());
    }
    file::user_folder("XDG_CONFIG_HOME", ".config")
        .map(|folder| folder.join("bpfpkg/policy.toml"))
        .ok_or(TrustError::NoFile)
}

/// Reads a policy; none if there is no such file.
///
/// # Errors
/// [`TrustError::File`] if it cannot be read, [`TrustError::Policy`] if any rule is wrong.
pub fn load_policy(path: &Path) -> Result<Option<Policy>, TrustError> {
    let (path, refused) = (path.to_owned(), |path, reason| TrustError::Policy {
        path,
        reason,
    });
    let bytes = match file::read_bounded(&path, MAX_POLICY as u64) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(TrustError::File { path, source }),
    };
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return Err(refused(path, PolicyError::Malformed(error.to_string()))),
    };
    Policy::parse(&text)
        .map(Some)
        .map_err(|reason| refused(path, reason))
}
