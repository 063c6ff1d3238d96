// SPDX-License-Identifier: Apache-2.0
//! Tables `log_pending`, `log_entries`, `log_tiles`, `log_head` and `log_cosignatures`.

use chrono::{DateTime, Utc};
use registry_schema::{
    Digest, PackageName, Version,
    transparency::{Change, Content, LoggedSignature, TilePath},
};

use super::{Db, StoreError, Tx, cell, count, uncount};

/// An entry on its way into the log.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Pending {
    /// Its identifier.
    pub id: String,
    /// Its bytes.
    pub leaf: String,
}

const APPEND: &str = "insert into log_pending (id, namespace, leaf) values ($1, $2, $3)";

/// Adds an entry to those on their way.
///
/// # Errors
/// [`StoreError::Statement`], also if there is no such namespace.
pub async fn append(tx: &mut Tx, id: &str, namespace: &str, leaf: &str) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(APPEND).bind(id).bind(namespace).bind(leaf)
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const SIGNATURES: &str = "select coalesce(signer, 'key:' || fingerprint), layer, simple_signature is null from signatures \
     where repository = $1 and subject = $2 and state = 'verified' order by seen_at, layer";

/// The signatures of a digest that count, oldest first. Of two forms of one signature only
/// the bundle.
///
/// # Errors
/// [`StoreError::Statement`], [`StoreError::Corrupt`].
pub async fn signatures(
    tx: &mut Tx,
    package: &PackageName,
    digest: &Digest,
) -> Result<Vec<LoggedSignature>, StoreError> {
    const TABLE: &str = "signatures";
    let rows: Vec<(String, String, bool)> = on!(Tx, tx, c => sqlx::query_as(SIGNATURES)
        .bind(package.to_string()).bind(digest.as_str()).fetch_all(&mut **c).await)?;
    let bundled = |signer: &str| rows.iter().any(|row| row.0 == *signer && row.2);
    let mut found = Vec::new();
    for (signer, layer, bundle) in &rows {
        if *bundle || !bundled(signer) {
            found.push(LoggedSignature {
                signer: cell(TABLE, "signer", signer)?,
                bundle: cell(TABLE, "layer", layer)?,
            });
        }
    }
    Ok(found)
}

const VERSION_OF: &str = "select version from versions where package = $1 and index_digest = $2";

/// The published version whose index has a digest.
///
/// # Errors
/// [`StoreError::Statement`], [`StoreError::Corrupt`].
pub async fn version_of(
    tx: &mut Tx,
    package: &PackageName,
    digest: &Digest,
) -> Result<Option<Version>, StoreError> {
    let found: Option<String> = on!(Tx, tx, c => sqlx::query_scalar(VERSION_OF).bind(package.to_string())
        .bind(digest.as_str()).fetch_optional(&mut **c).await)?;
    found
        .map(|version| cell("versions", "version", &version))
        .transpose()
}

/// How far the log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Number of entries.
    pub size: u64,
    /// The checkpoint at that size; empty before the first.
    pub checkpoint: String,
}

impl From<(i64, String)> for Head {
    fn from((size, checkpoint): (i64, String)) -> Self {
        let size = uncount(size);
        Self { size, checkpoint }
    }
}

const HEAD: &str = "select size, checkpoint from log_head where id = 1";

/// How far the log goes.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn head(db: &Db) -> Result<Head, StoreError> {
    let row: (i64, String) = on!(Db, db, c => sqlx::query_as(HEAD).fetch_one(c).await)?;
    Ok(row.into())
}

const LOCK: &str = "update log_head set size = size where id = 1 returning size, checkpoint";

/// How far the log goes, and nobody else extends it until the transaction ends.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn lock(tx: &mut Tx) -> Result<Head, StoreError> {
    let row: (i64, String) = on!(Tx, tx, c => sqlx::query_as(LOCK).fetch_one(&mut **c).await)?;
    Ok(row.into())
}

