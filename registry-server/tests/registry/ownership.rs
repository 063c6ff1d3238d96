// SPDX-License-Identifier: Apache-2.0
//! Whose a namespace is: names that are given once, what shows who stands behind them, and
//! handing them over.

use std::sync::{Arc, Mutex};

use chrono::Duration;
use registry_schema::{
    Namespace, TrustLevel,
    continuity::Continuity,
    namespace_identity::{NewProof, ProofKind},
};
use registry_server::{
    job::{self, ownership},
    service::{namespace, proof},
};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    engines,
    pending::human,
    support::{
        TestRegistry, User, administrator, expect,
        package::{KeyPair, PackageBuilder},
        problem,
    },
};

async fn send(user: &User, method: Method, path: &str, body: &Value) -> Response {
    let request = user.request(method, path).json(body);
    request.send().await.expect("an answer")
}

async fn run_job(registry: &TestRegistry) {
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let ran = job::once(&registry.app, ownership::job(), stopped).await;
    assert!(ran.expect("a run"));
}

async fn create(user: &User, name: &str, visibility: &str) -> Response {
    let body = json!({"name": name, "visibility": visibility});
    send(user, Method::POST, "/api/v1/namespaces", &body).await
}

#[tokio::test]
async fn a_name_is_given_once_and_none_that_looks_the_same() {
    let registry = TestRegistry::start().await;
    let (alice, mallory) = (
        registry.user("alice", None).await,
        registry.user("mallory", None).await,
    );
    expect(create(&alice, "net-ops", "public").await, 201).await;
    expect(create(&alice, "hidden-one", "private").await, 201).await;
    let refused = async |name: &str, kind: &str| {
        problem(create(&mallory, name, "public").await, 409, kind).await
    };
    refused("net-ops", "namespace-taken").await;
    for name in ["net_ops", "net.ops", "net--ops", "net-0ps", "net_0ps"] {
        let detail = refused(name, "name-looks-alike").await;
        assert!(detail.contains("net-ops"), "{name}: {detail}");
    }
    // Of what is private nothing is said but that the name cannot be had.
    let detail = refused("hidden_0ne", "name-looks-alike").await;
    assert!(!detail.contains("hidden-one"), "{detail}");
    // Paths of the product are taken, also in disguise.
    for name in ["admin", "adrnin", "t0ken"] {
        refused(name, "namespace-taken").await;
    }
    // Who deletes a namespace gives its name back to nobody.
    expect(alice.delete("/api/v1/namespaces/net-ops").await, 204).await;
    refused("net-ops", "namespace-taken").await;
    let detail = refused("net_ops", "name-looks-alike").await;
    assert!(!detail.contains("net-ops"), "{detail}");
    // Other scripts, cases and widths are no names at all.
    for name in [
        "nеt-ops",
        "NET-ops",
        "ｎet-ops",
        "net\u{200b}ops",
        "nét-ops",
    ] {
        expect(create(&mallory, name, "public").await, 400).await;
    }
}

#[tokio::test]
async fn packages_that_look_alike_are_refused_and_likenesses_are_noted() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    let push = async |user: &User, name: &str| {
        let packed = PackageBuilder::new(name, "1.0.0").pack();
        packed.push(user, "1.0.0").await
    };
    expect(push(admin, "demo/xdp-root").await, 201).await;
    for name in ["demo/xdp_root", "demo/xdp.root", "demo/xdp-r00t"] {
        let answer = expect(push(admin, name).await, 409).await;
        let text = answer.text().await.expect("text");
        assert!(text.contains("`demo/xdp-root`"), "{name}: {text}");
    }
    // The next version needs no new name.
    let next = PackageBuilder::new("demo/xdp-root", "1.1.0").pack();
    expect(next.push(admin, "1.1.0").await, 201).await;
    // Somebody else may call theirs so; it is said.
    let mallory = registry.user("mallory", None).await;
    expect(create(&mallory, "dem0-tools", "public").await, 201).await;
    for (name, words) in [
        ("dem0-tools/xdp-root", "is called the same as demo/xdp-root"),
        (
            "dem0-tools/xdp-rot",
            "is one letter away from demo/xdp-root",
        ),
        ("dem0-tools/xdp-root-bpf", "adds nothing but a common word"),
    ] {
        expect(push(&mallory, name).await, 201).await;
        let path = format!("/api/v1/packages/{name}/versions/1.0.0");
        let detail = registry.anonymous.json(&path).await;
        let notes = detail["name_notes"].to_string();
        assert!(notes.contains(words), "{name}: {notes}");
        let page = registry.anonymous.get(&format!("/packages/{name}")).await;
        let page = page.text().await.expect("a page");
        assert!(page.contains("Mind the name"), "{name}");
    }
    // Who owns both is no impostor.
    expect(create(admin, "demo-more", "public").await, 201).await;
    expect(push(admin, "demo-more/xdp-root").await, 201).await;
    let path = "/api/v1/packages/demo-more/xdp-root/versions/1.0.0";
    let detail = registry.anonymous.json(path).await;
    let notes = detail["name_notes"].to_string();
    assert!(!notes.contains("demo/xdp-root"), "{notes}");
}

