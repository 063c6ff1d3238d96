// SPDX-License-Identifier: Apache-2.0
//! Extends the log: numbers the entries that wait, grows the tree, signs the checkpoint, all
//! in one transaction under the lock of the log's head. A crash at any moment leaves the log
//! as it was before or after, and of several replicas one does it at a time.

use std::collections::BTreeMap;

use registry_schema::transparency::{
    Checkpoint, Edge, Entry, SignedCheckpoint, Tiles, merkle, tile::write_hashes,
};

use super::LogError;
use crate::{
    app::App,
    service::ServiceError,
    store::{self, Tx, log::Head},
};

/// Most entries of one step.
pub(super) const BATCH: usize = 1000;

/// Takes up to [`BATCH`] waiting entries into the log, and says how many.
pub(super) async fn extend(app: &App) -> Result<usize, ServiceError> {
    if store::log::waiting(&app.db).await? == 0 {
        return Ok(0);
    }
    let mut tx = app.db.begin().await?;
    let head = store::log::lock(&mut tx).await?;
    let mut edge = edge(app, &mut tx, &head).await?;
    let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
    let pending = store::log::pending(&mut tx, limit).await?;
    let mut changed = BTreeMap::new();
    for one in &pending {
        let entry = Entry::parse(one.leaf.as_bytes()).map_err(LogError::Entry)?;
        store::log::insert(&mut tx, edge.size(), one, entry.change()).await?;
        edge.push(merkle::leaf(one.leaf.as_bytes()), &mut changed);
    }
    for ((level, number), hashes) in changed {
        store::log::set_tile(&mut tx, level, number, &write_hashes(&hashes)).await?;
    }
    let (size, root) = (edge.size(), edge.root());
    let origin = app.log.origin().to_owned();
    let signed = Checkpoint { origin, size, root }.sign(&app.log.key);
    let checkpoint = signed.note().to_string();
    store::log::advance(&mut tx, &Head { size, checkpoint }).await?;
    tx.commit().await?;
    tracing::debug!(entries = pending.len(), size, "the publish log grew");
    Ok(pending.len())
}

/// Reads the right edge of the tree, and demands that it has the root that was signed last:
/// on a tree that somebody changed, nothing is signed.
async fn edge(app: &App, tx: &mut Tx, head: &Head) -> Result<Edge, ServiceError> {
    let mut tiles = Tiles::default();
    for tile in Edge::needed(head.size) {
        if let Some(hashes) = store::log::tile_in(tx, tile).await? {
            tiles.insert(tile, hashes).map_err(LogError::Tile)?;
        }
    }
    let edge = Edge::read(head.size, &tiles).map_err(LogError::Tile)?;
    if head.checkpoint.is_empty() && head.size == 0 {
        return Ok(edge);
    }
    let signed = SignedCheckpoint::open(head.checkpoint.as_bytes(), app.log.verifier())
        .map_err(LogError::Checkpoint)?;
    let (size, said) = (head.size, signed.checkpoint());
    if said.size == size && said.root == edge.root() {
        Ok(edge)
    } else {
        Err(LogError::Changed { size }.into())
    }
}
