// SPDX-License-Identifier: Apache-2.0
//! Witnesses hand in what they saw; it is kept and shown.

use registry_client::log::{Asked, LogFault, LogKeys, check_inclusion};
use registry_schema::transparency::{
    Checkpoint, SignedCheckpoint, SigningKey, merkle, note::KeyKind,
};
use registry_server::service::log;
use reqwest::Method;
use serde_json::Value;

use super::{Watcher, add, client};
use crate::support::{TestRegistry, expect, package::PackageBuilder};

const TIME: u64 = 1_800_000_000;

async fn hand_in(registry: &TestRegistry, note: &str, status: u16) -> Value {
    let path = "/api/v1/log/cosignatures";
    let request = registry
        .anonymous
        .request(Method::POST, path)
        .body(note.to_owned());
    let answer = expect(request.send().await.expect("an answer"), status).await;
    answer.json().await.unwrap_or(Value::Null)
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story")]
async fn cosignatures_are_kept_and_shown() {
    let witness = |name: &str, seed| SigningKey::new(name, &[seed; 32]).expect("a name");
    let (one, two, stranger) = (
        witness("w.example/1", 1),
        witness("w.example/2", 2),
        witness("x.example", 3),
    );
    let keys = [&one, &two].map(|key| key.verifier(KeyKind::Witness));
    let registry = TestRegistry::start_with(|mut config| {
        config.publish_log.publish_log_witness = keys.iter().cloned().map(Into::into).collect();
        config
    })
    .await;
    let packed = PackageBuilder::new("demo/pass", "1.0.0").pack();
    expect(packed.push(&registry.admin, "1.0.0").await, 201).await;
    let log = LogKeys::from(registry.app.log.verifier().clone());
    let head = async || {
        let bytes = client(&registry.origin)
            .log_checkpoint()
            .await
            .expect("a checkpoint");
        log.open(&bytes).expect("signed")
    };
    let cosigned = |signed: &SignedCheckpoint, by: &[&SigningKey]| {
        let mut signed = signed.clone();
        let text = signed.note().text().to_owned();
        for key in by {
            signed.add(key.cosign(&text, TIME));
        }
        signed.note().to_string()
    };
    let first = head().await;
    hand_in(&registry, &cosigned(&first, &[&one]), 204).await;
    // Of two witnesses, one is enough, or not.
    let (package, version) = (
        "demo/pass".parse().expect("name"),
        "1.0.0".parse().expect("version"),
    );
    let digest = packed.digest();
    let asked = Asked {
        package: &package,
        version: &version,
        digest: &digest,
    };
    let proof = async || {
        client(&registry.origin)
            .log_proof(&package, &version)
            .await
            .expect("a proof")
    };
    let demands = |number| log.clone().with_witnesses(keys.to_vec(), number);
    let included = check_inclusion(&proof().await, asked, &demands(1), None).expect("included");
    assert_eq!(included.witnesses[0].time, TIME);
    assert_eq!(
        check_inclusion(&proof().await, asked, &demands(2), None),
        Err(LogFault::Witnesses {
            wanted: 2,
            actual: 1
        })
    );
    // The log goes on, and the proof still goes up to what was witnessed.
    add(&registry.app, 10).await;
    hand_in(&registry, &cosigned(&first, &[&two, &stranger]), 204).await;
    let included = check_inclusion(&proof().await, asked, &demands(2), None).expect("included");
    assert_eq!(included.checkpoint, *first.checkpoint());
    // The last checkpoint shows those who have seen it.
    let last = head().await;
    assert_eq!(last.cosignatures(&keys).expect("fit"), []);
    hand_in(&registry, &cosigned(&last, &[&two]), 204).await;
    assert_eq!(
        head().await.cosignatures(&keys).expect("fit")[0].witness,
        "w.example/2"
    );
    let detail = registry.anonymous.json("/api/v1/log").await;
    assert_eq!(detail["witnesses"][0]["size"], 2);
    assert_eq!(detail["witnesses"][1]["size"], 12);
    // Nothing else is taken.
    assert_eq!(
        hand_in(&registry, &cosigned(&last, &[&stranger]), 403).await["type"],
        "witness-unknown"
    );
    assert_eq!(
        hand_in(&registry, &last.note().text().replace("12", "11"), 400).await["type"],
        "publish-log"
    );
    let mut bent = last.clone();
    bent.add(one.cosign("something else\n", TIME));
    hand_in(&registry, &bent.note().to_string(), 400).await;
    for note in ["", "\n\n", "x", &"x".repeat(70_000)] {
        let answer = hand_in(&registry, note, if note.len() > 65_536 { 413 } else { 400 }).await;
        assert!(answer["detail"].is_string(), "{answer}");
    }
    // A checkpoint with another registry's signature, or of a log that is not this one.
    let foreign = Checkpoint {
        root: merkle::empty(),
        ..last.checkpoint().clone()
    }
    .sign(&witness(registry.app.log.origin(), 4));
    hand_in(&registry, &cosigned(&foreign, &[&one]), 400).await;
}

/// A witness as C2SP `tlog-witness` has it, for one log: it remembers, checks and cosigns.
async fn witness_of(
    log: LogKeys,
    key: SigningKey,
) -> (String, std::sync::Arc<std::sync::Mutex<u64>>) {
    use axum::{Router, http::StatusCode, routing::post};
    use registry_schema::transparency::{Hash, merkle::check_consistency};
    let seen = std::sync::Arc::new(std::sync::Mutex::new((0_u64, merkle::empty())));
    let asked = std::sync::Arc::new(std::sync::Mutex::new(0));
    let (times, state) = (asked.clone(), seen);
    let answer = move |body: String| {
        *times.lock().expect("a lock") += 1;
        let (head, note) = body.split_once("\n\n").expect("a blank line");
        let mut lines = head.lines();
        let old: u64 = lines
            .next()
            .and_then(|line| line.strip_prefix("old "))
            .expect("old")
            .parse()
            .expect("a size");
        let proof: Vec<Hash> = lines.map(|line| line.parse().expect("a hash")).collect();
        let signed = log.open(note.as_bytes()).expect("the log's signature");
        let (new, mut seen) = (signed.checkpoint(), state.lock().expect("a lock"));
        let answer = if old != seen.0 {
            (StatusCode::CONFLICT, format!("{}\n", seen.0))
        } else if check_consistency(old, &seen.1, new.size, &new.root, &proof).is_err() {
            (StatusCode::UNPROCESSABLE_ENTITY, String::new())
        } else {
            *seen = (new.size, new.root);
            (
                StatusCode::OK,
                format!("{}\n", key.cosign(signed.note().text(), TIME)),
            )
        };
        async move { answer }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}/w", listener.local_addr().expect("an address"));
    let router = Router::new().route("/w/add-checkpoint", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked)
}

#[tokio::test]
async fn witnesses_are_asked_and_believe_what_they_can_check() {
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJ\n-----END PRIVATE KEY-----\n";
    let log = SigningKey::from_pem("registry.example/log", pem).expect("a key");
    let keys = LogKeys::from(log.verifier(KeyKind::Text));
    let key = SigningKey::new("w.example/1", &[1; 32]).expect("a name");
    let verifier = key.verifier(KeyKind::Witness);
    let (url, asked) = witness_of(keys.clone(), key).await;
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), pem).expect("written");
    let registry = TestRegistry::start_with(|mut config| {
        config.publish_log.publish_log_key = Some(file.path().to_owned());
        config.publish_log.publish_log_origin = Some("registry.example/log".to_owned());
        let witness = format!("{verifier}@{url}").parse().expect("a witness");
        config.publish_log.publish_log_witness = vec![witness];
        config.allow_private = vec!["127.0.0.0/8".parse().expect("a network")];
        config
    })
    .await;
    let mut watcher = Watcher::new();
    for (more, size) in [(0, 1), (1, 2), (254, 256), (300, 556)] {
        add(&registry.app, more).await;
        log::run(&registry.app).await.expect("asked");
        let head = watcher.look(&registry.origin).await.expect("a log");
        assert_eq!(head.checkpoint().size, size);
        let by = head
            .cosignatures(std::slice::from_ref(&verifier))
            .expect("they fit");
        assert_eq!((by.len(), by[0].time), (1, TIME), "{size}");
    }
    assert_eq!(*asked.lock().expect("a lock"), 4);
    // What it has seen it is not asked for again.
    log::run(&registry.app).await.expect("nothing to do");
    assert_eq!(*asked.lock().expect("a lock"), 4);
    // The registry forgot how far that was, and is told.
    let registry_server::store::Db::Sqlite(_, writer, ..) = &registry.app.db else {
        unreachable!()
    };
    sqlx::query("delete from log_cosignatures")
        .execute(writer)
        .await
        .expect("deleted");
    add(&registry.app, 5).await;
    log::run(&registry.app).await.expect("asked twice");
    assert_eq!(*asked.lock().expect("a lock"), 6);
    let head = watcher.look(&registry.origin).await.expect("a log");
    assert_eq!(head.cosignatures(&[verifier]).expect("they fit").len(), 1);
}
