// SPDX-License-Identifier: Apache-2.0
//! Telling others what happened: webhooks and feeds, and where nothing is sent.

use std::{
    future::Future,
    io::{BufRead, BufReader, Write},
    net::{IpAddr, TcpListener},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::Duration;
use hmac::{Hmac, Mac};
use registry_schema::federation::UpstreamMode::{Cache, Foreign};
use registry_server::{
    Config,
    network::Network,
    service::{
        outbound::{Lookup, Outbound},
        webhook,
    },
    store::{self, upstreams::Upstream},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestRegistry, User, expect, package::PackageBuilder};

/// Somebody who is told.
struct Receiver {
    url: String,
    heard: Arc<Mutex<Vec<Heard>>>,
    answer: Arc<Mutex<&'static str>>,
}

#[derive(Debug, Clone)]
struct Heard {
    id: String,
    timestamp: String,
    signature: String,
    body: String,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let heard = Arc::<Mutex<Vec<Heard>>>::default();
        let answer = Arc::new(Mutex::new("HTTP/1.1 204 No Content\r\n\r\n"));
        let (shared, said) = (Arc::clone(&heard), Arc::clone(&answer));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
                let one = hear(&mut reader);
                shared.lock().expect("not poisoned").push(one);
                let words = *said.lock().expect("not poisoned");
                let _ = stream.write_all(words.as_bytes());
            }
        });
        Self { url, heard, answer }
    }

    fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("not poisoned").clone()
    }

    fn answers(&self, words: &'static str) {
        *self.answer.lock().expect("not poisoned") = words;
    }
}

fn hear(reader: &mut impl BufRead) -> Heard {
    let mut heard = Heard {
        id: String::new(),
        timestamp: String::new(),
        signature: String::new(),
        body: String::new(),
    };
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) <= 2 {
            break;
        }
        let Some((name, value)) = line.trim().split_once(": ") else {
            continue;
        };
        match name {
            "webhook-id" => value.clone_into(&mut heard.id),
            "webhook-timestamp" => value.clone_into(&mut heard.timestamp),
            "webhook-signature" => value.clone_into(&mut heard.signature),
            "content-length" => length = value.parse().expect("a length"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    heard.body = String::from_utf8(body).expect("text");
    heard
}

async fn registry() -> TestRegistry {
    TestRegistry::start_with(|config| Config {
        allow_private: vec!["127.0.0.0/8".parse().expect("a network")],
        ..config
    })
    .await
}

async fn make(user: &User, url: &str, events: &[&str]) -> reqwest::Response {
    user.request(Method::POST, "/api/v1/namespaces/demo/webhooks")
        .json(&json!({"url": url, "events": events}))
        .send()
        .await
        .expect("an answer")
}

#[tokio::test]
async fn a_publish_is_told_signed_and_once() {
    let registry = registry().await;
    let receiver = Receiver::start();
    let bob = registry.user("bob", Some("publisher")).await;
    expect(make(&bob, &receiver.url, &[]).await, 403).await;
    expect(
        make(&registry.admin, &receiver.url, &["version.explode"]).await,
        400,
    )
    .await;
    let events = ["version.publish"];
    let made: Value = expect(make(&registry.admin, &receiver.url, &events).await, 201)
        .await
        .json()
        .await
        .expect("JSON");
    let secret = made["secret"].as_str().expect("a secret").to_owned();
    let listed = registry
        .admin
        .json("/api/v1/namespaces/demo/webhooks")
        .await;
    assert!(!listed.to_string().contains(&secret), "it is shown once");
    webhook::run(&registry.app).await.expect("a first look");

    let package = PackageBuilder::new("demo/pass", "1.0.0").pack();
    expect(package.push(&bob, "1.0.0").await, 201).await;
    webhook::run(&registry.app).await.expect("a run");
    webhook::run(&registry.app).await.expect("a run");
    let heard = receiver.heard();
    assert_eq!(heard.len(), 1, "{heard:?}");
    let body: Value = serde_json::from_str(&heard[0].body).expect("JSON");
    assert_eq!(body["type"], "version.publish");
    assert_eq!(body["data"]["subject"], "demo/pass:1.0.0");
    assert_eq!(body["data"]["actor"], "bob");
    assert_eq!(body["data"]["detail"]["digest"], package.digest().as_str());

    let key = BASE64_STANDARD
        .decode(secret.strip_prefix("whsec_").expect("the prefix"))
        .expect("base64");
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).expect("a key");
    let Heard {
        id,
        timestamp,
        body,
        ..
    } = &heard[0];
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    let expected = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(heard[0].signature, expected);
}

