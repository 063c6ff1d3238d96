// SPDX-License-Identifier: Apache-2.0
//! Reads a registry's log over HTTP, each answer with a bound.

use bytes::Bytes;
use registry_schema::{
    Namespace, PackageName, Version,
    transparency::{
        Checkpoint, Content, Hash, SignedCheckpoint, TilePath, Tiles,
        api::{LogDetail, LogPage},
        merkle::check_consistency,
        note::MAX_NOTE,
        proof::MAX_TEXT,
        tile::{MAX_BUNDLE, needed_for_consistency, needed_for_root},
    },
};
use reqwest::Method;

use super::{Checkpoints, LogError, LogFault, LogKeys};
use crate::{
    pull::Blob,
    registry::{Registry, RegistryError, read_body},
};

impl Registry {
    /// What the registry says of its publish log.
    ///
    /// # Errors
    /// [`RegistryError`], as for all calls here.
    pub async fn log(&self) -> Result<LogDetail, RegistryError> {
        self.get_json(&["log"], &[], "the publish log").await
    }

    /// Up to `limit` of the last entries, of one namespace or of all, as the registry says.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn log_entries(
        &self,
        namespace: Option<&Namespace>,
        limit: u64,
    ) -> Result<LogPage, RegistryError> {
        let limit = limit.to_string();
        let mut query = vec![("limit", limit.as_str())];
        query.extend(namespace.map(|name| ("namespace", name.as_str())));
        let what = "entries of the publish log";
        self.get_json(&["log", "entries"], &query, what).await
    }

    /// The proof that a version is in the log, to be checked by [`super::check_inclusion`].
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] if it is not logged.
    pub async fn log_proof(
        &self,
        package: &PackageName,
        version: &Version,
    ) -> Result<Bytes, RegistryError> {
        self.proof_of("publish", package, version).await
    }

    /// The proofs of those of `versions` that the registry says are withdrawn, to be checked
    /// by [`super::check_withdrawal`].
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn withdrawals(
        &self,
        package: &PackageName,
        versions: impl IntoIterator<Item = &Version>,
    ) -> Result<Vec<Blob>, RegistryError> {
        let mut proofs = Vec::new();
        for version in versions {
            match self.proof_of("yank", package, version).await {
                Ok(proof) => proofs.push(Blob(proof.to_vec())),
                Err(RegistryError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(proofs)
    }

    async fn proof_of(
        &self,
        event: &str,
        package: &PackageName,
        version: &Version,
    ) -> Result<Bytes, RegistryError> {
        let text = version.to_string();
        let path = [
            "packages",
            package.namespace().as_str(),
            package.name(),
            "versions",
            &text,
            "proof",
        ];
        let what = format!("a log proof of `{package}:{version}`");
        let bytes = self
            .call(Method::GET, &path, &[("of", event)], None::<&()>, &what)
            .await?;
        if bytes.len() > MAX_TEXT {
            return Err(self.context(&what).too_large(MAX_TEXT as u64));
        }
        Ok(bytes)
    }

    /// The last checkpoint, unchecked.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn log_checkpoint(&self) -> Result<Bytes, RegistryError> {
        let what = "the checkpoint of the publish log";
        self.log_file("checkpoint", MAX_NOTE, what).await
    }

    /// A tile or a bundle of entries, unchecked.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] if the log is shorter.
    pub async fn log_tile(&self, tile: TilePath) -> Result<Bytes, RegistryError> {
        let limit = match tile.content() {
            Content::Hashes(_) => 256 * 32,
            Content::Entries => MAX_BUNDLE,
        };
        let path = tile.to_string();
        self.log_file(&path, limit, &format!("{path} of the publish log"))
            .await
    }

    async fn log_file(&self, path: &str, limit: usize, what: &str) -> Result<Bytes, RegistryError> {
        let context = self.context(what);
        let url = format!("{}/log/{path}", self.base_url());
        let response = self.http().get(url).send().await;
        let response = response.map_err(|error| context.transport(&error))?;
        let status = response.status();
        let bytes = read_body(response, limit as u64, &context).await?;
        if status.is_success() {
            Ok(bytes)
        } else {
            Err(context.status(status.as_u16(), &bytes))
        }
    }
}

/// Fetches tiles of hashes.
pub(super) async fn tiles(
    registry: &Registry,
    needed: impl IntoIterator<Item = TilePath>,
) -> Result<Tiles, LogError> {
    let mut tiles = Tiles::default();
    for tile in needed {
        let bytes = registry.log_tile(tile).await?;
        tiles.insert(tile, bytes.to_vec()).map_err(LogFault::Tile)?;
    }
    Ok(tiles)
}

/// Fetches the last checkpoint, demands that it continues the last one that was kept, and
/// keeps it. Needs the network.
///
/// # Errors
/// [`LogFault`], above all [`LogFault::Forked`] and [`LogFault::Shrunk`];
/// [`LogError::Registry`].
pub async fn advance(
    registry: &Registry,
    log: &LogKeys,
    kept: &Checkpoints,
) -> Result<SignedCheckpoint, LogError> {
    loop {
        let seen = log.open(&registry.log_checkpoint().await?)?;
        if take(registry, log, kept, &seen).await? {
            return Ok(seen);
        }
    }
}

/// Demands that a checkpoint that was fetched continues the last one that was kept, and keeps
/// it. Needs the network. `false` if somebody else has kept another meanwhile.
///
/// # Errors
/// As [`advance`].
pub async fn take(
    registry: &Registry,
    log: &LogKeys,
    kept: &Checkpoints,
    seen: &SignedCheckpoint,
) -> Result<bool, LogError> {
    let last = kept.last(log)?;
    let old = last.as_ref().map_or(0, |last| last.checkpoint().size);
    let proof = between(registry, old, seen).await?;
    kept.advance(log, last.as_ref(), seen, &proof)
}

/// Demands that a checkpoint that came with a proof is of the same log as the last one that
/// was kept, whichever is later; the log is brought up to date first. Gives how many entries
/// it has. Needs the network.
///
/// # Errors
/// As [`advance`].
pub async fn check_earlier(
    registry: &Registry,
    log: &LogKeys,
    kept: &Checkpoints,
    came: &SignedCheckpoint,
) -> Result<u64, LogError> {
    let last = advance(registry, log, kept).await?;
    let (old, new) = (came.checkpoint().size, last.checkpoint().size);
    if old > new {
        // The registry showed a shorter log now than when it made the proof.
        return Err(LogFault::Shrunk {
            origin: last.checkpoint().origin.clone(),
            kept: old,
            shown: new,
        }
        .into());
    }
    let proof = between(registry, old, &last).await?;
    kept.continues(came, &last, &proof)?;
    Ok(new)
}

/// The proof that `head` continues what the registry itself shows of the log of `old` entries:
/// if that had another root then, it is a fork, and not only a damaged tile.
pub(super) async fn between(
    registry: &Registry,
    old: u64,
    head: &SignedCheckpoint,
) -> Result<Vec<Hash>, LogError> {
    let Checkpoint { origin, size, root } = head.checkpoint();
    if old == 0 || old >= *size {
        return Ok(Vec::new());
    }
    let mut needed = needed_for_consistency(old, *size);
    // As wide as the log is now: a narrow tile is the beginning of a wide one.
    for tile in needed_for_root(old) {
        needed.extend(TilePath::of(tile.content(), tile.number(), *size));
    }
    let tiles = tiles(registry, needed).await?;
    let proof = tiles.consistency(old, *size).map_err(LogFault::Tile)?;
    let shown = tiles.root(old).map_err(LogFault::Tile)?;
    check_consistency(old, &shown, *size, root, &proof).map_err(|_| LogFault::Damaged {
        origin: origin.clone(),
        size: *size,
        signed: *root,
    })?;
    Ok(proof)
}
