// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg star`.

use registry_schema::Reference;

use super::{
    failure::Failure,
    output::{self, Format, FormatArg},
    session::Session,
};

/// Give a package a star, or take it back
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The package, `[host/]namespace/name`
    package: Reference,
    /// Take the star back
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let registry = session.connect(&session.registry_of(&args.package)?)?;
    let stars = registry.star(&args.package.package, !args.remove).await?;
    if args.format.output == Format::Json {
        return Ok(output::json(&stars)?);
    }
    let unit = if stars.stars == 1 { "star" } else { "stars" };
    session.say(format!(
        "{} has {} {unit}",
        args.package.package, stars.stars
    ));
    Ok(())
}
