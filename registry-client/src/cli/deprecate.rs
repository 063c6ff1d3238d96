// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg deprecate`.

use registry_schema::{Reference, api::NewDeprecation, notice::Notice, reference::Selector};
use serde_json::json;

use super::{
    failure::Failure,
    output::{self, Format, FormatArg},
    session::Session,
    yank::version_of,
};

/// Advise against a version or a whole package, or take the advice back
///
/// It is chosen and pulled as before; whoever does so is told what you say.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The package or version, `[host/]namespace/name[:version]`
    reference: Reference,
    /// What users should know, in one line
    #[arg(long, value_name = "TEXT", required_unless_present = "remove")]
    message: Option<Notice>,
    /// What to use instead, `namespace/name[:version]`
    #[arg(long, value_name = "PACKAGE", requires = "message")]
    replacement: Option<Reference>,
    /// Take the advice back
    #[arg(long, conflicts_with_all = ["message", "replacement"])]
    remove: bool,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let name = &args.reference.package;
    let version = match &args.reference.selector {
        Selector::Latest => None,
        _ => Some(version_of(&args.reference)?),
    };
    let advice = args.message.clone().map(|message| NewDeprecation {
        message,
        replacement: args.replacement.clone(),
    });
    let registry = session.connect(&session.registry_of(&args.reference)?)?;
    registry.deprecate(name, version, advice.as_ref()).await?;
    if args.format.output == Format::Json {
        let done = json!({"package": name, "version": version, "deprecated": advice});
        return Ok(output::json(&done)?);
    }
    let what = version.map_or_else(|| name.to_string(), |version| format!("{name}:{version}"));
    session.say(if args.remove {
        format!("{what} is no longer deprecated")
    } else {
        format!("deprecated {what}")
    });
    Ok(())
}
