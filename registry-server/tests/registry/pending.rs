// SPDX-License-Identifier: Apache-2.0
//! A public registry: nobody sees a version before its namespace has signed it, and where
//! people vet, before a reviewer has approved it.

use chrono::Duration;
use clap::Parser as _;
use registry_schema::{
    Digest, media_type,
    review::{Decided, Decision, Policy, REVIEW_PREDICATE, Vetting},
    signature::{Bundle, PublicKey, Purpose},
};
use registry_server::{
    Config, config,
    job::{self, pending},
    service::{account, namespace},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    engines,
    matrix::appearance,
    support::{
        TestRegistry, User, administrator, expect, header,
        package::{EMPTY, KeyPair, PackageBuilder, Packed},
        refused,
    },
};

pub(crate) fn public(mut config: Config) -> Config {
    config.policy.policy = Policy::Public;
    config
}

pub(crate) fn human(config: Config) -> Config {
    let mut config = public(config);
    config.policy.vetting = Vetting::Human;
    config
}

pub(crate) async fn register(registry: &TestRegistry, key: &KeyPair) {
    let (app, demo) = (&registry.app, "demo".parse().expect("a name"));
    let added = namespace::add_key(app, &administrator(), &demo, &key.public.to_pem()).await;
    added.expect("a registered key");
}

/// Runs the job that ends waits and attaches records.
async fn run_job(registry: &TestRegistry) {
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let ran = job::once(&registry.app, pending::job(), stopped).await;
    assert!(ran.expect("a run"));
}

/// Somebody who reviews, and belongs to no namespace.
async fn reviewer(registry: &TestRegistry, name: &str) -> User {
    let user = registry.user(name, None).await;
    let path = format!("/api/v1/accounts/{name}");
    let change = registry.admin.request(Method::PATCH, &path);
    let answer = change.json(&json!({"reviewer": true})).send().await;
    expect(answer.expect("an answer"), 200).await;
    user
}

async fn review(user: &User, version: &str, approve: bool) -> reqwest::Response {
    let path = format!("/api/v1/packages/demo/pass/versions/{version}/review");
    let body = json!({"approve": approve, "reason": "read it line by line"});
    let request = user.request(Method::PUT, &path).json(&body);
    request.send().await.expect("an answer")
}

/// Every address at which a version, or what it consists of, could show. `PKG` is the
/// package, `V` the version.
fn addresses(packed: &Packed, signature: &Digest) -> Vec<(&'static str, String)> {
    let digest = packed.digest();
    let child = Digest::sha256(&packed.manifest);
    let mut all: Vec<(&'static str, String)> = vec![
        ("GET", "/v2/PKG/manifests/V".to_owned()),
        ("HEAD", "/v2/PKG/manifests/V".to_owned()),
        ("GET", "/v2/PKG/manifests/latest".to_owned()),
        ("GET", format!("/v2/PKG/manifests/{digest}")),
        ("HEAD", format!("/v2/PKG/manifests/{digest}")),
        ("GET", format!("/v2/PKG/manifests/{child}")),
        ("GET", format!("/v2/PKG/manifests/{signature}")),
        ("GET", format!("/v2/PKG/manifests/{}", digest.tag(".sig"))),
        ("GET", "/v2/PKG/manifests/edge".to_owned()),
        ("GET", format!("/v2/PKG/referrers/{digest}")),
        ("GET", "/v2/PKG/tags/list".to_owned()),
        ("GET", "/v2/PKG/tags/list?n=1".to_owned()),
        ("GET", "/v2/_catalog".to_owned()),
        ("GET", "/api/v1/packages/PKG".to_owned()),
        ("GET", "/api/v1/packages/PKG/versions/V".to_owned()),
        ("GET", "/api/v1/packages/PKG/versions/V/reviews".to_owned()),
        ("GET", "/api/v1/packages/PKG/star".to_owned()),
        ("GET", "/api/v1/packages".to_owned()),
        ("GET", "/api/v1/search?q=passes".to_owned()),
        ("GET", "/packages/PKG".to_owned()),
        ("GET", "/packages/PKG/V".to_owned()),
        ("GET", "/packages/demo".to_owned()),
        ("GET", "/search?q=passes".to_owned()),
        ("GET", "/".to_owned()),
        ("GET", "/feed.atom".to_owned()),
        ("GET", "/feeds/demo".to_owned()),
        ("GET", "/feeds/PKG".to_owned()),
        ("GET", "/api/v1/namespaces/demo".to_owned()),
        ("GET", "/api/v1/namespaces".to_owned()),
    ];
    for blob in &packed.blobs {
        let digest = Digest::sha256(blob);
        all.push(("GET", format!("/v2/PKG/blobs/{digest}")));
        all.push(("HEAD", format!("/v2/PKG/blobs/{digest}")));
    }
    all
}

