// SPDX-License-Identifier: Apache-2.0
//! A node that has pinned the trust root of a registry: its publish log and its revocation
//! feed count.

use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use registry_client::copy::{Plan, Wanted};
use registry_client::export::{Part, TrustDocument, export};
use registry_client::registry::{ConnectOptions, Registry};
use registry_client::sign::{KeyPair, Signatory};
use registry_client::source::Source;
use registry_client::trust::{TrustStore, TrustedRoot};
use registry_schema::signature::{KeyType, PublicKey};
use registry_schema::trust::revocation::REVOCATION_TYPE;
use registry_schema::trust::root::{LogTrust, ROOT_TYPE, RevocationTrust, Root, SignedRoot};

use crate::node::Node;
use crate::registry::TestRegistry;
use crate::somebody;
use crate::support::sandbox::Sandbox;

/// A machine, a registry with a publish log, and who publishes there.
pub(crate) struct Trusted {
    pub(crate) sandbox: Sandbox,
    pub(crate) registry: TestRegistry,
    pub(crate) key: Signatory,
    pub(crate) public: PublicKey,
    root: KeyPair,
}

impl Trusted {
    /// A registry with the signed package `a`.
    pub(crate) fn new() -> Self {
        Self::with(TestRegistry::start())
    }

    /// The same, in another registry.
    pub(crate) fn with(registry: TestRegistry) -> Self {
        let sandbox = Sandbox::new();
        let (key, public) = somebody();
        registry.publish("a", "1.0.0", Some(&key));
        Self {
            sandbox,
            registry,
            key,
            public,
            root: KeyPair::generate(KeyType::Ed25519).unwrap(),
        }
    }

    /// A node that asks `host`, and trusts the publisher's key for it.
    pub(crate) fn node(&self, host: &str, rest: &str) -> Node<'_> {
        Node::new(&self.sandbox, host, &self.public.to_pem(), rest)
    }

    /// Pins a root for `host` on the node. It names the publish log of the registry, and its
    /// feed if that is for `host`.
    pub(crate) fn pin(&self, host: &str) -> SignedRoot {
        let registry = self.registry.host();
        let asked = connect(registry);
        let (log, feed) = self.registry.block_on(async {
            let log = asked.log().await.unwrap();
            (log, asked.feed_key().await.unwrap())
        });
        let root = Root {
            format: 1,
            registry: host.to_owned(),
            version: 1,
            issued_at: time(1_700_000_000),
            expires_at: time(4_000_000_000),
            keys: vec![self.root.public().to_pem()],
            threshold: 1,
            log: Some(LogTrust {
                origin: log.origin,
                keys: vec![log.key],
                witnesses: Vec::new(),
                witness_threshold: 0,
            }),
            revocation: (host == registry).then(|| RevocationTrust {
                keys: vec![feed],
                threshold: 1,
            }),
            issuers: Vec::new(),
            sigstore: Vec::new(),
        };
        let mut envelope = root.to_envelope().unwrap();
        let signature = self.root.sign(&envelope.signing_input()).unwrap();
        envelope.add(self.root.fingerprint(), signature);
        let signed = SignedRoot::open(&envelope.to_json()).unwrap();
        let mut trust = TrustStore::default();
        trust.pin(TrustedRoot::new(signed.clone(), None).unwrap());
        let file = self.sandbox.path().join("trust.toml");
        trust.save(&file).unwrap();
        signed
    }

    /// Writes packages, with all that they are judged by, as an archive, as `bpfpkg export`
    /// does.
    pub(crate) fn export(&self, names: &[&str], root: &SignedRoot, file: &str) -> PathBuf {
        let registry = connect(self.registry.host());
        let source = Source::from(&registry);
        let path = self.sandbox.path().join(file);
        self.registry.block_on(async {
            let mut parts = Vec::new();
            for name in names {
                let repository = format!("test/{name}").parse().unwrap();
                let plan = Plan::of(source, &repository, &Wanted::All).await.unwrap();
                parts.push(Part {
                    source,
                    repository,
                    plan,
                });
            }
            let document = |kind, bytes: Vec<u8>| TrustDocument {
                registry: registry.host().to_owned(),
                kind,
                bytes: bytes.into(),
            };
            let feed = registry.revocations().await.unwrap();
            let trust = [
                document(ROOT_TYPE, root.to_json()),
                document(REVOCATION_TYPE, feed),
            ];
            export(&path, &parts, &trust, &|_| {}).await.unwrap();
        });
        path
    }
}

fn connect(host: &str) -> Registry {
    Registry::connect(host, &ConnectOptions::default()).unwrap()
}

fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}
