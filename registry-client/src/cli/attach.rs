// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg attach`.

use std::path::PathBuf;

use clap::ValueHint;
use registry_schema::{
    Reference,
    name::RepositoryName,
    signature::{Bundle, MAX_BUNDLE, Purpose},
};
use serde_json::json;

use super::{
    clock,
    failure::Failure,
    output::{self, Format, FormatArg},
    session::Session,
    sign::describe,
    verify_file,
};
use crate::{
    file, push,
    sign::{SignError, referrer},
    source::Source,
    verify::signature::SignatureFault,
};

/// Bring a signature or an attestation that was made elsewhere to its package
///
/// It must be about exactly that version. Whose it is, and whether it holds, everybody
/// who uses the package checks.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The Sigstore bundle, as `bpfpkg sign --output-file` or `cosign sign --bundle` wrote it
    #[arg(value_name = "BUNDLE", value_hint = ValueHint::FilePath)]
    bundle: PathBuf,
    /// The package, `[host/]namespace/name[:version][@sha256:…]`
    #[arg(value_name = "REF")]
    reference: Reference,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let bytes = file::read_bounded(&args.bundle, MAX_BUNDLE as u64)
        .map_err(|error| verify_file::refuse(&args.bundle, &error))?;
    let bundle = Bundle::parse(&bytes).map_err(SignatureFault::from)?;
    let registry = session.connect(&session.registry_of(&args.reference)?)?;
    let subject = describe(Source::from(&registry), &args.reference).await?;
    let purpose = if bundle.is_attestation() {
        Purpose::Attestation
    } else {
        Purpose::Signature
    };
    bundle
        .claims(&subject.digest, purpose)
        .map_err(SignatureFault::from)?;
    let repository = RepositoryName::from(&args.reference.package);
    let digest = subject.digest.clone();
    let signed: Result<_, SignError> = referrer(bytes, subject, clock::now());
    let signed = signed?;
    let attached = signed.entry.digest.clone();
    push::attach(&registry, &repository, &digest, signed).await?;
    session.pass_on(&registry);
    if args.format.output == Format::Json {
        return Ok(output::json(
            &json!({"digest": digest, "attached": attached}),
        )?);
    }
    Ok(output::line(format!("{repository}@{attached}"))?)
}