#[tokio::test]
async fn what_does_not_arrive_is_sent_again_and_at_last_switched_off() {
    let registry = registry().await;
    let receiver = Receiver::start();
    let made: Value = make(&registry.admin, &receiver.url, &[])
        .await
        .json()
        .await
        .expect("JSON");
    let id = made["id"].as_str().expect("an id").to_owned();
    let base = format!("/api/v1/namespaces/demo/webhooks/{id}");
    expect(registry.admin.post(&format!("{base}/test")).await, 202).await;
    receiver.answers("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n");
    webhook::run(&registry.app).await.expect("a run");
    webhook::run(&registry.app).await.expect("too early");
    assert_eq!(receiver.heard().len(), 1);
    let log = registry.admin.json(&format!("{base}/deliveries")).await;
    assert_eq!(log[0]["status"], 500);
    assert!(
        log[0]["next_at"].is_string() && log[0]["delivered_at"].is_null(),
        "{log}"
    );

    registry.later(Duration::seconds(11));
    receiver.answers("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    webhook::run(&registry.app).await.expect("a run");
    let heard = receiver.heard();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0].id, heard[1].id, "a receiver can tell repetitions");
    let log = registry.admin.json(&format!("{base}/deliveries")).await;
    assert!(log[0]["delivered_at"].is_string(), "{log}");

    // A redirect is no arrival, and is not followed.
    receiver.answers(
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
    );
    for _ in 0..3 {
        expect(registry.admin.post(&format!("{base}/test")).await, 202).await;
    }
    for _ in 0..40 {
        webhook::run(&registry.app).await.expect("a run");
        registry.later(Duration::hours(12));
    }
    let listed = registry
        .admin
        .json("/api/v1/namespaces/demo/webhooks")
        .await;
    assert!(listed[0]["disabled_at"].is_string(), "{listed}");
    let before = receiver.heard().len();
    webhook::run(&registry.app).await.expect("a run");
    assert_eq!(receiver.heard().len(), before, "it is off");

    receiver.answers("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    expect(registry.admin.post(&format!("{base}/test")).await, 202).await;
    webhook::run(&registry.app).await.expect("a run");
    let listed = registry
        .admin
        .json("/api/v1/namespaces/demo/webhooks")
        .await;
    assert!(listed[0]["disabled_at"].is_null(), "{listed}");
    expect(registry.admin.delete(&base).await, 204).await;
    expect(registry.admin.delete(&base).await, 404).await;
}

#[tokio::test]
async fn nothing_is_sent_into_networks_behind_the_server() {
    let registry = TestRegistry::start().await;
    for url in [
        "http://127.0.0.1:1/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://[::1]/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:7f00:1]/",
        "https://0/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://10.0.0.1/",
        "https://100.64.0.1/",
        "https://192.168.0.1/",
        "https://[fd00::1]/",
        "https://[fe80::1]/",
        "https://[64:ff9b::7f00:1]/",
        "http://1.1.1.1/",
        "ftp://1.1.1.1/",
        "file:///etc/passwd",
        "https:///",
        "x",
        "",
        "https://[::]/",
        "gopher://1.1.1.1/",
    ] {
        let answer = make(&registry.admin, url, &[]).await;
        let body: Value = expect(answer, 400).await.json().await.expect("a problem");
        assert_eq!(body["type"], "webhook", "{url}: {body}");
    }
    let listed = registry
        .admin
        .json("/api/v1/namespaces/demo/webhooks")
        .await;
    assert_eq!(listed, json!([]));
}

/// Says a public address the first time and this machine's ever after.
struct Rebinding(AtomicUsize);