async fn ask(user: &User, method: &str, path: &str) -> reqwest::Response {
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let answer = user.request(method, path).send().await;
    answer.expect("an answer")
}

/// Two registries that differ in one thing: in the first a version waits. Whoever may not
/// publish cannot tell them apart, whatever they ask.
#[tokio::test]
async fn what_waits_looks_like_what_is_not_there() {
    for with_another in [false, true] {
        let (here, there) = (
            TestRegistry::start_with(public).await,
            TestRegistry::start_with(public).await,
        );
        let (key, unbound) = (KeyPair::new(7), KeyPair::new(8));
        for registry in [&here, &there] {
            register(registry, &key).await;
            if with_another {
                let other = PackageBuilder::new("demo/pass", "0.9.0").pack();
                expect(other.push(&registry.admin, "0.9.0").await, 201).await;
                key.push_bundle(&registry.admin, "demo/pass", &other.index)
                    .await;
            }
        }
        let mut builder = PackageBuilder::new("demo/pass", "1.0.0");
        "# Not to be seen\n".clone_into(&mut builder.readme);
        let packed = builder.pack();
        let answer = expect(packed.push(&here.admin, "1.0.0").await, 201).await;
        assert!(header(&answer, "warning").contains("waits"));
        expect(packed.push_tag(&here.admin, "edge").await, 201).await;
        let signature = unbound
            .push_bundle(&here.admin, "demo/pass", &packed.index)
            .await;
        let (payload, simple) = unbound.simple("demo/pass", &packed.index);
        here.admin.push_blob("demo/pass", &payload).await;
        let tag = packed.digest().tag(".sig");
        let put = here
            .admin
            .put_manifest("demo/pass", &tag, media_type::OCI_MANIFEST, &simple);
        expect(put.await, 201).await;
        let outside: Vec<_> = [
            ("anonymous", None),
            ("viewer", Some("viewer")),
            ("stranger", None),
        ]
        .into_iter()
        .collect();
        for (name, role) in outside {
            let mut pair = Vec::new();
            for registry in [&here, &there] {
                pair.push(match name {
                    "anonymous" => registry.anonymous.clone(),
                    name => registry.user(name, role).await,
                });
            }
            let [sees, absent] = pair.try_into().unwrap_or_else(|_| unreachable!());
            for (method, path) in addresses(&packed, &signature) {
                // What both versions consist of may be seen.
                let shared = with_another && path.contains("/blobs/");
                if shared && !path.contains(&Digest::sha256(&packed.blobs[2]).to_string()) {
                    continue;
                }
                let path = path.replace("PKG", "demo/pass").replace('V', "1.0.0");
                let host = |registry: &TestRegistry| registry.app.host().to_owned();
                let one = appearance(ask(&sees, method, &path).await, &host(&here)).await;
                let two = appearance(ask(&absent, method, &path).await, &host(&there)).await;
                assert_eq!(one, two, "{name}: {method} {path}");
            }
            // What one may not read, one may not take over either.
            let blob = Digest::sha256(&packed.blobs[2]);
            let path = format!("/v2/demo/other/blobs/uploads/?mount={blob}&from=demo/pass");
            let answer = sees.post(&path).await;
            assert_ne!(answer.status(), 201, "{name}");
        }
        inside(&here, &packed, &signature).await;
    }
}

