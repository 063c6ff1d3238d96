// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg attestations`.

use std::path::PathBuf;

use clap::ValueHint;
use registry_schema::{Reference, exit, name::RepositoryName};
use serde_json::json;

use super::{
    believing::BelievingArgs,
    failure::Failure,
    fetching::Origin,
    output::{self, Format, FormatArg},
    session::Session,
    sign::describe,
};
use crate::{layout::Layout, pull::fetch_attestations, verify::signature::judge_attestation};

/// Show what is stated about a version of a package, and by whom
///
/// Only statements that hold are shown, by signers you name. Exit code 20 if there is
/// none.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The package, `[host/]namespace/name[:version][@sha256:…]`
    #[arg(value_name = "REF")]
    reference: Reference,
    /// Only statements of this type
    #[arg(long = "type", value_name = "URI")]
    predicate_type: Option<String>,
    #[command(flatten)]
    believing: BelievingArgs,
    /// Read from this archive or layout folder instead of a registry; no network is used
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    from: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let (keys, roots) = args.believing.load()?;
    let origin = if let Some(path) = &args.from {
        Origin::Layout(Layout::open(path)?)
    } else {
        let host = session.registry_of(&args.reference)?;
        Origin::Registry(Box::new(session.connect(&host)?))
    };
    let digest = describe(origin.source(), &args.reference).await?.digest;
    let repository = RepositoryName::from(&args.reference.package);
    let found = fetch_attestations(origin.source(), &repository, &digest).await?;
    let mut held = Vec::new();
    for bundle in &found {
        match judge_attestation(&bundle.0, &digest, &keys, &roots) {
            Ok(stated) if args.believing.accepts(&stated.signer) => held.push(stated),
            Ok(stated) => session.say(format!("not shown: stated by {}", stated.signer.identity)),
            Err(fault) => session.say(format!("not shown: {fault}")),
        }
    }
    let wanted = args.predicate_type.as_ref();
    held.retain(|stated| wanted.is_none_or(|uri| *uri == stated.statement.predicate_type));
    if args.format.output == Format::Json {
        let shown: Vec<_> = held
            .iter()
            .map(|stated| {
                json!({
                    "signer": stated.signer,
                    "type": stated.statement.predicate_type,
                    "predicate": stated.statement.predicate,
                })
            })
            .collect();
        output::json(&json!({"digest": digest, "attestations": shown}))?;
    } else {
        for stated in &held {
            let (signer, statement) = (&stated.signer.identity, &stated.statement);
            let line = format!(
                "{} {signer} {}",
                statement.predicate_type, statement.predicate
            );
            output::line(line)?;
        }
    }
    if held.is_empty() {
        session.say(format!(
            "{} attestations, and none of them holds",
            found.len()
        ));
        return Err(Failure::silent(exit::VERIFICATION));
    }
    Ok(())
}
