// SPDX-License-Identifier: Apache-2.0
//! `bpfpkg log verify`.

use std::collections::BTreeMap;

use registry_schema::{
    Digest, PackageName, Version,
    api::Visibility,
    exit,
    transparency::{Change, Entry, EntryError, Hash, merkle},
};
use serde_json::json;

use super::{KeyArg, registry};
use crate::{
    cli::{
        failure::Failure,
        output::{self, Format, FormatArg},
        session::Session,
    },
    log::{Checkpoints, advance, replay, same_tiles},
    registry::{Registry, RegistryError},
};

/// Packages asked for at a time.
const PAGE: u32 = 100;

/// Read the whole publish log of a registry and check everything
///
/// Every entry, every hash of the tree, the signature of its root; that it continues what this
/// machine saw of it before; and that the catalogue offers just what was logged.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The registry, `host` or `host:port`
    host: Option<String>,
    #[command(flatten)]
    key: KeyArg,
    #[command(flatten)]
    format: FormatArg,
}

/// What the entries say.
#[derive(Default)]
struct Said {
    leaves: Vec<Hash>,
    versions: BTreeMap<(PackageName, Version), Digest>,
    twice: Vec<String>,
    unread: Vec<(u64, EntryError)>,
}

impl Said {
    fn hear(&mut self, index: u64, bytes: &[u8]) {
        self.leaves.push(merkle::leaf(bytes));
        let entry = match Entry::parse(bytes) {
            Ok(entry) => entry,
            Err(error) => return self.unread.push((index, error)),
        };
        if let Change::Publish {
            package,
            version,
            digest,
            ..
        } = entry.change()
        {
            let place = (package.clone(), version.clone());
            let before = self.versions.insert(place, digest.clone());
            if before.is_some_and(|before| before != *digest) {
                self.twice.push(format!(
                    "{package}:{version} was logged with two digests, the second time at entry {index}"
                ));
            }
        }
    }
}

pub(super) async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let registry = registry(args.host.as_ref(), session)?;
    let kept = Checkpoints::of_user()?;
    let keys = args.key.find(&registry, &kept, session).await?;
    let head = advance(&registry, &keys, &kept).await?;
    let mut said = Said::default();
    let mut visit = |index: u64, bytes: &[u8]| said.hear(index, bytes);
    replay(&registry, &kept, None, &head, &mut visit).await?;
    let tiles = same_tiles(&registry, &said.leaves).await?;
    let mut wrong = std::mem::take(&mut said.twice);
    wrong.extend(disagreements(&registry, &said).await?);
    for (index, error) in &said.unread {
        session.say(format!(
            "entry {index} is in the log and cannot be read here: {error}"
        ));
    }
    let checkpoint = head.checkpoint();
    if args.format.output == Format::Json {
        output::json(&json!({
            "log": checkpoint.origin, "entries": checkpoint.size,
            "root": checkpoint.root.to_string(), "tiles": tiles,
            "versions": said.versions.len(), "disagreements": wrong,
        }))?;
    } else {
        output::fields(&[
            ("log", checkpoint.origin.clone()),
            ("entries", checkpoint.size.to_string()),
            ("root", checkpoint.root.to_string()),
            ("versions", said.versions.len().to_string()),
        ])?;
        for line in &wrong {
            output::line(format!("DISAGREES: {line}"))?;
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Failure::silent(exit::VERIFICATION))
    }
}

/// What the catalogue says otherwise than the log. What is private is not in the log.
async fn disagreements(registry: &Registry, said: &Said) -> Result<Vec<String>, Failure> {
    let mut wrong = Vec::new();
    let public: Vec<_> = registry
        .namespaces()
        .await?
        .into_iter()
        .filter(|namespace| namespace.visibility == Visibility::Public)
        .map(|namespace| namespace.name)
        .collect();
    let mut packages: Vec<_> = said
        .versions
        .keys()
        .map(|(package, _)| package.clone())
        .collect();
    let mut next = Some(0);
    while let Some(offset) = next {
        let page = registry.search("", PAGE, offset).await?;
        packages.extend(page.packages.into_iter().map(|package| package.name));
        next = page.next_offset;
    }
    packages.sort_unstable();
    packages.dedup();
    packages.retain(|package| public.contains(package.namespace()));
    for package in packages {
        let listed = match registry.package(&package).await {
            Ok(detail) => detail.versions,
            Err(RegistryError::NotFound { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        for version in &listed {
            let place = (package.clone(), version.version.clone());
            let name = format!("{package}:{}", version.version);
            match said.versions.get(&place) {
                Some(logged) if *logged == version.digest => {}
                Some(logged) => wrong.push(format!(
                    "{name} is {} in the catalogue, and {logged} in the log",
                    version.digest
                )),
                None if is_new(registry, &package, &version.version).await? => {}
                None => wrong.push(format!("{name} is in the catalogue, and not in the log")),
            }
        }
        let gone = said.versions.keys().filter(|(logged, version)| {
            *logged == package && !listed.iter().any(|one| one.version == *version)
        });
        wrong.extend(gone.map(|(package, version)| {
            format!("{package}:{version} is in the log, and not in the catalogue")
        }));
    }
    Ok(wrong)
}

/// Whether a version was logged after the checkpoint that was read.
async fn is_new(
    registry: &Registry,
    package: &PackageName,
    version: &Version,
) -> Result<bool, Failure> {
    match registry.log_proof(package, version).await {
        Ok(_) => Ok(true),
        Err(RegistryError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
