// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg copy`.

use serde_json::json;

use super::{
    copying::{self, JOBS},
    failure::Failure,
    output::{self, Format, FormatArg},
    progress,
    session::Session,
};
use crate::copy::{ContentName, Copy, Destination};

/// Copy a version from one registry to another, digests and signatures unchanged
///
/// Everything that refers to the version goes along: signatures, attestations, and what
/// other tools have attached. What the destination has already is not sent again, so a
/// copy that was interrupted is repeated at little cost.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to copy, `[host/]repository[:tag][@sha256:…]`; without a tag its highest version
    source: ContentName,
    /// Where to, `host[/namespace[/name]][:tag]`; without a namespace the names stay
    destination: Destination,
    /// Copy everything that has a tag
    #[arg(long)]
    all_versions: bool,
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
    let (name, to) = (&args.source, &args.destination);
    if args.all_versions && to.tag().is_some() {
        return Err(Failure::usage(
            "one tag cannot name all versions",
            "leave out the destination's tag",
        ));
    }
    let source = copying::connect(session, name)?;
    let registry = session.connect(&to.registry)?;
    let repository = to
        .repository(&name.repository)
        .map_err(|error| Failure::usage(error.to_string(), "name a shorter repository"))?;
    let plan = copying::plan((&source).into(), name, args.all_versions).await?;
    let bar = progress::bytes(session, plan.blob_bytes(), "copying");
    let copy = Copy {
        source: (&source).into(),
        from: &name.repository,
        registry: &registry,
        to: &repository,
        rename: to.tag(),
        jobs: args.jobs.into(),
        dry_run: args.dry_run,
    };
    let copied = copy.run(&plan, &|size, _| bar.inc(size)).await;
    bar.finish_and_clear();
    let copied = copied?;
    let place = format!("{}/{repository}", registry.host());
    if args.format.output == Format::Json {
        return Ok(output::json(&json!({
            "source": format!("{}/{}", source.host(), name.repository),
            "destination": place,
            "dry_run": args.dry_run,
            "copied": copied,
        }))?);
    }
    copying::report(session, &copied, args.dry_run);
    for (tag, digest) in &copied.tags {
        output::line(copying::line(&format!("{place}:{tag}"), digest))?;
    }
    Ok(())
}
