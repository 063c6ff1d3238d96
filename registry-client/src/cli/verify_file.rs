// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg verify-file`.

use std::{
    io,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use clap::ValueHint;
use registry_schema::{
    exit,
    signature::{MAX_BUNDLE, PublicKey},
};
use serde_json::json;

use super::{
    believing::BelievingArgs,
    failure::Failure,
    output::{self, Format, FormatArg},
    session::Session,
};
use crate::{
    file,
    verify::signature::{Evidence, Signer, judge_file},
};

/// Largest file that is signed, in bytes.
const MAX_FILE_BYTES: u64 = 256 << 20;
/// What the name of a file's bundle ends in.
pub(super) const BUNDLE: &str = ".sigstore.json";
/// What the name of a file's bare signature ends in.
pub(super) const RAW: &str = ".sig";

/// Check the signature of a file
///
/// Exit code 0 only if somebody you name signed exactly these bytes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file that was signed
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    #[command(flatten)]
    believing: BelievingArgs,
    /// The signature: a Sigstore bundle, or base64; the file's name with `.sigstore.json`
    /// or `.sig` behind it unless given
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    signature: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let content = read(&args.file)?;
    let path = args.signature.clone().unwrap_or_else(|| {
        let bundle = beside(&args.file, BUNDLE);
        if bundle.exists() {
            return bundle;
        }
        beside(&args.file, RAW)
    });
    let (keys, roots) = args.believing.load()?;
    let signature =
        file::read_bounded(&path, MAX_BUNDLE as u64).map_err(|error| refuse(&path, &error))?;
    let signer = if signature.trim_ascii_start().starts_with(b"{") {
        judge_file(&signature, &content, &keys, &roots)?
    } else {
        bare(&signature, &content, &keys).ok_or_else(|| {
            let (file, signature) = (args.file.display(), path.display());
            let message = format!("`{file}` is not what one of the keys signed in `{signature}`");
            Failure::new("signature", message).with_exit(exit::VERIFICATION)
        })?
    };
    if !args.believing.accepts(&signer) {
        let message = format!("signed by {}, who is not to be believed", signer.identity);
        return Err(Failure::new("signature::identity", message)
            .with_help("compare `--identity` and `--issuer` with what the signer told you")
            .with_exit(exit::VERIFICATION));
    }
    if args.format.output == Format::Json {
        return Ok(output::json(&json!({
            "file": args.file,
            "signer": signer.identity,
            "signed_at": signer.signed_at,
            "evidence": signer.evidence,
        }))?);
    }
    session.say(format!("signed by {}", signer.identity));
    Ok(output::line(args.file.display().to_string())?)
}

/// Whose signature in base64 this is.
fn bare(signature: &[u8], content: &[u8], keys: &[PublicKey]) -> Option<Signer> {
    let signature = BASE64_STANDARD.decode(signature.trim_ascii()).ok()?;
    let key = keys
        .iter()
        .find(|key| key.verify(content, &signature).is_ok())?;
    Some(Signer {
        identity: key.fingerprint().into(),
        signed_at: None,
        evidence: [Evidence::Key].into(),
    })
}

/// Where the signature of a file is.
pub(super) fn beside(file: &Path, end: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(end);
    path.into()
}

/// The bytes that are signed.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    file::read_bounded(path, MAX_FILE_BYTES).map_err(|error| refuse(path, &error))
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
