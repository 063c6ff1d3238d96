// SPDX-License-Identifier: Apache-2.0
//! The decision about a version, with one thing wrong at a time: each is refused as itself.

mod version;

use chrono::TimeDelta;
use registry_client::{
    log::LogFault,
    pull::{Blob, FetchedPackage},
    sign::KeyPair,
    verify::{Basis, LogRefusal, Seen, VerifiedPackage, VerifyError, verify},
};
use registry_schema::{
    Digest, TrustLevel, Version,
    signature::KeyType,
    transparency::{Change, Checkpoint, Entry, Proof, merkle},
    trust::{
        policy::Policy,
        revocation::{FeedError, Subject},
    },
};

use version::{HOST, asked, feed, package};

/// A version that holds, and all that it is judged by.
struct Case {
    key: KeyPair,
    fetched: FetchedPackage,
    basis: Basis,
}

fn case() -> Case {
    let key = KeyPair::generate(KeyType::Ed25519).expect("a key");
    let (fetched, basis) = (package(&key, "1.0.0"), version::basis(&key));
    Case {
        key,
        fetched,
        basis,
    }
}

impl Case {
    fn verify(&self, reference: &str) -> Result<VerifiedPackage, VerifyError> {
        verify(&self.fetched, &asked(reference), &self.basis)
    }

    fn judged(&self) -> Result<VerifiedPackage, VerifyError> {
        self.verify("demo/pass:1.0.0")
    }

    fn policy(&mut self, toml: &str) {
        self.basis.policy = Policy::parse(toml).expect("a policy");
    }

    /// Days later.
    fn later(&mut self, days: i64) {
        self.basis.now += TimeDelta::days(days);
    }

    /// The same was accepted before.
    fn install(&mut self) {
        self.basis.memory.installed = Some(self.fetched.digest());
    }
}

#[test]
fn what_holds_is_verified() {
    let verified = case().judged().expect("it holds");
    assert_eq!((verified.level, verified.stale), (TrustLevel::L2, vec![]));
    assert_eq!(verified.logged.expect("a place in the log").index, 0);
}

#[test]
fn what_is_out_of_date_installs_nothing_and_stops_nothing() {
    type Change = fn(&mut Case);
    let changes: [(&str, Change); 5] = [
        ("root", |case| case.later(10)),
        ("feed", |case| case.later(2)),
        ("clock", |case| case.later(-1)),
        ("age", |case| {
            case.policy("[[rule]]\nrevocation-max-age = \"1h\"");
            case.basis.now += TimeDelta::hours(2);
        }),
        ("no feed", |case| case.basis.memory.feed = None),
    ];
    for (what, change) in changes {
        let mut case = case();
        change(&mut case);
        let error = case.judged().expect_err(what);
        let named = match what {
            "root" => matches!(error, VerifyError::Root { .. }),
            "feed" => {
                matches!(&error, VerifyError::Feed { reason, .. } if matches!(**reason, FeedError::Expired { .. }))
            }
            "clock" => {
                matches!(&error, VerifyError::Feed { reason, .. } if matches!(**reason, FeedError::Future { .. }))
            }
            "age" => {
                matches!(&error, VerifyError::Feed { reason, .. } if matches!(**reason, FeedError::TooOld { .. }))
            }
            _ => matches!(error, VerifyError::NoFeed { .. }),
        };
        assert!(named, "{what}: {error:?}");
        case.install();
        let verified = case.judged().expect(what);
        assert!(!verified.stale.is_empty(), "{what} is said");
        // Something else is not installed by that.
        case.basis.memory.installed = Some(Digest::sha256(b"other"));
        case.judged().expect_err(what);
    }
}

