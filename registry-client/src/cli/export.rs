// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg export`.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::PathBuf,
};

use clap::ValueHint;
use registry_schema::trust::{revocation::REVOCATION_TYPE, root::ROOT_TYPE};

use super::{
    copying,
    failure::Failure,
    output::{self, Format, FormatArg},
    progress,
    session::{Session, memory},
};
use crate::{
    copy::ContentName,
    export::{Part, TrustDocument, export},
    layout::LayoutError,
    registry::Registry,
    source::Source,
};

/// Write versions with their signatures as one archive, for sites that no network reaches
///
/// The archive is an OCI image layout as a tar file; other OCI tools read it too. It holds
/// the registry's trust root, if it is pinned here, and what it has revoked, so that all can
/// be verified where there is no network. It is used with `bpfpkg import`, and with
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
    let mut trust = Vec::new();
    for registry in registries.values() {
        trust.extend(documents(registry, session).await?);
    }
    let exported = export(&args.to, &parts, &trust, &|size| bar.inc(size)).await;
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

/// What the versions of a registry are judged by: its trust roots from the first to the one
/// that is pinned, and its revocation feed. Nothing without a pinned root.
async fn documents(registry: &Registry, session: &Session) -> Result<Vec<TrustDocument>, Failure> {
    let host = registry.host();
    let (mut trust, memory) = (session.trust()?, memory()?);
    session.refresh(registry, &mut trust, &memory).await?;
    let Some(pinned) = trust.root_of(host) else {
        return Ok(Vec::new());
    };
    let document = |kind, bytes: Vec<u8>| TrustDocument {
        registry: host.to_owned(),
        kind,
        bytes: bytes.into(),
    };
    let mut documents = Vec::new();
    for version in 1..pinned.signed().root().version {
        let earlier = registry.trust_root(Some(version)).await?;
        documents.extend(earlier.map(|bytes| document(ROOT_TYPE, bytes)));
    }
    documents.push(document(ROOT_TYPE, pinned.signed().to_json()));
    let feed = memory.feed(host)?;
    documents.extend(feed.map(|feed| document(REVOCATION_TYPE, feed.0)));
    Ok(documents)
}
