// SPDX-License-Identifier: Apache-2.0
//! What the log gives to those who read it: checkpoints, tiles, entries, proofs.

use std::collections::BTreeSet;

use registry_schema::{
    Namespace, PackageName, Version,
    name::RepositoryName,
    transparency::{
        Change, Checkpoint, Content, Entry, Proof, SignedCheckpoint, TilePath, Tiles,
        api::{LogDetail, LogPage, LogWitness, LoggedEntry},
        merkle,
        tile::{self, write_bundle},
    },
};

use serde::Deserialize;

use super::LogError;
use crate::{
    app::App,
    service::{
        ServiceError,
        access::{self, Caller},
    },
    store::{self, log::Logged},
};

/// Entries on a page unless asked otherwise.
pub const PAGE: u64 = 100;
/// Most entries on a page.
pub const LARGEST_PAGE: u64 = 1000;

/// The last checkpoint, with what witnesses have added to it.
///
/// # Errors
/// [`LogError::Checkpoint`] if the stored one is not ours; [`ServiceError::Store`].
pub async fn checkpoint(app: &App) -> Result<SignedCheckpoint, ServiceError> {
    let head = store::log::head(&app.db).await?;
    if head.checkpoint.is_empty() {
        let (origin, root) = (app.log.origin().to_owned(), merkle::empty());
        return Ok(Checkpoint {
            origin,
            size: 0,
            root,
        }
        .sign(&app.log.key));
    }
    let signed = SignedCheckpoint::open(head.checkpoint.as_bytes(), app.log.verifier());
    let signed = signed.map_err(LogError::Checkpoint)?;
    with_cosignatures(app, signed).await
}

pub(super) async fn with_cosignatures(
    app: &App,
    mut signed: SignedCheckpoint,
) -> Result<SignedCheckpoint, ServiceError> {
    for line in store::log::cosignatures(&app.db, signed.checkpoint().size).await? {
        signed.add(line.parse().map_err(LogError::Note)?);
    }
    Ok(signed)
}

/// The checkpoint at an earlier size. Signatures are always the same for the same text, so it
/// is the one that was given out then.
pub(super) async fn checkpoint_at(app: &App, size: u64) -> Result<SignedCheckpoint, ServiceError> {
    let tiles = tiles(app, tile::needed_for_root(size)).await?;
    let root = tiles.root(size).map_err(LogError::Tile)?;
    let origin = app.log.origin().to_owned();
    let signed = Checkpoint { origin, size, root }.sign(&app.log.key);
    with_cosignatures(app, signed).await
}

/// Reads tiles; those that are not there are missed by who uses them.
pub(super) async fn tiles(app: &App, needed: BTreeSet<TilePath>) -> Result<Tiles, ServiceError> {
    let mut tiles = Tiles::default();
    for tile in needed {
        if let Some(hashes) = store::log::tile(&app.db, tile).await? {
            tiles.insert(tile, hashes).map_err(LogError::Tile)?;
        }
    }
    Ok(tiles)
}

/// The bytes of a tile, if the log is long enough to have it.
///
/// # Errors
/// [`ServiceError::Store`]; [`LogError::Tile`] if a stored entry is damaged.
pub async fn tile(app: &App, tile: TilePath) -> Result<Option<Vec<u8>>, ServiceError> {
    let size = store::log::head(&app.db).await?.size;
    if tile.demands().is_none_or(|least| least > size) {
        return Ok(None);
    }
    if tile.content() != Content::Entries {
        return Ok(store::log::tile(&app.db, tile).await?);
    }
    let from = tile.number() * tile::WIDTH;
    let leaves = store::log::leaves(&app.db, from, from + u64::from(tile.width())).await?;
    let bundle = write_bundle(leaves.iter().map(String::as_bytes));
    Ok(Some(bundle.map_err(LogError::Tile)?))
}

/// The log at a glance.
///
/// # Errors
/// As [`checkpoint`].
pub async fn detail(app: &App) -> Result<LogDetail, ServiceError> {
    let signed = checkpoint(app).await?;
    let Checkpoint { origin, size, root } = signed.checkpoint().clone();
    let mut witnesses = Vec::new();
    let known = &app.config.publish_log.publish_log_witness;
    for key in known.iter().map(|witness| &witness.key) {
        let seen = store::log::last_cosigned(&app.db, key.name()).await?;
        witnesses.push(LogWitness {
            key: key.to_string(),
            size: seen.as_ref().map(|seen| seen.0),
            seen_at: seen.map(|seen| seen.1),
        });
    }
    Ok(LogDetail {
        origin,
        key: app.log.verifier().to_string(),
        size,
        root: root.to_string(),
        witnesses,
    })
}

