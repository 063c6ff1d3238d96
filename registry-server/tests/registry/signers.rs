// SPDX-License-Identifier: Apache-2.0
//! Who signs for a namespace, how that changes, and what it does to what was earned.

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Duration, Utc};
use registry_schema::{
    Digest, Identity, Namespace,
    continuity::{CONTINUITY_PREDICATE, Continuity},
    signature::attestation,
};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::{
    engines,
    pending::public,
    support::{
        TestRegistry, User, expect,
        package::{KeyPair, PackageBuilder},
    },
};

fn demo() -> Namespace {
    "demo".parse().expect("a name")
}

async fn send(user: &User, method: Method, path: &str, body: &Value) -> Response {
    let request = user.request(method, path).json(body);
    request.send().await.expect("an answer")
}

async fn register(registry: &TestRegistry, key: &KeyPair) {
    let body = json!({"pem": key.public.to_pem()});
    let path = "/api/v1/namespaces/demo/keys";
    expect(send(&registry.admin, Method::POST, path, &body).await, 201).await;
}

/// Publishes a version of `demo/pass` with the signatures of `keys`, signatures first.
async fn publish(registry: &TestRegistry, version: &str, keys: &[&KeyPair]) {
    let packed = PackageBuilder::new("demo/pass", version).pack();
    packed.push_content(&registry.admin).await;
    for key in keys {
        let (admin, index) = (&registry.admin, &packed.index);
        key.push_bundle(admin, "demo/pass", index).await;
    }
    expect(packed.push_tag(&registry.admin, version).await, 201).await;
}

/// What `old` would say: that `new` may go on in its place.
fn says(registry: &TestRegistry, old: &KeyPair, new: &KeyPair) -> Continuity {
    Continuity {
        registry: registry.app.host().to_owned(),
        namespace: demo(),
        signer: old.public.fingerprint().into(),
        successor: new.public.fingerprint().into(),
        successor_key: Some(new.public.to_pem()),
        retires: true,
        at: registry.app.clock.now(),
    }
}

async fn hand_in(registry: &TestRegistry, bundle: &Value) -> Response {
    let path = "/api/v1/namespaces/demo/continuity";
    let body = json!({ "bundle": bundle });
    send(&registry.admin, Method::POST, path, &body).await
}

async fn revoke(
    registry: &TestRegistry,
    key: &KeyPair,
    end: &str,
    since: Option<DateTime<Utc>>,
) -> Response {
    let identity = Identity::from(key.public.fingerprint());
    let body = json!({"identity": identity, "end": end, "since": since, "note": "a test"});
    let path = "/api/v1/namespaces/demo/revocations";
    send(&registry.admin, Method::POST, path, &body).await
}

async fn detail(registry: &TestRegistry, version: &str) -> Value {
    let path = format!("/api/v1/packages/demo/pass/versions/{version}");
    registry.anonymous.json(&path).await
}

async fn epochs(registry: &TestRegistry) -> Vec<(u64, String)> {
    let package = registry.anonymous.json("/api/v1/packages/demo/pass").await;
    let epochs = package["epochs"].as_array().expect("epochs").clone();
    epochs
        .iter()
        .map(|epoch| {
            let number = epoch["number"].as_u64().expect("a number");
            (number, epoch["cause"].as_str().expect("a cause").to_owned())
        })
        .collect()
}

fn first() -> Vec<(u64, String)> {
    vec![(1, "first".to_owned())]
}

fn second() -> Vec<(u64, String)> {
    vec![(1, "first".to_owned()), (2, "signer".to_owned())]
}

