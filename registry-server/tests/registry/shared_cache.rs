// SPDX-License-Identifier: Apache-2.0
//! A careless cache that many people share, in front of the registry: it keys by address
//! alone, knows nothing of logins, and guesses how long it may keep what says nothing (R27).

use registry_schema::{Digest, media_type};
use serde_json::json;

use crate::support::{
    TestRegistry, User, expect, header,
    nginx::{self, Nginx, free_port},
    package::PackageBuilder,
};

/// One cache for everything; answers of 200, 401 and 404 that do not forbid it are kept.
const HTTP: &str = "proxy_cache_path HERE/cache keys_zone=shared:1m;";
const LOCATION: &str = "proxy_cache shared; proxy_cache_key $request_uri; \
                        proxy_cache_valid 200 401 403 404 10m; add_header X-Cache $upstream_cache_status always;";

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_what_was_kept_for_another() {
    if nginx::program().is_none() {
        eprintln!("\n*** nginx is not installed: the test of caches is SKIPPED. make setup ***\n");
        return;
    }
    let registry = TestRegistry::start().await;
    let server = format!("server {};", registry.app.host());
    let proxy = Nginx::start(free_port(), &[server], HTTP, LOCATION);
    let through = |user: &User| User {
        origin: proxy.origin.clone(),
        ..user.clone()
    };
    let (admin, anybody) = (through(&registry.admin), through(&registry.anonymous));
    while anybody.client.get(&proxy.origin).send().await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let member = registry.user("mary", None).await;
    registry.join("secret", "mary", "viewer").await;
    let member = through(&member);

    let blob = Digest::sha256(b"kept");
    for name in ["secret/x", "demo/x"] {
        registry.admin.push_blob(name, b"kept").await;
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "layers": [],
            "config": {"mediaType": "text/plain", "digest": blob, "size": 4}});
        let (kind, body) = (media_type::OCI_MANIFEST, manifest.to_string());
        let put = registry
            .admin
            .put_manifest(name, "one", kind, body.as_bytes());
        expect(put.await, 201).await;
    }
    let packed = PackageBuilder::new("secret/pass", "1.0.0").pack();
    expect(packed.push(&registry.admin, "1.0.0").await, 201).await;
    let paths = [
        format!("/v2/secret/x/blobs/{blob}"),
        "/v2/secret/x/manifests/one".to_owned(),
        "/v2/secret/x/tags/list".to_owned(),
        format!("/v2/secret/x/referrers/{blob}"),
        "/v2/secret/pass/manifests/1.0.0".to_owned(),
        "/v2/_catalog".to_owned(),
        "/api/v1/account".to_owned(),
        "/api/v1/packages/secret/pass".to_owned(),
        "/api/v1/search?q=pass".to_owned(),
        "/api/v1/namespaces".to_owned(),
        "/packages/secret/pass".to_owned(),
        "/search?q=pass".to_owned(),
        "/".to_owned(),
    ];
    for path in &paths {
        let direct = async |user: &User| {
            let user = User {
                origin: registry.origin.clone(),
                ..user.clone()
            };
            let answer = user.get(path).await;
            (answer.status(), answer.bytes().await.expect("a body"))
        };
        // Whoever comes first, and whoever after: each gets their own answer.
        for user in [&anybody, &admin, &anybody, &member, &anybody] {
            let answer = user.get(path).await;
            let cached = header(&answer, "x-cache").to_owned();
            assert_ne!(cached, "HIT", "{path}");
            let (status, bytes) = (answer.status(), answer.bytes().await.expect("a body"));
            let (expected, body) = direct(user).await;
            assert_eq!(status, expected, "{path}");
            // The two differ in the number of the request at most.
            assert_eq!(bytes.len(), body.len(), "{path}");
        }
    }
    // What is everybody's and never changes is kept: the registry is not asked again.
    let public = format!("/v2/demo/x/blobs/{blob}");
    expect(anybody.get(&public).await, 200).await;
    let again = expect(anybody.get(&public).await, 200).await;
    assert_eq!(header(&again, "x-cache"), "HIT");
    assert_eq!(again.bytes().await.expect("a body"), &b"kept"[..]);
    // A tag may move: it is asked for every time.
    for _ in 0..2 {
        let tag = expect(anybody.get("/v2/demo/x/manifests/one").await, 200).await;
        assert_ne!(header(&tag, "x-cache"), "HIT");
    }
}