#[test]
fn what_is_revoked_is_refused_although_it_is_installed() {
    let mut case = case();
    case.install();
    let verified = case.judged().expect("it holds");
    let signer = verified.signers[0].identity.clone();
    let (name, version) = (verified.package().clone(), verified.version().clone());
    for subject in [
        Subject::Digest(verified.digest),
        Subject::Digest(verified.object_digest),
        Subject::Version(name, version),
        Subject::Identity(signer),
    ] {
        case.basis.memory.feed = Some(feed(&case.key, vec![subject.clone()]));
        let error = case.judged().expect_err("revoked");
        assert!(
            matches!(error, VerifyError::Revoked { .. }),
            "{subject}: {error:?}"
        );
        // A feed that is out of date revokes all the same.
        case.later(2);
        let error = case.judged().expect_err("revoked");
        assert!(
            matches!(error, VerifyError::Revoked { .. }),
            "{subject}: {error:?}"
        );
        case.later(-2);
    }
}

#[test]
fn too_few_signers_and_too_low_a_level() {
    let mut case = case();
    case.policy("[[rule]]\nthreshold = 2");
    let few = case.judged();
    assert!(matches!(
        few,
        Err(VerifyError::Threshold {
            found: 1,
            needed: 2,
            ..
        })
    ));
    case.policy("[[rule]]\nlevel = \"L2\"\nlog = \"optional\"");
    case.judged().expect("it is in the log");
    case.fetched.log_proofs.clear();
    let low = case.judged();
    assert!(matches!(
        low,
        Err(VerifyError::Level {
            actual: TrustLevel::L1,
            needed: TrustLevel::L2,
            ..
        })
    ));
}

#[test]
fn a_version_must_be_in_the_one_log() {
    let mut case = case();
    let proofs = std::mem::take(&mut case.fetched.log_proofs);
    assert!(matches!(case.judged(), Err(VerifyError::NotLogged { .. })));
    case.fetched.log_proofs = package(&case.key, "1.1.0").log_proofs;
    assert!(
        matches!(case.judged(), Err(VerifyError::Log { .. })),
        "another's proof"
    );

    case.fetched.log_proofs = proofs;
    let other = Checkpoint {
        origin: HOST.to_owned(),
        size: 1,
        root: merkle::leaf(b"another tree"),
    };
    case.basis.memory.checkpoint = Some(other.text());
    let Err(VerifyError::Log { reason, .. }) = case.judged() else {
        panic!("two trees of one size");
    };
    assert!(matches!(
        *reason,
        LogRefusal::Fault(LogFault::Forked { .. })
    ));
    case.basis.trust.unpin(HOST);
    case.policy("[[rule]]\nlog = \"required\"");
    assert!(matches!(case.judged(), Err(VerifyError::NoLog { .. })));
}

fn seen(index: &[u8], chosen_at: Option<u64>) -> Seen {
    let digest = Digest::sha256(index);
    Seen { digest, chosen_at }
}

#[test]
fn what_was_seen_is_neither_gone_behind_nor_changed() {
    let mut case = case();
    let higher = "1.1.0".parse().expect("a version");
    case.basis.memory.seen.insert(higher, seen(b"higher", None));
    for reference in ["demo/pass", "demo/pass@^1.0"] {
        let back = case.verify(reference);
        assert!(
            matches!(back, Err(VerifyError::Rollback { .. })),
            "{reference}"
        );
    }
    case.judged().expect("who names a version wants it");
    case.verify("demo/pass@~1.0")
        .expect("no higher one fits the range");
    case.policy("[[rule]]\ndowngrade = \"allow\"");
    case.verify("demo/pass").expect("allowed");

    let same = "1.0.0".parse().expect("a version");
    case.basis.memory.seen.insert(same, seen(b"higher", None));
    assert!(matches!(case.judged(), Err(VerifyError::Rewritten { .. })));
}

/// The proof that a version of `demo/pass` was withdrawn, by the second entry of the log.
fn withdrawal(of: &str) -> Blob {
    let change = Change::Yank {
        package: "demo/pass".parse().expect("a name"),
        version: of.parse().expect("a version"),
    };
    let leaf = Entry::new(version::now(), change)
        .to_bytes()
        .expect("small");
    let first = merkle::leaf(b"first");
    let checkpoint = Checkpoint {
        origin: HOST.to_owned(),
        size: 2,
        root: merkle::parent(&first, &merkle::leaf(&leaf)),
    };
    let proof = Proof {
        extra: Some(leaf),
        index: 1,
        path: vec![first],
        checkpoint: checkpoint.sign(&version::log()).note().to_string(),
    };
    Blob(proof.to_string().into_bytes())
}

