// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg unyank`.

use registry_schema::Reference;
use serde_json::json;

use super::{
    failure::Failure,
    output::{self, Format, FormatArg},
    session::Session,
    yank::version_of,
};

/// Take the withdrawal of a version back
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The version, `[host/]namespace/name:version`
    reference: Reference,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let (name, version) = (&args.reference.package, version_of(&args.reference)?);
    let registry = session.connect(&session.registry_of(&args.reference)?)?;
    registry.yank(name, version, None).await?;
    if args.format.output == Format::Json {
        let done = json!({"package": name, "version": version, "yanked": false});
        return Ok(output::json(&done)?);
    }
    session.say(format!("{name}:{version} may be chosen again"));
    Ok(())
}