const MOVE: &str = "update log_head set size = $1, checkpoint = $2 where id = 1";

/// Moves the head.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn advance(tx: &mut Tx, head: &Head) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(MOVE).bind(count(head.size)).bind(&head.checkpoint)
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const PENDING: &str = "select p.id, p.leaf from namespaces n join log_pending p on p.namespace = n.name \
     where n.visibility = 'public' order by p.id limit $1";

/// Up to `limit` entries that everybody may see, oldest first.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn pending(tx: &mut Tx, limit: i64) -> Result<Vec<Pending>, StoreError> {
    Ok(on!(Tx, tx, c => sqlx::query_as(PENDING).bind(limit).fetch_all(&mut **c).await)?)
}

const WAITING: &str = "select count(*) from namespaces n join log_pending p on p.namespace = n.name \
     where n.visibility = 'public'";

/// How many entries are on their way that everybody may see.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn waiting(db: &Db) -> Result<u64, StoreError> {
    let number: i64 = on!(Db, db, c => sqlx::query_scalar(WAITING).fetch_one(c).await)?;
    Ok(uncount(number))
}

const INSERT: &str = "insert into log_entries (position, leaf, kind, namespace, package, version) \
     values ($1, $2, $3, $4, $5, $6)";
const DELETE: &str = "delete from log_pending where id = $1";

/// Gives an entry its place.
///
/// # Errors
/// [`StoreError::Statement`], also if the place is taken.
pub async fn insert(
    tx: &mut Tx,
    position: u64,
    pending: &Pending,
    change: &Change,
) -> Result<(), StoreError> {
    let package = change.package().map(ToString::to_string);
    let version = change.version().map(ToString::to_string);
    on!(Tx, tx, c => sqlx::query(INSERT).bind(count(position)).bind(&pending.leaf).bind(change.kind())
        .bind(change.namespace().as_str()).bind(&package).bind(&version)
        .execute(&mut **c).await.map(|_| ()))?;
    on!(Tx, tx, c => sqlx::query(DELETE).bind(&pending.id).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const TILE: &str = "select hashes from log_tiles where level = $1 and number = $2";

/// The level as a column has it; bundles of entries are kept as rows.
fn level(tile: TilePath) -> Option<i64> {
    match tile.content() {
        Content::Hashes(level) => Some(level.into()),
        Content::Entries => None,
    }
}

/// Cuts a stored tile to the width that is asked for; none if it is narrower.
fn cut(mut hashes: Vec<u8>, tile: TilePath) -> Option<Vec<u8>> {
    let wanted = usize::from(tile.width()) * 32;
    (hashes.len() >= wanted).then(|| {
        hashes.truncate(wanted);
        hashes
    })
}

/// The hashes of a tile; none if it is not there that wide.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn tile(db: &Db, tile: TilePath) -> Result<Option<Vec<u8>>, StoreError> {
    let (level, number) = (level(tile), count(tile.number()));
    let found: Option<Vec<u8>> = on!(Db, db, c => sqlx::query_scalar(TILE).bind(level).bind(number)
        .fetch_optional(c).await)?;
    Ok(found.and_then(|hashes| cut(hashes, tile)))
}

/// The same in the transaction that extends the log.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn tile_in(tx: &mut Tx, tile: TilePath) -> Result<Option<Vec<u8>>, StoreError> {
    let (level, number) = (level(tile), count(tile.number()));
    let found: Option<Vec<u8>> = on!(Tx, tx, c => sqlx::query_scalar(TILE).bind(level).bind(number)
        .fetch_optional(&mut **c).await)?;
    Ok(found.and_then(|hashes| cut(hashes, tile)))
}

const SET_TILE: &str = "insert into log_tiles (level, number, hashes) values ($1, $2, $3) \
     on conflict (level, number) do update set hashes = excluded.hashes";

