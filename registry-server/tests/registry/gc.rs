// SPDX-License-Identifier: Apache-2.0
//! What is garbage goes, and nothing else: leases, and the rules of namespaces.

use chrono::Duration;
use registry_schema::{Digest, media_type};
use registry_server::service::{fsck, gc};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    races::push_again,
    support::{TestRegistry, expect, package::PackageBuilder, refused},
};

pub(crate) const NAME: &str = "demo/garbage";

pub(crate) async fn collect(registry: &TestRegistry) -> gc::Report {
    gc::run(&registry.app, false).await.expect("a collection")
}

/// Puts a manifest with this config and these layers under `reference`.
pub(crate) async fn image(registry: &TestRegistry, reference: &str, blobs: &[&[u8]]) -> Digest {
    let admin = &registry.admin;
    let mut layers = Vec::new();
    for blob in blobs {
        let digest = push_again(registry, blob).await;
        let kind = "application/octet-stream";
        layers.push(json!({"mediaType": kind, "digest": digest, "size": blob.len()}));
    }
    let body = json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
        "config": layers[0], "layers": layers[1..]})
    .to_string();
    let put = admin.put_manifest(NAME, reference, media_type::OCI_MANIFEST, body.as_bytes());
    expect(put.await, 201).await;
    Digest::sha256(body.as_bytes())
}

#[tokio::test]
async fn a_blob_stays_while_it_is_leased_and_while_it_is_used() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    let loose = admin.push_blob(NAME, b"loose").await;
    let asked = admin.push_blob(NAME, b"asked").await;
    let manifest = image(&registry, "one", &[b"config", b"layer"]).await;
    let path = |digest: &Digest| format!("/v2/{NAME}/blobs/{digest}");
    assert_eq!(collect(&registry).await.blobs, 0);
    // Half of the lease is over: who asks whether to push is promised that it stays.
    registry.later(Duration::hours(20));
    expect(admin.head(&path(&asked)).await, 200).await;
    // A reader who could not push promises nothing to himself.
    expect(registry.anonymous.head(&path(&loose)).await, 200).await;
    registry.later(Duration::hours(5));
    let dry = gc::run(&registry.app, true).await.expect("a look");
    assert_eq!((dry.blobs, dry.contents), (1, 0));
    let report = collect(&registry).await;
    assert_eq!(
        (report.blobs, report.blob_bytes, report.contents),
        (1, 5, 0)
    );
    refused(admin.get(&path(&loose)).await, 404, "BLOB_UNKNOWN").await;
    expect(admin.get(&path(&asked)).await, 200).await;
    // The bytes follow an hour later.
    assert!(
        registry
            .app
            .blobs
            .size(&loose)
            .await
            .expect("an answer")
            .is_some()
    );
    registry.later(Duration::hours(2));
    let report = collect(&registry).await;
    assert_eq!((report.contents, report.content_bytes), (1, 5));
    assert_eq!(
        registry.app.blobs.size(&loose).await.expect("an answer"),
        None
    );
    // What a manifest uses stays for as long as it does.
    registry.later(Duration::days(400));
    collect(&registry).await;
    expect(admin.get(&path(&Digest::sha256(b"layer"))).await, 200).await;
    expect(
        admin
            .delete(&format!("/v2/{NAME}/manifests/{manifest}"))
            .await,
        202,
    )
    .await;
    assert_eq!(collect(&registry).await.blobs, 2);
    registry.later(Duration::hours(2));
    assert_eq!(collect(&registry).await.contents, 3);
    // What was collected can be pushed again.
    assert_eq!(admin.push_blob(NAME, b"loose").await, loose);
    expect(admin.get(&path(&loose)).await, 200).await;
    assert_eq!(
        fsck::run(&registry.app).await.expect("a check").problems,
        Vec::new()
    );
}

#[tokio::test]
async fn bytes_stay_as_long_as_any_repository_holds_them() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    let digest = admin.push_blob("demo/first", b"shared").await;
    registry.later(Duration::hours(20));
    let mount = format!("/v2/demo/second/blobs/uploads/?mount={digest}&from=demo/first");
    expect(admin.post(&mount).await, 201).await;
    registry.later(Duration::hours(5));
    assert_eq!(collect(&registry).await.blobs, 1);
    registry.later(Duration::hours(2));
    assert_eq!(collect(&registry).await.contents, 0);
    expect(
        admin.get(&format!("/v2/demo/second/blobs/{digest}")).await,
        200,
    )
    .await;
    refused(
        admin.get(&format!("/v2/demo/first/blobs/{digest}")).await,
        404,
        "BLOB_UNKNOWN",
    )
    .await;
    // Deleted by hand, it is gone at once, and its bytes later.
    expect(
        admin
            .delete(&format!("/v2/demo/second/blobs/{digest}"))
            .await,
        202,
    )
    .await;
    assert_eq!(collect(&registry).await.contents, 0);
    registry.later(Duration::hours(2));
    assert_eq!(collect(&registry).await.contents, 1);
}

#[tokio::test]
async fn what_a_crash_left_is_removed_when_it_is_old() {
    let registry = TestRegistry::start().await;
    let dir = registry.dir.as_ref().expect("a directory").path();
    let digest = Digest::sha256(b"left");
    let folder = dir.join("blobs/sha256").join(&digest.hex()[..2]);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join(digest.hex()), b"left").expect("a file");
    std::fs::write(folder.join("README"), b"not ours").expect("a file");
    let modified = std::fs::metadata(folder.join(digest.hex()))
        .expect("a file")
        .modified();
    let modified = chrono::DateTime::<chrono::Utc>::from(modified.expect("a time"));
    // The test's clock and the disk's differ: set the first by the second.
    registry.later(modified - registry.app.clock.now() + Duration::hours(1));
    assert_eq!(
        fsck::run(&registry.app).await.expect("a check").leftovers,
        1
    );
    assert_eq!(collect(&registry).await.orphans, 0);
    registry.later(Duration::days(3));
    assert_eq!(collect(&registry).await.orphans, 1);
    assert_eq!(
        registry.app.blobs.size(&digest).await.expect("an answer"),
        None
    );
    assert!(folder.join("README").exists());
    assert_eq!(
        fsck::run(&registry.app).await.expect("a check").leftovers,
        0
    );
}