#[tokio::test]
async fn reviewers_are_told_of_a_name_that_is_like_another() {
    let registry = TestRegistry::start_with(human).await;
    let key = KeyPair::new(7);
    let mallory = registry.user("mallory", None).await;
    expect(create(&mallory, "other", "public").await, 201).await;
    for (namespace, user) in [("demo", &registry.admin), ("other", &mallory)] {
        let path = format!("/api/v1/namespaces/{namespace}/keys");
        let body = json!({"pem": key.public.to_pem()});
        expect(send(user, Method::POST, &path, &body).await, 201).await;
        let packed = PackageBuilder::new(&format!("{namespace}/firewall"), "1.0.0").pack();
        expect(packed.push(user, "1.0.0").await, 201).await;
        key.push_bundle(user, &packed.repository, &packed.index)
            .await;
        if namespace == "demo" {
            let critic = registry.user("critic", None).await;
            let change = json!({"reviewer": true});
            let path = "/api/v1/accounts/critic";
            expect(
                send(&registry.admin, Method::PATCH, path, &change).await,
                200,
            )
            .await;
            let path = "/api/v1/packages/demo/firewall/versions/1.0.0/review";
            let body = json!({"approve": true, "reason": "fine"});
            expect(send(&critic, Method::PUT, path, &body).await, 200).await;
        }
    }
    let queue = registry.admin.json("/api/v1/reviews").await;
    assert_eq!(queue[0]["package"], "other/firewall");
    let note = "its name is called the same as demo/firewall";
    assert_eq!(queue[0]["notes"], json!([note]));
}

/// A host that carries a file under the well-known path, which tests change.
async fn domain() -> (String, Arc<Mutex<String>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let answer = Arc::new(Mutex::new(
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
    ));
    let given = answer.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&buffer[..read]).into_owned();
            let text = given.lock().expect("a lock").clone();
            assert!(
                request.starts_with("GET /.well-known/bpfpkg.txt "),
                "{request}"
            );
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (format!("localhost:{port}"), answer)
}

fn file(text: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    )
}

fn demo() -> Namespace {
    "demo".parse().expect("a name")
}

async fn level(registry: &TestRegistry) -> (TrustLevel, String) {
    let path = "/api/v1/packages/demo/pass/versions/1.0.0";
    let detail = registry.anonymous.json(path).await;
    let level = serde_json::from_value(detail["level"].clone()).expect("a level");
    (level, detail["level_reasons"].to_string())
}

async fn proofs(registry: &TestRegistry) {
    let (host, answer) = domain().await;
    let (admin, key) = (&registry.admin, KeyPair::new(7));
    let packed = PackageBuilder::new("demo/pass", "1.0.0").pack();
    expect(packed.push(admin, "1.0.0").await, 201).await;
    assert_eq!(level(registry).await.0, TrustLevel::L0);
    let body = json!({"pem": key.public.to_pem()});
    let keys = "/api/v1/namespaces/demo/keys";
    expect(send(admin, Method::POST, keys, &body).await, 201).await;
    key.push_bundle(admin, "demo/pass", &packed.index).await;
    assert_eq!(level(registry).await.0, TrustLevel::L1);
    let path = "/api/v1/namespaces/demo/proofs";
    let body = json!({ "domain": host });
    let prove = async || {
        let found = expect(send(admin, Method::POST, path, &body).await, 200).await;
        found.json::<Value>().await.expect("JSON")
    };
    let found = prove().await;
    assert_eq!(found["valid"], false);
    assert!(
        found["failure"].as_str().expect("text").contains("404"),
        "{found}"
    );
    let line = found["line"].as_str().expect("a line").to_owned();
    let say = |text: String| *answer.lock().expect("a lock") = text;
    let redirect =
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    for (wrong, words) in [
        (file("something else\n"), "no line"),
        (file(&line[..line.len() - 1]), "no line"),
        (file(&format!("{line} and more")), "no line"),
        (file(&"x".repeat(70_000)), "larger"),
        (redirect.to_owned(), "302"),
        ("nonsense\r\n\r\n".to_owned(), "error"),
    ] {
        say(wrong);
        let found = prove().await;
        assert_eq!(found["valid"], false);
        let failure = found["failure"].as_str().expect("text");
        assert!(failure.contains(words), "{failure}");
    }
    say(file(&format!("# ours\r\n  {line}  \r\n")));
    assert_eq!(prove().await["valid"], true);
    let (reached, reasons) = level(registry).await;
    assert_eq!(reached, TrustLevel::L2, "{reasons}");
    // Everybody sees the domain, and only maintainers the line.
    let seen = registry.anonymous.json(path).await;
    assert_eq!(
        (&seen[0]["subject"], &seen[0]["line"]),
        (&json!(host), &Value::Null)
    );
    let page = registry.anonymous.get("/packages/demo").await;
    assert!(page.text().await.expect("a page").contains(&host));
    // It is looked at every day; when it is gone, it counts for 30 days more.
    say(file("gone\n"));
    registry.later(Duration::days(29));
    run_job(registry).await;
    assert_eq!(level(registry).await.0, TrustLevel::L2);
    registry.later(Duration::days(2));
    run_job(registry).await;
    let (reached, reasons) = level(registry).await;
    assert_eq!(reached, TrustLevel::L1);
    assert!(reasons.contains("lapsed"), "{reasons}");
    say(file(&line));
    registry.later(Duration::days(1));
    run_job(registry).await;
    assert_eq!(level(registry).await.0, TrustLevel::L2);
    let gone = format!("{path}/domain/{host}");
    expect(admin.delete(&gone).await, 204).await;
    expect(admin.delete(&gone).await, 404).await;
    assert_eq!(level(registry).await.0, TrustLevel::L1);
}

