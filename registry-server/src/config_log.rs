// SPDX-License-Identifier: Apache-2.0
//! Options of the publish log.

use std::{path::PathBuf, str::FromStr};

use clap::{Args, Subcommand};
use registry_schema::transparency::{VerifierKey, note::KeyKind};
use url::Url;

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
    /// `name+hash+base64`, or `name+hash+base64@URL` for one that is to be asked; may be repeated
    #[arg(
        long,
        env = "BPFPKG_SERVER_PUBLISH_LOG_WITNESS",
        value_name = "KEY",
        value_delimiter = ','
    )]
    pub publish_log_witness: Vec<Witness>,
}

/// Somebody who watches that the publish log only grows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// The key of its cosignatures.
    pub key: VerifierKey,
    /// Where it is shown checkpoints (the submission prefix of C2SP `tlog-witness`); without
    /// one it hands its cosignatures in.
    pub url: Option<Url>,
}

impl FromStr for Witness {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, url) = match text.split_once('@') {
            Some((key, url)) => (key, Some(url)),
            None => (text, None),
        };
        let key: VerifierKey = key.parse().map_err(|error| format!("{error}"))?;
        if key.kind() != KeyKind::Witness {
            return Err(format!(
                "`{}` has the key of a log, not of a witness (type 4)",
                key.name()
            ));
        }
        let read = |url: &str| match Url::parse(url) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
            _ => Err(format!("`{url}` is no http or https URL")),
        };
        let url = url.map(read).transpose()?;
        Ok(Self { key, url })
    }
}

impl From<VerifierKey> for Witness {
    fn from(key: VerifierKey) -> Self {
        Self { key, url: None }
    }
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
