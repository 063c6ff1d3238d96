// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg import`.

use std::{collections::BTreeSet, path::PathBuf};

use clap::ValueHint;
use serde_json::{Value, json};

use super::{
    copying::{self, JOBS},
    failure::Failure,
    output::{self, Format, FormatArg},
    progress,
    session::Session,
};
use crate::{
    copy::{Copy, Destination, Plan, Wanted},
    layout::{Layout, LayoutError},
    source::Source,
};

/// Put all that an archive or layout folder holds into a registry, digests unchanged
///
/// An archive that could be understood in two ways, or holds anything but an OCI image
/// layout, is refused before anything is sent.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The archive (tar, gzip or not), or a folder in OCI image layout
    #[arg(value_hint = ValueHint::AnyPath)]
    file: PathBuf,
    /// Where to, `host[/namespace[/name]]`; without a namespace the names stay
    #[arg(long, value_name = "PLACE")]
    to: Destination,
    /// Say what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// How many blobs are under way at the same time, 1 to 32
    #[arg(long, short, default_value_t = JOBS, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=32))]
    jobs: u8,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let layout = Layout::open(&args.file)?;
    let repositories: BTreeSet<_> = layout
        .roots()
        .iter()
        .map(|root| root.repository.clone())
        .collect();
    if repositories.is_empty() {
        return Err(LayoutError::Missing {
            what: "anything with a name".to_owned(),
            path: args.file.clone(),
        }
        .into());
    }
    if args.to.tag().is_some() {
        return Err(Failure::usage(
            "an archive has tags of its own",
            "leave out the destination's tag",
        ));
    }
    let registry = session.connect(&args.to.registry)?;
    let source = Source::from(&layout);
    let mut done: Vec<Value> = Vec::new();
    for from in &repositories {
        let to = args
            .to
            .repository(from)
            .map_err(|error| Failure::usage(error.to_string(), "name a shorter namespace"))?;
        let plan = Plan::of(source, from, &Wanted::All).await?;
        let bar = progress::bytes(session, plan.blob_bytes(), "importing");
        let copy = Copy {
            source,
            from,
            registry: &registry,
            to: &to,
            rename: None,
            jobs: args.jobs.into(),
            dry_run: args.dry_run,
        };
        let copied = copy.run(&plan, &|size, _| bar.inc(size)).await;
        bar.finish_and_clear();
        let copied = copied?;
        let place = format!("{}/{to}", registry.host());
        if args.format.output == Format::Json {
            done.push(json!({
                "source": from,
                "destination": place,
                "dry_run": args.dry_run,
                "copied": copied,
            }));
            continue;
        }
        copying::report(session, &copied, args.dry_run);
        for (tag, digest) in &copied.tags {
            output::line(copying::line(&format!("{place}:{tag}"), digest))?;
        }
    }
    if args.format.output == Format::Json {
        output::json(&done)?;
    }
    Ok(())
}
