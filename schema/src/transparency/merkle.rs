// SPDX-License-Identifier: Apache-2.0
//! The Merkle tree of RFC 6962, section 2.1: hashes, and proofs of inclusion and consistency.
//!
//! Proofs are made from the hashes of complete subtrees ([`Node`]), which never change once
//! they are known, wherever those come from; they are checked by the algorithms of RFC 9162,
//! section 2.1.

use std::{fmt, str::FromStr};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};

/// Most hashes in a proof: a tree of 2^63 entries has paths of 63.
pub const MAX_PROOF: usize = 63;

/// A SHA-256 hash, printed in base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum MerkleError {
    /// The text is no hash.
    #[error("`{0}` is no hash; 32 bytes in base64 are needed")]
    Hash(String),
    /// There is no such entry in a log of that size.
    #[error("entry {index} is not in a log of {size} entries")]
    Index { index: u64, size: u64 },
    /// The older tree is the larger one.
    #[error("a log of {new} entries cannot continue one of {old}: logs do not shrink")]
    Shrunk { old: u64, new: u64 },
    /// The hashes do not lead from the entry to the root.
    #[error("the proof does not lead from entry {index} to the root of a log of {size} entries")]
    NotIncluded { index: u64, size: u64 },
    /// The hashes do not lead from one root to the other.
    #[error("a log of {new} entries does not continue the log of {old} entries: it was forked")]
    Forked { old: u64, new: u64 },
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_STANDARD.encode(self.0))
    }
}

impl FromStr for Hash {
    type Err = MerkleError;

    fn from_str(text: &str) -> Result<Self, MerkleError> {
        let bytes = BASE64_STANDARD.decode(text).ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(Self)
            .ok_or_else(|| MerkleError::Hash(crate::digest::shorten(text)))
    }
}

/// The hash of an entry.
pub fn leaf(entry: &[u8]) -> Hash {
    Hash(
        Sha256::new_with_prefix([0])
            .chain_update(entry)
            .finalize()
            .into(),
    )
}

/// The hash over two others.
pub fn parent(left: &Hash, right: &Hash) -> Hash {
    let state = Sha256::new_with_prefix([1]);
    Hash(
        state
            .chain_update(left.0)
            .chain_update(right.0)
            .finalize()
            .into(),
    )
}

/// The root of the log without entries.
pub fn empty() -> Hash {
    Hash(Sha256::digest([]).into())
}

/// The root over `hashes`, a power of two of them, each over as many entries.
pub fn complete(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => empty(),
        [one] => *one,
        more => {
            let (left, right) = more.split_at(more.len() / 2);
            parent(&complete(left), &complete(right))
        }
    }
}

/// A complete subtree: 2^`height` entries, from entry `index` × 2^`height` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// Levels below it.
    pub height: u8,
    /// How many subtrees of the same height stand before it.
    pub index: u64,
}

/// How many of `count` entries the left subtree holds: the largest power of two below.
const fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// The hash over the entries from `from` up to `to`, which is one of the ranges that the
/// recursion of RFC 6962 meets.
fn range<E>(from: u64, to: u64, node: &mut impl FnMut(Node) -> Result<Hash, E>) -> Result<Hash, E> {
    let count = to - from;
    if count.is_power_of_two() {
        let height = u8::try_from(count.trailing_zeros()).unwrap_or(0);
        let index = from >> height;
        return node(Node { height, index });
    }
    let middle = from + split(count);
    let left = range(from, middle, node)?;
    Ok(parent(&left, &range(middle, to, node)?))
}

/// The root of the log of `size` entries.
///
/// # Errors
/// Those of `node`, which gives the hash of a complete subtree.
pub fn root<E>(size: u64, node: &mut impl FnMut(Node) -> Result<Hash, E>) -> Result<Hash, E> {
    if size == 0 {
        Ok(empty())
    } else {
        range(0, size, node)
    }
}

