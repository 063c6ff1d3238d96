// SPDX-License-Identifier: Apache-2.0
//! Trust roots, revocation feeds and policies: what is believed, and each way in which
//! they are not.

use chrono::{DateTime, TimeDelta, Utc};
use p256::ecdsa::{DerSignature, SigningKey, signature::Signer as _};
use p256::pkcs8::{EncodePublicKey as _, LineEnding};
use registry_schema::{
    Digest, Identity, PackageName, TrustLevel,
    signature::PublicKey,
    trust::{
        envelope::{Envelope, EnvelopeError, MAX_SIGNATURES},
        policy::{Mode, Policy, PolicyError, Scope, SignerPattern},
        revocation::{Feed, FeedError, Reason, Revoked, Subject},
        root::{MAX_ROOT, RevocationTrust, Root, RootError, SignedRoot},
    },
};

struct Pair(SigningKey, PublicKey);

fn pair(seed: u8) -> Pair {
    let secret = SigningKey::from_slice(&[seed; 32]).expect("a valid scalar");
    let pem = secret.verifying_key().to_public_key_pem(LineEnding::LF);
    Pair(
        secret,
        PublicKey::from_pem(&pem.expect("PEM")).expect("key"),
    )
}

fn sign(envelope: &mut Envelope, keys: &[&Pair]) {
    for Pair(secret, public) in keys {
        let signature: DerSignature = secret.sign(&envelope.signing_input());
        envelope.add(public.fingerprint(), signature.as_bytes().to_vec());
    }
}

fn day(number: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).expect("a time") + TimeDelta::days(number)
}

fn root(version: u64, keys: &[&Pair], threshold: u32) -> Root {
    Root {
        format: 1,
        registry: "registry.example".to_owned(),
        version,
        issued_at: day(0),
        expires_at: day(365),
        keys: keys.iter().map(|key| key.1.to_pem()).collect(),
        threshold,
        log: None,
        revocation: Some(RevocationTrust {
            keys: vec![pair(9).1.to_pem()],
            threshold: 1,
        }),
        issuers: Vec::new(),
        sigstore: Vec::new(),
    }
}

fn signed(root: &Root, keys: &[&Pair]) -> Vec<u8> {
    let mut envelope = root.to_envelope().expect("a good root");
    sign(&mut envelope, keys);
    envelope.to_json()
}

#[test]
fn a_root_needs_the_threshold_of_its_own_keys() {
    let (a, b, c) = (pair(1), pair(2), pair(3));
    let document = root(1, &[&a, &b, &c], 2);
    let opened = SignedRoot::open(&signed(&document, &[&a, &c])).expect("two of three");
    assert_eq!(opened.root(), &document);
    assert_eq!(opened.check_registry("registry.example"), Ok(()));
    assert!(opened.check_registry("registry.example:443").is_err());
    assert_eq!(opened.check_current(day(364)), Ok(()));
    assert!(matches!(
        opened.check_current(day(365)),
        Err(RootError::Expired { version: 1, .. })
    ));
    let threshold = |found| {
        Err(RootError::Envelope(EnvelopeError::Threshold {
            found,
            needed: 2,
        }))
    };
    assert_eq!(SignedRoot::open(&signed(&document, &[&a])), threshold(1));
    assert_eq!(
        SignedRoot::open(&signed(&document, &[&a, &a])),
        threshold(1),
        "one key, twice"
    );
    assert_eq!(
        SignedRoot::open(&signed(&document, &[&a, &pair(4)])),
        threshold(1),
        "a stranger"
    );
}