/// Who may publish sees it everywhere where it is named.
async fn inside(registry: &TestRegistry, packed: &Packed, signature: &Digest) {
    let mut users = vec![("administrator", registry.admin.clone())];
    for role in ["publisher", "maintainer", "owner"] {
        users.push((role, registry.user(role, Some(role)).await));
    }
    users.push(("reviewer", reviewer(registry, "critic").await));
    for (who, user) in &users {
        for (method, path) in addresses(packed, signature) {
            let named = path.starts_with("/v2/PKG/manifests/")
                || path.starts_with("/v2/PKG/blobs/")
                || path.contains("/versions/V")
                || path.starts_with("/packages/PKG")
                || path == "/api/v1/packages/PKG/star"
                || path == "/api/v1/packages/PKG";
            if !named || path.ends_with("latest") {
                continue;
            }
            let path = path.replace("PKG", "demo/pass").replace('V', "1.0.0");
            let answer = expect(ask(user, method, &path).await, 200).await;
            if path.starts_with("/v2/") && !path.contains("/blobs/") {
                let kept = header(&answer, "cache-control");
                assert!(!kept.contains("public"), "{who} {path}: {kept}");
            }
        }
        let tags = user.json("/v2/demo/pass/tags/list").await;
        let tags = tags["tags"].as_array().expect("tags").clone();
        assert!(tags.contains(&json!("1.0.0")), "{who}: {tags:?}");
        let detail = user.json("/api/v1/packages/demo/pass/versions/1.0.0").await;
        assert_eq!(detail["pending"]["waits_for"], "signature", "{who}");
        assert_eq!(detail["pending"]["threshold"], 1);
    }
    // A limited token of a publisher that may only pull sees what everybody sees.
    let limited = registry.with_token("publisher", &["demo/*:pull"]).await;
    let answer = limited.get("/v2/demo/pass/manifests/1.0.0").await;
    refused(answer, 404, "MANIFEST_UNKNOWN").await;
    // The answer to who may see it is not kept for who may not.
    let answer = registry
        .anonymous
        .get("/v2/demo/pass/manifests/1.0.0")
        .await;
    refused(answer, 404, "MANIFEST_UNKNOWN").await;
}

/// The records of a version, each checked with the registry's key.
async fn records(registry: &TestRegistry, version: &str) -> Vec<Decided> {
    let info = registry.anonymous.json("/api/v1/registry").await;
    let key = info["record_key"].as_str().expect("a key");
    let key = PublicKey::from_pem(key).expect("a key");
    let path = format!("/api/v1/packages/demo/pass/versions/{version}/reviews");
    let list = registry.admin.json(&path).await;
    let list = list.as_array().expect("a list").clone();
    list.iter()
        .map(|one| {
            let record = Bundle::parse(one["record"].to_string().as_bytes()).expect("a bundle");
            let statement = record.statement().expect("a statement");
            assert_eq!(statement.predicate_type, REVIEW_PREDICATE);
            let decided = serde_json::from_value(statement.predicate.clone());
            let decided: Decided = decided.expect("a decision");
            assert_eq!(decided.version.to_string(), version);
            let subject = &decided.digest;
            record.fits(&key, subject.into()).expect("this registry's");
            record
                .claims(subject, Purpose::Attestation)
                .expect("about this index");
            assert_eq!(one["decision"], decided.decision.as_str());
            decided
        })
        .collect()
}