#[tokio::test]
async fn a_namespace_holds_no_more_than_its_quota() {
    let registry = TestRegistry::start().await;
    let (admin, rules) = (&registry.admin, "/api/v1/namespaces/demo/storage");
    let owner = registry.user("olga", Some("owner")).await;
    let set = async |user: &crate::support::User, rules_text: Value| {
        let request = user.request(Method::PUT, rules).json(&rules_text);
        request.send().await.expect("an answer")
    };
    expect(set(&owner, json!({"quota_bytes": 1_000_000})).await, 403).await;
    expect(
        set(admin, json!({"quota_bytes": 10_000, "untagged_days": 0})).await,
        400,
    )
    .await;
    expect(set(admin, json!({"quota_bytes": 10_000})).await, 200).await;
    admin.push_blob(NAME, &[1; 6000]).await;
    assert_eq!(admin.json(rules).await["used_bytes"], 6000);
    // Too long to fit, found out while it arrives.
    let path = format!(
        "/v2/{NAME}/blobs/uploads/?digest={}",
        Digest::sha256(&[2; 6000])
    );
    let push = admin.request(Method::POST, &path).body(vec![2; 6000]);
    let message = refused(push.send().await.expect("an answer"), 413, "DENIED").await;
    assert!(
        message.contains("10000") && message.contains("6000"),
        "{message}"
    );
    // Of two that fit one by one, but not together, one is stored.
    let pushes = [3_u8, 4].map(|byte| {
        let content = vec![byte; 3000];
        let path = format!(
            "/v2/{NAME}/blobs/uploads/?digest={}",
            Digest::sha256(&content)
        );
        admin.request(Method::POST, &path).body(content).send()
    });
    let answers = futures::future::join_all(pushes).await;
    let statuses: Vec<u16> = answers
        .iter()
        .flatten()
        .map(|answer| answer.status().as_u16())
        .collect();
    assert!(
        statuses.contains(&201) && statuses.contains(&413),
        "{statuses:?}"
    );
    // Owners see it, and nobody from outside.
    expect(owner.get(rules).await, 200).await;
    expect(registry.user("eve", None).await.get(rules).await, 403).await;
    expect(set(admin, json!({})).await, 200).await;
    admin.push_blob(NAME, &vec![5; 60_000]).await;
}

#[tokio::test]
async fn rules_let_old_content_go_and_never_a_version() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    let packed = PackageBuilder::new("demo/garbage", "1.0.0").pack();
    expect(packed.push(admin, "1.0.0").await, 201).await;
    let mut images = Vec::new();
    for name in ["one", "two", "three"] {
        images.push(image(&registry, name, &[b"{}", name.as_bytes()]).await);
        registry.later(Duration::hours(1));
    }
    let untagged = image(&registry, "three", &[b"{}", b"another three"]).await;
    let rules = json!({"untagged_days": 10, "keep_tags": 2});
    let path = "/api/v1/namespaces/demo/storage";
    let set = admin.request(Method::PUT, path).json(&rules).send().await;
    expect(set.expect("an answer"), 200).await;
    registry.later(Duration::days(11));
    let dry = expect(
        admin.post(&format!("{path}/expire?dry_run=true")).await,
        200,
    )
    .await;
    let dry: Value = dry.json().await.expect("JSON");
    let tags = || async { admin.json(&format!("/v2/{NAME}/tags/list")).await["tags"].clone() };
    assert_eq!(tags().await, json!(["1.0.0", "one", "three", "two"]));
    let done = expect(admin.post(&format!("{path}/expire")).await, 200).await;
    let done: Value = done.json().await.expect("JSON");
    assert_eq!(tags().await, json!(["1.0.0", "three", "two"]));
    // The dry run could not know of the manifest that the removed tag leaves behind.
    let gone = |expired: &Value| {
        let contents = expired["contents"].as_array().expect("a list");
        contents
            .iter()
            .map(|content| content["digest"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(gone(&dry), [json!(images[0]), json!(images[2])]);
    assert_eq!(gone(&done).len(), 3);
    for digest in [&images[0], &images[2]] {
        let manifest = admin.get(&format!("/v2/{NAME}/manifests/{digest}")).await;
        refused(manifest, 404, "MANIFEST_UNKNOWN").await;
    }
    for kept in [&images[1], &untagged] {
        expect(
            admin.get(&format!("/v2/{NAME}/manifests/{kept}")).await,
            200,
        )
        .await;
    }
    // However old: a version is for ever.
    registry.later(Duration::days(4000));
    expect(admin.post(&format!("{path}/expire")).await, 200).await;
    collect(&registry).await;
    registry.later(Duration::hours(2));
    collect(&registry).await;
    expect(admin.get(&format!("/v2/{NAME}/manifests/1.0.0")).await, 200).await;
    for blob in &packed.blobs {
        let path = format!("/v2/{NAME}/blobs/{}", Digest::sha256(blob));
        expect(admin.get(&path).await, 200).await;
    }
    assert_eq!(
        fsck::run(&registry.app).await.expect("a check").problems,
        Vec::new()
    );
}
