// SPDX-License-Identifier: Apache-2.0
//! Why trust could not be read or kept.

use std::{io, path::PathBuf};

use registry_schema::{exit, signature::Fingerprint, trust::policy::PolicyError};

use crate::Explain;

/// Why trust could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// There is no folder to keep the file in.
    #[error("there is no trust file to use: neither BPFPKG_TRUST, XDG_CONFIG_HOME nor HOME is set")]
    NoFile,
    /// The file cannot be read or written.
    #[error("trust file `{path}` cannot be used: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what it should be. Nobody is trusted by halves, so the whole
    /// file is refused.
    #[error("trust file `{path}` is damaged: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// A key or its registry is none.
    #[error("trusted key cannot be used: {0}")]
    Key(String),
    /// An entry's fingerprint is not that of its key.
    #[error("trusted key has fingerprint {actual}, but {written} is written beside it")]
    OtherFingerprint {
        /// What the entry says.
        written: Fingerprint,
        /// What the key has.
        actual: Fingerprint,
    },
    /// A trust root or a Sigstore root in the file cannot be used.
    #[error("trust root for `{registry}` cannot be used: {reason}")]
    Root {
        /// The registry.
        registry: String,
        /// Why.
        reason: String,
    },
    /// The policy file cannot be used.
    #[error("policy file `{path}`: {reason}")]
    Policy {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: PolicyError,
    },
    /// The store cannot be written as TOML.
    #[error("trusted keys cannot be written: {0}")]
    Write(#[from] toml::ser::Error),
}

impl Explain for TrustError {
    fn code(&self) -> &'static str {
        "trust"
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Key(_)
            | Self::OtherFingerprint { .. }
            | Self::Malformed { .. }
            | Self::Root { .. }
            | Self::Policy { .. } => exit::USAGE,
            Self::NoFile | Self::File { .. } | Self::Write(_) => exit::FAILURE,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::NoFile => "set BPFPKG_TRUST to the file to use".to_owned(),
            Self::Policy { .. } => {
                "`bpfpkg policy check FILE` shows what a policy demands".to_owned()
            }
            Self::File { .. } | Self::Write(_) => "check the file's owner and mode".to_owned(),
            Self::Malformed { path, .. } => format!(
                "repair `{}`, or remove it and run `bpfpkg trust add` again",
                path.display()
            ),
            Self::Root { registry, .. } => format!(
                "ask the operator of `{registry}` for the right root, and run `bpfpkg trust add {registry}` again"
            ),
            Self::Key(_) | Self::OtherFingerprint { .. } => {
                "ask the publisher for the right key and its fingerprint".to_owned()
            }
        })
    }
}
