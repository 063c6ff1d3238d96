// SPDX-License-Identifier: Apache-2.0
//! The command `bpfpkg`.

use std::process::ExitCode;

fn main() -> ExitCode {
    registry_client::cli::main()
}
