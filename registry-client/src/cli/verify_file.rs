// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg verify-file`.

use std::{
    io,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use clap::ValueHint;
use registry_schema::{exit, signature::PublicKey};

use super::{failure::Failure, output, session::Session};
use crate::file;

/// Largest file that is signed, in bytes: checksums and notes, not images.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// Largest key and signature, in bytes.
const MAX_KEY_BYTES: u64 = 16 << 10;

/// Check the signature of a file
///
/// Exit code 0 only if the key made this signature of exactly these bytes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file that was signed
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Public key of the signer
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    key: PathBuf,
    /// The signature; the file's name with `.sig` behind it unless given
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    signature: Option<PathBuf>,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let bytes = read(&args.file)?;
    let signature = args.signature.clone();
    let path = signature.unwrap_or_else(|| signature_path(&args.file));
    let signature = text(&path)?;
    let pem = text(&args.key)?;
    let key = PublicKey::from_pem(&pem).map_err(|error| {
        let message = format!("`{}` is no public key: {error}", args.key.display());
        Failure::usage(message, "`bpfpkg keygen` writes one beside the private key")
    })?;
    let decoded = BASE64_STANDARD.decode(signature.trim()).ok();
    let fits = decoded.is_some_and(|signature| key.verify(&bytes, &signature).is_ok());
    if !fits {
        let message = format!(
            "`{}` is not what {} signed in `{}`",
            args.file.display(),
            key.fingerprint(),
            path.display()
        );
        return Err(Failure::new("signature", message).with_exit(exit::VERIFICATION));
    }
    session.say(format!("signed by {}", key.fingerprint()));
    Ok(output::line(args.file.display().to_string())?)
}

/// Where the signature of a file is.
pub(super) fn signature_path(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(".sig");
    path.into()
}

/// The bytes that are signed.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    file::read_bounded(path, MAX_FILE_BYTES).map_err(|error| refuse(path, &error))
}

fn text(path: &Path) -> Result<String, Failure> {
    let bytes = file::read_bounded(path, MAX_KEY_BYTES).map_err(|error| refuse(path, &error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A file that cannot be used.
pub(super) fn refuse(path: &Path, error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::NotFound => exit::NOT_FOUND,
        _ => exit::FAILURE,
    };
    let message = format!("`{}` cannot be used: {error}", path.display());
    Failure::new("file", message).with_exit(code)
}
