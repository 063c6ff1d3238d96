// SPDX-License-Identifier: Apache-2.0
//! Tiles: the pieces in which a log is kept and read (C2SP `tlog-tiles`).
//!
//! A tile holds up to 256 neighbouring hashes of one level; level 0 are the entries' hashes,
//! and each hash of a level above is the root over one full tile below. A hash never changes
//! once it is in a tile, so a partial tile is the beginning of every wider one. Entries come in
//! bundles that are numbered like the tiles of level 0.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    fmt,
    str::FromStr,
};

use super::{
    decimal,
    merkle::{self, Hash, Node},
};
use crate::digest::shorten;

/// Hashes in a full tile, and entries in a full bundle.
pub const WIDTH: u64 = 256;
/// Levels of the tree in one tile.
const HEIGHT: u8 = 8;
/// Highest level that a path may name.
const MAX_LEVEL: u8 = 63;
/// Largest number that a path may name: seven elements of three digits.
const MAX_NUMBER: u64 = 999_999_999_999_999_999;
/// Bytes of a hash.
const HASH: usize = 32;
/// Largest full bundle, in bytes: each entry is at most 65,535 bytes and their length.
pub const MAX_BUNDLE: usize = 256 * (2 + 65_535);

/// Why something is no tile, or not the tile it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum TileError {
    /// The text is no path of a tile.
    #[error("`{0}` is no path of a tile, such as `tile/0/x001/067` or `tile/entries/000.p/5`")]
    Path(String),
    /// A tile that is needed is not there.
    #[error("{0} is needed and not there")]
    Missing(TilePath),
    /// The tile does not hold as many hashes as its path says.
    #[error("{tile} has {actual} bytes; {wanted} are needed")]
    Length {
        tile: TilePath,
        actual: usize,
        wanted: usize,
    },
    /// A bundle ends within an entry, or holds more or fewer than its path says.
    #[error("{tile} is malformed: it does not hold exactly {wanted} entries")]
    Bundle { tile: TilePath, wanted: u16 },
    /// An entry does not fit a bundle.
    #[error("an entry is {actual} bytes; a bundle holds up to 65535 each")]
    Entry { actual: usize },
}

/// What a tile is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Content {
    /// Hashes of a level, 0 to 63.
    Hashes(u8),
    /// The entries themselves.
    Entries,
}

/// Names a tile, as in `tile/0/x001/067.p/5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TilePath {
    content: Content,
    number: u64,
    width: u16,
}

impl TilePath {
    /// The tile with `number` as a log of `size` entries has it; none if that log has none.
    pub fn of(content: Content, number: u64, size: u64) -> Option<Self> {
        let level = match content {
            Content::Hashes(level) => level,
            Content::Entries => 0,
        };
        let shift = u32::from(level) * u32::from(HEIGHT);
        let hashes = size.checked_shr(shift).unwrap_or(0);
        let before = number.checked_mul(WIDTH)?;
        let width = hashes.checked_sub(before)?.min(WIDTH);
        let width = u16::try_from(width).ok().filter(|width| *width > 0)?;
        Some(Self {
            content,
            number,
            width,
        })
    }

    /// What it is of.
    pub const fn content(&self) -> Content {
        self.content
    }

    /// How many tiles of its kind stand before it.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// How many hashes or entries it holds, 1 to 256.
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Whether it holds all that it ever will.
    pub const fn is_full(&self) -> bool {
        self.width as u64 == WIDTH
    }

    /// The size of a log that just has this tile.
    pub fn demands(&self) -> Option<u64> {
        let level = match self.content {
            Content::Hashes(level) => level,
            Content::Entries => 0,
        };
        let hashes = self
            .number
            .checked_mul(WIDTH)?
            .checked_add(self.width.into())?;
        let shift = u32::from(level) * u32::from(HEIGHT);
        let size = hashes.checked_shl(shift)?;
        (size >> shift == hashes).then_some(size)
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.content {
            Content::Hashes(level) => write!(f, "tile/{level}/")?,
            Content::Entries => f.write_str("tile/entries/")?,
        }
        let mut groups = vec![self.number % 1000];
        let mut rest = self.number / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        for group in groups.iter().skip(1).rev() {
            write!(f, "x{group:03}/")?;
        }
        write!(f, "{:03}", groups[0])?;
        if self.is_full() {
            Ok(())
        } else {
            write!(f, ".p/{}", self.width)
        }
    }
}

