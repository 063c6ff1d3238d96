// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg sign-file`.

use std::path::PathBuf;

use base64::{Engine, prelude::BASE64_STANDARD};
use clap::ValueHint;

use super::{failure::Failure, output, password::PasswordArgs, session::Session, verify_file};
use crate::sign::KeyPair;

/// Sign a file, for instance the checksums of a release
///
/// The signature goes into a file of the same name with `.sig` behind it.
/// `bpfpkg verify-file` checks it, and so does `cosign verify-blob`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file to sign
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Private key to sign with
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    key: PathBuf,
    #[command(flatten)]
    password: PasswordArgs,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let bytes = verify_file::read(&args.file)?;
    let key = KeyPair::load(&args.key, &args.password.existing()?)?;
    let signature = BASE64_STANDARD.encode(key.sign(&bytes)?);
    let path = verify_file::signature_path(&args.file);
    std::fs::write(&path, signature + "\n").map_err(|error| verify_file::refuse(&path, &error))?;
    session.say(format!("signed by {}", key.fingerprint()));
    Ok(output::line(path.display().to_string())?)
}
