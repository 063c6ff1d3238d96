// SPDX-License-Identifier: Apache-2.0
//! The publish log: what is in it, that it only grows, and that tampering shows.

mod read;
mod tamper;
mod witness;

use registry_client::{
    log::{Checkpoints, LogError, LogKeys, advance, replay, same_tiles},
    registry::{ConnectOptions, Registry},
};
use registry_schema::{
    Namespace,
    account::NamespaceChange,
    api::Visibility,
    transparency::{Change, Entry, SignedCheckpoint, VerifierKey, merkle},
};
use registry_server::{
    app::App,
    service::{
        lifecycle, log,
        log::verify::{LogBreak, Whole, verify},
        namespace,
    },
    store,
};
use tempfile::TempDir;

use crate::{
    engines,
    support::{
        TestRegistry, administrator, expect,
        package::{KeyPair, PackageBuilder},
    },
};

/// Somebody who looks at a log now and then, and remembers.
pub(crate) struct Watcher {
    _dir: TempDir,
    pub(crate) kept: Checkpoints,
    keys: Option<LogKeys>,
}

impl Watcher {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().expect("a directory");
        let kept = Checkpoints::at(dir.path());
        Self {
            _dir: dir,
            kept,
            keys: None,
        }
    }

    /// Reads all of the log that a registry shows, and demands that it continues what was
    /// seen before.
    pub(crate) async fn look(&mut self, origin: &str) -> Result<SignedCheckpoint, LogError> {
        let registry = client(origin);
        if self.keys.is_none() {
            let key: VerifierKey = registry.log().await?.key.parse().expect("a key");
            self.keys = Some(key.into());
        }
        let keys = self.keys.as_ref().expect("just set");
        let head = advance(&registry, keys, &self.kept).await?;
        let mut leaves = Vec::new();
        let mut keep = |_: u64, entry: &[u8]| leaves.push(merkle::leaf(entry));
        replay(&registry, &self.kept, None, &head, &mut keep).await?;
        // What was added meanwhile is in wider tiles than these.
        if registry.log_checkpoint().await? == head.note().to_string() {
            same_tiles(&registry, &leaves).await?;
        }
        Ok(head)
    }
}

pub(crate) fn client(origin: &str) -> Registry {
    let host = origin.strip_prefix("http://").unwrap_or(origin);
    Registry::connect(host, &ConnectOptions::default()).expect("a host")
}

/// What `bpfpkg-registry log verify` finds.
pub(crate) async fn verified(registry: &TestRegistry) -> Result<Whole, LogBreak> {
    let verdict = verify(&registry.app.db, registry.app.log.verifier()).await;
    verdict.expect("a database")
}

/// Adds `number` entries about the namespace `demo`, all in one transaction.
pub(crate) async fn add(app: &App, number: u32) {
    let mut tx = app.db.begin().await.expect("a transaction");
    for number in 0..number {
        let change = Change::Epoch {
            package: "demo/pass".parse().expect("a name"),
            number,
        };
        log::say(app, &mut tx, change).await.expect("an entry");
    }
    tx.commit().await.expect("a commit");
    assert!(log::settle(app).await, "it is in the log");
}

/// The kinds and subjects of all entries, oldest first.
pub(crate) async fn said(registry: &TestRegistry) -> Vec<String> {
    let head = store::log::head(&registry.app.db).await.expect("a head");
    let leaves = store::log::leaves(&registry.app.db, 0, head.size);
    let say = |leaf: &String| {
        let entry = Entry::parse(leaf.as_bytes()).expect("an entry");
        format!("{} {}", entry.change().kind(), entry.change().subject())
    };
    leaves.await.expect("entries").iter().map(say).collect()
}

async fn show(registry: &TestRegistry, name: &Namespace, visibility: Visibility) {
    let change = NamespaceChange {
        visibility: Some(visibility),
        threshold: None,
    };
    let changed = namespace::change(&registry.app, &administrator(), name, &change).await;
    changed.expect("changed");
}

