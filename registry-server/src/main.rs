// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg-registry`: reads the command line and does what it says.

use std::process::ExitCode;

use registry_schema::exit;
use registry_server::{
    command,
    config::Cli,
    config_file::{ConfigError, Loaded},
};

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::load() {
        Ok(Loaded { cli, settings }) => command::run(cli, &settings).await.into(),
        Err(ConfigError::Arguments(error)) => error.exit(),
        Err(error) => {
            eprintln!("error: {error}");
            exit::USAGE.into()
        }
    }
}
