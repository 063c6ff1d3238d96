// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg log proof`.

use std::path::PathBuf;

use clap::ValueHint;
use registry_schema::{
    Reference,
    transparency::{Proof, SignedCheckpoint, proof::MAX_TEXT},
};
use serde_json::json;

use super::KeyArg;
use crate::{
    cli::{
        failure::Failure,
        output::{self, Format, FormatArg},
        session::Session,
    },
    file,
    log::{Asked, Checkpoints, LogFault, check_earlier, check_inclusion},
    pull::resolve,
};

/// Fetch and check the proof that a version is in the publish log
///
/// The proof is a text of its own (C2SP tlog-proof): with it anybody can check the same
/// later, without a network.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The version, `[host/]namespace/name:version`
    reference: Reference,
    /// Check this proof instead of asking for one, without a network if the reference has a digest
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Write the proof into this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "file")]
    save: Option<PathBuf>,
    #[command(flatten)]
    key: KeyArg,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let registry = session.connect(&session.registry_of(&args.reference)?)?;
    let kept = Checkpoints::of_user()?;
    let keys = args.key.find(&registry, &kept, session).await?;
    let reference = match args.file {
        Some(_) => args.reference.clone(),
        None => resolve(&registry, &args.reference).await?,
    };
    let package = &reference.package;
    let Some(version) = reference.version() else {
        return Err(Failure::usage(
            format!("`{reference}` names no version"),
            "write `namespace/name:version`",
        ));
    };
    let digest = match &reference.digest {
        Some(digest) => digest.clone(),
        None => registry.version(package, version).await?.summary.digest,
    };
    let bytes = match &args.file {
        Some(path) => file::read_bounded(path, MAX_TEXT as u64)
            .map_err(|error| unusable(path, &error))?
            .into(),
        None => registry.log_proof(package, version).await?,
    };
    let asked = Asked {
        package,
        version,
        digest: &digest,
    };
    let last = kept.last(&keys)?;
    let last = last.as_ref().map(SignedCheckpoint::checkpoint);
    let included = check_inclusion(&bytes, asked, &keys, last)?;
    // With a proof in hand nobody is asked; the log itself is looked at when there is a network.
    let consistent = args.file.is_none();
    if consistent {
        let proof = Proof::parse(&bytes).map_err(LogFault::from)?;
        let came = keys.open(proof.checkpoint.as_bytes())?;
        check_earlier(&registry, &keys, &kept, &came).await?;
    }
    if let Some(path) = &args.save {
        std::fs::write(path, &bytes).map_err(|error| unusable(path, &error))?;
    }
    if args.format.output == Format::Json {
        let witnesses: Vec<_> = included.witnesses.iter().map(|one| &one.witness).collect();
        return Ok(output::json(&json!({
            "package": package, "version": version, "digest": digest,
            "log": included.checkpoint.origin, "index": included.index,
            "size": included.checkpoint.size, "root": included.checkpoint.root.to_string(),
            "entry": included.entry, "witnesses": witnesses,
            "consistent": consistent || included.is_last,
        }))?);
    }
    output::fields(&[
        ("package", format!("{package}:{version}")),
        ("digest", digest.to_string()),
        ("log", included.checkpoint.origin.clone()),
        (
            "entry",
            format!("{} of {}", included.index, included.checkpoint.size),
        ),
        (
            "logged",
            included
                .entry
                .time()
                .format("%Y-%m-%d %H:%M:%S UTC")
                .to_string(),
        ),
    ])?;
    if !consistent && !included.is_last {
        session.say("not checked without a network: whether the log forked since");
    }
    Ok(())
}

fn unusable(path: &std::path::Path, error: &std::io::Error) -> Failure {
    Failure::usage(
        format!("`{}` cannot be used: {error}", path.display()),
        "name another file",
    )
}
