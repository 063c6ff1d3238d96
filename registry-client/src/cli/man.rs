// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg man`.

use std::path::PathBuf;

use clap::ValueHint;

use super::{failure::Failure, output};

/// Print the manual page, or write one page per command into a folder
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder for the pages; without it the first page goes to stdout
    #[arg(value_hint = ValueHint::DirPath)]
    folder: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::new("man", format!("the manual cannot be written: {error}"))
    };
    if let Some(folder) = &args.folder {
        std::fs::create_dir_all(folder).map_err(failed)?;
        return clap_mangen::generate_to(super::command(), folder).map_err(failed);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(super::command())
        .render(&mut page)
        .map_err(failed)?;
    Ok(output::raw(&page)?)
}