#[test]
fn the_same_signature_under_another_keys_name_counts_once() {
    let (a, b) = (pair(1), pair(2));
    let document = root(1, &[&a, &b], 2);
    let mut envelope = document.to_envelope().expect("root");
    let signature: DerSignature = a.0.sign(&envelope.signing_input());
    envelope.add(a.1.fingerprint(), signature.as_bytes().to_vec());
    envelope.add(b.1.fingerprint(), signature.as_bytes().to_vec());
    let text = String::from_utf8(envelope.to_json()).expect("JSON");
    let nameless = text.replace(&b.1.fingerprint().to_string(), "");
    for bytes in [text, nameless] {
        assert_eq!(
            SignedRoot::open(bytes.as_bytes()),
            Err(RootError::Envelope(EnvelopeError::Threshold {
                found: 1,
                needed: 2
            }))
        );
    }
}

#[test]
fn a_root_is_followed_only_by_the_next_that_the_old_keys_sign() {
    let (a, b, c, d) = (pair(1), pair(2), pair(3), pair(4));
    let first = SignedRoot::open(&signed(&root(1, &[&a, &b], 2), &[&a, &b])).expect("first");
    let second = root(2, &[&c, &d], 2);
    let open = |bytes: Vec<u8>| SignedRoot::open(&bytes).expect("whole by itself");

    let good = open(signed(&second, &[&a, &b, &c, &d]));
    assert_eq!(first.check_next(&good), Ok(()));
    assert_eq!(
        first.check_next(&open(signed(&second, &[&a, &c, &d]))),
        Err(RootError::NotContinued {
            version: 2,
            before: 1,
            found: 1,
            needed: 2
        })
    );
    let third = root(3, &[&c, &d], 2);
    assert_eq!(
        first.check_next(&open(signed(&third, &[&a, &b, &c, &d]))),
        Err(RootError::OutOfOrder {
            actual: 3,
            expected: 2
        }),
        "no fast-forward"
    );
    let other_first = root(1, &[&a, &b, &c], 2);
    assert!(matches!(
        first.check_next(&open(signed(&other_first, &[&a, &b]))),
        Err(RootError::Forked { version: 1, .. })
    ));
    let mut elsewhere = second;
    elsewhere.registry = "other.example".to_owned();
    assert!(matches!(
        first.check_next(&open(signed(&elsewhere, &[&a, &b, &c, &d]))),
        Err(RootError::OtherRegistry { .. })
    ));
}

#[test]
fn a_flipped_byte_anywhere_is_never_another_root() {
    let a = pair(1);
    let document = root(1, &[&a], 1);
    let bytes = signed(&document, &[&a]);
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        if let Ok(opened) = SignedRoot::open(&flipped) {
            // Only what is not signed may differ: the hint.
            assert_eq!(opened.root(), &document, "byte {at}");
        }
    }
}

/// Makes a good root a bad one.
type Change = fn(&mut Root);

#[test]
fn hostile_roots_are_refused() {
    let a = pair(1);
    let bad: &[(&str, Change)] = &[
        ("format", |root| root.format = 2),
        ("version 0", |root| root.version = 0),
        ("host", |root| {
            root.registry = "http://registry.example".to_owned();
        }),
        ("empty host", |root| root.registry.clear()),
        ("no keys", |root| root.keys.clear()),
        ("threshold 0", |root| root.threshold = 0),
        ("threshold too high", |root| root.threshold = 2),
        ("threshold huge", |root| root.threshold = u32::MAX),
        ("no key", |root| root.keys[0] = "x".to_owned()),
        ("key twice", |root| root.keys.push(root.keys[0].clone())),
        ("too many keys", |root| {
            root.keys = (10..40).map(|n| pair(n).1.to_pem()).collect();
        }),
        ("expires first", |root| root.expires_at = root.issued_at),
        ("nobody revokes", |root| {
            root.revocation = Some(RevocationTrust {
                keys: vec![],
                threshold: 0,
            });
        }),
    ];
    for (what, change) in bad {
        let mut document = root(1, &[&a], 1);
        change(&mut document);
        assert!(document.to_envelope().is_err(), "{what}");
    }
    let deep = format!("{{\"payload\":{}", "[".repeat(100_000));
    let huge = "x".repeat(MAX_ROOT + 1);
    for text in ["", "{}", "[]", "null", deep.as_str(), huge.as_str()] {
        assert!(SignedRoot::open(text.as_bytes()).is_err());
    }
    let good = String::from_utf8(signed(&root(1, &[&a], 1), &[&a])).expect("JSON");
    let twice = good.replacen('{', "{\"payload\":\"\",", 1);
    assert!(
        SignedRoot::open(twice.as_bytes()).is_err(),
        "a member twice"
    );
    let feed = good.replace("root.v1", "revocation.v1");
    assert!(matches!(
        SignedRoot::open(feed.as_bytes()),
        Err(RootError::Envelope(EnvelopeError::OtherType { .. }))
    ));
    let one = "{\"sig\":\"AA==\"},".repeat(MAX_SIGNATURES + 1);
    let many = good.replace("\"signatures\":[", &format!("\"signatures\":[{one}"));
    assert!(matches!(
        SignedRoot::open(many.as_bytes()),
        Err(RootError::Envelope(EnvelopeError::TooManySignatures(_)))
    ));
}

