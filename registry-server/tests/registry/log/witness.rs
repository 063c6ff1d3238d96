// SPDX-License-Identifier: Apache-2.0
//! Witnesses hand in what they saw; it is kept and shown.

use registry_client::log::{Asked, LogFault, LogKeys, check_inclusion};
use registry_schema::transparency::{
    Checkpoint, SignedCheckpoint, SigningKey, merkle, note::KeyKind,
};
use reqwest::Method;
use serde_json::Value;

use super::{add, client};
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
        config.publish_log.publish_log_witness = keys.to_vec();
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
