// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg attest`.

use std::path::PathBuf;

use clap::ValueHint;
use registry_schema::{
    Reference,
    name::RepositoryName,
    signature::{self, BADGE_PREDICATE, Badge, MAX_BUNDLE, SIGN_PREDICATE},
};
use serde_json::{Value, json};

use super::{
    clock,
    failure::Failure,
    output::{self, Format, FormatArg},
    session::Session,
    sign::describe,
    signing::SigningArgs,
    verify_file,
};
use crate::{file, layout::Layout, push, sign::referrer, source::Source};

/// State something about a version of a package, signed
///
/// For instance how it was built, what it was tested on, or that a platform vouches for
/// it. The statement is an in-toto attestation that refers to the version; `bpfpkg
/// attestations` shows it, and so does `cosign verify-attestation`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The package, `[host/]namespace/name[:version][@sha256:…]`
    #[arg(value_name = "REF")]
    reference: Reference,
    /// What is stated: a file of JSON
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    predicate: PathBuf,
    /// What kind of statement it is: a URI, or `badge` for a platform's badge
    #[arg(long = "type", value_name = "URI")]
    predicate_type: String,
    #[command(flatten)]
    signing: SigningArgs,
    /// Only write the attestation, as a Sigstore bundle, into this file; `bpfpkg attach`
    /// brings it to a registry later
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output_file: Option<PathBuf>,
    /// Find the package in this archive or layout folder; no registry is asked
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath, requires = "output_file")]
    from: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let (predicate_type, predicate) = args.predicate()?;
    let signatory = args.signing.signatory()?;
    let (subject, registry) = if let Some(path) = &args.from {
        let layout = Layout::open(path)?;
        (
            describe(Source::from(&layout), &args.reference).await?,
            None,
        )
    } else {
        let registry = session.connect(&session.registry_of(&args.reference)?)?;
        let subject = describe(Source::from(&registry), &args.reference).await?;
        (subject, Some(registry))
    };
    let digest = subject.digest.clone();
    let statement = signature::attestation(&digest, &predicate_type, &predicate);
    let bundle = signatory.sign_statement(&statement).await?;
    session.say(format!("stated by {}", signatory.name()));
    let line = match (&args.output_file, registry) {
        (None, Some(registry)) => {
            let repository = RepositoryName::from(&args.reference.package);
            let signed = referrer(bundle, subject, clock::now())?;
            let attached = signed.entry.digest.clone();
            push::attach(&registry, &repository, &digest, signed).await?;
            format!("{repository}@{attached}")
        }
        (Some(to), _) => {
            std::fs::write(to, bundle).map_err(|error| verify_file::refuse(to, &error))?;
            to.display().to_string()
        }
        (None, None) => String::new(),
    };
    if args.format.output == Format::Json {
        return Ok(output::json(&json!({
            "digest": digest,
            "type": predicate_type,
            "signer": signatory.name(),
            "attestation": line,
        }))?);
    }
    Ok(output::line(line)?)
}

impl Args {
    /// What is stated, and of which type.
    fn predicate(&self) -> Result<(String, Value), Failure> {
        let bytes = file::read_bounded(&self.predicate, MAX_BUNDLE as u64 / 2)
            .map_err(|error| verify_file::refuse(&self.predicate, &error))?;
        let refuse = |error: serde_json::Error| {
            Failure::usage(
                format!("`{}` states nothing: {error}", self.predicate.display()),
                "it must be JSON of the form that its type asks for",
            )
        };
        if self.predicate_type == "badge" {
            let badge: Badge = serde_json::from_slice(&bytes).map_err(refuse)?;
            return Ok((BADGE_PREDICATE.to_owned(), json!(badge)));
        }
        if self.predicate_type == SIGN_PREDICATE || !self.predicate_type.contains(':') {
            return Err(Failure::usage(
                format!("`{}` is no type of attestation", self.predicate_type),
                "write the URI of a predicate type, or `badge`; `bpfpkg sign` makes signatures",
            ));
        }
        let predicate = serde_json::from_slice(&bytes).map_err(refuse)?;
        Ok((self.predicate_type.clone(), predicate))
    }
}
