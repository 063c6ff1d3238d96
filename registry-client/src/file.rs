// SPDX-License-Identifier: Apache-2.0
//! Files that hold secrets or decisions: read with a limit, written all at once.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// Whatever opening and reading report, and [`io::ErrorKind::FileTooLarge`] above
/// the limit, before anything is read.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = fs::File::open(path)?;
    let actual = file.metadata()?.len();
    let too_large = |actual: u64| {
        let reason = format!("the file has {actual} bytes; the limit is {limit}");
        io::Error::new(io::ErrorKind::FileTooLarge, reason)
    };
    if actual > limit {
        return Err(too_large(actual));
    }
    let mut bytes = Vec::new();
    // Devices and pipes report no length, so the reading is bounded as well.
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        Err(too_large(bytes.len() as u64))
    } else {
        Ok(bytes)
    }
}

/// Replaces a file at once, readable by its owner only. A crash leaves the old
/// content or the new one. A symbolic link stays one: its target is replaced.
///
/// # Errors
/// Whatever creating, writing or renaming reports.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = parent(&path);
    create_private_folder(&folder)?;
    // tempfile creates with mode 0600, and removes the file unless it is persisted.
    let mut file = tempfile::NamedTempFile::new_in(&folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    Ok(())
}

/// Creates a folder and what is above it, mode 0700 for those that are new.
pub(crate) fn create_private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

/// The folder a path is in.
pub(crate) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A folder of the user by the XDG rules: `$variable`, else `$HOME/fallback`.
pub(crate) fn user_folder(variable: &str, fallback: &str) -> Option<PathBuf> {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set(variable)
        .filter(|path| path.is_absolute())
        .or_else(|| set("HOME").map(|home| home.join(fallback)))
}