#[test]
fn who_saw_a_version_that_the_log_withdrew_goes_back() {
    let mut case = case();
    let higher: Version = "1.1.0".parse().expect("a version");
    let chosen_at = |case: &mut Case, size| {
        let seen = seen(b"higher", size);
        case.basis.memory.seen.insert(higher.clone(), seen);
    };
    chosen_at(&mut case, Some(1));
    case.fetched.withdrawals = vec![withdrawal("1.1.0")];
    for reference in ["demo/pass", "demo/pass@^1.0"] {
        case.verify(reference).expect(reference);
    }
    // Each version above must be withdrawn.
    let highest = "1.2.0".parse().expect("a version");
    let seen = seen(b"highest", None);
    case.basis.memory.seen.insert(highest, seen);
    let back = case.verify("demo/pass");
    assert!(matches!(back, Err(VerifyError::Rollback { .. })));
    case.fetched.withdrawals.push(withdrawal("1.2.0"));
    case.verify("demo/pass").expect("both are withdrawn");

    // It was chosen again after that entry: then the withdrawal was taken back.
    chosen_at(&mut case, Some(2));
    let back = case.verify("demo/pass");
    assert!(matches!(back, Err(VerifyError::Rollback { .. })));
    chosen_at(&mut case, None);
    // A proof that does not hold is no proof, whatever it is of.
    case.fetched.withdrawals[0].0[60] ^= 1;
    let bent = case.verify("demo/pass");
    assert!(matches!(bent, Err(VerifyError::Log { .. })), "{bent:?}");
    case.fetched.withdrawals = case.fetched.log_proofs.clone();
    let Err(VerifyError::Log { reason, .. }) = case.verify("demo/pass") else {
        panic!("a publication is no withdrawal");
    };
    assert!(matches!(
        *reason,
        LogRefusal::Fault(LogFault::OtherEntry { .. })
    ));
}

#[test]
fn one_revoked_of_too_few_is_not_merely_unsigned() {
    let mut case = case();
    case.policy("[[rule]]\nmode = \"normal\"\nthreshold = 2");
    let passed = case.judged().expect("unsigned may pass");
    assert_eq!(passed.signers, Vec::new());
    let signer = Subject::Identity(case.key.fingerprint().into());
    case.basis.memory.feed = Some(feed(&case.key, vec![signer]));
    assert!(matches!(case.judged(), Err(VerifyError::Revoked { .. })));
}

#[test]
fn a_feed_of_keys_that_were_changed_since_stops_nothing() {
    let mut case = case();
    let other = KeyPair::generate(KeyType::Ed25519).expect("a key");
    case.basis.memory.feed = Some(feed(&other, Vec::new()));
    assert!(matches!(case.judged(), Err(VerifyError::Feed { .. })));
    case.install();
    assert!(!case.judged().expect("it goes on").stale.is_empty());
}

#[test]
fn parts_of_two_versions_are_none() {
    type Change = fn(&mut FetchedPackage, FetchedPackage);
    let changes: [(&str, Change); 3] = [
        ("manifest", |mine, other| mine.manifest = other.manifest),
        ("config", |mine, other| mine.config = other.config),
        ("index", |mine, other| mine.index = other.index),
    ];
    for (what, change) in changes {
        let mut case = case();
        let parts = package(&case.key, "1.1.0");
        change(&mut case.fetched, parts);
        let error = case.judged().expect_err(what);
        match what {
            // Its signature is for another index.
            "index" => assert!(matches!(error, VerifyError::Signature { .. }), "{error:?}"),
            _ => assert!(
                matches!(error, VerifyError::Changed { .. }),
                "{what}: {error:?}"
            ),
        }
    }
}
