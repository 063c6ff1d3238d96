// SPDX-License-Identifier: Apache-2.0
//! Reading, mounting and deleting blobs.

use registry_schema::{Digest, media_type};
use reqwest::Method;
use serde_json::json;

use crate::support::{TestRegistry, expect, header, package::descriptor, refused};

#[tokio::test]
async fn ranges_and_conditions() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    let content: Vec<u8> = (0..2000u32).map(|at| at.to_le_bytes()[0]).collect();
    let digest = admin.push_blob("demo/blobs", &content).await;
    let path = format!("/v2/demo/blobs/blobs/{digest}");
    for (range, part) in [
        ("bytes=500-1499", 500..1500),
        ("bytes=500-", 500..2000),
        ("bytes=-500", 1500..2000),
        ("bytes=1999-5000", 1999..2000),
    ] {
        let answer = admin
            .request(Method::GET, &path)
            .header("range", range)
            .send()
            .await;
        let answer = expect(answer.expect("an answer"), 206).await;
        assert_eq!(
            header(&answer, "content-range"),
            format!("bytes {}-{}/2000", part.start, part.end - 1)
        );
        assert_eq!(answer.bytes().await.expect("a body"), content[part]);
    }
    for range in ["bytes=500-0", "bytes=5000-10000"] {
        let answer = admin
            .request(Method::GET, &path)
            .header("range", range)
            .send()
            .await;
        let answer = expect(answer.expect("an answer"), 416).await;
        assert_eq!(header(&answer, "content-range"), "bytes */2000");
    }
    let whole = expect(admin.get(&path).await, 200).await;
    assert_eq!(header(&whole, "etag"), format!("\"{digest}\""));
    assert_eq!(
        header(&whole, "cache-control"),
        "public, max-age=31536000, immutable"
    );
    let etag = header(&whole, "etag").to_owned();
    let answer = admin
        .request(Method::GET, &path)
        .header("if-none-match", etag)
        .send()
        .await;
    expect(answer.expect("an answer"), 304).await;
    let secret = admin.push_blob("secret/blobs", &content).await;
    let answer = expect(
        admin.get(&format!("/v2/secret/blobs/blobs/{secret}")).await,
        200,
    )
    .await;
    assert_eq!(header(&answer, "cache-control"), "no-store");
}

#[tokio::test]
async fn a_blob_is_known_only_where_it_was_pushed() {
    let registry = TestRegistry::start().await;
    let alice = registry.user("alice", Some("publisher")).await;
    let digest = registry.admin.push_blob("secret/blobs", b"a secret").await;
    refused(
        alice.get(&format!("/v2/demo/x/blobs/{digest}")).await,
        404,
        "BLOB_UNKNOWN",
    )
    .await;
    let mount = |name: &str, from: &str| format!("/v2/{name}/blobs/uploads/?mount={digest}{from}");
    // Neither by name nor by digest alone does a mount tell what one may not read.
    for from in [
        "&from=secret/blobs",
        "",
        "&from=demo/nothing",
        "&from=NO%20NAME",
    ] {
        expect(alice.post(&mount("demo/x", from)).await, 202).await;
    }
    refused(
        alice.get(&format!("/v2/demo/x/blobs/{digest}")).await,
        404,
        "BLOB_UNKNOWN",
    )
    .await;
    expect(
        registry
            .admin
            .post(&mount("demo/x", "&from=secret/blobs"))
            .await,
        201,
    )
    .await;
    let answer = expect(alice.get(&format!("/v2/demo/x/blobs/{digest}")).await, 200).await;
    assert_eq!(answer.bytes().await.expect("a body").as_ref(), b"a secret");
    let answer = expect(alice.post(&mount("demo/y", "")).await, 201).await;
    assert_eq!(
        header(&answer, "location"),
        format!("/v2/demo/y/blobs/{digest}")
    );
}

#[tokio::test]
async fn a_mount_reads_no_more_than_its_token_may() {
    let registry = TestRegistry::start().await;
    let digest = registry.admin.push_blob("secret/blobs", b"a secret").await;
    let mount = format!(
        "{}/v2/demo/x/blobs/uploads/?mount={digest}&from=secret/blobs",
        registry.origin
    );
    let push = "/token?scope=repository:demo/x:pull,push";
    for (query, status) in [
        (push.to_owned(), 202),
        (format!("{push}&scope=repository:secret/blobs:pull"), 201),
    ] {
        let token = registry.admin.json(&query).await["token"].clone();
        let request = registry.anonymous.client.post(&mount);
        let request = request.bearer_auth(token.as_str().expect("a token"));
        let answer = request.header("content-length", 0).send().await;
        expect(answer.expect("an answer"), status).await;
    }
}

#[tokio::test]
async fn a_blob_in_use_stays() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    let digest = admin.push_blob("demo/used", b"{}").await;
    let manifest = json!({"schemaVersion": 2, "config": descriptor(media_type::OCI_EMPTY, b"{}"), "layers": []});
    let manifest = manifest.to_string();
    expect(
        admin
            .put_manifest(
                "demo/used",
                "one",
                media_type::OCI_MANIFEST,
                manifest.as_bytes(),
            )
            .await,
        201,
    )
    .await;
    let blob = format!("/v2/demo/used/blobs/{digest}");
    let message = refused(admin.delete(&blob).await, 409, "DENIED").await;
    let manifest = Digest::sha256(manifest.as_bytes());
    assert!(message.contains(manifest.as_str()), "{message}");
    expect(
        admin
            .delete(&format!("/v2/demo/used/manifests/{manifest}"))
            .await,
        202,
    )
    .await;
    expect(admin.delete(&blob).await, 202).await;
    refused(admin.delete(&blob).await, 404, "BLOB_UNKNOWN").await;
}

#[tokio::test]
async fn a_blob_that_rotted_on_disk_is_never_served_as_whole() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    let content = vec![7u8; 400_000];
    let digest = admin.push_blob("demo/rot", &content).await;
    let root = registry.dir.as_ref().expect("a directory").path();
    let file = root
        .join("blobs/sha256")
        .join(&digest.hex()[..2])
        .join(digest.hex());
    let mut bytes = std::fs::read(&file).expect("the blob");
    bytes[200_000] ^= 1;
    std::fs::write(&file, bytes).expect("a flipped bit");
    // The connection breaks off, before the head of the answer or within its body.
    let request = admin.request(Method::GET, &format!("/v2/demo/rot/blobs/{digest}"));
    if let Ok(answer) = request.send().await {
        assert!(answer.bytes().await.is_err(), "the body must break off");
    }
    // Pushing it again mends it.
    admin.push_blob("demo/rot", &content).await;
    let answer = admin.get(&format!("/v2/demo/rot/blobs/{digest}")).await;
    assert_eq!(answer.bytes().await.expect("a body"), content);
}
