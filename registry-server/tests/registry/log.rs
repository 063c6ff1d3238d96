// SPDX-License-Identifier: Apache-2.0
//! The publish log: what is in it, that it only grows, and that tampering shows.

use registry_schema::{
    Namespace,
    account::NamespaceChange,
    api::Visibility,
    transparency::{Entry, SignedCheckpoint},
};
use registry_server::{
    service::{lifecycle, namespace},
    store,
};

use crate::support::{
    TestRegistry, administrator, expect,
    package::{KeyPair, PackageBuilder},
};

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
