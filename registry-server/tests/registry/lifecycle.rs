// SPDX-License-Identifier: Apache-2.0
//! What publishers say later: yank, unyank, deprecate.

use registry_schema::media_type;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::{
    TestRegistry, User, expect, header,
    package::{KeyPair, PackageBuilder, Packed},
    refused,
};

const API: &str = "/api/v1/packages/demo/pass";

async fn send(user: &User, method: Method, path: &str, body: &Value) -> Response {
    let request = user.request(method, &format!("{API}{path}")).json(body);
    request.send().await.expect("an answer")
}

async fn yank(user: &User, version: &str, reason: &str) -> Response {
    let path = format!("/versions/{version}/yank");
    send(user, Method::PUT, &path, &json!({ "reason": reason })).await
}

async fn published(registry: &TestRegistry, versions: &[&str]) -> Vec<Packed> {
    let mut all = Vec::new();
    for version in versions {
        let packed = PackageBuilder::new("demo/pass", version).pack();
        expect(packed.push(&registry.admin, version).await, 201).await;
        all.push(packed);
    }
    all
}

/// The warnings of an answer, without their frame.
fn warnings(answer: &Response) -> Vec<String> {
    let values = answer.headers().get_all("warning").iter();
    values
        .map(|value| {
            let text = std::str::from_utf8(value.as_bytes()).expect("UTF-8");
            let text = text.strip_prefix("299 - \"").expect("the frame");
            text.strip_suffix('"').expect("the frame").to_owned()
        })
        .collect()
}

#[tokio::test]
async fn a_yanked_version_is_passed_over_and_still_there() {
    let registry = TestRegistry::start().await;
    let everybody = &registry.anonymous;
    let all = published(&registry, &["1.0.0", "1.1.0"]).await;
    let manifest = |reference: &str| format!("/v2/demo/pass/manifests/{reference}");
    let latest = async || {
        let answer = expect(everybody.head(&manifest("latest")).await, 200).await;
        header(&answer, "docker-content-digest").to_owned()
    };
    assert_eq!(latest().await, all[1].digest().as_str());
    let reason = "drops \"IPv6\" packets — use 1.0.0";
    expect(yank(&registry.admin, "1.1.0", reason).await, 204).await;
    assert_eq!(latest().await, all[0].digest().as_str());
    // By its own name and by digest it is what it was, with a word of warning.
    let digest = all[1].digest();
    for reference in ["1.1.0", digest.as_str()] {
        let answer = expect(everybody.get(&manifest(reference)).await, 200).await;
        let said =
            "demo/pass 1.1.0 was yanked by its publisher: drops \\\"IPv6\\\" packets — use 1.0.0";
        assert_eq!(warnings(&answer), [said]);
        assert_eq!(answer.bytes().await.expect("a body"), all[1].index);
        let head = expect(everybody.head(&manifest(reference)).await, 200).await;
        assert_eq!(warnings(&head), [said]);
    }
    let others = expect(everybody.get(&manifest("1.0.0")).await, 200).await;
    assert!(warnings(&others).is_empty());
    // The API and search say it.
    let detail = everybody.json(API).await;
    assert_eq!(detail["version"], "1.0.0");
    assert_eq!(detail["versions"][0]["yanked"], true);
    assert_eq!(detail["versions"][0]["yank_reason"], reason);
    assert_eq!(detail["versions"][1].get("yank_reason"), None);
    let found = everybody.json("/api/v1/search?q=pass").await;
    assert_eq!(found["packages"][0]["version"], "1.0.0");
    // Yanked or not, a version never changes and is never deleted.
    let mut other = PackageBuilder::new("demo/pass", "1.1.0");
    other.license = "MIT OR GPL-2.0-only".to_owned();
    refused(
        other.pack().push(&registry.admin, "1.1.0").await,
        409,
        "DENIED",
    )
    .await;
    refused(
        registry.admin.delete(&manifest("1.1.0")).await,
        409,
        "DENIED",
    )
    .await;
    // And back.
    let none = json!({});
    let back = send(
        &registry.admin,
        Method::DELETE,
        "/versions/1.1.0/yank",
        &none,
    );
    expect(back.await, 204).await;
    assert_eq!(latest().await, digest.as_str());
    let answer = everybody.get(&manifest("1.1.0")).await;
    assert!(warnings(&answer).is_empty());
}

#[tokio::test]
async fn of_a_package_with_nothing_left_there_is_no_latest() {
    let registry = TestRegistry::start().await;
    published(&registry, &["1.0.0", "2.0.0-rc.1"]).await;
    expect(yank(&registry.admin, "1.0.0", "wrong").await, 204).await;
    let latest = registry.anonymous.get("/v2/demo/pass/manifests/latest");
    refused(latest.await, 404, "MANIFEST_UNKNOWN").await;
    expect(yank(&registry.admin, "2.0.0-rc.1", "wrong too").await, 204).await;
    let detail = registry.anonymous.json(API).await;
    assert_eq!(detail["yanked"], true);
    let page = registry.anonymous.get("/packages/demo/pass").await;
    let page = page.text().await.expect("a page");
    for word in ["Withdrawn by its publisher", "Reason: wrong too"] {
        assert!(page.contains(word), "{word}");
    }
    let list = registry.anonymous.get("/search?q=pass").await;
    assert!(list.text().await.expect("a page").contains("withdrawn"));
}