fn feed(version: u64, revoked: &[(&str, Reason)]) -> Feed {
    Feed {
        format: 1,
        registry: "registry.example".to_owned(),
        version,
        issued_at: day(0),
        expires_at: day(7),
        revoked: revoked
            .iter()
            .map(|(subject, reason)| Revoked {
                subject: subject.parse().expect("a subject"),
                at: day(-10),
                reason: *reason,
                note: String::new(),
            })
            .collect(),
    }
}

const VERSION: &str = "version:netops/filter:1.0.0";

#[test]
fn a_feed_is_signed_grows_and_expires() {
    let (a, b) = (pair(1), pair(2));
    let old = feed(4, &[(VERSION, Reason::Malicious)]);
    let mut envelope = old.to_envelope().expect("feed");
    sign(&mut envelope, &[&a]);
    let bytes = envelope.to_json();
    let keys = [a.1.clone(), b.1.clone()];
    assert_eq!(Feed::open(&bytes, &keys, 1).as_ref(), Ok(&old));
    assert!(Feed::open(&bytes, &keys, 2).is_err());
    assert!(Feed::open(&bytes, std::slice::from_ref(&b.1), 1).is_err());
    assert!(Feed::open(&bytes, &keys, 0).is_err(), "somebody must sign");

    assert_eq!(
        feed(4, &[(VERSION, Reason::Malicious)]).check_follows(&old),
        Ok(())
    );
    assert_eq!(
        feed(3, &[(VERSION, Reason::Malicious)]).check_follows(&old),
        Err(FeedError::Rollback { actual: 3, seen: 4 })
    );
    assert_eq!(feed(4, &[]).check_follows(&old), Err(FeedError::Forked(4)));
    assert_eq!(
        feed(5, &[]).check_follows(&old),
        Err(FeedError::Dropped {
            version: 5,
            subject: VERSION.to_owned()
        })
    );
    let stronger = |from, to| {
        let (old, new) = (feed(4, &[(VERSION, from)]), feed(5, &[(VERSION, to)]));
        new.check_follows(&old)
    };
    assert_eq!(stronger(Reason::Superseded, Reason::Compromised), Ok(()));
    let weakened = Err(FeedError::Weakened {
        version: 5,
        subject: VERSION.to_owned(),
    });
    assert_eq!(stronger(Reason::Compromised, Reason::Superseded), weakened);
    let mut later = feed(5, &[(VERSION, Reason::Malicious)]);
    later.revoked[0].at += TimeDelta::seconds(1);
    assert_eq!(later.check_follows(&old), weakened);
    later.revoked[0].at -= TimeDelta::days(1);
    assert_eq!(later.check_follows(&old), Ok(()));
    assert_eq!(old.check_current(day(6), None), Ok(()));
    let before = day(0) - TimeDelta::minutes(10);
    let little = old.check_current(before, Some(1));
    assert_eq!(little, Ok(()), "a clock a little behind is no age");
    let behind = old.check_current(before - TimeDelta::seconds(1), None);
    assert!(matches!(behind, Err(FeedError::Future { .. })));
    assert!(matches!(
        old.check_current(day(7), None),
        Err(FeedError::Expired { .. })
    ));
    assert!(matches!(
        old.check_current(day(2), Some(86_400)),
        Err(FeedError::TooOld { limit: 86_400, .. })
    ));
}

