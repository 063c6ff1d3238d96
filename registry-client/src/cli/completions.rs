// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg completions`.

use clap_complete::Shell;

use super::{failure::Failure, output};

/// Print a script that completes commands in a shell
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "bpfpkg", &mut script);
    Ok(output::raw(&script)?)
}