impl FromStr for TilePath {
    type Err = TileError;

    fn from_str(text: &str) -> Result<Self, TileError> {
        let wrong = || TileError::Path(shorten(text));
        let parts = text
            .strip_prefix("tile/")
            .and_then(|rest| rest.split_once('/'));
        let (kind, rest) = parts.ok_or_else(wrong)?;
        let content = if kind == "entries" {
            Content::Entries
        } else {
            let level = decimal(kind).and_then(|level| u8::try_from(level).ok());
            let level = level.filter(|level| *level <= MAX_LEVEL);
            Content::Hashes(level.ok_or_else(wrong)?)
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => {
                let width = decimal(width).filter(|width| (1..WIDTH).contains(width));
                (number, width.ok_or_else(wrong)?)
            }
            None => (rest, WIDTH),
        };
        let tile = Self {
            content,
            number: read_number(number).ok_or_else(wrong)?,
            width: u16::try_from(width).unwrap_or(u16::MAX),
        };
        // Only one of the ways to write a number is its path.
        if tile.to_string() == text {
            Ok(tile)
        } else {
            Err(wrong())
        }
    }
}

fn read_number(text: &str) -> Option<u64> {
    if text.len() > 40 {
        return None;
    }
    let mut number = 0_u64;
    for element in text.split('/') {
        let digits = element.strip_prefix('x').unwrap_or(element);
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        number = number
            .checked_mul(1000)?
            .checked_add(digits.parse().ok()?)?;
    }
    (number <= MAX_NUMBER).then_some(number)
}

/// Tiles of a log that are at hand, and what can be worked out from them.
#[derive(Debug, Clone, Default)]
pub struct Tiles {
    tiles: BTreeMap<(u8, u64), Vec<u8>>,
}

impl Tiles {
    /// Adds a tile of hashes. A narrower one does not replace a wider one.
    ///
    /// # Errors
    /// [`TileError::Length`] if the bytes are not as many as the path says.
    pub fn insert(&mut self, tile: TilePath, bytes: Vec<u8>) -> Result<(), TileError> {
        let wanted = usize::from(tile.width) * HASH;
        if bytes.len() != wanted {
            let actual = bytes.len();
            return Err(TileError::Length {
                tile,
                actual,
                wanted,
            });
        }
        if let Content::Hashes(level) = tile.content {
            let kept = self.tiles.entry((level, tile.number)).or_default();
            if kept.len() < bytes.len() {
                *kept = bytes;
            }
        }
        Ok(())
    }

    /// The hash of a complete subtree of the log of `size` entries.
    ///
    /// # Errors
    /// [`TileError::Missing`] names the tile that has it.
    pub fn node(&self, node: Node, size: u64) -> Result<Hash, TileError> {
        let place = Place::of(node);
        let tile = self.tiles.get(&(place.level, place.number));
        let hashes = tile.and_then(|tile| tile.get(place.from * HASH..place.to * HASH));
        match hashes {
            Some(hashes) => Ok(merkle::complete(&read_hashes(hashes))),
            None => Err(TileError::Missing(place.tile(size))),
        }
    }

    /// The root of the log of `size` entries.
    ///
    /// # Errors
    /// [`TileError::Missing`]; [`needed_for_root`] says what is needed.
    pub fn root(&self, size: u64) -> Result<Hash, TileError> {
        merkle::root(size, &mut |node| self.node(node, size))
    }

    /// The way from an entry to the root; see [`merkle::inclusion`].
    ///
    /// # Errors
    /// [`TileError::Missing`]; [`needed_for_inclusion`] says what is needed.
    pub fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash>, TileError> {
        merkle::inclusion(index, size, &mut |node| self.node(node, size))
    }

    /// The way from one root to the other; see [`merkle::consistency`].
    ///
    /// # Errors
    /// [`TileError::Missing`]; [`needed_for_consistency`] says what is needed.
    pub fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, TileError> {
        merkle::consistency(old, new, &mut |node| self.node(node, new))
    }
}

