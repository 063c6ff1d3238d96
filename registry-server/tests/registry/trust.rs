// SPDX-License-Identifier: Apache-2.0
//! What a registry is judged by: its trust root and its feed of revocations.

use chrono::{Duration, TimeDelta};
use registry_schema::{
    Digest,
    signature::PublicKey,
    trust::{
        revocation::{Feed, Subject},
        root::{Root, SignedRoot},
    },
};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::{
    TestRegistry, User, expect,
    package::{KeyPair, PackageBuilder},
    problem,
};

const ROOT: &str = "/api/v1/trust/root";
const FEED: &str = "/api/v1/trust/revocations";

fn root(registry: &TestRegistry, version: u64, keys: &[&KeyPair], threshold: u32) -> Root {
    let now = registry.app.clock.now();
    Root {
        format: 1,
        registry: registry.app.host().to_owned(),
        version,
        issued_at: now,
        expires_at: now + TimeDelta::days(365),
        keys: keys.iter().map(|key| key.public.to_pem()).collect(),
        threshold,
        log: None,
        revocation: None,
        issuers: Vec::new(),
        sigstore: Vec::new(),
    }
}

fn signed(root: &Root, keys: &[&KeyPair]) -> Vec<u8> {
    let mut envelope = root.to_envelope().expect("a good root");
    for key in keys {
        let signature = key.sign(&envelope.signing_input());
        envelope.add(key.public.fingerprint(), signature);
    }
    envelope.to_json()
}

async fn publish(user: &User, root: Vec<u8>) -> Response {
    let request = user.request(Method::PUT, ROOT).body(root);
    request.send().await.expect("an answer")
}

async fn revoke(user: &User, subject: &str, reason: &str) -> Response {
    let body = json!({"subject": subject, "reason": reason, "note": "see advisory 7"});
    let request = user.request(Method::POST, FEED).json(&body);
    request.send().await.expect("an answer")
}

async fn register(user: &User, namespace: &str, key: &KeyPair) {
    let path = format!("/api/v1/namespaces/{namespace}/keys");
    let body = json!({"pem": key.public.to_pem()});
    let request = user.request(Method::POST, &path).json(&body);
    expect(request.send().await.expect("an answer"), 201).await;
}

/// The feed as a client reads it: with the key that the registry names.
async fn feed(registry: &TestRegistry) -> Feed {
    let user = &registry.anonymous;
    let key = user.json(&format!("{FEED}/key")).await;
    let key = PublicKey::from_pem(key["pem"].as_str().expect("PEM")).expect("a key");
    let bytes = expect(user.get(FEED).await, 200).await.bytes().await;
    let feed = Feed::open(&bytes.expect("a body"), &[key], 1).expect("signed");
    feed.check_registry(registry.app.host()).expect("ours");
    feed.check_current(registry.app.clock.now(), None)
        .expect("current");
    feed
}

#[tokio::test]
async fn a_root_is_served_as_signed_and_followed_only_by_the_next() {
    let registry = TestRegistry::start().await;
    let (admin, everybody) = (&registry.admin, &registry.anonymous);
    let (a, b, c) = (KeyPair::new(1), KeyPair::new(2), KeyPair::new(3));
    expect(everybody.get(ROOT).await, 404).await;

    let first = signed(&root(&registry, 1, &[&a, &b], 2), &[&a, &b]);
    let second = signed(&root(&registry, 2, &[&c], 1), &[&a, &b, &c]);
    problem(publish(admin, second.clone()).await, 400, "root-invalid").await;
    let half = signed(&root(&registry, 1, &[&a, &b], 2), &[&a]);
    problem(publish(admin, half).await, 400, "root-invalid").await;
    let mut elsewhere = root(&registry, 1, &[&a], 1);
    elsewhere.registry = "elsewhere.example".to_owned();
    problem(
        publish(admin, signed(&elsewhere, &[&a])).await,
        400,
        "root-invalid",
    )
    .await;
    expect(publish(everybody, first.clone()).await, 401).await;
    let stranger = registry.user("stranger", None).await;
    expect(publish(&stranger, first.clone()).await, 403).await;

    expect(publish(admin, first.clone()).await, 201).await;
    let served = everybody.get(ROOT).await.bytes().await.expect("a body");
    assert_eq!(served, first, "byte for byte");
    let seized = signed(&root(&registry, 2, &[&c], 1), &[&c]);
    problem(publish(admin, seized).await, 400, "root-invalid").await;
    problem(publish(admin, first.clone()).await, 400, "root-invalid").await;
    expect(publish(admin, second.clone()).await, 201).await;

    let newest = everybody.get(ROOT).await.bytes().await.expect("a body");
    let (old, new) = (SignedRoot::open(&first), SignedRoot::open(&newest));
    old.expect("first")
        .check_next(&new.expect("second"))
        .expect("a chain");
    let again = everybody.get(&format!("{ROOT}/1")).await;
    assert_eq!(again.bytes().await.expect("a body"), first);
    expect(everybody.get(&format!("{ROOT}/3")).await, 404).await;
    expect(
        everybody.get(&format!("{ROOT}/18446744073709551615")).await,
        404,
    )
    .await;
}

