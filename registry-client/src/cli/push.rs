// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg push`.

use std::path::PathBuf;

use clap::ValueHint;
use serde_json::json;

use super::{
    build::remarks,
    clock,
    failure::Failure,
    output::{self, Format, FormatArg},
    password::PasswordArgs,
    progress,
    session::Session,
};
use crate::{build::build, pack::pack, push::push, sign::KeyPair};

/// Build, sign and publish a version of a package
///
/// A version that is published never changes. Pushing the same content again does
/// nothing, except that a missing signature is added.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder with `package.toml`
    #[arg(default_value = ".", value_hint = ValueHint::DirPath)]
    folder: PathBuf,
    /// Private key to sign with
    #[arg(long, env = "BPFPKG_KEY", value_name = "FILE", value_hint = ValueHint::FilePath)]
    key: Option<PathBuf>,
    /// Publish without a signature; most nodes will refuse it
    #[arg(long, conflicts_with = "key")]
    no_sign: bool,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let host = session.default_registry()?;
    let key = load_key(args)?;
    let built = build(&args.folder)?;
    remarks(&built, session);
    let packed = pack(&built)?;
    let registry = session.connect(&host)?;
    let bytes: usize = packed
        .blobs
        .values()
        .chain(packed.manifests.iter().map(|(_, bytes)| bytes))
        .map(bytes::Bytes::len)
        .sum();
    let bar = progress::bytes(session, (bytes + packed.index.len()) as u64, "pushing");
    let pushed = push(
        &registry,
        &packed,
        key.as_ref(),
        clock::now(),
        &|length, _| bar.inc(length),
    )
    .await;
    bar.finish_and_clear();
    let pushed = pushed?;
    let reference = format!("{host}/{}:{}", packed.package, packed.version);
    if args.format.output == Format::Json {
        return Ok(output::json(&json!({
            "reference": reference,
            "digest": pushed.digest,
            "new": pushed.new,
            "signed": pushed.signed,
            "signer": key.as_ref().map(KeyPair::fingerprint),
            "sent_bytes": pushed.sent_bytes,
            "skipped_bytes": pushed.skipped_bytes,
        }))?);
    }
    if !pushed.new {
        session.say("this version was published already, with the same content");
    }
    match &key {
        Some(key) if pushed.signed => session.say(format!("signed by {}", key.fingerprint())),
        Some(key) => session.say(format!("was signed by {} already", key.fingerprint())),
        None => session.say("not signed"),
    }
    Ok(output::line(format!("{reference}@{}", pushed.digest))?)
}

fn load_key(args: &Args) -> Result<Option<KeyPair>, Failure> {
    if args.no_sign {
        return Ok(None);
    }
    let Some(path) = &args.key else {
        return Err(Failure::usage(
            "no key is named to sign with",
            "add `--key FILE` (`bpfpkg keygen` makes one), or `--no-sign`",
        ));
    };
    if path.symlink_metadata().is_err() {
        // Said before a password is asked for.
        return Ok(Some(KeyPair::load(path, "")?));
    }
    Ok(Some(KeyPair::load(path, &args.password.existing()?)?))
}
