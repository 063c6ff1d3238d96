// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg-registry man` and `completions`: made from the command line's own description.

use std::io::Write;

use clap_complete::Shell;
use registry_schema::exit;

use crate::{config::Manual, config_file};

/// Writes one page per verb into a folder.
pub(super) fn man(manual: &Manual) -> anyhow::Result<u8> {
    std::fs::create_dir_all(&manual.folder)?;
    clap_mangen::generate_to(config_file::command(), &manual.folder)?;
    Ok(exit::OK)
}

/// Prints the script for a shell.
pub(super) fn completions(shell: Shell) -> anyhow::Result<u8> {
    let mut script = Vec::new();
    let mut command = config_file::command();
    clap_complete::generate(shell, &mut command, "bpfpkg-registry", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(exit::OK)
}