/// Reads the hashes of a tile; bytes after the last whole hash do not count.
pub fn read_hashes(bytes: &[u8]) -> Vec<Hash> {
    let (hashes, _) = bytes.as_chunks::<HASH>();
    hashes.iter().map(|hash| Hash(*hash)).collect()
}

/// Writes the hashes of a tile.
pub fn write_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// Where the hashes of a complete subtree are.
struct Place {
    level: u8,
    number: u64,
    from: usize,
    to: usize,
}

impl Place {
    fn of(node: Node) -> Self {
        let within = node.height % HEIGHT;
        let first = node.index << within;
        let from = usize::try_from(first % WIDTH).unwrap_or(0);
        Self {
            level: node.height / HEIGHT,
            number: first / WIDTH,
            from,
            to: from + (1 << within),
        }
    }

    fn tile(&self, size: u64) -> TilePath {
        let content = Content::Hashes(self.level);
        let width = u16::try_from(self.to).unwrap_or(u16::MAX);
        TilePath::of(content, self.number, size).unwrap_or(TilePath {
            content,
            number: self.number,
            width,
        })
    }
}

/// Runs a computation without hashes, and notes the tiles that it asks for.
fn needed(
    size: u64,
    work: impl FnOnce(&mut dyn FnMut(Node) -> Result<Hash, Infallible>),
) -> BTreeSet<TilePath> {
    let mut tiles = BTreeSet::new();
    work(&mut |node| {
        tiles.insert(Place::of(node).tile(size));
        Ok(merkle::empty())
    });
    tiles
}

/// The tiles that [`Tiles::root`] needs.
pub fn needed_for_root(size: u64) -> BTreeSet<TilePath> {
    needed(size, |mut node| {
        let Ok(_) = merkle::root(size, &mut node);
    })
}

/// The tiles that [`Tiles::inclusion`] needs.
pub fn needed_for_inclusion(index: u64, size: u64) -> BTreeSet<TilePath> {
    needed(size, |mut node| {
        let Ok(_) = merkle::inclusion(index, size, &mut node);
    })
}

/// The tiles that [`Tiles::consistency`] needs.
pub fn needed_for_consistency(old: u64, new: u64) -> BTreeSet<TilePath> {
    needed(new, |mut node| {
        let Ok(_) = merkle::consistency(old, new, &mut node);
    })
}

/// The right edge of a growing log: on each level the tile that is not full.
#[derive(Debug, Clone, Default)]
pub struct Edge {
    size: u64,
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// The edge of a log of `size` entries, from the tiles at hand.
    ///
    /// # Errors
    /// [`TileError::Missing`] if one of [`Edge::needed`] is not there.
    pub fn read(size: u64, tiles: &Tiles) -> Result<Self, TileError> {
        let mut levels = Vec::new();
        for tile in Self::needed(size) {
            let Content::Hashes(level) = tile.content else {
                continue;
            };
            let bytes = tiles.tiles.get(&(level, tile.number));
            let bytes = bytes.and_then(|bytes| bytes.get(..usize::from(tile.width) * HASH));
            let hashes = bytes.map(read_hashes).ok_or(TileError::Missing(tile))?;
            levels.resize(usize::from(level), Vec::new());
            levels.push(hashes);
        }
        Ok(Self { size, levels })
    }

    /// The partial tiles of a log of `size` entries, lowest level first.
    pub fn needed(size: u64) -> Vec<TilePath> {
        let partial = |level: u8| {
            let hashes = size >> (u32::from(level) * u32::from(HEIGHT));
            let tile = TilePath::of(Content::Hashes(level), hashes / WIDTH, size);
            tile.filter(|tile| !tile.is_full())
        };
        (0..HEIGHT).filter_map(partial).collect()
    }

    /// How many entries the log has.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds an entry by its hash. `changed` collects the hashes that tiles hold now, by level
    /// and number.
    pub fn push(&mut self, leaf: Hash, changed: &mut BTreeMap<(u8, u64), Vec<Hash>>) {
        let (mut hash, mut count, mut level) = (leaf, self.size, 0_u8);
        self.size += 1;
        loop {
            let at = usize::from(level);
            if self.levels.len() <= at {
                self.levels.resize(at + 1, Vec::new());
            }
            let tile = &mut self.levels[at];
            tile.push(hash);
            changed.insert((level, count / WIDTH), tile.clone());
            if (tile.len() as u64) < WIDTH {
                return;
            }
            hash = merkle::complete(tile);
            tile.clear();
            count /= WIDTH;
            level += 1;
        }
    }

