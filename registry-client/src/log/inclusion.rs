// SPDX-License-Identifier: Apache-2.0
//! What the log says of a version, answered from a proof, without a network.

use registry_schema::{
    Digest, PackageName, Version,
    transparency::{Change, Checkpoint, Entry, Proof, checkpoint::Cosignature, merkle},
};

use super::{LogFault, LogKeys};

/// What the proof must be about.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The package.
    pub package: &'a PackageName,
    /// The version.
    pub version: &'a Version,
    /// Digest of its index.
    pub digest: &'a Digest,
}

/// What a good proof says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Included {
    /// The entry: when it was published, and who had signed it.
    pub entry: Entry,
    /// Its place in the log, from 0.
    pub index: u64,
    /// The checkpoint that covers it.
    pub checkpoint: Checkpoint,
    /// The trusted witnesses who saw that checkpoint.
    pub witnesses: Vec<Cosignature>,
    /// Whether that checkpoint is the last one that was kept. If not, that the log did not
    /// fork between the two is not checked yet; see [`super::check_earlier`].
    pub is_last: bool,
}

/// Checks that the log says that exactly this version, with exactly this digest, was
/// published. `last` is the last checkpoint that was accepted of this log, if there is one.
///
/// Nothing is read or fetched, and nothing is kept.
///
/// # Errors
/// [`LogFault`]; with `last` of the same size and another root, [`LogFault::Forked`].
pub fn check_inclusion(
    proof: &[u8],
    asked: Asked<'_>,
    log: &LogKeys,
    last: Option<&Checkpoint>,
) -> Result<Included, LogFault> {
    let included = open(proof, log, last)?;
    answers(&included.entry, asked)?;
    Ok(included)
}

/// Checks that the log says that a version of `package` was withdrawn, and gives which. That
/// it was not taken back later is not proven. As [`check_inclusion`] in all else.
///
/// # Errors
/// As [`check_inclusion`].
pub fn check_withdrawal(
    proof: &[u8],
    package: &PackageName,
    log: &LogKeys,
    last: Option<&Checkpoint>,
) -> Result<(Version, Included), LogFault> {
    let included = open(proof, log, last)?;
    let version = match included.entry.change() {
        Change::Yank {
            package: of,
            version,
        } if of == package => version.clone(),
        other => return Err(other_entry(format!("yank {package}"), other)),
    };
    Ok((version, included))
}

/// An entry that is in the log, whatever it says.
fn open(proof: &[u8], log: &LogKeys, last: Option<&Checkpoint>) -> Result<Included, LogFault> {
    let proof = Proof::parse(proof)?;
    let leaf = proof.extra.as_ref().ok_or(LogFault::NoEntry)?;
    let signed = log.open(proof.checkpoint.as_bytes())?;
    let checkpoint = signed.checkpoint().clone();
    let (size, root) = (checkpoint.size, &checkpoint.root);
    let hash = merkle::leaf(leaf);
    merkle::check_inclusion(hash, proof.index, size, &proof.path, root)
        .map_err(LogFault::Inclusion)?;
    let entry = Entry::parse(leaf)?;
    let witnesses = log.witnessed(&signed)?;
    if let Some(last) = last
        && last.size == size
        && last.root != *root
    {
        return Err(LogFault::Forked {
            origin: checkpoint.origin,
            old_size: last.size,
            old_root: last.root,
            new_size: size,
            new_root: *root,
            evidence: None,
        });
    }
    Ok(Included {
        entry,
        index: proof.index,
        is_last: last == Some(&checkpoint),
        checkpoint,
        witnesses,
    })
}

fn answers(entry: &Entry, asked: Asked<'_>) -> Result<(), LogFault> {
    let expected = format!("publish {}:{}", asked.package, asked.version);
    match entry.change() {
        Change::Publish {
            package,
            version,
            digest,
            ..
        } if package == asked.package && version == asked.version => {
            if digest == asked.digest {
                return Ok(());
            }
            Err(LogFault::OtherDigest {
                version: format!("{package}:{version}"),
                logged: digest.clone(),
                actual: asked.digest.clone(),
            })
        }
        other => Err(other_entry(expected, other)),
    }
}

fn other_entry(expected: String, found: &Change) -> LogFault {
    let actual = format!("{} {}", found.kind(), found.subject());
    LogFault::OtherEntry { expected, actual }
}

#[cfg(test)]
mod tests {
    use registry_schema::transparency::{
        CheckpointError, MerkleError, NoteError, ProofError, SigningKey, note::KeyKind,
    };

    use super::*;

    struct Log {
        key: SigningKey,
        leaves: Vec<Vec<u8>>,
    }

    fn key(seed: u8) -> SigningKey {
        SigningKey::new("registry.example/log", &[seed; 32]).expect("a name")
    }

    fn digest() -> Digest {
        Digest::sha256(b"index")
    }

    fn names() -> (PackageName, Version) {
        (
            "demo/pass".parse().expect("a name"),
            "1.0.0".parse().expect("a version"),
        )
    }

    /// Three entries, of which the second publishes demo/pass 1.0.0.
    fn log() -> Log {
        let (package, version) = names();
        let at = "2026-11-21T12:00:00Z".parse().expect("a time");
        let yank = Change::Yank {
            package: package.clone(),
            version: version.clone(),
        };
        let publish = Change::Publish {
            package,
            version,
            digest: digest(),
            signatures: vec![],
        };
        let leaf = |change| Entry::new(at, change).to_bytes().expect("small");
        let leaves = vec![leaf(yank.clone()), leaf(publish), leaf(yank)];
        Log {
            key: key(1),
            leaves,
        }
    }