impl Lookup for Rebinding {
    fn lookup(
        &self,
        _host: String,
    ) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>> {
        let first = self.0.fetch_add(1, Ordering::SeqCst) == 0;
        let address = if first { [1, 1, 1, 1] } else { [127, 0, 0, 1] };
        Box::pin(async move { Ok(vec![IpAddr::from(address)]) })
    }
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_not_followed() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let outbound = Outbound::new(&[], Arc::new(Rebinding(AtomicUsize::new(0))));
    let url = url::Url::parse(&format!("https://rebind.example:{port}/")).expect("a URL");
    outbound.check(&url).await.expect("public at first sight");
    let wait = std::time::Duration::from_secs(5);
    let error = outbound
        .client(wait)
        .expect("a client")
        .get(url)
        .send()
        .await
        .expect_err("refused");
    assert!(format!("{error:?}").contains("127.0.0.1"), "{error:?}");
    assert!(listener.accept().is_err(), "nobody came");
}

#[tokio::test]
async fn a_redirect_into_a_private_network_is_not_followed() {
    // The first hop is allowed by its address, the second is not.
    let secret = TcpListener::bind("127.0.0.2:0").expect("a port");
    secret.set_nonblocking(true).expect("a listener");
    let place = secret.local_addr().expect("an address");
    let public = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", public.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for mut stream in public.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
            let _ = hear(&mut reader);
            let words = format!(
                "HTTP/1.1 302 Found\r\nlocation: http://{place}/\r\ncontent-length: 0\r\n\r\n"
            );
            let _ = stream.write_all(words.as_bytes());
        }
    });
    let allowed: Network = "127.0.0.1/32".parse().expect("a network");
    let outbound = Outbound::new(&[allowed], Arc::new(Rebinding(AtomicUsize::new(0))));
    let client = outbound
        .client(std::time::Duration::from_secs(5))
        .expect("a client");
    assert!(client.get(url).send().await.is_err());
    assert!(secret.accept().is_err(), "nobody came");
}

#[tokio::test]
async fn feeds_tell_what_may_be_seen_and_nothing_else() {
    let registry = registry().await;
    let mut hostile = PackageBuilder::new("demo/pass", "1.0.0");
    hostile.readme = "]]></feed><script>".to_owned();
    expect(hostile.pack().push(&registry.admin, "1.0.0").await, 201).await;
    registry.later(Duration::seconds(60));
    let newer = PackageBuilder::new("demo/pass", "1.1.0").pack();
    expect(newer.push(&registry.admin, "1.1.0").await, 201).await;
    let hidden = PackageBuilder::new("secret/pass", "1.0.0").pack();
    expect(hidden.push(&registry.admin, "1.0.0").await, 201).await;

    for path in ["/feed.atom", "/feeds/demo", "/feeds/demo/pass"] {
        let answer = expect(registry.anonymous.get(path).await, 200).await;
        let kind = answer.headers()["content-type"]
            .to_str()
            .expect("text")
            .to_owned();
        assert!(kind.starts_with("application/atom+xml"), "{kind}");
        let text = answer.text().await.expect("text");
        assert!(!text.contains("secret/"), "{text}");
        let first = text.find("demo/pass 1.1.0").expect("the newer");
        let second = text.find("demo/pass 1.0.0").expect("the older");
        assert!(first < second, "the newest is first");
        well_formed(&text);
    }
    expect(registry.anonymous.get("/feeds/secret").await, 404).await;
    expect(registry.anonymous.get("/feeds/nowhere").await, 404).await;
    let own = expect(registry.admin.get("/feeds/secret").await, 200).await;
    assert!(
        own.text()
            .await
            .expect("text")
            .contains("secret/pass 1.0.0")
    );
}

/// Reads a document with another program's reader.
fn well_formed(text: &str) {
    let script = "import sys, xml.dom.minidom as m; d = m.parse(sys.stdin.buffer); \
        ns = 'http://www.w3.org/2005/Atom'; assert d.documentElement.namespaceURI == ns; \
        assert all(e.getElementsByTagNameNS(ns, n) for e in d.getElementsByTagNameNS(ns, 'entry') \
        for n in ('id', 'title', 'updated', 'author'))";
    let mut child = std::process::Command::new("python3")
        .args(["-c", script])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("python3");
    let mut pipe = child.stdin.take().expect("a pipe");
    pipe.write_all(text.as_bytes()).expect("written");
    drop(pipe);
    assert!(child.wait().expect("ends").success(), "{text}");
}

