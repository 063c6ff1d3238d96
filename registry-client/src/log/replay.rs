// SPDX-License-Identifier: Apache-2.0
//! Reads a log entry by entry and grows its tree again: what comes out must be what was
//! signed. This shows more than a proof of consistency, which tells nothing of the entries.

use std::collections::BTreeMap;

use registry_schema::transparency::{
    Checkpoint, Content, Edge, Hash, SignedCheckpoint, TilePath, merkle,
    tile::{WIDTH, read_bundle, write_hashes},
};

use super::{
    Checkpoints, LogError, LogFault,
    fetch::{between, tiles},
};
use crate::registry::Registry;

/// Looks at an entry: its place, and its bytes.
pub type Visit<'a> = &'a mut (dyn FnMut(u64, &[u8]) + Send);

/// Reads the entries after `from` (all of them without one) up to `head`, shows each of them
/// to `visit`, and demands that just they lead from the one signed root to the other.
/// `visit` sees entries before that is known: do nothing with them until this function says
/// that they are right. `kept` keeps the evidence of a fork.
///
/// # Errors
/// [`LogFault::Root`] if the entries are others than those signed; [`LogFault::Forked`],
/// [`LogFault::Shrunk`] if `head` does not continue `from`; [`LogFault::Tile`];
/// [`LogError::Registry`].
pub async fn replay(
    registry: &Registry,
    kept: &Checkpoints,
    from: Option<&SignedCheckpoint>,
    head: &SignedCheckpoint,
    visit: Visit<'_>,
) -> Result<(), LogError> {
    let Checkpoint { origin, size, root } = head.checkpoint();
    let mut edge = Edge::default();
    if let Some(from) = from {
        let old = from.checkpoint();
        if old.size > *size {
            return Err(LogFault::Shrunk {
                origin: origin.clone(),
                kept: old.size,
                shown: *size,
            }
            .into());
        }
        let tiles = tiles(registry, Edge::needed(old.size)).await?;
        edge = Edge::read(old.size, &tiles).map_err(LogFault::Tile)?;
        if edge.root() != old.root {
            let proof = between(registry, old.size, head).await?;
            kept.continues(from, head, &proof)?;
        }
    }
    let mut changed = BTreeMap::new();
    while edge.size() < *size {
        let number = edge.size() / WIDTH;
        let Some(tile) = TilePath::of(Content::Entries, number, *size) else {
            break;
        };
        let bundle = registry.log_tile(tile).await?;
        let entries = read_bundle(tile, &bundle).map_err(LogFault::Tile)?;
        let known = usize::try_from(edge.size() % WIDTH).unwrap_or(0);
        for entry in entries.into_iter().skip(known) {
            visit(edge.size(), entry);
            edge.push(merkle::leaf(entry), &mut changed);
        }
        changed.clear();
    }
    let actual = edge.root();
    if actual == *root {
        return Ok(());
    }
    Err(LogFault::Root {
        origin: origin.clone(),
        size: *size,
        actual,
        signed: *root,
    }
    .into())
}

/// Demands that every tile of hashes that the registry serves is the one that its entries
/// lead to. `leaves` are the hashes of all entries.
///
/// # Errors
/// [`LogFault::OtherTile`]; [`LogError::Registry`] if one is not served.
pub async fn same_tiles(registry: &Registry, leaves: &[Hash]) -> Result<u64, LogError> {
    let (mut edge, mut changed) = (Edge::default(), BTreeMap::new());
    for leaf in leaves {
        edge.push(*leaf, &mut changed);
    }
    let mut number = 0;
    for ((level, place), hashes) in changed {
        let Some(tile) = TilePath::of(Content::Hashes(level), place, edge.size()) else {
            continue;
        };
        if registry.log_tile(tile).await? != write_hashes(&hashes) {
            return Err(LogFault::OtherTile(tile).into());
        }
        number += 1;
    }
    Ok(number)
}