/// Which entries are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The newest.
    End,
    /// Those before this place, going back.
    Before(u64),
    /// Those from this place on.
    From(u64),
}

/// Up to `limit` entries, of one namespace or of all.
///
/// # Errors
/// [`ServiceError::Store`]; [`LogError::Entry`] if a stored entry is damaged.
pub async fn entries(
    app: &App,
    namespace: Option<&Namespace>,
    part: Part,
    limit: u64,
) -> Result<LogPage, ServiceError> {
    let name = namespace.map_or("", |name| name.as_str());
    let limit = usize::try_from(limit.clamp(1, LARGEST_PAGE)).unwrap_or(1);
    let ask = i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1;
    let found = match part {
        Part::End => store::log::before(&app.db, u64::MAX, name, ask).await?,
        Part::Before(place) => store::log::before(&app.db, place, name, ask).await?,
        Part::From(place) => store::log::from(&app.db, place, name, ask).await?,
    };
    let more = found.len() > limit;
    let mut entries = Vec::new();
    for one in found.into_iter().take(limit) {
        let entry = Entry::parse(one.leaf.as_bytes()).map_err(LogError::Entry)?;
        let index = one.position;
        entries.push(LoggedEntry { index, entry });
    }
    let forward = u64::from(matches!(part, Part::From(_)));
    let next = entries
        .last()
        .filter(|_| more)
        .map(|last| last.index + forward);
    Ok(LogPage { entries, next })
}

/// Where the log says that a version was published.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn place(
    app: &App,
    package: &PackageName,
    version: &Version,
) -> Result<Option<u64>, ServiceError> {
    let logged = store::log::publication(&app.db, package, version).await?;
    Ok(logged.map(|logged| logged.position))
}

/// What the log is to prove of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// That it was published.
    #[default]
    Publish,
    /// That it was withdrawn, which was not taken back since.
    Yank,
}

/// The proof of what happened to a version, to those who may read it.
///
/// # Errors
/// [`ServiceError::RepositoryUnknown`] for those who may not; [`LogError::NotLogged`];
/// [`LogError::NotWithdrawn`]; [`LogError::Changed`] if the stored entry and tree contradict
/// each other.
pub async fn proof(
    app: &App,
    caller: &Caller,
    package: &PackageName,
    version: &Version,
    event: Event,
) -> Result<Proof, ServiceError> {
    let repository = RepositoryName::from(package);
    if !access::may_read(app, caller, repository.as_str()).await? {
        return Err(ServiceError::RepositoryUnknown(repository));
    }
    let logged = match event {
        Event::Publish => store::log::publication(&app.db, package, version).await?,
        Event::Yank => store::log::withdrawal(&app.db, package, version).await?,
    };
    let (package, version) = (package.clone(), version.clone());
    let logged = logged.ok_or(match event {
        Event::Publish => LogError::NotLogged { package, version },
        Event::Yank => LogError::NotWithdrawn { package, version },
    })?;
    prove(app, &logged).await
}

/// The proof of an entry, up to the largest checkpoint that a witness cosigned if that covers
/// the entry, else up to the last.
pub(super) async fn prove(app: &App, logged: &Logged) -> Result<Proof, ServiceError> {
    let index = logged.position;
    let seen = store::log::cosigned_beyond(&app.db, index).await?;
    let signed = match seen {
        Some(size) => checkpoint_at(app, size).await?,
        None => checkpoint(app).await?,
    };
    let Checkpoint { size, root, .. } = *signed.checkpoint();
    let tiles = tiles(app, tile::needed_for_inclusion(index, size)).await?;
    let path = tiles.inclusion(index, size).map_err(LogError::Tile)?;
    let leaf = merkle::leaf(logged.leaf.as_bytes());
    merkle::check_inclusion(leaf, index, size, &path, &root)
        .map_err(|_| LogError::Changed { size })?;
    Ok(Proof {
        extra: Some(logged.leaf.clone().into_bytes()),
        index,
        path,
        checkpoint: signed.note().to_string(),
    })
}

/// The digest that an entry says was published.
pub(super) fn published(leaf: &str) -> Option<(PackageName, registry_schema::Digest)> {
    match Entry::parse(leaf.as_bytes()).ok()?.change() {
        Change::Publish {
            package, digest, ..
        } => Some((package.clone(), digest.clone())),
        _ => None,
    }
}