#[test]
fn a_revoked_signer_counts_only_with_proof_of_an_earlier_time() {
    let who: Identity = pair(1).1.fingerprint().into();
    let text = who.to_string();
    let compromised = feed(1, &[(&text, Reason::Compromised)]);
    assert!(compromised.find_signer(&who, None, None).is_some());
    assert!(
        compromised
            .find_signer(&who, None, Some(day(-11)))
            .is_some()
    );
    assert!(
        compromised
            .find_signer(&who, Some(day(-10)), None)
            .is_some()
    );
    assert!(
        compromised
            .find_signer(&who, Some(day(-11)), None)
            .is_none()
    );
    let superseded = feed(1, &[(&text, Reason::Superseded)]);
    assert!(superseded.find_signer(&who, None, None).is_none());
    assert!(superseded.find_signer(&who, Some(day(-9)), None).is_some());
    assert!(superseded.find_signer(&who, None, Some(day(-9))).is_some());
    assert!(superseded.find_signer(&who, None, Some(day(-11))).is_none());
    assert!(
        superseded
            .find_signer(&who, Some(day(-11)), Some(day(-9)))
            .is_none()
    );
    let other: Identity = pair(2).1.fingerprint().into();
    assert!(compromised.find_signer(&other, None, None).is_none());

    let package: PackageName = "netops/filter".parse().expect("name");
    let digest = Digest::sha256(b"bad");
    let content = feed(
        1,
        &[
            (VERSION, Reason::Defective),
            (digest.as_str(), Reason::Malicious),
        ],
    );
    assert!(
        content
            .find_version(&package, &"1.0.0".parse().expect("version"))
            .is_some()
    );
    assert!(
        content
            .find_version(&package, &"1.0.1".parse().expect("version"))
            .is_none()
    );
    assert!(content.find_digest(&digest).is_some());
    for text in [
        "",
        "sha256:",
        "version:",
        "version:a",
        "version:a/b",
        "version:a/b:x",
        "key:x",
        "a/b:1.0.0",
    ] {
        assert!(text.parse::<Subject>().is_err(), "{text}");
    }
}

#[test]
fn the_smaller_part_wins_member_by_member() {
    let policy = Policy::parse(
        r#"
        [[rule]]
        package = "netops/filter"
        threshold = 2
        [[rule]]
        mode = "normal"
        [[rule]]
        registry = "registry.example"
        mode = "trusted"
        log = "required"
        [[rule]]
        namespace = "netops"
        signers = ["oidc:https://issuer.example#https://forge.example/netops/*"]
        revocation-max-age = "36h"
        "#,
    )
    .expect("a policy");
    let (filter, other) = (
        "netops/filter".parse().expect("n"),
        "web/x".parse().expect("n"),
    );
    let demands = policy.demands("registry.example", &filter);
    assert_eq!(demands.threshold.value, 2);
    assert_eq!(
        demands.threshold.rule,
        Some(Scope::Package(None, filter.clone()))
    );
    assert_eq!(demands.mode.value, Mode::Trusted);
    assert_eq!(
        demands.revocation_max_age.value.map(|age| age.0),
        Some(129_600)
    );
    assert_eq!(demands.signers.value.map(|signers| signers.len()), Some(1));
    let demands = policy.demands("elsewhere.example", &other);
    assert_eq!(demands.mode.value, Mode::Normal);
    assert_eq!((demands.threshold.value, demands.threshold.rule), (1, None));
    assert_eq!(
        Policy::default().demands("h", &other).mode.value,
        Mode::Trusted
    );
}

