// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg verify`.

use serde_json::json;

use super::{
    failure::Failure,
    fetching::PackageArgs,
    output::{self, Format, FormatArg},
    session::Session,
};

/// Say whether a package is what it claims to be, signed by someone you trust
///
/// Nothing is written. The chain that is checked: trusted key, signature, index,
/// package manifest, name and version, object.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    package: PackageArgs,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let fetched = args.package.fetch_verified(session).await?;
    let verified = fetched.verified;
    if args.format.output == Format::Json {
        return Ok(output::json(&json!({
            "registry": verified.registry,
            "package": verified.package(),
            "version": verified.version(),
            "target": verified.target,
            "digest": verified.digest,
            "object": verified.object_digest,
            "signer": verified.signer,
        }))?);
    }
    Ok(output::fields(&[
        (
            "verified",
            format!("{}:{}", verified.package(), verified.version()),
        ),
        ("registry", verified.registry.clone()),
        ("signed by", verified.signer.to_string()),
        ("digest", verified.digest.to_string()),
        (
            "object",
            format!(
                "{} ({}, {} bytes)",
                verified.object_digest,
                verified.target,
                verified.object.0.len()
            ),
        ),
    ])?)
}