/// Keeps what a tile holds now.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn set_tile(
    tx: &mut Tx,
    level: u8,
    number: u64,
    hashes: &[u8],
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(SET_TILE).bind(i64::from(level)).bind(count(number)).bind(hashes)
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const LEAVES: &str =
    "select leaf from log_entries where position >= $1 and position < $2 order by position";

/// The entries from `from` up to `to`, oldest first.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn leaves(db: &Db, from: u64, to: u64) -> Result<Vec<String>, StoreError> {
    Ok(
        on!(Db, db, c => sqlx::query_scalar(LEAVES).bind(count(from)).bind(count(to)).fetch_all(c).await)?,
    )
}

/// An entry with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Its place.
    pub position: u64,
    /// Its bytes.
    pub leaf: String,
}

impl From<(i64, String)> for Logged {
    fn from((position, leaf): (i64, String)) -> Self {
        let position = uncount(position);
        Self { position, leaf }
    }
}

const BEFORE: &str = "select position, leaf from log_entries \
     where position < $1 and ($2 = '' or namespace = $2) order by position desc limit $3";

/// Up to `limit` entries before `position`, newest first; of one namespace unless it is empty.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn before(
    db: &Db,
    position: u64,
    namespace: &str,
    limit: i64,
) -> Result<Vec<Logged>, StoreError> {
    let rows: Vec<(i64, String)> = on!(Db, db, c => sqlx::query_as(BEFORE).bind(count(position))
        .bind(namespace).bind(limit).fetch_all(c).await)?;
    Ok(rows.into_iter().map(Logged::from).collect())
}

const FROM: &str = "select position, leaf from log_entries \
     where position >= $1 and ($2 = '' or namespace = $2) order by position limit $3";

/// Up to `limit` entries from `position` on, oldest first; of one namespace unless it is empty.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn from(
    db: &Db,
    position: u64,
    namespace: &str,
    limit: i64,
) -> Result<Vec<Logged>, StoreError> {
    let rows: Vec<(i64, String)> = on!(Db, db, c => sqlx::query_as(FROM).bind(count(position))
        .bind(namespace).bind(limit).fetch_all(c).await)?;
    Ok(rows.into_iter().map(Logged::from).collect())
}

const PUBLICATION: &str = "select position, leaf from log_entries \
     where package = $1 and version = $2 and kind = 'publish' order by position desc limit 1";

/// The entry that says that a version was published.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn publication(
    db: &Db,
    package: &PackageName,
    version: &Version,
) -> Result<Option<Logged>, StoreError> {
    let (package, version) = (package.to_string(), version.to_string());
    let row: Option<(i64, String)> = on!(Db, db, c => sqlx::query_as(PUBLICATION).bind(&package)
        .bind(&version).fetch_optional(c).await)?;
    Ok(row.map(Logged::from))
}

const WITHDRAWAL: &str = "select position, leaf, kind from log_entries \
     where package = $1 and version = $2 and kind in ('yank', 'unyank') order by position desc limit 1";

/// The entry that says that a version was withdrawn; none if that was taken back since.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn withdrawal(
    db: &Db,
    package: &PackageName,
    version: &Version,
) -> Result<Option<Logged>, StoreError> {
    let (package, version) = (package.to_string(), version.to_string());
    let row: Option<(i64, String, String)> = on!(Db, db, c => sqlx::query_as(WITHDRAWAL)
        .bind(&package).bind(&version).fetch_optional(c).await)?;
    let withdrawn = row.filter(|(.., kind)| kind == "yank");
    Ok(withdrawn.map(|(position, leaf, _)| Logged::from((position, leaf))))
}

const UNPROVEN: &str = "select position, leaf from log_entries \
     where proof is null and kind = 'publish' order by position limit $1";

/// Up to `limit` publications whose proofs are not yet beside them, oldest first.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn unproven(db: &Db, limit: i64) -> Result<Vec<Logged>, StoreError> {
    let rows: Vec<(i64, String)> =
        on!(Db, db, c => sqlx::query_as(UNPROVEN).bind(limit).fetch_all(c).await)?;
    Ok(rows.into_iter().map(Logged::from).collect())
}

