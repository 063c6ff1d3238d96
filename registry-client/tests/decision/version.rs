// SPDX-License-Identifier: Apache-2.0
//! A version that is at hand with all that it is judged by, made of bytes alone.

use chrono::{DateTime, TimeDelta, Utc};
use registry_client::{
    pull::{Blob, FetchedPackage, FetchedSignature, Target},
    sign::KeyPair,
    trust::{TrustStore, TrustedKey, TrustedRoot},
    verify::{Asked, Basis},
};
use registry_schema::{
    Digest, PackageManifest, media_type,
    signature::statement,
    transparency::{Change, Checkpoint, Entry, Proof, SigningKey, merkle, note::KeyKind},
    trust::{
        revocation::{Feed, Reason, Revoked, Subject},
        root::{LogTrust, RevocationTrust, Root, SignedRoot},
    },
};
use serde_json::{Value, json};

pub(crate) const HOST: &str = "registry.example";
const TOML: &str = "[package]\nname = \"demo/pass\"\nversion = \"1.0.0\"\nsummary = \"Passes packets\"\n\
    license = \"GPL-2.0-only OR MIT\"\n[[object]]\npath = \"pass.bpf.o\"\ntarget = \"bpfel\"\n\
    [[program]]\nfunction = \"pass\"\ntype = \"xdp\"\n";
fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": Digest::sha256(bytes), "size": bytes.len()})
}

/// When everything is made.
pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).expect("a time")
}

/// The key of the log.
pub(crate) fn log() -> SigningKey {
    SigningKey::new(HOST, &[3; 32]).expect("a name")
}

/// What `reference` asks the registry for.
pub(crate) fn asked(reference: &str) -> Asked {
    let reference = reference.parse().expect("a reference");
    Asked::new(HOST, &reference, Target::native())
}

/// `version` of `demo/pass`, 20 kB, signed, with its proof.
pub(crate) fn package(key: &KeyPair, version: &str) -> FetchedPackage {
    let toml = TOML.replace("1.0.0", version);
    let manifest = PackageManifest::from_toml(&toml).expect("a manifest");
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
    let leaf = Entry::new(now(), change).to_bytes().expect("small");
    let checkpoint = Checkpoint {
        origin: HOST.to_owned(),
        size: 1,
        root: merkle::leaf(&leaf),
    };
    let proof = Proof {
        extra: Some(leaf),
        index: 0,
        path: Vec::new(),
        checkpoint: checkpoint.sign(&log()).note().to_string(),
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
        withdrawals: Vec::new(),
    }
}

/// Trusts `key` for everything there is: the root, the feed and the namespace. The root
/// counts for ten days, the feed for one.
pub(crate) fn basis(key: &KeyPair) -> Basis {
    let now = now();
    let pem = key.public().to_pem();
    let keys = vec![pem.clone()];
    let root = Root {
        format: 1,
        registry: HOST.to_owned(),
        version: 1,
        issued_at: now,
        expires_at: now + TimeDelta::days(10),
        keys: keys.clone(),
        threshold: 1,
        log: Some(LogTrust {
            origin: HOST.to_owned(),
            keys: vec![log().verifier(KeyKind::Text).to_string()],
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

    let namespace = "demo".parse().expect("a name");
    let trusted = TrustedKey::new(HOST, namespace, &pem, None).expect("a key");
    let mut trust = TrustStore::from_iter([trusted]);
    trust.pin(TrustedRoot::new(signed, None).expect("a root"));
    let mut basis = Basis::new(trust, now);
    let nothing_to_do_with_it = (0..1000u32)
        .map(|number| Subject::Digest(Digest::sha256(&number.to_be_bytes())))
        .collect();
    basis.memory.feed = Some(feed(key, nothing_to_do_with_it));
    basis
}

/// A feed that revokes `subjects`.
pub(crate) fn feed(key: &KeyPair, subjects: Vec<Subject>) -> Blob {
    let now = now();
    let revoked = subjects.into_iter().map(|subject| Revoked {
        subject,
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
    Blob(envelope.to_json())
}
