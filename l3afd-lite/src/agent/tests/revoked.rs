// SPDX-License-Identifier: Apache-2.0
//! What becomes of programs whose package is revoked while they run.

use chrono::{DateTime, TimeDelta, Utc};
use registry_client::memory::MemoryStore;
use registry_client::sign::KeyPair;
use registry_client::trust::{TrustStore, TrustedRoot};
use registry_schema::signature::KeyType;
use registry_schema::trust::revocation::{Feed, Reason, Revoked};
use registry_schema::trust::root::{RevocationTrust, Root, SignedRoot};

use super::{Node, runs};
use crate::agent::Agent;
use crate::config::OnRevoked;
use crate::fetch::Ask;

/// A trust file that pins a root for `127.0.0.1:1`, whose feed `key` signs.
fn pinned(key: &KeyPair, now: DateTime<Utc>) -> (TrustStore, SignedRoot) {
    let pem = key.public().to_pem();
    let root = Root {
        format: 1,
        registry: "127.0.0.1:1".to_owned(),
        version: 1,
        issued_at: now,
        expires_at: now + TimeDelta::days(1),
        keys: vec![pem.clone()],
        threshold: 1,
        log: None,
        revocation: Some(RevocationTrust {
            keys: vec![pem],
            threshold: 1,
        }),
        issuers: Vec::new(),
        sigstore: Vec::new(),
    };
    let mut envelope = root.to_envelope().unwrap();
    let signature = key.sign(&envelope.signing_input()).unwrap();
    envelope.add(key.fingerprint(), signature);
    let signed = SignedRoot::open(&envelope.to_json()).unwrap();
    let mut trust = TrustStore::default();
    trust.pin(TrustedRoot::new(signed.clone(), None).unwrap());
    (trust, signed)
}

/// The feed that revokes these subjects.
fn feed(key: &KeyPair, version: u64, now: DateTime<Utc>, subjects: &[String]) -> Vec<u8> {
    let revoked = subjects.iter().map(|subject| Revoked {
        subject: subject.parse().unwrap(),
        at: now,
        reason: Reason::Malicious,
        note: String::new(),
    });
    let feed = Feed {
        format: 1,
        registry: "127.0.0.1:1".to_owned(),
        version,
        issued_at: now,
        expires_at: now + TimeDelta::days(1),
        revoked: revoked.collect(),
    };
    let mut envelope = feed.to_envelope().unwrap();
    let signature = key.sign(&envelope.signing_input()).unwrap();
    envelope.add(key.fingerprint(), signature);
    envelope.to_json()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_while_it_runs_is_marked_or_taken_out() {
    let (node, now) = (Node::new(), crate::clock::now());
    let key = KeyPair::generate(KeyType::EcdsaP256).unwrap();
    let (trust, root) = pinned(&key, now);
    let file = node.dir.path().join("trust.toml");
    trust.save(&file).unwrap();
    let memory = MemoryStore::at(node.dir.path().join("seen"));
    memory.take_feed(&root, &feed(&key, 1, now, &[])).unwrap();
    let config = |on_revoked| {
        let mut config = node.config();
        config.trust.file = Some(file.clone());
        config.on_revoked = on_revoked;
        config
    };
    let agent = Agent::new(node.kernel.clone(), config(OnRevoked::Flag)).unwrap();
    agent.apply_chain(node.chain(&["a", "b"])).await.unwrap();
    assert_eq!(runs(&agent).0, ["test/a", "test/b"]);

    let bad = ["version:test/a:1.0.0".to_owned()];
    memory.take_feed(&root, &feed(&key, 2, now, &bad)).unwrap();
    agent.judge_again().await;
    agent.settle(Ask::Kept).await.unwrap();
    let status = agent.status().unwrap();
    let marks: Vec<_> = status.chains[0].programs.iter().collect();
    assert!(marks[0].revoked.as_ref().unwrap().contains("malicious"));
    assert_eq!(marks[1].revoked, None);
    assert_eq!(runs(&agent).0, ["test/a", "test/b"], "it goes on");
    let page = agent.metrics().unwrap();
    assert!(page.contains("l3afd_lite_program_revoked"), "{page}");
    // Nothing that is revoked is loaded anew.
    let report = agent.apply_chain(node.chain(&["a"])).await.unwrap();
    assert_eq!(report.worst().unwrap().reason, "verify::revoked");
    drop(agent);

    let agent = Agent::new(node.kernel.clone(), config(OnRevoked::Unload)).unwrap();
    agent.settle(Ask::Kept).await.unwrap();
    agent.settle(Ask::Kept).await.unwrap();
    assert_eq!(runs(&agent).0, ["test/b"], "it is taken out of its chain");
}