/// The whole way of versions that are signed, before the tag and after it.
async fn story(registry: &TestRegistry) {
    let (admin, key) = (&registry.admin, KeyPair::new(7));
    let after = PackageBuilder::new("demo/pass", "1.0.0").pack();
    expect(after.push(admin, "1.0.0").await, 201).await;
    key.push_bundle(admin, "demo/pass", &after.index).await;
    let answer = registry
        .anonymous
        .get("/v2/demo/pass/manifests/1.0.0")
        .await;
    refused(answer, 404, "MANIFEST_UNKNOWN").await;
    // The key is bound later: what waits for it is published at once.
    register(registry, &key).await;
    expect(
        registry
            .anonymous
            .get("/v2/demo/pass/manifests/1.0.0")
            .await,
        200,
    )
    .await;
    let before = PackageBuilder::new("demo/pass", "1.1.0").pack();
    before.push_content(admin).await;
    key.push_bundle(admin, "demo/pass", &before.index).await;
    let answer = expect(before.push_tag(admin, "1.1.0").await, 201).await;
    assert_eq!(header(&answer, "warning"), "");
    // By a `.sig` tag alone.
    let simple = PackageBuilder::new("demo/pass", "1.2.0").pack();
    expect(simple.push(admin, "1.2.0").await, 201).await;
    let (payload, manifest) = key.simple("demo/pass", &simple.index);
    admin.push_blob("demo/pass", EMPTY).await;
    admin.push_blob("demo/pass", &payload).await;
    let tag = simple.digest().tag(".sig");
    let put = admin.put_manifest("demo/pass", &tag, media_type::OCI_MANIFEST, &manifest);
    expect(put.await, 201).await;
    let tags = registry.anonymous.json("/v2/demo/pass/tags/list").await;
    assert_eq!(tags["tags"], json!(["1.0.0", "1.1.0", "1.2.0", tag]));
    let latest = registry
        .anonymous
        .get("/v2/demo/pass/manifests/latest")
        .await;
    assert_eq!(latest.bytes().await.expect("a body"), simple.index);
    let found = registry.anonymous.json("/api/v1/search?q=passes").await;
    assert_eq!(found["packages"][0]["version"], "1.2.0");
    assert_eq!(found["packages"][0]["signature"], "signed");
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        let records = records(registry, version).await;
        assert_eq!(records.len(), 1, "{version}");
        assert_eq!(records[0].decision, Decision::Accepted);
        assert_eq!(records[0].decided_by, "");
    }
    // Content that is the same under another tag needs no second signature.
    for path in [
        format!("/v2/demo/pass/manifests/{}", after.digest()),
        format!("/v2/demo/pass/blobs/{}", Digest::sha256(&after.blobs[1])),
    ] {
        expect(registry.anonymous.get(&path).await, 200).await;
    }
    run_job(registry).await;
    let path = format!("/v2/demo/pass/referrers/{}", after.digest());
    let referrers = registry.anonymous.json(&path).await;
    let records: Vec<&Value> = referrers["manifests"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|one| one["annotations"][media_type::BUNDLE_PREDICATE] == REVIEW_PREDICATE)
        .collect();
    assert_eq!(records.len(), 1, "{referrers}");
    expires(registry).await;
}

/// What nobody signs goes after a day, and its bytes after their lease.
async fn expires(registry: &TestRegistry) {
    let admin = &registry.admin;
    let waits = PackageBuilder::new("demo/pass", "2.0.0").pack();
    expect(waits.push(admin, "2.0.0").await, 201).await;
    // The same again is no error, other content is.
    expect(waits.push_tag(admin, "2.0.0").await, 201).await;
    let mut other = PackageBuilder::new("demo/pass", "2.0.0");
    "# Other\n".clone_into(&mut other.readme);
    let other = other.pack();
    other.push_content(admin).await;
    let message = refused(other.push_tag(admin, "2.0.0").await, 409, "DENIED").await;
    assert!(message.contains("waits"), "{message}");
    // What it consists of cannot be taken away under it.
    let child = Digest::sha256(&waits.manifest);
    let answer = admin
        .delete(&format!("/v2/demo/pass/manifests/{child}"))
        .await;
    refused(answer, 409, "DENIED").await;
    registry.later(Duration::hours(23));
    run_job(registry).await;
    expect(admin.get("/v2/demo/pass/manifests/2.0.0").await, 200).await;
    registry.later(Duration::hours(1));
    run_job(registry).await;
    let answer = admin.get("/v2/demo/pass/manifests/2.0.0").await;
    refused(answer, 404, "MANIFEST_UNKNOWN").await;
    let log = admin.json("/api/v1/audit?namespace=demo").await;
    let log = log["entries"].as_array().expect("entries").clone();
    let ended = log.iter().find(|entry| entry["action"] == "version.expire");
    assert_eq!(ended.expect("an entry")["subject"], "demo/pass:2.0.0");
    // Its number is free again, and whoever pushed it may take it back by hand.
    expect(other.push_tag(admin, "2.0.0").await, 201).await;
    expect(admin.delete("/v2/demo/pass/manifests/2.0.0").await, 202).await;
    let answer = admin.get("/v2/demo/pass/manifests/2.0.0").await;
    refused(answer, 404, "MANIFEST_UNKNOWN").await;
}

