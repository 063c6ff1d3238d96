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
    progress,
    session::Session,
    signing::SigningArgs,
};
use crate::{build::build, pack::pack, push::push, sign::Signatory};

/// Build, sign and publish a version of a package
///
/// A version that is published never changes. Pushing the same content again does
/// nothing, except that a missing signature is added.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder with `package.toml`
    #[arg(default_value = ".", value_hint = ValueHint::DirPath)]
    folder: PathBuf,
    #[command(flatten)]
    signing: SigningArgs,
    /// Publish without a signature; most nodes will refuse it
    #[arg(long, conflicts_with_all = ["key", "keyless"])]
    no_sign: bool,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let host = session.default_registry()?;
    let signatory = if args.no_sign {
        None
    } else {
        Some(args.signing.signatory()?)
    };
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
        signatory.as_ref(),
        clock::now(),
        &|length, _| bar.inc(length),
    )
    .await;
    bar.finish_and_clear();
    let pushed = pushed?;
    let warnings = session.pass_on(&registry);
    let reference = format!("{host}/{}:{}", packed.package, packed.version);
    if args.format.output == Format::Json {
        return Ok(output::json(&json!({
            "reference": reference,
            "digest": pushed.digest,
            "new": pushed.new,
            "signed": pushed.signed,
            "signer": signatory.as_ref().map(Signatory::name),
            "sent_bytes": pushed.sent_bytes,
            "skipped_bytes": pushed.skipped_bytes,
            "warnings": warnings,
        }))?);
    }
    if !pushed.new {
        session.say("this version was published already, with the same content");
    }
    match &signatory {
        Some(signer) if pushed.signed => session.say(format!("signed by {}", signer.name())),
        Some(signer) => session.say(format!("was signed by {} already", signer.name())),
        None => session.say("not signed"),
    }
    Ok(output::line(format!("{reference}@{}", pushed.digest))?)
}
