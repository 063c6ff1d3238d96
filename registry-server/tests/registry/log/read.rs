// SPDX-License-Identifier: Apache-2.0
//! What anybody can read of the log, and check with it.

use registry_client::log::{Asked, LogFault, LogKeys, check_inclusion};
use registry_schema::{
    Digest, media_type,
    transparency::{Checkpoint, Proof},
};
use serde_json::Value;

use super::{Watcher, add, client, verified};
use crate::support::{TestRegistry, expect, header, package::PackageBuilder};

#[tokio::test]
async fn a_log_of_many_tiles_is_replayed_from_outside() {
    let registry = TestRegistry::start().await;
    let mut watcher = Watcher::new();
    // Sizes around the edges of tiles; the namespace is an entry too.
    for (number, size) in [(254, 255), (1, 256), (1, 257), (300, 557), (2100, 2657)] {
        add(&registry.app, number).await;
        let head = watcher.look(&registry.origin).await.expect("one log");
        assert_eq!(head.checkpoint().size, size);
        assert_eq!(verified(&registry).await.expect("whole").entries, size);
    }
    let everybody = &registry.anonymous;
    let full = expect(everybody.get("/log/tile/0/000").await, 200).await;
    assert_eq!(
        header(&full, "cache-control"),
        "public, max-age=31536000, immutable"
    );
    assert_eq!(header(&full, "content-type"), "application/octet-stream");
    assert_eq!(full.bytes().await.expect("a body").len(), 8192);
    let part = expect(everybody.get("/log/tile/1/000.p/10").await, 200).await;
    assert_eq!(
        header(&part, "cache-control"),
        "public, max-age=3600, immutable"
    );
    assert_eq!(part.bytes().await.expect("a body").len(), 320);
    let head = expect(everybody.get("/log/checkpoint").await, 200).await;
    assert_eq!(header(&head, "content-type"), "text/plain; charset=utf-8");
    assert_eq!(header(&head, "cache-control"), "public, max-age=1");
    for path in [
        "tile/0/010",
        "tile/0/010.p/98",
        "tile/1/000",
        "tile/1/000.p/11",
        "tile/2/000.p/1",
        "tile/entries/010",
        "tile/entries/010.p/98",
        "tile/0/x000/000",
        "tile/0/000.p/256",
        "tile/64/000",
        "tile/0/",
        "tile/",
        "tile/0/000/",
        "tile/0/000.p/0",
        "tile/entries/x001",
        "tile/63/x999/x999/x999/x999/x999/999",
        "tile/0/%30%30%30",
        "nothing",
    ] {
        expect(everybody.get(&format!("/log/{path}")).await, 404).await;
    }
}

fn asked(
    version: &str,
    digest: Digest,
) -> (
    registry_schema::PackageName,
    registry_schema::Version,
    Digest,
) {
    (
        "demo/pass".parse().expect("a name"),
        version.parse().expect("a version"),
        digest,
    )
}

fn check(
    bytes: &[u8],
    version: &str,
    digest: Digest,
    keys: &LogKeys,
) -> Result<Checkpoint, LogFault> {
    let (package, version, digest) = asked(version, digest);
    let asked = Asked {
        package: &package,
        version: &version,
        digest: &digest,
    };
    Ok(check_inclusion(bytes, asked, keys, None)?.checkpoint)
}