    impl Log {
        fn checkpoint(&self) -> Checkpoint {
            let Ok(root) = merkle::root(self.leaves.len() as u64, &mut |node| {
                let at = usize::try_from(node.index << node.height).expect("small");
                let hashes: Vec<_> = self.leaves[at..at + (1 << node.height)]
                    .iter()
                    .map(|leaf| merkle::leaf(leaf))
                    .collect();
                Ok::<_, std::convert::Infallible>(merkle::complete(&hashes))
            });
            let (origin, size) = ("registry.example/log".to_owned(), self.leaves.len() as u64);
            Checkpoint { origin, size, root }
        }

        fn proof(&self, index: usize) -> Proof {
            let hash = |at: usize| merkle::leaf(&self.leaves[at]);
            let path = match index {
                0 => vec![hash(1), hash(2)],
                1 => vec![hash(0), hash(2)],
                _ => vec![merkle::parent(&hash(0), &hash(1))],
            };
            Proof {
                extra: Some(self.leaves[index].clone()),
                index: index as u64,
                path,
                checkpoint: self.checkpoint().sign(&self.key).note().to_string(),
            }
        }
    }

    fn check(
        proof: &Proof,
        log: &LogKeys,
        last: Option<&Checkpoint>,
    ) -> Result<Included, LogFault> {
        let (package, version) = names();
        let digest = digest();
        let asked = Asked {
            package: &package,
            version: &version,
            digest: &digest,
        };
        check_inclusion(proof.to_string().as_bytes(), asked, log, last)
    }

    fn keys(seed: u8) -> LogKeys {
        key(seed).verifier(KeyKind::Text).into()
    }

    #[test]
    fn a_good_proof_says_where_and_when() {
        let log = log();
        let included = check(&log.proof(1), &keys(1), None).expect("included");
        assert_eq!((included.index, included.is_last), (1, false));
        let last = log.checkpoint();
        assert!(
            check(&log.proof(1), &keys(1), Some(&last))
                .expect("included")
                .is_last
        );
    }

    #[test]
    fn each_fault_has_its_name() {
        let log = log();
        let good = log.proof(1);
        let refused = |proof: &Proof| check(proof, &keys(1), None).expect_err("refused");
        assert!(matches!(
            check(&good, &keys(2), None),
            Err(LogFault::Checkpoint(CheckpointError::Note(
                NoteError::NotSigned(_)
            )))
        ));
        // About something else, though it is in the log.
        assert!(matches!(
            refused(&log.proof(0)),
            LogFault::OtherEntry { .. }
        ));
        let mut other = good.clone();
        other.extra = None;
        assert_eq!(refused(&other), LogFault::NoEntry);
        // Another entry at that place; the entry at another place; another way.
        other.extra = log.proof(0).extra;
        assert!(matches!(
            refused(&other),
            LogFault::Inclusion(MerkleError::NotIncluded { .. })
        ));
        let mut moved = good.clone();
        moved.index = 2;
        assert!(matches!(
            refused(&moved),
            LogFault::Inclusion(MerkleError::NotIncluded { .. })
        ));
        moved.index = 9;
        assert!(matches!(
            refused(&moved),
            LogFault::Inclusion(MerkleError::Index { .. })
        ));
        let mut bent = good.clone();
        bent.path[0].0[31] ^= 1;
        assert!(matches!(
            refused(&bent),
            LogFault::Inclusion(MerkleError::NotIncluded { .. })
        ));
        bent.path.clear();
        assert!(matches!(
            refused(&bent),
            LogFault::Inclusion(MerkleError::NotIncluded { .. })
        ));
        // Another log, well signed, with the same entry.
        let (package, version) = names();
        let digest = Digest::sha256(b"other");
        let asked = Asked {
            package: &package,
            version: &version,
            digest: &digest,
        };
        assert!(matches!(
            check_inclusion(good.to_string().as_bytes(), asked, &keys(1), None),
            Err(LogFault::OtherDigest { .. })
        ));
        let cut = &good.to_string()[..40];
        let asked = Asked {
            digest: &digest,
            ..asked
        };
        assert!(matches!(
            check_inclusion(cut.as_bytes(), asked, &keys(1), None),
            Err(LogFault::Proof(ProofError::Malformed(_)))
        ));
        let mut last = log.checkpoint();
        last.root = merkle::empty();
        assert!(matches!(
            check(&good, &keys(1), Some(&last)),
            Err(LogFault::Forked { evidence: None, .. })
        ));
    }

    #[test]
    fn every_flipped_bit_of_a_proof_is_noticed() {
        let text = log().proof(1).to_string();
        let (package, version) = names();
        let digest = digest();
        let asked = Asked {
            package: &package,
            version: &version,
            digest: &digest,
        };
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            check_inclusion(&bytes, asked, &keys(1), None).expect_err("a flipped bit");
        }
    }

    #[test]
    fn as_many_witnesses_as_are_demanded() {
        let log = log();
        let witness = SigningKey::new("witness.example", &[9; 32]).expect("a name");
        let watched = keys(1).with_witnesses(vec![witness.verifier(KeyKind::Witness)], 1);
        let mut proof = log.proof(1);
        assert_eq!(
            check(&proof, &watched, None),
            Err(LogFault::Witnesses {
                wanted: 1,
                actual: 0
            })
        );
        let mut signed = log.checkpoint().sign(&log.key);
        let text = signed.note().text().to_owned();
        signed.add(witness.cosign(&text, 1_800_000_000));
        proof.checkpoint = signed.note().to_string();
        let included = check(&proof, &watched, None).expect("included");
        assert_eq!(included.witnesses[0].witness, "witness.example");
        signed.add(witness.cosign("something else\n", 1_800_000_000));
        proof.checkpoint = signed.note().to_string();
        assert!(matches!(
            check(&proof, &watched, None),
            Err(LogFault::Witness(_))
        ));
    }
}
