// SPDX-License-Identifier: Apache-2.0
//! What `push`, `sign` and `attest` share: who signs.

use std::path::{Path, PathBuf};

use clap::{ValueEnum, ValueHint};
use registry_schema::exit;
use zeroize::Zeroizing;

use super::{failure::Failure, password::PasswordArgs};
use crate::{
    file,
    sign::{KeyPair, Keyless, RekorVersion, Services, SignError, Signatory},
};

/// Longest identity token, in bytes.
const MAX_TOKEN_BYTES: u64 = 64 << 10;

/// Who signs: a key pair, or whom an identity token names
#[derive(Debug, clap::Args)]
pub(super) struct SigningArgs {
    /// Private key to sign with
    #[arg(long, env = "BPFPKG_KEY", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) key: Option<PathBuf>,
    #[command(flatten)]
    pub(super) password: PasswordArgs,
    /// Sign keyless: as whom the identity token names, with a key that lives for minutes
    #[arg(long, visible_alias = "sign-keyless", env = "BPFPKG_KEYLESS")]
    pub(super) keyless: bool,
    #[command(flatten)]
    services: ServiceArgs,
}

/// The services of keyless signing
#[derive(Debug, clap::Args)]
struct ServiceArgs {
    /// Certificate authority for keyless signing
    #[arg(
        long,
        env = "BPFPKG_FULCIO_URL",
        value_name = "URL",
        help_heading = "Keyless signing"
    )]
    fulcio_url: Option<String>,
    /// Transparency log for keyless signing
    #[arg(
        long,
        env = "BPFPKG_REKOR_URL",
        value_name = "URL",
        help_heading = "Keyless signing"
    )]
    rekor_url: Option<String>,
    /// Which interface the log speaks; version 2 needs `--tsa-url`
    #[arg(
        long,
        env = "BPFPKG_REKOR_VERSION",
        value_enum,
        default_value = "1",
        value_name = "VERSION",
        help_heading = "Keyless signing"
    )]
    rekor_version: Version,
    /// Timestamp authority for keyless signing
    #[arg(
        long,
        env = "BPFPKG_TSA_URL",
        value_name = "URL",
        help_heading = "Keyless signing"
    )]
    tsa_url: Option<String>,
    /// File that holds the identity token, made out for `sigstore`; else
    /// BPFPKG_IDENTITY_TOKEN or SIGSTORE_ID_TOKEN
    #[arg(
        long,
        env = "BPFPKG_IDENTITY_TOKEN_FILE",
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        help_heading = "Keyless signing"
    )]
    identity_token_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Version {
    #[value(name = "1")]
    V1,
    #[value(name = "2")]
    V2,
}

impl SigningArgs {
    /// Who signs. Keyless wins over a key that only the environment names.
    pub(super) fn signatory(&self) -> Result<Signatory, Failure> {
        if self.keyless {
            let keyless = Keyless::new(&self.services.chosen()?, &self.services.token()?)?;
            return Ok(Signatory::Keyless(Box::new(keyless)));
        }
        let Some(path) = &self.key else {
            return Err(Failure::usage(
                "no key is named to sign with",
                "add `--key FILE` (`bpfpkg keygen` makes one), or `--keyless`",
            ));
        };
        load_key(path, &self.password).map(|key| Signatory::Key(Box::new(key)))
    }
}

/// Reads a private key; asks for its password only if it is there.
pub(super) fn load_key(path: &Path, password: &PasswordArgs) -> Result<KeyPair, Failure> {
    if path.symlink_metadata().is_err() {
        return Ok(KeyPair::load(path, "")?);
    }
    Ok(KeyPair::load(path, &password.existing()?)?)
}

impl ServiceArgs {
    fn chosen(&self) -> Result<Services, Failure> {
        let url = |given: &Option<String>, option: &str, variable: &str| {
            let url = given.clone().filter(|url| !url.is_empty());
            url.ok_or_else(|| {
                Failure::usage(
                    format!("`{option}` is missing: keyless signing uses no service unasked"),
                    format!("add `{option} URL`, or set {variable}"),
                )
            })
        };
        Ok(Services {
            fulcio: url(&self.fulcio_url, "--fulcio-url", "BPFPKG_FULCIO_URL")?,
            rekor: url(&self.rekor_url, "--rekor-url", "BPFPKG_REKOR_URL")?,
            rekor_version: match self.rekor_version {
                Version::V1 => RekorVersion::V1,
                Version::V2 => RekorVersion::V2,
            },
            tsa: self.tsa_url.clone().filter(|url| !url.is_empty()),
        })
    }

    /// The identity token. Not from the command line, where every user of the machine
    /// could read it.
    fn token(&self) -> Result<Zeroizing<String>, Failure> {
        if let Some(path) = &self.identity_token_file {
            let bytes = file::read_bounded(path, MAX_TOKEN_BYTES)
                .map_err(|error| super::verify_file::refuse(path, &error))?;
            let text = String::from_utf8(bytes);
            return text
                .map(Zeroizing::new)
                .map_err(|_| SignError::Token(format!("`{}` is no text", path.display())).into());
        }
        let mut named = ["BPFPKG_IDENTITY_TOKEN", "SIGSTORE_ID_TOKEN"].into_iter();
        let token = named.find_map(|name| std::env::var(name).ok());
        token.map(Zeroizing::new).ok_or_else(|| {
            Failure::new("keyless::token", "no identity token is given")
                .with_help("name a file with `--identity-token-file`, or set BPFPKG_IDENTITY_TOKEN")
                .with_exit(exit::USAGE)
        })
    }
}
