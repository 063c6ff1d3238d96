// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg export`.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::PathBuf,
};

use clap::ValueHint;

use super::{
    copying,
    failure::Failure,
    output::{self, Format, FormatArg},
    progress,
    session::Session,
};
use crate::{
    copy::ContentName,
    export::{Part, export},
    layout::LayoutError,
    source::Source,
};

/// Write versions with their signatures as one archive, for sites that no network reaches
///
/// The archive is an OCI image layout as a tar file; other OCI tools read it too. The
/// same versions always give the same bytes. It is used with `bpfpkg import`, and with
/// `--from` of `bpfpkg verify` and `bpfpkg pull`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to export, `[host/]repository[:tag]`; without a tag its highest version
    #[arg(required = true, value_name = "REF")]
    sources: Vec<ContentName>,
    /// The new archive
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    to: PathBuf,
    /// Export everything that has a tag
    #[arg(long)]
    all_versions: bool,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    if args.to.symlink_metadata().is_ok() {
        return Err(LayoutError::Exists {
            path: args.to.clone(),
        }
        .into());
    }
    let mut registries = BTreeMap::new();
    for name in &args.sources {
        if name.digest.is_some() && name.tag.is_none() {
            return Err(Failure::usage(
                format!("`{name}` has no tag, and what is in an archive is found by its tag"),
                "add the tag, `repository:tag@sha256:…`",
            ));
        }
        if let Entry::Vacant(place) = registries.entry(name.registry.clone()) {
            place.insert(copying::connect(session, name)?);
        }
    }
    let mut parts = Vec::new();
    for name in &args.sources {
        let Some(registry) = registries.get(&name.registry) else {
            continue;
        };
        let source = Source::from(registry);
        parts.push(Part {
            source,
            repository: name.repository.clone(),
            plan: copying::plan(source, name, args.all_versions).await?,
        });
    }
    let bytes = parts.iter().map(|part| part.plan.blob_bytes()).sum();
    let bar = progress::bytes(session, bytes, "exporting");
    let exported = export(&args.to, &parts, &|size| bar.inc(size)).await;
    bar.finish_and_clear();
    let exported = exported?;
    if args.format.output == Format::Json {
        return Ok(output::json(&exported)?);
    }
    session.say(format!(
        "{} manifests and {} blobs ({} bytes) are in `{}`",
        exported.manifests,
        exported.blobs,
        exported.blob_bytes,
        args.to.display()
    ));
    for (name, digest) in &exported.names {
        output::line(copying::line(name, digest))?;
    }
    Ok(())
}