#[tokio::test]
async fn signed_versions_are_published_on_sqlite() {
    let registry = TestRegistry::start_with(public).await;
    story(&registry).await;
    let report = registry_server::service::fsck::run(&registry.app).await;
    assert_eq!(report.expect("a check").problems, Vec::new());
}

#[tokio::test]
async fn signed_versions_are_published_on_postgresql() {
    let Some((_cluster, registry)) = engines::postgresql(public).await else {
        return;
    };
    story(&registry).await;
}

#[tokio::test]
async fn people_decide_where_people_vet() {
    let registry = TestRegistry::start_with(human).await;
    let (admin, key) = (&registry.admin, KeyPair::new(7));
    register(&registry, &key).await;
    let critic = reviewer(&registry, "critic").await;
    let publisher = registry.user("publisher", Some("publisher")).await;
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        let packed = PackageBuilder::new("demo/pass", version).pack();
        packed.push_content(&publisher).await;
        if version != "1.2.0" {
            key.push_bundle(&publisher, "demo/pass", &packed.index)
                .await;
        }
        let answer = expect(packed.push_tag(&publisher, version).await, 201).await;
        assert!(header(&answer, "warning").contains("a reviewer has approved"));
    }
    // What is not signed is not in the queue.
    let queue = critic.json("/api/v1/reviews").await;
    let versions: Vec<_> = queue.as_array().expect("a queue").iter().collect();
    assert_eq!(versions.len(), 2, "{queue}");
    assert_eq!(versions[0]["version"], "1.0.0");
    assert_eq!(versions[0]["pushed_by"], "publisher");
    let signer = format!("key:{}", key.public.fingerprint());
    assert_eq!(versions[0]["signers"], json!([signer]));
    expect(review(&publisher, "1.0.0", true).await, 403).await;
    expect(registry.anonymous.get("/api/v1/reviews").await, 401).await;
    // The administrator of these tests owns the namespace: nobody approves their own work.
    let answer = expect(review(admin, "1.0.0", true).await, 403).await;
    let problem: Value = answer.json().await.expect("a problem");
    assert_eq!(problem["type"], "own-review");
    expect(review(&critic, "1.2.0", true).await, 404).await;
    expect(review(&critic, "1.0.0", true).await, 200).await;
    expect(review(&critic, "1.0.0", true).await, 404).await;
    expect(review(&critic, "1.1.0", false).await, 200).await;
    expect(
        registry
            .anonymous
            .get("/v2/demo/pass/manifests/1.0.0")
            .await,
        200,
    )
    .await;
    let answer = publisher.get("/v2/demo/pass/manifests/1.1.0").await;
    refused(answer, 404, "MANIFEST_UNKNOWN").await;
    for (version, decision) in [("1.0.0", Decision::Approved), ("1.1.0", Decision::Refused)] {
        let records = records(&registry, version).await;
        assert_eq!(records[0].decision, decision);
        assert_eq!(records[0].decided_by, "critic");
        assert_eq!(records[0].reason, "read it line by line");
    }
    // What was reviewed is no business of who may not see it.
    let path = "/api/v1/packages/demo/pass/versions/1.1.0/reviews";
    expect(registry.anonymous.get(path).await, 404).await;
    // Waiting for a reviewer has no end.
    let last = PackageBuilder::new("demo/pass", "1.3.0").pack();
    last.push_content(&publisher).await;
    key.push_bundle(&publisher, "demo/pass", &last.index).await;
    expect(last.push_tag(&publisher, "1.3.0").await, 201).await;
    registry.later(Duration::days(30));
    run_job(&registry).await;
    assert_eq!(critic.json("/api/v1/reviews").await[0]["version"], "1.3.0");
    // A key that is taken away takes its versions out of the queue.
    let fingerprint = key.public.fingerprint();
    let demo = "demo".parse().expect("a name");
    let owner = administrator();
    let removed = namespace::remove_key(&registry.app, &owner, &demo, &fingerprint);
    removed.await.expect("a removed key");
    assert_eq!(critic.json("/api/v1/reviews").await, json!([]));
}

