// SPDX-License-Identifier: Apache-2.0
//! Checks the stored log as a stranger would: every entry against the tree, the tree against
//! the signed checkpoint; and the catalogue against the entries.

use std::collections::{BTreeMap, HashMap};

use registry_schema::{
    Digest, PackageName, Version,
    transparency::{
        Change, Content, Edge, Entry, SignedCheckpoint, TilePath, VerifierKey, merkle,
        tile::write_hashes,
    },
};

use crate::{
    service::ServiceError,
    store::{self, Db},
};

/// Entries and versions read at a time.
const BATCH: u64 = 1000;

/// What is wrong with a stored log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum LogBreak {
    /// The checkpoint is not signed by the log's key, or says another size.
    #[error("the checkpoint does not fit its signature, or its size: {0}")]
    Checkpoint(String),
    /// An entry is missing.
    #[error("entry {0} is missing")]
    Missing(u64),
    /// An entry is not what was logged.
    #[error(
        "the tree does not fit the entries: tile {0} has other hashes; an entry or the tile was changed"
    )]
    Tile(TilePath),
    /// The tree has another root than the one that was signed.
    #[error(
        "entries and tree have root {actual}, but {signed} was signed; entries were changed together with the tree"
    )]
    Root { actual: String, signed: String },
    /// The catalogue has something else than what was logged.
    #[error(
        "{package} {version} has digest {actual}, but the log says that {logged} was published"
    )]
    Version {
        package: PackageName,
        version: Version,
        actual: Digest,
        logged: Digest,
    },
    /// A public version was never logged.
    #[error(
        "{package} {version} is in the catalogue, but the log does not say that it was published"
    )]
    Unlogged {
        package: PackageName,
        version: Version,
    },
    /// The log says of a version twice, with different digests, that it was published.
    #[error(
        "the log says that {package} {version} was published with digest {first}, and also with {second}"
    )]
    Twice {
        package: PackageName,
        version: Version,
        first: Digest,
        second: Digest,
    },
}

/// What a log looks like that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// How many entries it has.
    pub entries: u64,
    /// The root over them, in base64.
    pub root: String,
    /// How many public versions it accounts for.
    pub versions: u64,
    /// How many entries are on their way into it.
    pub waiting: u64,
}

/// Checks everything. `key` is the key that the registry fixed for its log.
///
/// # Errors
/// [`ServiceError::Store`] if the database cannot be read.
pub async fn verify(db: &Db, key: &VerifierKey) -> Result<Result<Whole, LogBreak>, ServiceError> {
    // The waiting ones first, then the head: what is added meanwhile lies behind both.
    let waiting = store::log::waiting(db).await?;
    let head = store::log::head(db).await?;
    let (mut edge, mut published) = (Edge::default(), HashMap::new());
    if let Err(broken) = replay(db, head.size, &mut edge, &mut published).await? {
        return Ok(Err(broken));
    }
    let actual = edge.root().to_string();
    if head.size > 0 {
        let signed = match SignedCheckpoint::open(head.checkpoint.as_bytes(), key) {
            Ok(signed) if signed.checkpoint().size == head.size => signed,
            Ok(signed) => {
                let size = signed.checkpoint().size;
                let said = format!("it says {size}, the log has {}", head.size);
                return Ok(Err(LogBreak::Checkpoint(said)));
            }
            Err(error) => return Ok(Err(LogBreak::Checkpoint(error.to_string()))),
        };
        let signed = signed.checkpoint().root.to_string();
        if signed != actual {
            return Ok(Err(LogBreak::Root { actual, signed }));
        }
    }
    let catalogue = catalogue(db, &published).await?;
    Ok(catalogue.map(|versions| Whole {
        entries: head.size,
        root: actual,
        versions,
        waiting,
    }))
}

type Published = HashMap<(PackageName, Version), Digest>;

/// Grows the tree again from the entries, and compares every tile.
async fn replay(
    db: &Db,
    size: u64,
    edge: &mut Edge,
    published: &mut Published,
) -> Result<Result<(), LogBreak>, ServiceError> {
    while edge.size() < size {
        let (from, to) = (edge.size(), size.min(edge.size() + BATCH));
        let mut changed = BTreeMap::new();
        let leaves = store::log::leaves(db, from, to).await?;
        let found = leaves.len() as u64;
        for leaf in leaves {
            edge.push(merkle::leaf(leaf.as_bytes()), &mut changed);
            if let Err(broken) = remember(&leaf, published) {
                return Ok(Err(broken));
            }
        }
        for ((level, number), hashes) in changed {
            let Some(tile) = TilePath::of(Content::Hashes(level), number, edge.size()) else {
                continue;
            };
            let stored = store::log::tile(db, tile).await?;
            if stored != Some(write_hashes(&hashes)) {
                return Ok(Err(LogBreak::Tile(tile)));
            }
        }
        if found < to - from {
            return Ok(Err(LogBreak::Missing(edge.size())));
        }
    }
    Ok(Ok(()))
}

fn remember(leaf: &str, published: &mut Published) -> Result<(), LogBreak> {
    // What a later release wrote is hashed like everything else, and not read.
    let Ok(entry) = Entry::parse(leaf.as_bytes()) else {
        return Ok(());
    };
    let Change::Publish {
        package,
        version,
        digest,
        ..
    } = entry.change()
    else {
        return Ok(());
    };
    let place = (package.clone(), version.clone());
    match published.insert(place, digest.clone()) {
        Some(first) if first != *digest => Err(LogBreak::Twice {
            package: package.clone(),
            version: version.clone(),
            first,
            second: digest.clone(),
        }),
        _ => Ok(()),
    }
}

async fn catalogue(db: &Db, published: &Published) -> Result<Result<u64, LogBreak>, ServiceError> {
    let (mut last, mut versions) = ((String::new(), String::new()), 0);
    loop {
        let after = (last.0.as_str(), last.1.as_str());
        let page = store::log::published(db, after, BATCH).await?;
        let Some((package, version, _)) = page.last() else {
            return Ok(Ok(versions));
        };
        last = (package.to_string(), version.to_string());
        for (package, version, actual) in page {
            let place = (package, version);
            match published.get(&place) {
                Some(logged) if *logged == actual => versions += 1,
                Some(logged) => {
                    let (logged, (package, version)) = (logged.clone(), place);
                    let broken = LogBreak::Version {
                        package,
                        version,
                        actual,
                        logged,
                    };
                    return Ok(Err(broken));
                }
                None => {
                    let (package, version) = place;
                    // It may have come meanwhile, or be on its way.
                    let logged = store::log::publication(db, &package, &version).await?;
                    if logged.is_none() && store::log::waiting(db).await? == 0 {
                        return Ok(Err(LogBreak::Unlogged { package, version }));
                    }
                }
            }
        }
    }
}