#[tokio::test]
async fn the_proof_comes_with_the_version() {
    let registry = TestRegistry::start().await;
    let (admin, everybody) = (&registry.admin, &registry.anonymous);
    let keys = LogKeys::from(registry.app.log.verifier().clone());
    let packed = PackageBuilder::new("demo/pass", "1.0.0").pack();
    expect(packed.push(admin, "1.0.0").await, 201).await;
    // As a referrer, up to the checkpoint of that moment.
    let digest = packed.digest();
    let path = format!(
        "/v2/demo/pass/referrers/{digest}?artifactType={}",
        media_type::LOG_PROOF
    );
    let list = everybody.json(&path).await;
    let referrers = list["manifests"].as_array().expect("a list");
    assert_eq!(referrers.len(), 1, "{list}");
    let manifest = referrers[0]["digest"].as_str().expect("a digest");
    let manifest = everybody
        .json(&format!("/v2/demo/pass/manifests/{manifest}"))
        .await;
    assert_eq!(manifest["layers"][0]["mediaType"], media_type::LOG_PROOF);
    let layer = manifest["layers"][0]["digest"]
        .as_str()
        .expect("a digest")
        .to_owned();
    let layer = expect(
        everybody.get(&format!("/v2/demo/pass/blobs/{layer}")).await,
        200,
    )
    .await;
    let layer = layer.bytes().await.expect("a body");
    let then = check(&layer, "1.0.0", digest.clone(), &keys).expect("included");
    assert_eq!(then.size, 2);
    // By the API, up to the last one.
    add(&registry.app, 300).await;
    let proof = async |version: &str| {
        let (package, version, _) = asked(version, digest.clone());
        client(&registry.origin).log_proof(&package, &version).await
    };
    let now = proof("1.0.0").await.expect("a proof");
    assert_eq!(
        check(&now, "1.0.0", digest.clone(), &keys)
            .expect("included")
            .size,
        302
    );
    // For this version and these bytes only.
    assert!(matches!(
        check(&now, "1.0.1", digest.clone(), &keys),
        Err(LogFault::OtherEntry { .. })
    ));
    assert!(matches!(
        check(&now, "1.0.0", Digest::sha256(b"other"), &keys),
        Err(LogFault::OtherDigest { .. })
    ));
    proof("1.0.1").await.expect_err("never published");
    // Pushed again, nothing is added.
    expect(packed.push(admin, "1.0.0").await, 201).await;
    assert_eq!(everybody.json(&path).await, list);
    // What is private has no proof, and to others does not exist.
    let hidden = PackageBuilder::new("secret/pass", "1.0.0").pack();
    expect(hidden.push(admin, "1.0.0").await, 201).await;
    let path = "/api/v1/packages/secret/pass/versions/1.0.0/proof";
    let seen: Value = expect(admin.get(path).await, 404)
        .await
        .json()
        .await
        .expect("JSON");
    assert_eq!(seen["type"], "not-logged");
    let hidden: Value = expect(everybody.get(path).await, 404)
        .await
        .json()
        .await
        .expect("JSON");
    assert_eq!(hidden["type"], "package-unknown");
    // A mirror's copy carries the same proof: every byte of it is needed.
    let text = String::from_utf8(now.to_vec()).expect("UTF-8");
    assert_eq!(text.parse::<Proof>().expect("a proof").to_string(), text);
}

#[tokio::test]
async fn pages_show_the_log() {
    let registry = TestRegistry::start().await;
    let packed = PackageBuilder::new("demo/pass", "1.0.0").pack();
    expect(packed.push(&registry.admin, "1.0.0").await, 201).await;
    let page = async |path: &str| {
        let answer = expect(registry.anonymous.get(path).await, 200).await;
        answer.text().await.expect("HTML")
    };
    let log = page("/log").await;
    let detail = registry.anonymous.json("/api/v1/log").await;
    for part in [
        detail["origin"].as_str().expect("a name"),
        "2 entries",
        "published",
        r#"href="/packages/demo/pass/1.0.0""#,
        "somebody may publish",
    ] {
        assert!(log.contains(part), "{part}: {log}");
    }
    let root = detail["root"].as_str().expect("a root");
    let escaped = root
        .replace('+', "&#43;")
        .replace('=', "&#61;")
        .replace('/', "&#47;");
    assert!(
        log.contains(root) || log.contains(&escaped),
        "{root}: {log}"
    );
    let version = page("/packages/demo/pass/1.0.0").await;
    assert!(
        version.contains("/api/v1/packages/demo/pass/versions/1.0.0/proof"),
        "{version}"
    );
    // Page by page in both directions, and of one namespace.
    add(&registry.app, 5).await;
    let list = async |query: &str| {
        registry
            .anonymous
            .json(&format!("/api/v1/log/entries?{query}"))
            .await
    };
    let places = |page: &Value| -> Vec<u64> {
        let entries = page["entries"].as_array().expect("entries");
        entries
            .iter()
            .map(|one| one["index"].as_u64().expect("a place"))
            .collect()
    };
    let newest = list("limit=3").await;
    assert_eq!(
        (places(&newest), newest["next"].as_u64()),
        (vec![6, 5, 4], Some(4))
    );
    let older = list("limit=10&before=4").await;
    assert_eq!(
        (places(&older), older.get("next")),
        (vec![3, 2, 1, 0], None)
    );
    let first = list("limit=3&from=0").await;
    assert_eq!(
        (places(&first), first["next"].as_u64()),
        (vec![0, 1, 2], Some(3))
    );
    assert_eq!(places(&list("namespace=demo&limit=1000").await).len(), 7);
    assert!(places(&list("namespace=secret").await).is_empty());
    for query in [
        "from=1&before=2",
        "from=-1",
        "limit=x",
        "namespace=a/b",
        "other=1",
    ] {
        expect(
            registry
                .anonymous
                .get(&format!("/api/v1/log/entries?{query}"))
                .await,
            400,
        )
        .await;
    }
}