#[tokio::test]
async fn a_domain_shows_who_stands_behind_a_namespace_and_lapses() {
    let registry = TestRegistry::start_with(|mut config| {
        config.allow_private = vec![
            "127.0.0.0/8".parse().expect("a network"),
            "::1/128".parse().expect("a network"),
        ];
        config
    })
    .await;
    proofs(&registry).await;
}

#[tokio::test]
async fn no_address_that_only_the_server_reaches_is_asked() {
    let registry = TestRegistry::start().await;
    for domain in [
        "localhost",
        "localhost:80",
        "127.0.0.1",
        "[::1]",
        "169.254.169.254",
        "0x7f000001",
        "2130706433",
        "example.org/path",
        "example.org:8443",
        "user@example.org",
        "Example.org",
        "exämple.org",
        "example.org?x",
        "example.org#x",
        "",
        " ",
        "a b",
        "http://example.org",
        "..",
        ".",
    ] {
        let new = NewProof::Domain(domain.to_owned());
        let added = proof::add(&registry.app, &administrator(), &demo(), &new).await;
        assert!(added.is_err(), "{domain}");
    }
    let listed = proof::list(&registry.app, &administrator(), &demo()).await;
    assert!(listed.expect("a list").is_empty());
    // An issuer that the registry does not believe shows nothing.
    let forge = NewProof::Forge(
        "oidc:https://nobody.example#repo:a/*"
            .parse()
            .expect("a pattern"),
    );
    let added = proof::add(&registry.app, &administrator(), &demo(), &forge).await;
    assert!(added.is_err());
    assert_eq!(ProofKind::Forge.as_str(), "forge");
}

/// Offers `demo` to `bob`, who accepts.
async fn hand_over(registry: &TestRegistry, bob: &User) {
    let path = "/api/v1/namespaces/demo/transfer";
    let body = json!({"to": "bob"});
    expect(send(&registry.admin, Method::POST, path, &body).await, 201).await;
    let accept = format!("{path}/accept");
    expect(bob.post(&accept).await, 200).await;
}

