// SPDX-License-Identifier: Apache-2.0
//! Signatures: before the tag, after it, by keys that come and go.

use registry_schema::{Namespace, media_type, name::RepositoryName};
use registry_server::{service::namespace, store::signatures};

use crate::support::{
    TestRegistry, administrator, expect,
    package::{EMPTY, KeyPair, PackageBuilder, Packed},
};

fn demo() -> Namespace {
    "demo".parse().expect("a name")
}

/// State and key of each signature of an index, in the order of arrival.
async fn states(registry: &TestRegistry, packed: &Packed) -> Vec<(String, Option<String>)> {
    let repository: RepositoryName = packed.repository.parse().expect("a name");
    let list = signatures::list(&registry.app.db, &repository, &packed.digest()).await;
    list.expect("signatures")
        .into_iter()
        .map(|one| (one.state, one.fingerprint))
        .collect()
}

async fn register(registry: &TestRegistry, key: &KeyPair) {
    let added = namespace::add_key(
        &registry.app,
        &administrator(),
        &demo(),
        &key.public.to_pem(),
    )
    .await;
    added.expect("a registered key");
}

#[tokio::test]
async fn before_the_tag_and_after_it() {
    let registry = TestRegistry::start().await;
    let key = KeyPair::new(7);
    register(&registry, &key).await;
    let verified = (
        "verified".to_owned(),
        Some(key.public.fingerprint().to_string()),
    );
    let before = PackageBuilder::new("demo/pass", "1.0.0").pack();
    before.push_content(&registry.admin).await;
    key.push_bundle(&registry.admin, "demo/pass", &before.index)
        .await;
    expect(before.push_tag(&registry.admin, "1.0.0").await, 201).await;
    assert_eq!(
        states(&registry, &before).await,
        std::slice::from_ref(&verified)
    );
    let after = PackageBuilder::new("demo/pass", "1.0.1").pack();
    expect(after.push(&registry.admin, "1.0.1").await, 201).await;
    key.push_bundle(&registry.admin, "demo/pass", &after.index)
        .await;
    assert_eq!(states(&registry, &after).await, [verified]);
    let keys = namespace::keys(&registry.app, &administrator(), &demo())
        .await
        .expect("keys");
    assert_eq!(keys[0].versions_signed, 2);
}

#[tokio::test]
async fn under_a_sig_tag() {
    let registry = TestRegistry::start().await;
    let (key, other) = (KeyPair::new(7), KeyPair::new(8));
    register(&registry, &key).await;
    let packed = PackageBuilder::new("demo/pass", "1.0.0").pack();
    expect(packed.push(&registry.admin, "1.0.0").await, 201).await;
    registry.admin.push_blob("demo/pass", EMPTY).await;
    // The tag may be set again: signatures are added to it.
    for (signer, state) in [(&other, "unknown_key"), (&key, "verified")] {
        let (payload, manifest) = signer.simple("demo/pass", &packed.index);
        registry.admin.push_blob("demo/pass", &payload).await;
        let tag = packed.digest().tag(".sig");
        let answer = registry
            .admin
            .put_manifest("demo/pass", &tag, media_type::OCI_MANIFEST, &manifest)
            .await;
        expect(answer, 201).await;
        let found = states(&registry, &packed).await;
        assert!(found.iter().any(|(found, _)| found == state), "{found:?}");
    }
}

#[tokio::test]
async fn a_key_may_be_registered_later_and_removed_again() {
    let registry = TestRegistry::start().await;
    let (key, other) = (KeyPair::new(7), KeyPair::new(8));
    register(&registry, &other).await;
    let packed = PackageBuilder::new("demo/pass", "1.0.0").pack();
    expect(packed.push(&registry.admin, "1.0.0").await, 201).await;
    key.push_bundle(&registry.admin, "demo/pass", &packed.index)
        .await;
    let fingerprint = Some(key.public.fingerprint().to_string());
    assert_eq!(
        states(&registry, &packed).await,
        [("unknown_key".to_owned(), fingerprint.clone())]
    );
    register(&registry, &key).await;
    assert_eq!(
        states(&registry, &packed).await,
        [("verified".to_owned(), fingerprint.clone())]
    );
    let removed = namespace::remove_key(
        &registry.app,
        &administrator(),
        &demo(),
        &key.public.fingerprint(),
    )
    .await;
    removed.expect("a removed key");
    assert_eq!(
        states(&registry, &packed).await,
        [("unknown_key".to_owned(), fingerprint.clone())]
    );
    register(&registry, &key).await;
    assert_eq!(
        states(&registry, &packed).await,
        [("verified".to_owned(), fingerprint)]
    );
}

#[tokio::test]
async fn a_signature_for_something_else_is_no_signature() {
    let registry = TestRegistry::start().await;
    let key = KeyPair::new(7);
    register(&registry, &key).await;
    let (one, two) = (
        PackageBuilder::new("demo/pass", "1.0.0").pack(),
        PackageBuilder::new("demo/pass", "1.0.1").pack(),
    );
    expect(one.push(&registry.admin, "1.0.0").await, 201).await;
    expect(two.push(&registry.admin, "1.0.1").await, 201).await;
    // The bundle is for `one`, the manifest that carries it refers to `two`.
    let (bundle, manifest) = key.bundle(&one.index);
    let moved = String::from_utf8(manifest)
        .expect("UTF-8")
        .replace(one.digest().as_str(), two.digest().as_str());
    registry.admin.push_blob("demo/pass", EMPTY).await;
    registry.admin.push_blob("demo/pass", &bundle).await;
    let answer = registry
        .admin
        .put_manifest(
            "demo/pass",
            "sig",
            media_type::OCI_MANIFEST,
            moved.as_bytes(),
        )
        .await;
    expect(answer, 201).await;
    assert_eq!(states(&registry, &two).await[0].0, "invalid");
    // Neither is junk of the right type, and pushing it is no error.
    let junk = String::from_utf8(key.bundle(&one.index).1).expect("UTF-8");
    let digest = registry.admin.push_blob("demo/pass", b"junk").await;
    let bundle_digest = registry_schema::Digest::sha256(&bundle);
    let junk = junk.replace(bundle_digest.as_str(), digest.as_str());
    let junk = junk.replace(&format!("\"size\":{}", bundle.len()), "\"size\":4");
    let answer = registry
        .admin
        .put_manifest(
            "demo/pass",
            "junk",
            media_type::OCI_MANIFEST,
            junk.as_bytes(),
        )
        .await;
    expect(answer, 201).await;
    assert_eq!(states(&registry, &one).await[0].0, "invalid");
}
