// SPDX-License-Identifier: Apache-2.0
//! The whole decision about a version that is at hand: root, signature, contents, log proof
//! and a feed of a thousand revocations. Prints what this machine did.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use registry_client::{
    pull::{Blob, FetchedPackage, FetchedSignature, Target},
    sign::KeyPair,
    trust::{TrustStore, TrustedKey, TrustedRoot},
    verify::{Asked, Basis, verify},
};
use registry_schema::{
    Digest, PackageManifest, media_type,
    signature::{KeyType, statement},
    transparency::{Change, Checkpoint, Entry, Proof, SigningKey, merkle, note::KeyKind},
    trust::{
        revocation::{Feed, Reason, Revoked, Subject},
        root::{LogTrust, RevocationTrust, Root, SignedRoot},
    },
};
use serde_json::{Value, json};

const HOST: &str = "registry.example";
const TOML: &str = "[package]\nname = \"demo/pass\"\nversion = \"1.0.0\"\nsummary = \"Passes packets\"\n\
    license = \"GPL-2.0-only OR MIT\"\n[[object]]\npath = \"pass.bpf.o\"\ntarget = \"bpfel\"\n\
    [[program]]\nfunction = \"pass\"\ntype = \"xdp\"\n";
const TIMES: u32 = 1000;

fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": Digest::sha256(bytes), "size": bytes.len()})
}

/// A version of 20 kB, signed, with its proof.
fn package(key: &KeyPair, log: &SigningKey, now: DateTime<Utc>) -> FetchedPackage {
    let manifest = PackageManifest::from_toml(TOML).expect("a manifest");
    let (config, object) = (manifest.to_json().expect("JSON"), vec![7; 20_000]);
    let layers = json!({
        "schemaVersion": 2,
        "artifactType": media_type::PACKAGE,
        "config": descriptor(media_type::CONFIG, &config),
        "layers": [descriptor(media_type::OBJECT, &object)],
    })
    .to_string();
    let mut entry = descriptor(media_type::OCI_MANIFEST, layers.as_bytes());
    entry["annotations"] = json!({ media_type::ANNOTATION_TARGET: "bpfel" });
    let index = json!({
        "schemaVersion": 2,
        "artifactType": media_type::PACKAGE,
        "manifests": [entry],
    })
    .to_string()
    .into_bytes();
    let digest = Digest::sha256(&index);
    let bundle = key.sign_statement(&statement(&digest)).expect("signed");
    let change = Change::Publish {
        package: manifest.package.name.clone(),
        version: manifest.package.version,
        digest,
        signatures: Vec::new(),
    };
    let leaf = Entry::new(now, change).to_bytes().expect("small");
    let checkpoint = Checkpoint {
        origin: HOST.to_owned(),
        size: 1,
        root: merkle::leaf(&leaf),
    };
    let proof = Proof {
        extra: Some(leaf),
        index: 0,
        path: Vec::new(),
        checkpoint: checkpoint.sign(log).note().to_string(),
    };
    FetchedPackage {
        registry: HOST.to_owned(),
        package: manifest.package.name,
        target: Target::native(),
        index: Blob(index),
        manifest: Blob(layers.into_bytes()),
        config: Blob(config),
        object: Blob(object),
        signatures: vec![FetchedSignature::Bundle(Blob(bundle))],
        log_proofs: vec![Blob(proof.to_string().into_bytes())],
    }
}

fn basis(key: &KeyPair, log: &SigningKey, now: DateTime<Utc>) -> Basis {
    let pem = key.public().to_pem();
    let keys = vec![pem.clone()];
    let root = Root {
        format: 1,
        registry: HOST.to_owned(),
        version: 1,
        issued_at: now,
        expires_at: now + TimeDelta::days(1),
        keys: keys.clone(),
        threshold: 1,
        log: Some(LogTrust {
            origin: HOST.to_owned(),
            keys: vec![log.verifier(KeyKind::Text).to_string()],
            witnesses: Vec::new(),
            witness_threshold: 0,
        }),
        revocation: Some(RevocationTrust { keys, threshold: 1 }),
        issuers: Vec::new(),
        sigstore: Vec::new(),
    };
    let mut envelope = root.to_envelope().expect("a root");
    let signature = key.sign(&envelope.signing_input()).expect("signed");
    envelope.add(key.fingerprint(), signature);
    let signed = SignedRoot::open(&envelope.to_json()).expect("whole");

    let revoked = (0..1000u32).map(|number| Revoked {
        subject: Subject::Digest(Digest::sha256(&number.to_be_bytes())),
        at: now,
        reason: Reason::Defective,
        note: String::new(),
    });
    let feed = Feed {
        format: 1,
        registry: HOST.to_owned(),
        version: 1,
        issued_at: now,
        expires_at: now + TimeDelta::days(1),
        revoked: revoked.collect(),
    };
    let mut envelope = feed.to_envelope().expect("a feed");
    let signature = key.sign(&envelope.signing_input()).expect("signed");
    envelope.add(key.fingerprint(), signature);

    let namespace = "demo".parse().expect("a name");
    let trusted = TrustedKey::new(HOST, namespace, &pem, None).expect("a key");
    let mut trust = TrustStore::from_iter([trusted]);
    trust.pin(TrustedRoot::new(signed, None).expect("a root"));
    let mut basis = Basis::new(trust, now);
    basis.memory.feed = Some(Blob(envelope.to_json()));
    basis
}

fn main() {
    let now = DateTime::from_timestamp(1_790_000_000, 0).expect("a time");
    let log = SigningKey::new(HOST, &[3; 32]).expect("a name");
    for key_type in [KeyType::EcdsaP256, KeyType::Ed25519] {
        let key = KeyPair::generate(key_type).expect("a key");
        let (fetched, basis) = (package(&key, &log, now), basis(&key, &log, now));
        let reference = "demo/pass:1.0.0".parse().expect("a reference");
        let asked = Asked::new(HOST, &reference, Target::native());
        let began = Instant::now();
        for _ in 0..TIMES {
            let verified = verify(&fetched, &asked, &basis).expect("it holds");
            assert_eq!(verified.level, registry_schema::TrustLevel::L2);
        }
        let each = began.elapsed().as_secs_f64() * 1000.0 / f64::from(TIMES);
        println!("verify, {key_type:?}, with proof and 1000 revocations: {each:.3} ms");
    }
}