/// Upstreams, webhooks and feeds, as both databases must keep them. `demo` has versions, and
/// no operator has allowed anything.
pub(crate) async fn story(registry: &TestRegistry) {
    upstreams(registry).await;
    deliveries(registry).await;
    let feed = expect(registry.anonymous.get("/feeds/demo/pass").await, 200).await;
    let feed = feed.text().await.expect("text");
    assert!(feed.contains("demo/pass 1.1.0") && feed.contains("demo/pass 1.0.0"));
    well_formed(&feed);
}

async fn upstreams(registry: &TestRegistry) {
    let (db, now) = (&registry.app.db, registry.app.clock.now());
    let upstream = |mode, host: &str| Upstream {
        namespace: "demo".to_owned(),
        mode,
        host: host.to_owned(),
        plain_http: false,
        prefix: "demo".to_owned(),
        tag_seconds: 60,
        created_at: now,
        created_by: "admin".to_owned(),
    };
    let repository = "demo/pass".parse().expect("a name");
    let digest = registry_schema::Digest::sha256(b"elsewhere");
    let mut remote = store::upstreams::Remote {
        size_bytes: 9,
        host: "a".to_owned(),
        plain_http: true,
        source: "x/y".parse().expect("a name"),
    };
    let mut tx = db.begin().await.expect("a transaction");
    for one in [
        upstream(Cache, "a"),
        upstream(Cache, "b"),
        upstream(Foreign, "c"),
    ] {
        store::upstreams::insert(&mut tx, &one)
            .await
            .expect("inserted");
    }
    for host in ["a", "b"] {
        remote.host = host.to_owned();
        store::upstreams::note(&mut tx, &repository, &digest, &remote, now)
            .await
            .expect("noted");
    }
    let found = store::upstreams::find_in(&mut tx, &repository, &digest).await;
    assert_eq!(found.expect("found"), Some(remote.clone()));
    tx.commit().await.expect("committed");
    let hosts = |list: Vec<Upstream>| list.into_iter().map(|one| one.host).collect::<Vec<_>>();
    let listed = store::upstreams::list(db).await.expect("listed");
    assert_eq!(
        hosts(listed),
        ["a", "b", "c"],
        "in the order in which they are asked"
    );
    let mut tx = db.begin().await.expect("a transaction");
    store::upstreams::clear(&mut tx, "demo", Cache)
        .await
        .expect("cleared");
    let left = store::upstreams::of(&mut tx, "demo").await.expect("listed");
    assert_eq!(hosts(left), ["c"]);
    store::upstreams::clear(&mut tx, "demo", Foreign)
        .await
        .expect("cleared");
    tx.commit().await.expect("committed");
}

async fn deliveries(registry: &TestRegistry) {
    let db = &registry.app.db;
    let answer = make(&registry.admin, "https://1.1.1.1/hook", &[]).await;
    let made: Value = expect(answer, 201).await.json().await.expect("JSON");
    let base = format!(
        "/api/v1/namespaces/demo/webhooks/{}",
        made["id"].as_str().expect("an id")
    );
    // What was allowed when it was made need not be allowed for ever.
    let mut tx = db.begin().await.expect("a transaction");
    let moved = store::webhooks::Webhook {
        id: "moved".to_owned(),
        url: "https://127.0.0.1/".to_owned(),
        ..store::webhooks::list(db, "demo")
            .await
            .expect("listed")
            .remove(0)
    };
    store::webhooks::insert(&mut tx, &moved)
        .await
        .expect("inserted");
    tx.commit().await.expect("committed");
    expect(registry.admin.delete(&base).await, 204).await;
    let base = "/api/v1/namespaces/demo/webhooks/moved";
    expect(registry.admin.post(&format!("{base}/test")).await, 202).await;
    webhook::run(&registry.app).await.expect("a run");
    let log = registry.admin.json(&format!("{base}/deliveries")).await;
    let failure = log[0]["failure"].as_str().expect("a failure");
    assert!(failure.contains("127.0.0.1"), "{log}");
    expect(registry.admin.delete(base).await, 204).await;
}