    /// The root of the log.
    pub fn root(&self) -> Hash {
        let Ok(root) = merkle::root(self.size, &mut |node| {
            let place = Place::of(node);
            // A root is made of the trailing subtrees only, and those are on the edge.
            let hashes = &self.levels[usize::from(place.level)][place.from..place.to];
            Ok::<_, Infallible>(merkle::complete(hashes))
        });
        root
    }
}

/// Writes a bundle of entries, each with its length before it.
///
/// # Errors
/// [`TileError::Entry`] if one is too long.
pub fn write_bundle<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, TileError> {
    let mut bundle = Vec::new();
    for entry in entries {
        let actual = entry.len();
        let length = u16::try_from(actual).map_err(|_| TileError::Entry { actual })?;
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    Ok(bundle)
}

/// Reads the entries of a bundle.
///
/// # Errors
/// [`TileError::Bundle`] if they are not exactly as many as the path says.
pub fn read_bundle(tile: TilePath, mut bytes: &[u8]) -> Result<Vec<&[u8]>, TileError> {
    let wanted = tile.width;
    let wrong = || TileError::Bundle { tile, wanted };
    let mut entries = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, rest) = rest.split_at_checked(length).ok_or_else(wrong)?;
        entries.push(entry);
        bytes = rest;
    }
    if bytes.is_empty() && entries.len() == usize::from(wanted) {
        Ok(entries)
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> TilePath {
        text.parse().expect(text)
    }

    #[test]
    fn paths_are_those_of_the_specification() {
        let tile = path("tile/0/x001/x234/067");
        assert_eq!(
            (tile.content(), tile.number(), tile.width()),
            (Content::Hashes(0), 1_234_067, 256)
        );
        let tile = path("tile/entries/000.p/5");
        assert_eq!(
            (tile.content(), tile.number(), tile.width()),
            (Content::Entries, 0, 5)
        );
        assert_eq!(path("tile/63/999.p/255").to_string(), "tile/63/999.p/255");
        // A log of 70,000 entries, the specification's own example.
        let widths = |level, number| TilePath::of(Content::Hashes(level), number, 70_000);
        assert_eq!(widths(0, 272).map(|tile| tile.width()), Some(256));
        assert_eq!(widths(0, 273).map(|tile| tile.width()), Some(112));
        assert_eq!(widths(0, 274), None);
        assert_eq!(widths(1, 0).map(|tile| tile.width()), Some(256));
        assert_eq!(widths(1, 1).map(|tile| tile.width()), Some(17));
        assert_eq!(widths(2, 0).map(|tile| tile.width()), Some(1));
        assert_eq!(widths(3, 0), None);
    }

    #[test]
    fn hostile_paths_are_refused() {
        for text in [
            "",
            "/",
            "tile",
            "tile/",
            "tile//000",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/0/00",
            "tile/0/0000",
            "tile/0/000/",
            "tile/0/x000/000",
            "tile/0/001/000",
            "tile/0/x001",
            "tile/64/000",
            "tile/00/000",
            "tile/-1/000",
            "tile/+1/000",
            "tile/data/000",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/05",
            "tile/0/000.p/",
            "tile/0/000.p",
            "tile/0/000.p/1.p/1",
            "tile/0/000.p/1/000",
            "/tile/0/000",
            "tile/0/x001/../000",
            "tile/0/%30%30%30",
            "tile/entries/",
            "tile/0/x00a/000",
            "tile/0/x999/x999/x999/x999/x999/x999/999/000",
            "tile/0/x999/x999/x999/x999/x999/x999/999",
        ] {
            text.parse::<TilePath>().expect_err(text);
        }
        let long = format!("tile/0/{}000", "x001/".repeat(200_000));
        assert!(
            long.parse::<TilePath>()
                .expect_err("long")
                .to_string()
                .len()
                < 600
        );
    }

    #[test]
    fn hostile_tiles_are_refused() {
        let mut tiles = Tiles::default();
        for length in [0, 31, 33, 63, 65, 1_000_000] {
            let refused = tiles.insert(path("tile/0/000.p/2"), vec![0; length]);
            assert!(
                matches!(refused, Err(TileError::Length { wanted: 64, .. })),
                "{length}"
            );
        }
        let two = path("tile/entries/000.p/2");
        for bytes in [
            &b""[..],
            b"\0",
            b"\0\x01",
            b"\0\0",
            b"\0\x01a\0\x02b",
            b"\0\x01a\0\x01b\0",
            b"\0\0\0\0\0\0",
            b"\xff\xff",
            b"\0\x01a\0\x01bc",
        ] {
            read_bundle(two, bytes).expect_err("malformed");
        }
        assert_eq!(
            read_bundle(two, b"\0\x01a\0\0").expect("bundle"),
            [&b"a"[..], b""]
        );
        assert!(matches!(
            write_bundle([vec![0; 65_536].as_slice()]),
            Err(TileError::Entry { actual: 65_536 })
        ));
    }

    /// Grows a log and keeps all of its tiles.
    fn grow(size: u64) -> (Edge, Tiles, Vec<Hash>) {
        let (mut edge, mut changed, mut leaves) = (Edge::default(), BTreeMap::new(), Vec::new());
        for n in 0..size {
            let leaf = merkle::leaf(&n.to_be_bytes());
            leaves.push(leaf);
            edge.push(leaf, &mut changed);
        }
        let mut tiles = Tiles::default();
        for ((level, number), hashes) in changed {
            let tile =
                TilePath::of(Content::Hashes(level), number, size).expect("a tile of the log");
            tiles
                .insert(tile, write_hashes(&hashes))
                .expect("as wide as its path says");
        }
        (edge, tiles, leaves)
    }

    #[test]
    fn a_log_grows_over_three_levels() {
        let (mut edge, tiles, _) = grow(70_000);
        assert_eq!(edge.root(), tiles.root(70_000).expect("all tiles"));
        let mut again = Edge::read(70_000, &tiles).expect("all tiles");
        let (mut one, mut other) = (BTreeMap::new(), BTreeMap::new());
        for n in 0..1000_u64 {
            edge.push(merkle::leaf(&n.to_be_bytes()), &mut one);
            again.push(merkle::leaf(&n.to_be_bytes()), &mut other);
        }
        assert_eq!((edge.root(), one), (again.root(), other));
        let missing = Edge::read(70_000, &Tiles::default()).expect_err("no tiles");
        assert_eq!(missing, TileError::Missing(path("tile/0/273.p/112")));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn tiles_give_every_proof(size in 1_u64..1500, index: u64, old: u64) {
            let (edge, tiles, leaves) = grow(size);
            let (index, old) = (index % size, 1 + old % size);
            let root = edge.root();
            let older = grow(old).0.root();
            prop_assert_eq!(tiles.root(size), Ok(root));
            let leaf = leaves[usize::try_from(index).expect("small")];
            let path = tiles.inclusion(index, size).expect("all tiles");
            prop_assert!(merkle::check_inclusion(leaf, index, size, &path, &root).is_ok());
            let between = tiles.consistency(old, size).expect("all tiles");
            prop_assert!(merkle::check_consistency(old, &older, size, &root, &between).is_ok());
            // What is said to be needed is enough.
            for needed in [
                needed_for_root(size),
                needed_for_inclusion(index, size),
                needed_for_consistency(old, size),
            ] {
                for tile in needed {
                    prop_assert!(tile.demands().is_some_and(|least| least <= size));
                    let Content::Hashes(level) = tile.content() else { unreachable!() };
                    prop_assert!(tiles.tiles.contains_key(&(level, tile.number())));
                }
            }
        }

        #[test]
        fn a_path_reads_as_it_is_written(number in 0..MAX_NUMBER, level in 0_u8..64, width in 1_u16..=256) {
            for content in [Content::Hashes(level), Content::Entries] {
                let tile = TilePath { content, number, width };
                prop_assert_eq!(path(&tile.to_string()), tile);
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,60}", bytes: Vec<u8>) {
            let _ = text.parse::<TilePath>();
            let _ = format!("tile/{text}").parse::<TilePath>();
            let _ = read_bundle(path("tile/entries/000.p/3"), &bytes);
        }
    }
}