async fn transfer(registry: &TestRegistry) {
    let (admin, old, new) = (&registry.admin, KeyPair::new(7), KeyPair::new(8));
    let bob = registry.user("bob", None).await;
    let eve = registry.user("eve", Some("publisher")).await;
    let keys = "/api/v1/namespaces/demo/keys";
    let body = json!({"pem": old.public.to_pem()});
    expect(send(admin, Method::POST, keys, &body).await, 201).await;
    let packed = PackageBuilder::new("demo/pass", "1.0.0").pack();
    packed.push_content(admin).await;
    old.push_bundle(admin, "demo/pass", &packed.index).await;
    expect(packed.push_tag(admin, "1.0.0").await, 201).await;
    registry.later(Duration::hours(1));

    let path = "/api/v1/namespaces/demo/transfer";
    let to = json!({"to": "bob"});
    expect(send(&eve, Method::POST, path, &to).await, 403).await;
    expect(
        send(admin, Method::POST, path, &json!({"to": "nobody"})).await,
        404,
    )
    .await;
    expect(
        send(admin, Method::POST, path, &json!({"to": "admin"})).await,
        404,
    )
    .await;
    expect(send(admin, Method::POST, path, &to).await, 201).await;
    expect(send(admin, Method::POST, path, &to).await, 409).await;
    // Nobody else may accept, and nobody but the two sees the offer.
    expect(eve.post(&format!("{path}/accept")).await, 404).await;
    assert_eq!(eve.json(path).await, Value::Null);
    assert_eq!(bob.json(path).await["from"], "admin");
    registry.later(Duration::days(10));
    run_job(registry).await;
    assert_eq!(admin.json(path).await["to"], "bob");
    // Bob does not want it, and then does.
    expect(bob.delete(path).await, 204).await;
    expect(bob.post(&format!("{path}/accept")).await, 404).await;
    hand_over(registry, &bob).await;
    let page = registry.anonymous.get("/packages/demo").await;
    assert!(
        page.text()
            .await
            .expect("a page")
            .contains("handed over from admin to bob")
    );
    registry.later(Duration::hours(71));
    run_job(registry).await;
    expect(send(&bob, Method::POST, keys, &body).await, 403).await;
    // The owner may still think better of it.
    expect(admin.delete(path).await, 204).await;
    hand_over(registry, &bob).await;
    registry.later(Duration::hours(73));
    run_job(registry).await;
    let members = bob.json("/api/v1/namespaces/demo/members").await;
    assert_eq!(members.as_array().expect("members").len(), 1, "{members}");
    assert_eq!(members[0]["account"], "bob");
    let second = PackageBuilder::new("demo/pass", "1.1.0").pack();
    let uploads = "/v2/demo/pass/blobs/uploads/";
    expect(eve.post(uploads).await, 403).await;
    // The old key signs no more, and what was earned was somebody else's.
    let listed = registry.anonymous.json(keys).await;
    assert_eq!(listed[0]["revoked"]["end"], "superseded");
    let package = registry.anonymous.json("/api/v1/packages/demo/pass").await;
    assert_eq!(package["epochs"][1]["cause"], "transfer");
    assert_eq!(package["epochs"][1]["signers"], json!([]));
    let body = json!({"pem": new.public.to_pem()});
    expect(send(&bob, Method::POST, keys, &body).await, 201).await;
    second.push_content(&bob).await;
    new.push_bundle(&bob, "demo/pass", &second.index).await;
    expect(second.push_tag(&bob, "1.1.0").await, 201).await;
    let package = registry.anonymous.json("/api/v1/packages/demo/pass").await;
    assert_eq!(package["epochs"].as_array().expect("epochs").len(), 2);
    let signer = format!("key:{}", new.public.fingerprint());
    assert_eq!(package["epochs"][1]["signers"], json!([signer]));
    let log = administrator();
    let found = namespace::get(&registry.app, &log, &demo()).await;
    assert!(found.is_ok());
}

#[tokio::test]
async fn a_namespace_is_handed_over_on_sqlite() {
    transfer(&TestRegistry::start().await).await;
}

#[tokio::test]
async fn a_namespace_is_handed_over_on_postgresql() {
    let Some((_cluster, registry)) = engines::postgresql(|config| config).await else {
        return;
    };
    transfer(&registry).await;
}

#[tokio::test]
async fn with_a_word_of_the_old_key_the_epoch_goes_on() {
    let registry = TestRegistry::start().await;
    let (admin, old, new) = (&registry.admin, KeyPair::new(7), KeyPair::new(8));
    let bob = registry.user("bob", None).await;
    let body = json!({"pem": old.public.to_pem()});
    let keys = "/api/v1/namespaces/demo/keys";
    expect(send(admin, Method::POST, keys, &body).await, 201).await;
    let packed = PackageBuilder::new("demo/pass", "1.0.0").pack();
    packed.push_content(admin).await;
    old.push_bundle(admin, "demo/pass", &packed.index).await;
    expect(packed.push_tag(admin, "1.0.0").await, 201).await;
    registry.later(Duration::hours(1));
    hand_over(&registry, &bob).await;
    let says = Continuity {
        registry: registry.app.host().to_owned(),
        namespace: demo(),
        signer: old.public.fingerprint().into(),
        successor: new.public.fingerprint().into(),
        successor_key: Some(new.public.to_pem()),
        retires: true,
        at: registry.app.clock.now(),
    };
    let body = json!({"bundle": old.attest(&says.statement())});
    let path = "/api/v1/namespaces/demo/continuity";
    expect(send(admin, Method::POST, path, &body).await, 201).await;
    registry.later(Duration::hours(73));
    run_job(&registry).await;
    let next = PackageBuilder::new("demo/pass", "1.1.0").pack();
    next.push_content(&bob).await;
    new.push_bundle(&bob, "demo/pass", &next.index).await;
    expect(next.push_tag(&bob, "1.1.0").await, 201).await;
    let package = registry.anonymous.json("/api/v1/packages/demo/pass").await;
    assert_eq!(package["epochs"].as_array().expect("epochs").len(), 1);
    assert_eq!(package["versions"][0]["signature"], "signed");
}