/// The hashes that lead from entry `index` to the root of the log of `size` entries: from the
/// entry's sibling up. None if there is no such entry.
///
/// # Errors
/// Those of `node`, which gives the hash of a complete subtree.
pub fn inclusion<E>(
    index: u64,
    size: u64,
    node: &mut impl FnMut(Node) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let (mut from, mut to, mut path) = (0, size, Vec::new());
    while index < size && to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            path.push(range(middle, to, node)?);
            to = middle;
        } else {
            path.push(range(from, middle, node)?);
            from = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The hashes that show that the log of `new` entries continues the log of `old` entries.
/// None if one is empty, both are the same, or `old` is the larger.
///
/// # Errors
/// Those of `node`, which gives the hash of a complete subtree.
pub fn consistency<E>(
    old: u64,
    new: u64,
    node: &mut impl FnMut(Node) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let (mut from, mut to, mut path) = (0, new, Vec::new());
    if old == 0 || old >= new {
        return Ok(path);
    }
    while to != old {
        let middle = from + split(to - from);
        if old <= middle {
            path.push(range(middle, to, node)?);
            to = middle;
        } else {
            path.push(range(from, middle, node)?);
            from = middle;
        }
    }
    // Where the old tree is a subtree of the new one, the verifier knows its root already.
    if from > 0 {
        path.push(range(from, to, node)?);
    }
    path.reverse();
    Ok(path)
}

/// Checks that `path` leads from the entry with hash `leaf` to `root`.
///
/// # Errors
/// [`MerkleError::Index`], [`MerkleError::NotIncluded`].
pub fn check_inclusion(
    leaf: Hash,
    index: u64,
    size: u64,
    path: &[Hash],
    root: &Hash,
) -> Result<(), MerkleError> {
    if index >= size {
        return Err(MerkleError::Index { index, size });
    }
    let wrong = MerkleError::NotIncluded { index, size };
    let (mut place, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return Err(wrong);
        }
        if place & 1 == 1 || place == last {
            hash = parent(sibling, &hash);
            skip(&mut place, &mut last);
        } else {
            hash = parent(&hash, sibling);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    if last == 0 && hash == *root {
        Ok(())
    } else {
        Err(wrong)
    }
}

/// Goes up past the levels on which the last node of a tree has no sibling.
const fn skip(place: &mut u64, last: &mut u64) {
    while *place & 1 == 0 && *place != 0 {
        *place >>= 1;
        *last >>= 1;
    }
}

/// Checks that `path` shows the log of `new` entries to continue that of `old` entries.
///
/// # Errors
/// [`MerkleError::Shrunk`], [`MerkleError::Forked`].
pub fn check_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    path: &[Hash],
) -> Result<(), MerkleError> {
    let wrong = MerkleError::Forked { old, new };
    if old > new {
        return Err(MerkleError::Shrunk { old, new });
    }
    if old == 0 || old == new {
        // Every log continues the empty one.
        let same = old != new || old_root == new_root;
        let holds = path.is_empty() && same && (old > 0 || *old_root == empty());
        return if holds { Ok(()) } else { Err(wrong) };
    }
    let (mut place, mut last) = (old - 1, new - 1);
    while place & 1 == 1 {
        (place, last) = (place >> 1, last >> 1);
    }
    let (first, rest) = match path {
        path if old.is_power_of_two() => (old_root, path),
        [first, rest @ ..] => (first, rest),
        [] => return Err(wrong),
    };
    let (mut older, mut newer) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return Err(wrong);
        }
        if place & 1 == 1 || place == last {
            older = parent(sibling, &older);
            newer = parent(sibling, &newer);
            skip(&mut place, &mut last);
        } else {
            newer = parent(&newer, sibling);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    if last == 0 && older == *old_root && newer == *new_root {
        Ok(())
    } else {
        Err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    /// MTH of RFC 6962, word for word.
    fn naive(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty(),
            [one] => *one,
            more => {
                let k = (0..64)
                    .map(|n| 1 << n)
                    .take_while(|k| *k < more.len())
                    .last();
                let (left, right) = more.split_at(k.unwrap_or(1));
                parent(&naive(left), &naive(right))
            }
        }
    }

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|n| leaf(&n.to_be_bytes())).collect()
    }

    fn nodes(leaves: &[Hash]) -> impl FnMut(Node) -> Result<Hash, Infallible> {
        |node| {
            let from = usize::try_from(node.index << node.height).expect("small");
            Ok(naive(&leaves[from..from + (1 << node.height)]))
        }
    }

    #[test]
    fn known_hashes() {
        // RFC 6962: the hash of an empty list, and the first leaf of the CT test vectors.
        let hex = |hash: Hash| hex::encode(hash.0);
        assert_eq!(
            hex(empty()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            hex(leaf(b"")),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
        // The eight leaves of the test vectors that CT implementations share.
        let entries = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ];
        let leaves: Vec<_> = entries
            .iter()
            .map(|entry| leaf(&hex::decode(entry).expect("hex")))
            .collect();
        let root = |count: usize| {
            let Ok(root) = root(count as u64, &mut nodes(&leaves));
            hex(root)
        };
        for (count, expected) in [
            (
                1,
                "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            ),
            (
                2,
                "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            ),
            (
                3,
                "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            ),
            (
                4,
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ),
            (
                5,
                "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            ),
            (
                6,
                "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            ),
            (
                7,
                "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            ),
            (
                8,
                "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
            ),
        ] {
            assert_eq!(root(count), expected, "{count} leaves");
        }
    }

    #[test]
    fn every_proof_of_small_logs_holds_and_no_other() {
        let leaves = leaves(20);
        let root_of = |size: u64| naive(&leaves[..usize::try_from(size).expect("small")]);
        for size in 0..=20 {
            for index in 0..size {
                let Ok(path) = inclusion(index, size, &mut nodes(&leaves));
                let leaf = leaves[usize::try_from(index).expect("small")];
                check_inclusion(leaf, index, size, &path, &root_of(size)).expect("included");
                for other in (0..size).filter(|other| *other != index) {
                    check_inclusion(leaf, other, size, &path, &root_of(size))
                        .expect_err("another place");
                }
                let mut longer = path.clone();
                longer.push(leaf);
                check_inclusion(leaf, index, size, &longer, &root_of(size)).expect_err("longer");
            }
            for old in 0..=size {
                let Ok(path) = consistency(old, size, &mut nodes(&leaves));
                check_consistency(old, &root_of(old), size, &root_of(size), &path)
                    .expect("continues");
                let forked = parent(&root_of(size), &root_of(old));
                if old > 0 || size == 0 {
                    check_consistency(old, &root_of(old), size, &forked, &path)
                        .expect_err("forked");
                }
                if old > 0 {
                    check_consistency(old, &forked, size, &root_of(size), &path)
                        .expect_err("another past");
                }
            }
        }
    }

    #[test]
    fn hostile_proofs_are_refused() {
        let one = leaf(b"one");
        let endless = vec![one; 10_000];
        for (index, size) in [
            (0, 1),
            (0, u64::MAX),
            (u64::MAX - 1, u64::MAX),
            (5, 5),
            (9, 2),
        ] {
            check_inclusion(one, index, size, &endless, &one).expect_err("endless");
        }
        for (old, new) in [(0, 1), (1, u64::MAX), (u64::MAX, u64::MAX), (3, 5), (7, 2)] {
            check_consistency(old, &one, new, &one, &endless).expect_err("endless");
        }
        for (old, new) in [(3, 5), (2, u64::MAX), (1, 2)] {
            check_consistency(old, &one, new, &one, &[]).expect_err("without a proof");
        }
        assert!(matches!(
            check_consistency(2, &one, 1, &one, &[]),
            Err(MerkleError::Shrunk { old: 2, new: 1 })
        ));
        for text in ["", "AA==", "%", &"A".repeat(1_000_000)] {
            assert!(text.parse::<Hash>().expect_err("no hash").to_string().len() < 600);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn proofs_agree_with_the_naive_tree(size in 1_u64..700, index: u64, old: u64, flip: u16) {
            let leaves = leaves(size);
            let (index, old) = (index % size, old % (size + 1));
            let root_of = |size: u64| naive(&leaves[..usize::try_from(size).expect("small")]);
            let leaf = leaves[usize::try_from(index).expect("small")];
            let Ok(made) = root(size, &mut nodes(&leaves));
            prop_assert_eq!(made, root_of(size));
            let Ok(mut path) = inclusion(index, size, &mut nodes(&leaves));
            prop_assert!(check_inclusion(leaf, index, size, &path, &made).is_ok());
            let Ok(mut between) = consistency(old, size, &mut nodes(&leaves));
            prop_assert!(check_consistency(old, &root_of(old), size, &made, &between).is_ok());
            // One flipped bit anywhere breaks either.
            for (proof, holds) in [(&mut path, true), (&mut between, false)] {
                if proof.is_empty() {
                    continue;
                }
                let (at, bit) = (usize::from(flip) % proof.len(), usize::from(flip >> 4) % 256);
                proof[at].0[bit / 8] ^= 1 << (bit % 8);
                if holds {
                    prop_assert!(check_inclusion(leaf, index, size, proof, &made).is_err());
                } else {
                    prop_assert!(
                        check_consistency(old, &root_of(old), size, &made, proof).is_err()
                    );
                }
            }
        }
    }
}
