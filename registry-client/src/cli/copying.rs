// SPDX-License-Identifier: Apache-2.0
//! What `copy`, `export` and `import` share.

use registry_schema::Digest;

use super::{failure::Failure, session::Session};
use crate::{
    copy::{ContentName, Copied, Plan, Wanted},
    registry::Registry,
    source::Source,
};

/// How many blobs are under way at the same time unless told otherwise.
pub(super) const JOBS: u8 = 4;

/// What a name asks for: exactly its digest, else its tag, else the highest version.
pub(super) fn wanted(name: &ContentName, all: bool) -> Result<Wanted, Failure> {
    match (all, &name.digest, &name.tag) {
        (false, Some(digest), _) => Ok(Wanted::Digest(digest.clone())),
        (false, None, tag) => Ok(Wanted::Tag(tag.clone())),
        (true, None, None) => Ok(Wanted::All),
        (true, ..) => Err(Failure::usage(
            format!("`{name}` names one version, and `--all-versions` means all"),
            "leave out the version, or the option",
        )),
    }
}

/// Finds out what `name` consists of. A tag beside a digest is the digest's name.
pub(super) async fn plan(
    source: Source<'_>,
    name: &ContentName,
    all: bool,
) -> Result<Plan, Failure> {
    let mut plan = Plan::of(source, &name.repository, &wanted(name, all)?).await?;
    if let (Some(digest), Some(tag)) = (&name.digest, &name.tag) {
        plan.tags.push((tag.clone(), digest.clone()));
    }
    Ok(plan)
}

/// The registry that a name names or means.
pub(super) fn connect(session: &Session, name: &ContentName) -> Result<Registry, Failure> {
    let host = match &name.registry {
        Some(host) => host.clone(),
        None => session.default_registry()?,
    };
    session.connect(&host)
}

/// What happened, for a person.
pub(super) fn report(session: &Session, copied: &Copied, dry_run: bool) {
    let verb = if dry_run { "would send" } else { "sent" };
    session.say(format!(
        "{verb} {} blobs ({} bytes) and {} manifests, {} of them signatures and other referrers; \
         {} blobs ({} bytes) and {} manifests were there",
        copied.blobs_sent,
        copied.sent_bytes,
        copied.manifests_sent,
        copied.referrers,
        copied.blobs_skipped,
        copied.skipped_bytes,
        copied.manifests_skipped,
    ));
}

/// A name and what it names, on a line.
pub(super) fn line(reference: &str, digest: &Digest) -> String {
    format!("{reference}@{digest}")
}