#[tokio::test]
async fn a_private_registry_takes_anything_and_says_so() {
    let registry = TestRegistry::start().await;
    let packed = PackageBuilder::new("demo/pass", "1.0.0").pack();
    expect(packed.push(&registry.admin, "1.0.0").await, 201).await;
    let found = registry.anonymous.json("/api/v1/search?q=passes").await;
    assert_eq!(found["packages"][0]["signature"], "unsigned");
    let info = registry.anonymous.json("/api/v1/registry").await;
    assert_eq!(
        (&info["policy"], &info["vetting"]),
        (&json!("private"), &Value::Null)
    );
    let page = registry.anonymous.get("/packages/demo/pass").await;
    let page = page.text().await.expect("a page");
    assert!(page.contains("Unsigned"));
}

#[tokio::test]
async fn a_licence_is_demanded() {
    let registry = TestRegistry::start_with(public).await;
    let builder = PackageBuilder::new("demo/pass", "1.0.0");
    let config = String::from_utf8(builder.config()).expect("UTF-8");
    for without in ["\"license\":\"\"", "\"license\":\"whatever I like\""] {
        let config = config.replace("\"license\":\"GPL-2.0-only OR MIT\"", without);
        let packed = builder.pack_with(config.into_bytes());
        let answer = packed.push(&registry.admin, "1.0.0").await;
        let message = refused(answer, 400, "MANIFEST_INVALID").await;
        assert!(message.contains("license"), "{message}");
    }
}

#[test]
fn reputation_is_no_mode_yet() {
    let parse = |mode: &str| {
        let arguments = ["bpfpkg-registry", "serve", "--data", "/nowhere"];
        let policy = ["--policy", "public", "--vetting", mode];
        config::Cli::try_parse_from([arguments.as_slice(), &policy].concat())
    };
    assert!(parse("human").is_ok() && parse("automated").is_ok());
    let refused = parse("reputation").expect_err("no such mode").to_string();
    assert!(refused.contains("ledger of evidence"), "{refused}");
    assert!(parse("anyhow").is_err());
}

#[tokio::test]
async fn only_administrators_make_reviewers() {
    let registry = TestRegistry::start_with(human).await;
    let critic = reviewer(&registry, "critic").await;
    let change = critic.request(Method::PATCH, "/api/v1/accounts/critic");
    let answer = change.json(&json!({"administrator": true})).send().await;
    expect(answer.expect("an answer"), 403).await;
    let own = critic.json("/api/v1/account").await;
    assert_eq!(own["reviewer"], true);
    let found = account::get(&registry.app, &administrator(), "critic").await;
    assert!(found.expect("an account").reviewer);
    // A limited token reviews nothing.
    let limited = registry.with_token("critic", &["demo/*:pull"]).await;
    expect(limited.get("/api/v1/reviews").await, 403).await;
}
