// SPDX-License-Identifier: Apache-2.0
//! Another implementation of tiled logs, `tlog_tiles`, and ours believe each other.

use std::{collections::BTreeMap, convert::Infallible};

use registry_schema::transparency::{
    Checkpoint, Content, Edge, Hash, SigningKey, TilePath, Tiles, merkle, tile::write_hashes,
};
use tlog_tiles::{Hash as Theirs, HashReader, tlog};

/// Their way to keep a log: all hashes in one list.
struct Stored(Vec<Theirs>);

impl HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Theirs>, tlog::Error> {
        let at = |index: &u64| self.0[usize::try_from(*index).expect("small")];
        Ok(indexes.iter().map(at).collect())
    }
}

fn theirs(hash: &Hash) -> Theirs {
    Theirs(hash.0)
}

fn all(path: &[Hash]) -> Vec<Theirs> {
    path.iter().map(theirs).collect()
}

/// The same log of `size` entries in both implementations.
fn logs(size: u64) -> (Edge, Tiles, Stored) {
    let (mut edge, mut changed) = (Edge::default(), BTreeMap::new());
    let mut stored = Stored(Vec::new());
    for n in 0..size {
        let entry = n.to_be_bytes();
        edge.push(merkle::leaf(&entry), &mut changed);
        let more = tlog::stored_hashes(n, &entry, &stored).expect("hashes");
        stored.0.extend(more);
    }
    let mut tiles = Tiles::default();
    for ((level, number), hashes) in changed {
        let path = TilePath::of(Content::Hashes(level), number, size).expect("a tile");
        let bytes = write_hashes(&hashes);
        let width = u32::from(path.width());
        let tile = tlog_tiles::Tile::new(8, level, number, width, false);
        assert_eq!(tile.read_data(&stored).expect("a tile"), bytes, "{path}");
        tiles.insert(path, bytes).expect("as wide");
    }
    (edge, tiles, stored)
}

#[test]
fn roots_tiles_and_proofs_are_the_same() {
    for size in [1, 2, 3, 7, 8, 255, 256, 257, 511, 512, 513, 700] {
        let (edge, tiles, stored) = logs(size);
        let root = edge.root();
        assert_eq!(
            tlog::tree_hash(size, &stored).expect("a root"),
            theirs(&root)
        );
        for index in [0, 1, size / 3, size / 2, size - 1] {
            let index = index.min(size - 1);
            let leaf = merkle::leaf(&index.to_be_bytes());
            let path = tiles.inclusion(index, size).expect("all tiles");
            let proof = tlog::prove_record(size, index, &stored).expect("a proof");
            assert_eq!(all(&path), proof);
            tlog::check_record(&proof, size, theirs(&root), index, theirs(&leaf)).expect("theirs");
            merkle::check_inclusion(leaf, index, size, &path, &root).expect("ours");
        }
        for old in [1, 2, size / 3, size / 2, size - 1, size] {
            let old = old.clamp(1, size);
            let (older, ..) = logs(old);
            let path = tiles.consistency(old, size).expect("all tiles");
            // Theirs repeats the root of a log that is compared with itself.
            if old < size {
                let proof = tlog::prove_tree(size, old, &stored).expect("a proof");
                assert_eq!(all(&path), proof, "{old} of {size}");
                let (new, old_root) = (theirs(&root), theirs(&older.root()));
                tlog::check_tree(&proof, size, new, old, old_root).expect("theirs");
            }
            merkle::check_consistency(old, &older.root(), size, &root, &path).expect("ours");
        }
    }
}

#[test]
fn checkpoints_and_paths_are_the_same() {
    let (edge, ..) = logs(300);
    let key = SigningKey::new("registry.example/log", &[1; 32]).expect("a name");
    let (origin, size, root) = ("registry.example/log".to_owned(), 300, edge.root());
    let signed = Checkpoint { origin, size, root }.sign(&key);
    let read = tlog_tiles::Checkpoint::from_bytes(signed.note().text().as_bytes());
    let read = read.expect("a checkpoint");
    assert_eq!((read.origin(), read.size()), ("registry.example/log", 300));
    assert_eq!(*read.hash(), theirs(&root));
    let Ok(empty) = merkle::root(0, &mut |_| Ok::<_, Infallible>(merkle::empty()));
    assert_eq!(
        tlog::tree_hash(0, &Stored(Vec::new())).expect("a root"),
        theirs(&empty)
    );
}
