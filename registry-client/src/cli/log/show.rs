// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg log show`.

use registry_schema::Namespace;
use serde_json::json;

use super::registry;
use crate::cli::{
    failure::Failure,
    output::{self, Format, FormatArg},
    session::Session,
};

/// Show the last entries of a registry's publish log
///
/// This is the registry's word. `bpfpkg log verify` finds out for yourself.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The registry, `host` or `host:port`
    host: Option<String>,
    /// Only the entries about this namespace
    #[arg(long, value_name = "NAME")]
    namespace: Option<Namespace>,
    /// How many, at most 1000
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1000))]
    limit: u64,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let registry = registry(args.host.as_ref(), session)?;
    let detail = registry.log().await?;
    let page = registry
        .log_entries(args.namespace.as_ref(), args.limit)
        .await?;
    if args.format.output == Format::Json {
        return Ok(output::json(
            &json!({"log": detail, "entries": page.entries}),
        )?);
    }
    output::fields(&[
        ("log", detail.origin),
        ("entries", detail.size.to_string()),
        ("root", detail.root),
        ("key", detail.key),
    ])?;
    output::line("")?;
    let rows: Vec<_> = page
        .entries
        .iter()
        .rev()
        .map(|logged| {
            let change = logged.entry.change();
            let who: Vec<_> = change
                .identities()
                .iter()
                .map(ToString::to_string)
                .collect();
            vec![
                logged.index.to_string(),
                logged.entry.time().format("%Y-%m-%d %H:%M:%S").to_string(),
                change.kind().to_owned(),
                change.subject(),
                who.join(", "),
            ]
        })
        .collect();
    let head = ["ENTRY", "TIME (UTC)", "WHAT", "ABOUT", "SIGNERS"];
    Ok(output::table(&head, &rows)?)
}