#[test]
fn a_policy_that_is_wrong_is_refused_whole_and_says_where() {
    let key = format!("key:SHA256:{}", "A".repeat(43));
    for (text, says) in [
        ("rule = 1", "cannot be read"),
        ("[[rule]]\nmod = \"normal\"", "mod"),
        ("[[rule]]\nmode = \"lax\"", "lax"),
        (
            "[[rule]]\nmode = \"normal\"\n[[rule]]\nmode = \"trusted\"",
            "rule 2 (everything)",
        ),
        (
            "[[rule]]\nnamespace = \"a\"\npackage = \"a/b\"",
            "name one of both",
        ),
        ("[[rule]]\nregistry = \"http://h\"", "http://h"),
        ("[[rule]]\nthreshold = 0", "it must be 1 to 64"),
        ("[[rule]]\nthreshold = 65", "it must be 1 to 64"),
        ("[[rule]]\nthreshold = -1", "cannot be read"),
        ("[[rule]]\nsigners = []", "`signers` names 0"),
        ("[[rule]]\nsigners = [\"jane\"]", "`jane` is no identity"),
        (
            "[[rule]]\nsigners = [\"oidc:https://*#x\"]",
            "issuer is named in full",
        ),
        ("[[rule]]\nrevocation-max-age = \"7\"", "no length of time"),
        (
            "[[rule]]\nrevocation-max-age = \"99999999999999999999d\"",
            "no length of time",
        ),
        ("[[rule]]\nrevocation-max-age = \"1é\"", "no length of time"),
        ("[[rule]]\nlevel = \"L5\"", "cannot be read"),
    ] {
        let error = Policy::parse(text).expect_err(text).to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
    let few = format!("[[rule]]\nsigners = [\"{key}\"]\nthreshold = 2");
    assert!(
        Policy::parse(&few)
            .expect_err("too few")
            .to_string()
            .contains("but `signers` names 1")
    );
    assert!(matches!(
        Policy::parse("[[rule]]\nnamespace = \"a\"\nlevel = \"L3\""),
        Err(PolicyError::Unavailable {
            number: 1,
            level: TrustLevel::L3,
            ..
        })
    ));
    assert!(matches!(
        Policy::parse(&" ".repeat(2 << 20)),
        Err(PolicyError::TooLarge(_))
    ));
}

#[test]
fn a_pattern_stands_for_the_subjects_it_says() {
    let issuer = "https://issuer.example";
    let identity =
        |subject: &str| -> Identity { format!("oidc:{issuer}#{subject}").parse().expect(subject) };
    for (pattern, subject, fits) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a*", "abc", true),
        ("*", "abc", true),
        ("*", "a/c", false),
        ("**", "a/c", true),
        ("a/*/c", "a/b/c", true),
        ("a/*/c", "a/b/b/c", false),
        ("a/**/c", "a/b/b/c", true),
        ("*@example.org", "jane@example.org", true),
        ("*@example.org", "jane@example.org.evil", false),
        (
            "repo:o/*:ref:refs/tags/v*",
            "repo:o/r:ref:refs/tags/v1",
            true,
        ),
        ("***", "a/b", true),
        ("a*b*c", "aXbYbZc", true),
        ("a*b*c", "aXbYbZ", false),
    ] {
        let pattern: SignerPattern = format!("oidc:{issuer}#{pattern}").parse().expect(pattern);
        assert_eq!(
            pattern.matches(&identity(subject)),
            fits,
            "{pattern} {subject}"
        );
    }
    let slow: SignerPattern = format!("oidc:{issuer}#{}", "*a".repeat(500))
        .parse()
        .expect("long");
    assert!(!slow.matches(&identity(&"a".repeat(400))), "and ends");
    let other: SignerPattern = "oidc:https://other.example#a".parse().expect("pattern");
    assert!(!other.matches(&identity("a")));
    assert!(!other.matches(&pair(1).1.fingerprint().into()));
}