#[tokio::test]
async fn a_feed_grows_with_each_revocation_and_never_expires_here() {
    let registry = TestRegistry::start().await;
    let empty = feed(&registry).await;
    assert_eq!(empty.revoked, []);
    let packed = PackageBuilder::new("demo/pass", "1.0.0").pack();
    expect(packed.push(&registry.admin, "1.0.0").await, 201).await;
    let owner = registry.user("owner", Some("owner")).await;
    let version = "version:demo/pass:1.0.0";
    expect(revoke(&owner, version, "defective").await, 201).await;
    let one = feed(&registry).await;
    one.check_follows(&empty).expect("follows");
    assert_eq!(one.revoked[0].subject.to_string(), version);
    assert_eq!(one.revoked[0].note, "see advisory 7");
    problem(
        revoke(&owner, version, "defective").await,
        409,
        "revoked-already",
    )
    .await;
    assert_eq!(
        feed(&registry).await.version,
        one.version,
        "nothing half done"
    );

    let page = "/packages/demo/pass/1.0.0";
    let detail = registry
        .anonymous
        .json("/api/v1/packages/demo/pass/versions/1.0.0")
        .await;
    assert_eq!(detail["revoked"]["reason"], "defective");
    let html = expect(registry.anonymous.get(page).await, 200)
        .await
        .text()
        .await;
    assert!(html.expect("a page").contains("Revoked</h2>"));

    registry.later(Duration::days(30));
    let later = feed(&registry).await;
    later.check_follows(&one).expect("follows");
    assert!(later.version > one.version, "signed anew");
    let audit = registry.admin.json("/api/v1/audit?limit=2").await;
    for (entry, action) in [(0, "version.yank"), (1, "revocation.add")] {
        assert_eq!(audit["entries"][entry]["action"], action);
        assert_eq!(audit["entries"][entry]["subject"], "demo/pass:1.0.0");
    }
}

#[tokio::test]
async fn who_revokes_what() {
    let registry = TestRegistry::start().await;
    let key = KeyPair::new(1);
    let packed = PackageBuilder::new("demo/pass", "1.0.0").pack();
    expect(packed.push(&registry.admin, "1.0.0").await, 201).await;
    register(&registry.admin, "demo", &key).await;
    key.push_bundle(&registry.admin, "demo/pass", &packed.index)
        .await;
    let (owner, maintainer) = (
        registry.user("owner", Some("owner")).await,
        registry.user("maintainer", Some("maintainer")).await,
    );
    // A stranger who copies bytes and registers the key owns neither.
    let thief = registry.user("thief", None).await;
    let body = json!({"name": "thief"});
    let made = thief
        .request(Method::POST, "/api/v1/namespaces")
        .json(&body);
    expect(made.send().await.expect("an answer"), 201).await;
    register(&thief, "thief", &key).await;
    let mut copy = PackageBuilder::new("demo/pass", "1.0.0").pack();
    copy.repository = "thief/pass".to_owned();
    copy.push_content(&thief).await;

    let signer = format!("key:{}", key.public.fingerprint());
    let index = packed.digest().to_string();
    let foreign = Digest::sha256(b"something").to_string();
    for subject in [
        &signer,
        &index,
        &foreign,
        &"version:demo/pass:1.0.0".to_owned(),
    ] {
        for user in [&maintainer, &thief] {
            problem(revoke(user, subject, "malicious").await, 403, "forbidden").await;
        }
    }
    problem(
        revoke(&owner, &foreign, "malicious").await,
        403,
        "forbidden",
    )
    .await;
    let unpublished = "version:demo/pass:9.0.0";
    problem(
        revoke(&owner, unpublished, "malicious").await,
        403,
        "forbidden",
    )
    .await;
    expect(revoke(&owner, &signer, "compromised").await, 201).await;
    expect(revoke(&owner, &index, "malicious").await, 201).await;
    expect(revoke(&registry.admin, &foreign, "malicious").await, 201).await;
    let revoked = feed(&registry).await;
    assert!(revoked.find_digest(&packed.digest()).is_some());
    let identity = key.public.fingerprint().into();
    assert!(revoked.find_signer(&identity, None, None).is_some());
}

#[tokio::test]
async fn the_feed_names_nothing_private_and_takes_no_nonsense() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    let packed = PackageBuilder::new("secret/pass", "1.0.0").pack();
    expect(packed.push(admin, "1.0.0").await, 201).await;
    let named = revoke(admin, "version:secret/pass:1.0.0", "defective").await;
    problem(named, 400, "revocation-invalid").await;
    expect(
        revoke(admin, packed.digest().as_str(), "defective").await,
        201,
    )
    .await;
    for (subject, reason) in [
        ("nonsense", "defective"),
        ("sha256:zz", "defective"),
        ("version:demo/pass", "defective"),
        ("key:SHA256:AA", "defective"),
        (packed.digest().as_str(), "because"),
    ] {
        expect(revoke(admin, subject, reason).await, 400).await;
    }
    let digest = Digest::sha256(b"x").to_string();
    let ahead = registry.app.clock.now() + TimeDelta::days(1);
    for body in [
        json!({"subject": digest, "reason": "defective", "at": ahead}),
        json!({"subject": digest, "reason": "defective", "note": "x".repeat(1001)}),
        json!({"subject": digest, "reason": "defective", "extra": 1}),
        json!({"subject": digest}),
        Value::Null,
    ] {
        let request = admin.request(Method::POST, FEED).json(&body);
        expect(request.send().await.expect("an answer"), 400).await;
    }
    let text = format!("{:?}", feed(&registry).await);
    assert!(!text.contains("secret"), "{text}");
    let subject: Subject = packed.digest().to_string().parse().expect("a subject");
    assert_eq!(feed(&registry).await.revoked[0].subject, subject);
}