/// E1: another signer, with and without a word of the old one.
async fn story(registry: &TestRegistry) {
    let (old, new) = (KeyPair::new(7), KeyPair::new(8));
    register(registry, &old).await;
    publish(registry, "1.0.0", &[&old]).await;
    let fan = registry.user("fan", None).await;
    let star = "/api/v1/packages/demo/pass/star";
    let given = send(&fan, Method::PUT, star, &json!({})).await;
    expect(given, 200).await;
    registry.later(Duration::hours(1));
    publish(registry, "1.1.0", &[&old]).await;
    assert_eq!(epochs(registry).await, first());
    // The new version has its own count, from 0; the package keeps what it earned.
    let seen = detail(registry, "1.1.0").await;
    assert_eq!(
        (&seen["stars"], &seen["version_stars"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(detail(registry, "1.0.0").await["version_stars"], 1);
    assert_eq!(seen["level"], "L1");

    registry.later(Duration::hours(1));
    register(registry, &new).await;
    publish(registry, "2.0.0", &[&new]).await;
    assert_eq!(epochs(registry).await, second());
    let seen = detail(registry, "2.0.0").await;
    assert_eq!(
        (&seen["stars"], &seen["former_stars"]),
        (&json!(0), &json!(1))
    );
    let signers = json!([Identity::from(new.public.fingerprint())]);
    assert_eq!(seen["epoch"]["signers"], signers);
    let page = registry.anonymous.get("/packages/demo/pass").await;
    let page = page.text().await.expect("a page");
    assert!(page.contains("1 earned under earlier signers"), "{page}");
    let feed = registry.anonymous.get("/feeds/demo/pass").await;
    let feed = feed.text().await.expect("a feed");
    assert!(feed.contains("demo/pass: other signers"), "{feed}");
    let log = registry.admin.json("/api/v1/audit?namespace=demo").await;
    let entries = log["entries"].as_array().expect("entries").clone();
    let told = entries.iter().find(|one| one["action"] == "package.epoch");
    assert_eq!(told.expect("an entry")["detail"]["number"], 2);
    // Who gave a star before may give it again, to those who sign now.
    assert_eq!(fan.json(star).await["starred"], false);
    expect(send(&fan, Method::PUT, star, &json!({})).await, 200).await;
    let seen = detail(registry, "2.0.0").await;
    assert_eq!(
        (&seen["stars"], &seen["former_stars"]),
        (&json!(1), &json!(0))
    );

    // The old key names the new one, late: then nothing had changed.
    registry.later(Duration::hours(1));
    let statement = old.attest(&says(registry, &old, &new).statement());
    let accepted = expect(hand_in(registry, &statement).await, 201).await;
    let accepted: Value = accepted.json().await.expect("JSON");
    assert_eq!(accepted["bundle"], statement);
    assert_eq!(epochs(registry).await, first());
    let list = registry
        .anonymous
        .json("/api/v1/namespaces/demo/continuity")
        .await;
    assert_eq!(list.as_array().expect("a list").len(), 1);
    // It retired: what it signs now counts no more, what it signed does.
    registry.later(Duration::seconds(1));
    publish(registry, "2.1.0", &[&old]).await;
    assert_eq!(detail(registry, "2.1.0").await["signature"], "revoked");
    assert_eq!(detail(registry, "1.0.0").await["signature"], "signed");
    assert_eq!(epochs(registry).await, first());

    // It turns out that somebody else had the old key when it said so.
    let since = registry.app.clock.now() - Duration::minutes(90);
    let answer = revoke(registry, &old, "compromised", Some(since)).await;
    expect(answer, 201).await;
    assert_eq!(epochs(registry).await, second());
    let list = registry
        .anonymous
        .json("/api/v1/namespaces/demo/continuity")
        .await;
    assert_eq!(list[0]["void"], true);
    assert_eq!(detail(registry, "1.1.0").await["signature"], "signed");
}

#[tokio::test]
async fn another_signer_begins_a_new_epoch_on_sqlite() {
    story(&TestRegistry::start().await).await;
}

#[tokio::test]
async fn another_signer_begins_a_new_epoch_on_postgresql() {
    let Some((_cluster, registry)) = engines::postgresql(|config| config).await else {
        return;
    };
    story(&registry).await;
}

#[tokio::test]
async fn a_named_successor_goes_on_where_only_the_namespace_publishes() {
    let registry = TestRegistry::start_with(public).await;
    let (old, new) = (KeyPair::new(7), KeyPair::new(8));
    register(&registry, &old).await;
    publish(&registry, "1.0.0", &[&old]).await;
    // Not bound yet: it waits.
    publish(&registry, "1.1.0", &[&new]).await;
    let path = "/v2/demo/pass/manifests/1.1.0";
    expect(registry.anonymous.get(path).await, 404).await;
    let statement = old.attest(&says(&registry, &old, &new).statement());
    expect(hand_in(&registry, &statement).await, 201).await;
    expect(registry.anonymous.get(path).await, 200).await;
    assert_eq!(epochs(&registry).await, first());
    // The old one is superseded, and cannot sign the next.
    registry.later(Duration::seconds(1));
    publish(&registry, "1.2.0", &[&old]).await;
    let path = "/v2/demo/pass/manifests/1.2.0";
    expect(registry.anonymous.get(path).await, 404).await;
    let keys = registry
        .anonymous
        .json("/api/v1/namespaces/demo/keys")
        .await;
    let retired = json!(old.public.fingerprint());
    let mut keys = keys.as_array().expect("keys").iter();
    let retired = keys.find(|key| key["fingerprint"] == retired);
    assert_eq!(
        retired.expect("the old key")["revoked"]["end"],
        "superseded"
    );
    // What is revoked cannot be removed and bound again.
    let fingerprint = old.public.fingerprint().to_string().replace('/', "%2F");
    let path = format!("/api/v1/namespaces/demo/keys/{fingerprint}");
    expect(registry.admin.delete(&path).await, 404).await;
    let body = json!({"pem": old.public.to_pem()});
    let again = send(
        &registry.admin,
        Method::POST,
        "/api/v1/namespaces/demo/keys",
        &body,
    )
    .await;
    expect(again, 409).await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of faults")]
async fn a_statement_with_one_fault_is_refused_for_that_fault() {
    let registry = TestRegistry::start().await;
    let (old, new, stranger) = (KeyPair::new(7), KeyPair::new(8), KeyPair::new(9));
    register(&registry, &old).await;
    let good = || says(&registry, &old, &new);
    let now = registry.app.clock.now();
    let changed = |change: &dyn Fn(&mut Continuity)| {
        let mut statement = good();
        change(&mut statement);
        old.attest(&statement.statement())
    };
    let mut flipped = old.attest(&good().statement());
    let payload = flipped["dsseEnvelope"]["payload"].as_str().expect("text");
    let other = old.attest(&says(&registry, &old, &stranger).statement());
    assert_ne!(other["dsseEnvelope"]["payload"], payload);
    flipped["dsseEnvelope"]["payload"] = other["dsseEnvelope"]["payload"].clone();
    let elsewhere = attestation(
        &Digest::sha256(b"another subject"),
        CONTINUITY_PREDICATE,
        &json!(good()),
    );
    let kind = attestation(
        &Continuity::subject(&good().successor),
        "https://example.org/other",
        &json!(good()),
    );
    let mut more = json!(good());
    more["more"] = json!(1);
    let more = attestation(
        &Continuity::subject(&good().successor),
        CONTINUITY_PREDICATE,
        &more,
    );
    let cases: Vec<(&str, Value, u16, &str)> = vec![
        ("no bundle", json!({"a": 1}), 400, "malformed"),
        (
            "by a stranger",
            stranger.attest(&good().statement()),
            400,
            "not among",
        ),
        ("changed", flipped, 400, "does not fit"),
        ("another subject", old.attest(&elsewhere), 400, "not for"),
        ("another kind", old.attest(&kind), 400, "predicate type"),
        ("an unknown field", old.attest(&more), 400, "more"),
        (
            "another registry",
            changed(&|one| "other.example".clone_into(&mut one.registry)),
            400,
            "for registry `other.example`",
        ),
        (
            "another namespace",
            changed(&|one| one.namespace = "secret".parse().expect("a name")),
            400,
            "for namespace `secret`",
        ),
        (
            "in another's name",
            changed(&|one| one.signer = stranger.public.fingerprint().into()),
            400,
            "says it is by",
        ),
        (
            "too old",
            changed(&|one| one.at = now - Duration::days(8)),
            400,
            "7 days",
        ),
        (
            "from the future",
            changed(&|one| one.at = now + Duration::hours(1)),
            400,
            "7 days",
        ),
        (
            "without the key",
            changed(&|one| one.successor_key = None),
            400,
            "missing",
        ),
        (
            "with another key",
            changed(&|one| one.successor_key = Some(stranger.public.to_pem())),
            400,
            "it is",
        ),
        (
            "its own successor",
            changed(&|one| one.successor = one.signer.clone()),
            400,
            "own successor",
        ),
    ];
    for (fault, bundle, status, words) in cases {
        let answer = expect(hand_in(&registry, &bundle).await, status).await;
        let problem: Value = answer.json().await.expect("a problem");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(words), "{fault}: {detail}");
    }
    let keys = registry
        .anonymous
        .json("/api/v1/namespaces/demo/keys")
        .await;
    assert_eq!(keys.as_array().expect("keys").len(), 1);
    // A revoked identity names nobody, and nobody names it.
    register(&registry, &stranger).await;
    expect(revoke(&registry, &stranger, "compromised", None).await, 201).await;
    let by = stranger.attest(&says(&registry, &stranger, &new).statement());
    expect(hand_in(&registry, &by).await, 409).await;
    let to = old.attest(&says(&registry, &old, &stranger).statement());
    expect(hand_in(&registry, &to).await, 409).await;
    // And who does not maintain the namespace hands nothing in.
    let publisher = registry.user("publisher", Some("publisher")).await;
    let body = json!({"bundle": old.attest(&good().statement())});
    let path = "/api/v1/namespaces/demo/continuity";
    expect(send(&publisher, Method::POST, path, &body).await, 403).await;
}

#[tokio::test]
async fn a_compromised_key_loses_what_it_signed_since() {
    let registry = TestRegistry::start_with(public).await;
    let (key, thief) = (KeyPair::new(7), KeyPair::new(8));
    register(&registry, &key).await;
    publish(&registry, "1.0.0", &[&key]).await;
    registry.later(Duration::days(2));
    let stolen = registry.app.clock.now();
    registry.later(Duration::hours(1));
    publish(&registry, "1.1.0", &[&key]).await;
    let latest = async || {
        let answer = registry.anonymous.json("/api/v1/packages/demo/pass").await;
        answer["version"].as_str().expect("a version").to_owned()
    };
    assert_eq!(latest().await, "1.1.0");
    let ahead = registry.app.clock.now() + Duration::days(1);
    expect(
        revoke(&registry, &key, "compromised", Some(ahead)).await,
        400,
    )
    .await;
    expect(revoke(&registry, &thief, "compromised", None).await, 404).await;
    expect(
        revoke(&registry, &key, "compromised", Some(stolen)).await,
        201,
    )
    .await;
    let (before, after) = (
        detail(&registry, "1.0.0").await,
        detail(&registry, "1.1.0").await,
    );
    assert_eq!(
        (&before["signature"], &before["level"]),
        (&json!("signed"), &json!("L1"))
    );
    assert_eq!(
        (&after["signature"], &after["level"]),
        (&json!("revoked"), &json!("L0"))
    );
    assert_eq!(after["yanked"], true);
    assert_eq!(latest().await, "1.0.0");
    // Nobody takes that back.
    let yank = "/api/v1/packages/demo/pass/versions/1.1.0/yank";
    expect(registry.admin.delete(yank).await, 409).await;
    assert_eq!(latest().await, "1.0.0");
    let page = registry.anonymous.get("/packages/demo/pass/1.1.0").await;
    let page = page.text().await.expect("a page");
    assert!(page.contains("Signed by an identity that demo has revoked"));
    // Nodes learn of it, too.
    let feed = registry.anonymous.json("/api/v1/trust/revocations").await;
    let payload = BASE64_STANDARD.decode(feed["payload"].as_str().expect("a payload"));
    let payload: Value = serde_json::from_slice(&payload.expect("base64")).expect("JSON");
    let subject = json!(Identity::from(key.public.fingerprint()));
    assert_eq!(payload["revoked"][0]["subject"], subject);
    // What it signs from now on waits, and pushing an old signature again changes nothing.
    publish(&registry, "1.2.0", &[&key]).await;
    let path = "/v2/demo/pass/manifests/1.2.0";
    expect(registry.anonymous.get(path).await, 404).await;
    let packed = PackageBuilder::new("demo/pass", "1.0.0").pack();
    key.push_bundle(&registry.admin, "demo/pass", &packed.index)
        .await;
    assert_eq!(detail(&registry, "1.0.0").await["signature"], "signed");
    // From an earlier date on is stricter; a later one or less is not believed.
    expect(revoke(&registry, &key, "superseded", None).await, 404).await;
    let earlier = stolen - Duration::days(30);
    expect(
        revoke(&registry, &key, "compromised", Some(earlier)).await,
        201,
    )
    .await;
    assert_eq!(detail(&registry, "1.0.0").await["signature"], "revoked");
}

#[tokio::test]
async fn as_many_sign_as_the_namespace_demands() {
    let registry = TestRegistry::start_with(public).await;
    let keys = [KeyPair::new(7), KeyPair::new(8), KeyPair::new(9)];
    for key in &keys[..2] {
        register(&registry, key).await;
    }
    let path = "/api/v1/namespaces/demo";
    for number in [0, 17] {
        let body = json!({"threshold": number});
        expect(send(&registry.admin, Method::PATCH, path, &body).await, 400).await;
    }
    let change = send(
        &registry.admin,
        Method::PATCH,
        path,
        &json!({"threshold": 2}),
    )
    .await;
    let changed: Value = expect(change, 200).await.json().await.expect("JSON");
    assert_eq!(changed["threshold"], 2);
    let packed = PackageBuilder::new("demo/pass", "1.0.0").pack();
    expect(packed.push(&registry.admin, "1.0.0").await, 201).await;
    let version = "/v2/demo/pass/manifests/1.0.0";
    // The same key twice is one, a stranger's is none.
    for key in [&keys[0], &keys[0], &keys[2]] {
        key.push_bundle(&registry.admin, "demo/pass", &packed.index)
            .await;
        expect(registry.anonymous.get(version).await, 404).await;
    }
    let path = "/api/v1/packages/demo/pass/versions/1.0.0";
    let waits = registry.admin.json(path).await;
    assert_eq!(waits["pending"]["threshold"], 2);
    assert_eq!(
        waits["pending"]["signers"]
            .as_array()
            .expect("a list")
            .len(),
        1
    );
    keys[1]
        .push_bundle(&registry.admin, "demo/pass", &packed.index)
        .await;
    expect(registry.anonymous.get(version).await, 200).await;
}

#[tokio::test]
async fn people_and_jobs_sign_on_an_issuers_word() {
    let registry = TestRegistry::start().await;
    let path = "/api/v1/namespaces/demo/identities";
    let job = "oidc:https://token.example#https://forge.example/demo/*/.wf/release.yml@refs/tags/*";
    for (identity, status) in [
        (job, 201),
        (job, 201),
        ("oidc:https://token.example#**", 400),
        ("oidc:https://token.example#*/*", 400),
        ("oidc:http://token.example#me", 400),
        ("oidc:https://*.example#me", 400),
        (&format!("key:SHA256:{}", "A".repeat(43)), 400),
        ("somebody", 400),
    ] {
        let body = json!({"identity": identity});
        expect(
            send(&registry.admin, Method::POST, path, &body).await,
            status,
        )
        .await;
    }
    let list = registry.anonymous.json(path).await;
    assert_eq!(list.as_array().expect("a list").len(), 1);
    assert_eq!(list[0]["identity"], job);
    let page = registry.anonymous.get("/packages/demo").await;
    assert!(page.text().await.expect("a page").contains("release.yml"));
    let encoded: String = url::form_urlencoded::byte_serialize(job.as_bytes()).collect();
    expect(
        registry.admin.delete(&format!("{path}/{encoded}")).await,
        204,
    )
    .await;
    expect(
        registry.admin.delete(&format!("{path}/{encoded}")).await,
        404,
    )
    .await;
    // One that is revoked stays known.
    let body = json!({"identity": job});
    expect(send(&registry.admin, Method::POST, path, &body).await, 201).await;
    let body = json!({"identity": job, "end": "compromised"});
    let revocations = "/api/v1/namespaces/demo/revocations";
    expect(
        send(&registry.admin, Method::POST, revocations, &body).await,
        201,
    )
    .await;
    expect(
        registry.admin.delete(&format!("{path}/{encoded}")).await,
        404,
    )
    .await;
    assert_eq!(
        registry.anonymous.json(path).await[0]["revoked"]["end"],
        "compromised"
    );
}
