// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg yank`.

use registry_schema::{Reference, Version, notice::Notice};
use serde_json::json;

use super::{
    failure::Failure,
    output::{self, Format, FormatArg},
    session::Session,
};

/// Withdraw a version: nothing chooses it any more
///
/// `latest` and ranges pass it over. Who names the version or its digest still gets it,
/// with a warning and your reason: nothing that runs breaks.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The version, `[host/]namespace/name:version`
    reference: Reference,
    /// Why, in one line, for those who use it
    #[arg(long, value_name = "TEXT")]
    reason: Notice,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let (name, version) = (&args.reference.package, version_of(&args.reference)?);
    let registry = session.connect(&session.registry_of(&args.reference)?)?;
    registry.yank(name, version, Some(&args.reason)).await?;
    if args.format.output == Format::Json {
        let done =
            json!({"package": name, "version": version, "yanked": true, "reason": args.reason});
        return Ok(output::json(&done)?);
    }
    session.say(format!("yanked {name}:{version}"));
    Ok(())
}

/// The version that a reference names, which must be one.
pub(super) fn version_of(reference: &Reference) -> Result<&Version, Failure> {
    reference.version().ok_or_else(|| {
        Failure::usage(
            format!("`{reference}` names no single version"),
            format!(
                "write `{}:1.2.3` with the version you mean",
                reference.package
            ),
        )
    })
}
