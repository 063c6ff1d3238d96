// SPDX-License-Identifier: Apache-2.0
//! Options of the publish log.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use registry_schema::transparency::VerifierKey;

use crate::config::Config;

/// What the publish log is called, signed with and witnessed by.
#[derive(Debug, Clone, Default, Args)]
pub struct PublishLogOptions {
    /// Name of the publish log, for ever: fixed at the first start, by default the host of the
    /// public URL and `/log`
    #[arg(long, env = "BPFPKG_SERVER_PUBLISH_LOG_ORIGIN", value_name = "NAME")]
    pub publish_log_origin: Option<String>,
    /// PEM file (PKCS #8) with the Ed25519 key that signs the publish log; without it, one is made at the
    /// first start and kept in the database
    #[arg(long, env = "BPFPKG_SERVER_PUBLISH_LOG_KEY", value_name = "FILE")]
    pub publish_log_key: Option<PathBuf>,
    /// Key of a witness whose cosignatures the publish log keeps and shows, as
    /// `name+hash+base64`; may be repeated
    #[arg(
        long,
        env = "BPFPKG_SERVER_PUBLISH_LOG_WITNESS",
        value_name = "KEY",
        value_delimiter = ','
    )]
    pub publish_log_witness: Vec<VerifierKey>,
}

/// What can be done with the publish log, also while the registry runs.
#[derive(Debug, Subcommand)]
pub enum PublishLogVerb {
    /// Check every entry against tree and signature, and the catalogue against the entries;
    /// exit code 20 if something was changed
    Verify {
        /// Where the registry is.
        #[command(flatten)]
        config: Box<Config>,
    },
}