const SET_PROOF: &str = "update log_entries set proof = $2 where position = $1";

/// Notes the manifest that carries the proof of an entry; an empty text where none can.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn set_proof(tx: &mut Tx, position: u64, proof: &str) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(SET_PROOF).bind(count(position)).bind(proof)
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const PUBLISHED: &str = "select v.package, v.version, v.index_digest from versions v \
     join packages p on p.package = v.package join namespaces n on n.name = p.namespace \
     where n.visibility = 'public' and (v.package > $1 or (v.package = $1 and v.version > $2)) \
     order by v.package, v.version limit $3";

/// Up to `limit` versions that everybody may see, after one, by package and version.
///
/// # Errors
/// [`StoreError::Statement`], [`StoreError::Corrupt`].
pub async fn published(
    db: &Db,
    after: (&str, &str),
    limit: u64,
) -> Result<Vec<(PackageName, Version, Digest)>, StoreError> {
    const TABLE: &str = "versions";
    let rows: Vec<(String, String, String)> = on!(Db, db, c => sqlx::query_as(PUBLISHED)
        .bind(after.0).bind(after.1).bind(count(limit)).fetch_all(c).await)?;
    let read = |(package, version, digest): (String, String, String)| {
        Ok((
            cell(TABLE, "package", &package)?,
            cell(TABLE, "version", &version)?,
            cell(TABLE, "index_digest", &digest)?,
        ))
    };
    rows.into_iter().map(read).collect()
}

const IS_UNPROVEN: &str = "select count(*) from log_entries where position = $1 and proof is null";

/// Whether the proof of an entry is not yet beside it.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn is_unproven(db: &Db, position: u64) -> Result<bool, StoreError> {
    let number: i64 =
        on!(Db, db, c => sqlx::query_scalar(IS_UNPROVEN).bind(count(position)).fetch_one(c).await)?;
    Ok(number > 0)
}

const COSIGN: &str = "insert into log_cosignatures (size, witness, line, seen_at) values ($1, $2, $3, $4) \
     on conflict (size, witness) do update set line = excluded.line, seen_at = excluded.seen_at";

/// Keeps what a witness says of the log at one size, also instead of what it said before.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn cosign(
    tx: &mut Tx,
    size: u64,
    witness: &str,
    line: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(COSIGN).bind(count(size)).bind(witness).bind(line).bind(now)
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const COSIGNATURES: &str = "select line from log_cosignatures where size = $1 order by witness";

/// What witnesses say of the log at one size.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn cosignatures(db: &Db, size: u64) -> Result<Vec<String>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_scalar(COSIGNATURES).bind(count(size)).fetch_all(c).await)?)
}

const COSIGNED_BEYOND: &str = "select size from log_cosignatures where size > $1 \
     group by size order by count(*) desc, size desc limit 1";

/// The size of a log with the entry at `position` that most witnesses cosigned, if one did.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn cosigned_beyond(db: &Db, position: u64) -> Result<Option<u64>, StoreError> {
    let size: Option<i64> = on!(Db, db, c => sqlx::query_scalar(COSIGNED_BEYOND).bind(count(position))
        .fetch_optional(c).await)?;
    Ok(size.map(uncount))
}

const LAST_COSIGNED: &str =
    "select size, seen_at from log_cosignatures where witness = $1 order by size desc limit 1";

/// The largest log that a witness cosigned, and when that was kept.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn last_cosigned(
    db: &Db,
    witness: &str,
) -> Result<Option<(u64, DateTime<Utc>)>, StoreError> {
    let row: Option<(i64, DateTime<Utc>)> = on!(Db, db, c => sqlx::query_as(LAST_COSIGNED).bind(witness)
        .fetch_optional(c).await)?;
    Ok(row.map(|(size, at)| (uncount(size), at)))
}