#[tokio::test]
async fn everything_that_counts_is_said_and_nothing_that_is_private() {
    let registry = TestRegistry::start().await;
    let (admin, everybody) = (&registry.admin, administrator());
    let (demo, secret): (Namespace, Namespace) = (
        "demo".parse().expect("name"),
        "secret".parse().expect("name"),
    );
    let key = KeyPair::new(7);
    let pem = key.public.to_pem();
    let added = namespace::add_key(&registry.app, &everybody, &demo, &pem).await;
    added.expect("a key");
    // Signed before its tag, and signed after.
    let before = PackageBuilder::new("demo/pass", "1.0.0").pack();
    before.push_content(admin).await;
    key.push_bundle(admin, "demo/pass", &before.index).await;
    expect(before.push_tag(admin, "1.0.0").await, 201).await;
    let after = PackageBuilder::new("demo/pass", "1.1.0").pack();
    expect(after.push(admin, "1.1.0").await, 201).await;
    key.push_bundle(admin, "demo/pass", &after.index).await;
    // Again: nothing happens, and nothing is said.
    expect(after.push(admin, "1.1.0").await, 201).await;
    let (package, version) = (
        "demo/pass".parse().expect("name"),
        "1.1.0".parse().expect("version"),
    );
    let reason = "slow".parse().expect("a reason");
    lifecycle::yank(&registry.app, &everybody, &package, &version, &reason)
        .await
        .expect("yanked");
    lifecycle::unyank(&registry.app, &everybody, &package, &version)
        .await
        .expect("back");
    let fingerprint = key.public.fingerprint();
    namespace::remove_key(&registry.app, &everybody, &demo, &fingerprint)
        .await
        .expect("removed");
    registry.user("bob", Some("publisher")).await;
    registry.user("eve", Some("viewer")).await;
    let hidden = PackageBuilder::new("secret/pass", "1.0.0").pack();
    expect(hidden.push(admin, "1.0.0").await, 201).await;
    let public = [
        "member.set demo",
        "identity.add demo",
        "publish demo/pass:1.0.0",
        "publish demo/pass:1.1.0",
        "sign demo/pass:1.1.0",
        "yank demo/pass:1.1.0",
        "unyank demo/pass:1.1.0",
        "identity.remove demo",
        "member.set demo",
    ];
    assert_eq!(said(&registry).await, public);
    // What was private is said when it is public.
    show(&registry, &secret, Visibility::Public).await;
    let mut all = public.to_vec();
    all.extend(["member.set secret", "publish secret/pass:1.0.0"]);
    assert_eq!(said(&registry).await, all);
    show(&registry, &secret, Visibility::Private).await;
    let hidden = PackageBuilder::new("secret/pass", "1.0.1").pack();
    expect(hidden.push(admin, "1.0.1").await, 201).await;
    assert_eq!(said(&registry).await, all);
    // The checkpoint is over just these, and the same after a restart.
    let head = store::log::head(&registry.app.db).await.expect("a head");
    let opened = SignedCheckpoint::open(head.checkpoint.as_bytes(), registry.app.log.verifier());
    assert_eq!(opened.expect("ours").checkpoint().size, 11);
    let registry = registry.restart().await;
    assert_eq!(
        store::log::head(&registry.app.db).await.expect("a head"),
        head
    );
    let first = store::log::leaves(&registry.app.db, 2, 3)
        .await
        .expect("entries");
    let first = Entry::parse(first[0].as_bytes()).expect("an entry");
    assert_eq!(first.change().identities(), [&fingerprint.into()]);
}

#[tokio::test]
async fn name_and_key_are_for_ever() {
    use registry_server::{
        Config, StartError,
        clock::{Clock, Random},
    };
    let dir = TempDir::new().expect("a directory");
    let start = async |origin: Option<&str>, key: Option<&str>| {
        let mut config = Config::local(dir.path());
        config.publish_log.publish_log_origin = origin.map(str::to_owned);
        config.publish_log.publish_log_key = key.map(|name| dir.path().join(name));
        let addr = "127.0.0.1:5000".parse().expect("an address");
        let opened = Box::pin(registry_server::open(
            config,
            addr,
            Clock::system(),
            Random::system(),
        ));
        let (app, _) = opened.await?;
        let key = app.log.verifier().to_string();
        app.db.close().await;
        Ok::<_, StartError>(key)
    };
    for (name, secret) in [("one.pem", "1".repeat(64)), ("two.pem", "2".repeat(64))] {
        // RFC 8410: the 16 bytes before the secret of an Ed25519 key.
        let der = hex::decode(format!("302e020100300506032b657004220420{secret}")).expect("hex");
        let base64 = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, der);
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n");
        std::fs::write(dir.path().join(name), pem).expect("written");
    }
    std::fs::write(dir.path().join("none.pem"), "no key").expect("written");
    let first = start(None, Some("one.pem")).await.expect("a first start");
    assert!(first.starts_with("127.0.0.1:5000/log+"), "{first}");
    assert_eq!(start(None, Some("one.pem")).await.expect("again"), first);
    let fixed = Some("127.0.0.1:5000/log");
    assert_eq!(
        start(fixed, Some("one.pem")).await.expect("by its name"),
        first
    );
    for (origin, key, part) in [
        (
            Some("other.example/log"),
            Some("one.pem"),
            "is called `127.0.0.1:5000/log` and not `other.example/log`",
        ),
        (None, Some("two.pem"), "but 127.0.0.1:5000/log+"),
        (None, None, "but 127.0.0.1:5000/log+"),
        (None, Some("none.pem"), "none.pem` cannot be used: "),
        (None, Some("absent.pem"), "absent.pem` cannot be used: "),
    ] {
        let refused = start(origin, key).await.expect_err("refused").to_string();
        assert!(refused.contains(part), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_append_to_one_log() {
    let Some((_cluster, one)) = engines::postgresql(|config| config).await else {
        return;
    };
    let other = one.replica().await;
    assert_eq!(one.app.log.verifier(), other.app.log.verifier());
    let mut watcher = Watcher::new();
    let work = |app: App| async move {
        for _ in 0..20 {
            add(&app, 7).await;
        }
    };
    let both: Vec<_> = [&one, &other, &one, &other]
        .map(|registry| tokio::spawn(work(registry.app.clone())))
        .into();
    for _ in 0..5 {
        for origin in [&one.origin, &other.origin] {
            watcher.look(origin).await.expect("one log");
        }
    }
    for task in both {
        task.await.expect("all entries");
    }
    let head = watcher.look(&one.origin).await.expect("one log");
    // And one for the namespace.
    assert_eq!(head.checkpoint().size, 4 * 20 * 7 + 1);
    assert_eq!(watcher.look(&other.origin).await.expect("the same"), head);
    assert_eq!(verified(&other).await.expect("whole").entries, 561);
}