#[tokio::test]
async fn advice_stands_beside_what_it_is_about() {
    let registry = TestRegistry::start().await;
    let (admin, everybody) = (&registry.admin, &registry.anonymous);
    published(&registry, &["1.0.0", "1.1.0"]).await;
    let advice = json!({"message": "leaks a map", "replacement": "demo/pass:1.1.0"});
    let answer = send(admin, Method::PUT, "/versions/1.0.0/deprecation", &advice).await;
    let said: Value = expect(answer, 200).await.json().await.expect("JSON");
    assert_eq!(said["message"], "leaks a map");
    assert_eq!(said["replacement"], "demo/pass:1.1.0");
    let all = json!({"message": "no longer maintained", "replacement": "demo/next"});
    expect(send(admin, Method::PUT, "/deprecation", &all).await, 200).await;
    let answer = everybody.get("/v2/demo/pass/manifests/1.0.0").await;
    let about_all = "demo/pass is deprecated: no longer maintained; use demo/next instead";
    assert_eq!(
        warnings(&answer),
        [
            "demo/pass 1.0.0 is deprecated: leaks a map; use demo/pass:1.1.0 instead",
            about_all
        ]
    );
    // What is advised against is chosen as before.
    let answer = everybody.get("/v2/demo/pass/manifests/latest").await;
    assert_eq!(warnings(&answer), [about_all]);
    let detail = everybody.json(API).await;
    assert_eq!(detail["deprecated"]["replacement"], "demo/next");
    assert_eq!(
        detail["versions"][1]["deprecated"]["message"],
        "leaks a map"
    );
    assert_eq!(detail["versions"][0].get("deprecated"), None);
    let found = everybody.json("/api/v1/search?q=pass").await;
    assert_eq!(
        found["packages"][0]["deprecated"]["message"],
        "no longer maintained"
    );
    let page = everybody.get("/packages/demo/pass/1.0.0").await;
    let page = page.text().await.expect("a page");
    for word in [
        "The package is deprecated:",
        "This version is deprecated:",
        "href=\"/packages/demo/next\"",
        "href=\"/packages/demo/pass/1.1.0\"",
    ] {
        assert!(page.contains(word), "{word}");
    }
    // New words replace the old ones, and taking them back leaves nothing.
    let since = detail["deprecated"]["since"].clone();
    registry.later(chrono::Duration::days(1));
    let short = json!({"message": "moved"});
    expect(send(admin, Method::PUT, "/deprecation", &short).await, 200).await;
    let detail = everybody.json(API).await;
    assert_eq!(
        detail["deprecated"],
        json!({"message": "moved", "since": since})
    );
    for path in [
        "/deprecation",
        "/versions/1.0.0/deprecation",
        "/deprecation",
    ] {
        expect(send(admin, Method::DELETE, path, &json!({})).await, 204).await;
    }
    let answer = everybody.get("/v2/demo/pass/manifests/1.0.0").await;
    assert!(warnings(&answer).is_empty());
}

#[tokio::test]
async fn who_may_and_what_is_refused() {
    let registry = TestRegistry::start().await;
    published(&registry, &["1.0.0"]).await;
    let stranger = registry.user("stranger", None).await;
    for path in [
        "/versions/1.0.0/yank",
        "/deprecation",
        "/versions/1.0.0/deprecation",
    ] {
        let body = if path.ends_with("yank") {
            json!({"reason": "mine now"})
        } else {
            json!({"message": "mine now"})
        };
        expect(
            send(&registry.anonymous, Method::PUT, path, &body).await,
            401,
        )
        .await;
        expect(send(&stranger, Method::PUT, path, &body).await, 403).await;
        expect(send(&stranger, Method::DELETE, path, &body).await, 403).await;
        for wrong in [
            json!({}),
            json!({"reason": "", "message": ""}),
            json!({"x": 1}),
        ] {
            let answer = send(&registry.admin, Method::PUT, path, &wrong).await;
            expect(answer, 400).await;
        }
    }
    let long = "x".repeat(501);
    for reason in ["", " ", "two\nlines", &long] {
        expect(yank(&registry.admin, "1.0.0", reason).await, 400).await;
    }
    expect(yank(&registry.admin, "9.0.0", "never published").await, 404).await;
    let path = "/versions/9.0.0/deprecation";
    let answer = send(
        &registry.admin,
        Method::PUT,
        path,
        &json!({"message": "no"}),
    )
    .await;
    expect(answer, 404).await;
    let nothing = "/api/v1/packages/demo/nothing/deprecation";
    let request = registry.admin.request(Method::PUT, nothing);
    let request = request.json(&json!({"message": "no"}));
    expect(request.send().await.expect("an answer"), 404).await;
    let latest = registry.anonymous.get("/v2/demo/pass/manifests/latest");
    expect(latest.await, 200).await;
}

#[tokio::test]
async fn version_tags_stay_and_signature_tags_move() {
    let registry = TestRegistry::start().await;
    let all = published(&registry, &["1.0.0"]).await;
    let tag = format!("sha256-{}.sig", all[0].digest().hex());
    // Signing again replaces the list under the tag; only the version itself is fixed.
    for seed in [7, 8] {
        let (payload, manifest) = KeyPair::new(seed).simple("demo/pass", &all[0].index);
        registry.admin.push_blob("demo/pass", b"{}").await;
        registry.admin.push_blob("demo/pass", &payload).await;
        let put =
            registry
                .admin
                .put_manifest("demo/pass", &tag, media_type::OCI_MANIFEST, &manifest);
        expect(put.await, 201).await;
        let path = format!("/v2/demo/pass/manifests/{tag}");
        let got = registry.anonymous.get(&path);
        assert_eq!(got.await.bytes().await.expect("a body"), manifest);
    }
    expect(
        registry
            .admin
            .delete(&format!("/v2/demo/pass/manifests/{tag}"))
            .await,
        202,
    )
    .await;
}
