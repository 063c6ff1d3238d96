// SPDX-License-Identifier: Apache-2.0
//! The same facts as JSON, and what may be changed there.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{compile, manifest, pack, publish};
use crate::support::{TestRegistry, User, expect, package::KeyPair, problem};

const STAR: &str = "/api/v1/packages/demo/shorten/star";

async fn send(user: &User, method: Method, path: &str, body: &Value) -> Response {
    user.request(method, path)
        .body(body.to_string())
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_published_package_is_listed_found_and_described() {
    let registry = TestRegistry::start().await;
    let anonymous = &registry.anonymous;
    assert_eq!(anonymous.json("/api/v1/packages").await["total"], 0);
    let packed = publish(&registry.admin, "demo/shorten", "1.0.0").await;
    for path in [
        "/api/v1/packages",
        "/api/v1/search?q=shortn",
        "/api/v1/search?hook=xdp&license=MIT&kernel=6.1",
    ] {
        let found = anonymous.json(path).await;
        assert_eq!(found["total"], 1, "{path}: {found}");
        assert_eq!(found["packages"][0]["name"], "demo/shorten");
        assert_eq!(found["packages"][0]["signature"], "unsigned");
    }
    assert_eq!(
        anonymous.json("/api/v1/search?kernel=5.4").await["total"],
        0
    );
    assert_eq!(
        anonymous
            .json("/api/v1/search?can=drop&map=percpu_array")
            .await["total"],
        1
    );
    let package = anonymous.json("/api/v1/packages/demo/shorten").await;
    assert_eq!(package["versions"][0]["digest"], packed.digest().as_str());
    let version = anonymous
        .json("/api/v1/packages/demo/shorten/versions/1.0.0")
        .await;
    assert_eq!(
        version["manifest"]["package"]["license"],
        "GPL-2.0-only OR MIT"
    );
    assert_eq!(
        version["profiles"][0]["profile"]["programs"][0]["function"],
        "shorten"
    );
    assert_eq!(version["readme"], "# Shorten\n\nRead me.\n");
    let facets = anonymous.json("/api/v1/search").await["facets"].clone();
    assert!(
        facets
            .as_array()
            .unwrap()
            .contains(&json!({"facet": "signed", "value": "unsigned", "packages": 1}))
    );
}

#[tokio::test]
async fn lists_have_stable_pages() {
    let registry = TestRegistry::start().await;
    for name in ["demo/c", "demo/a", "demo/b"] {
        publish(&registry.admin, name, "1.0.0").await;
    }
    let names = |list: &Value| {
        let packages = list["packages"].as_array().unwrap().clone();
        packages
            .iter()
            .map(|package| package["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let first = registry.anonymous.json("/api/v1/packages?limit=2").await;
    assert_eq!(
        (names(&first), &first["next_offset"]),
        (vec!["demo/a".into(), "demo/b".into()], &json!(2))
    );
    let second = registry
        .anonymous
        .json("/api/v1/packages?limit=2&offset=2")
        .await;
    assert_eq!(
        (names(&second), second.get("next_offset")),
        (vec!["demo/c".to_owned()], None)
    );
    let beyond = registry
        .anonymous
        .json("/api/v1/packages?offset=18446744073709551615")
        .await;
    assert_eq!(
        (names(&beyond), &beyond["total"]),
        (Vec::<String>::new(), &json!(3))
    );
}

#[tokio::test]
async fn the_same_purpose_under_different_licences_is_told_apart() {
    let registry = TestRegistry::start().await;
    let both = [
        ("demo/dual", "GPL-2.0-only OR MIT", "Dual MIT/GPL"),
        ("demo/gpl", "GPL-2.0-only", "GPL"),
    ];
    for (name, license, section) in both {
        let mut manifest = manifest(name, "1.0.0", "Drops packets that are too long");
        manifest.package.license = license.to_owned();
        expect(
            pack(&manifest, &compile(section), "")
                .push(&registry.admin, "1.0.0")
                .await,
            201,
        )
        .await;
    }
    assert_eq!(
        registry.anonymous.json("/api/v1/search?q=drops").await["total"],
        2
    );
    let found = registry
        .anonymous
        .json("/api/v1/search?q=drops&licence=MIT")
        .await;
    assert_eq!(
        (&found["total"], &found["packages"][0]["name"]),
        (&json!(1), &json!("demo/dual"))
    );
}

#[tokio::test]
async fn what_cannot_be_answered_is_a_problem_that_says_why() {
    let registry = TestRegistry::start().await;
    let anonymous = &registry.anonymous;
    publish(&registry.admin, "demo/shorten", "1.0.0").await;
    for (path, status, kind) in [
        ("/api/v1/packages/demo/nothing", 404, "package-unknown"),
        ("/api/v1/packages/nobody/nothing", 404, "package-unknown"),
        ("/api/v1/packages/UPPER/case", 404, "not-found"),
        (
            "/api/v1/packages/demo/shorten/versions/9.9.9",
            404,
            "version-unknown",
        ),
        (
            "/api/v1/packages/demo/shorten/versions/one",
            404,
            "not-found",
        ),
        ("/api/v1/namespaces/nobody", 404, "namespace-unknown"),
        ("/api/v1/search?limit=x", 400, "query-invalid"),
        ("/api/v1/search?kernel=new", 400, "query-invalid"),
        ("/api/v1/search?colour=red", 400, "query-invalid"),
        ("/api/v1/nothing", 404, "not-found"),
    ] {
        let detail = problem(anonymous.get(path).await, status, kind).await;
        assert!(detail.len() > 10, "{path}: {detail}");
    }
    for text in [
        "%22",
        "(",
        "*",
        "a%20AND",
        "%00",
        "%F0%9F%98%80",
        "name:x",
        "%FF",
    ] {
        let status = anonymous
            .get(&format!("/api/v1/search?q={text}"))
            .await
            .status();
        assert_eq!(status, 200, "{text}");
    }
}

#[tokio::test]
async fn a_star_is_one_per_account_and_none_for_ones_own() {
    let registry = TestRegistry::start().await;
    publish(&registry.admin, "demo/shorten", "1.0.0").await;
    let (alice, owner) = (
        registry.user("alice", None).await,
        registry.user("bob", Some("viewer")).await,
    );
    let put = |user: &User| user.request(Method::PUT, STAR).send();
    problem(put(&registry.anonymous).await.unwrap(), 401, "unauthorized").await;
    problem(put(&owner).await.unwrap(), 403, "own-package").await;
    problem(put(&registry.admin).await.unwrap(), 403, "own-package").await;
    for _ in 0..3 {
        let given: Value = expect(put(&alice).await.unwrap(), 200)
            .await
            .json()
            .await
            .unwrap();
        assert_eq!(given, json!({"stars": 1, "starred": true}));
    }
    assert_eq!(
        registry.anonymous.json(STAR).await,
        json!({"stars": 1, "starred": false})
    );
    assert_eq!(
        registry.anonymous.json("/api/v1/search?q=shorten").await["packages"][0]["stars"],
        1
    );
    let taken: Value = expect(alice.delete(STAR).await, 200)
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(taken, json!({"stars": 0, "starred": false}));
    let path = "/api/v1/packages/demo/nothing/star";
    problem(
        alice.request(Method::PUT, path).send().await.unwrap(),
        404,
        "package-unknown",
    )
    .await;
}

#[tokio::test]
async fn a_namespace_is_made_once() {
    let registry = TestRegistry::start().await;
    let (alice, bob) = (
        registry.user("alice", None).await,
        registry.user("bob", None).await,
    );
    let new = json!({"name": "team", "visibility": "public"});
    problem(
        send(
            &registry.anonymous,
            Method::POST,
            "/api/v1/namespaces",
            &new,
        )
        .await,
        401,
        "unauthorized",
    )
    .await;
    expect(
        send(&alice, Method::POST, "/api/v1/namespaces", &new).await,
        201,
    )
    .await;
    problem(
        send(&bob, Method::POST, "/api/v1/namespaces", &new).await,
        409,
        "namespace-taken",
    )
    .await;
    for wrong in [
        json!({"name": "UPPER"}),
        json!({"name": "x", "colour": "red"}),
        json!([]),
    ] {
        problem(
            send(&bob, Method::POST, "/api/v1/namespaces", &wrong).await,
            400,
            "body-invalid",
        )
        .await;
    }
    assert_eq!(
        registry.anonymous.json("/api/v1/namespaces/team").await["packages"],
        0
    );
}

#[tokio::test]
async fn keys_are_added_and_removed_by_the_namespaces_owners() {
    let registry = TestRegistry::start().await;
    let (alice, bob) = (
        registry.user("alice", None).await,
        registry.user("bob", None).await,
    );
    let new = json!({"name": "team"});
    expect(
        send(&alice, Method::POST, "/api/v1/namespaces", &new).await,
        201,
    )
    .await;
    let keys = "/api/v1/namespaces/team/keys";
    let key = KeyPair::new(3).public;
    let body = json!({"pem": key.to_pem()});
    problem(
        send(&bob, Method::POST, keys, &body).await,
        403,
        "forbidden",
    )
    .await;
    problem(
        send(&alice, Method::POST, keys, &json!({"pem": "no key"})).await,
        400,
        "key-invalid",
    )
    .await;
    let added: Value = expect(send(&alice, Method::POST, keys, &body).await, 201)
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(added["fingerprint"], key.fingerprint().to_string());
    assert_eq!(
        registry.anonymous.json(keys).await[0]["registered_by"],
        "alice"
    );
    let one = format!("{keys}/{}", key.fingerprint());
    problem(bob.delete(&one).await, 403, "forbidden").await;
    expect(alice.delete(&one).await, 204).await;
    problem(alice.delete(&one).await, 404, "key-unknown").await;
    problem(
        alice.delete(&format!("{keys}/SHA256:x")).await,
        400,
        "key-invalid",
    )
    .await;
    assert_eq!(registry.anonymous.json(keys).await, json!([]));
}

#[tokio::test]
async fn a_lost_index_is_rebuilt_from_the_store() {
    let registry = TestRegistry::start().await;
    publish(&registry.admin, "demo/shorten", "1.0.0").await;
    assert_eq!(
        registry.anonymous.json("/api/v1/search?q=shorten").await["total"],
        1
    );
    let folder = registry.app.config.data.join("index");
    registry.app.index.clear().unwrap();
    assert_eq!(
        registry.anonymous.json("/api/v1/search?q=shorten").await["total"],
        1
    );
    assert!(folder.is_dir());
    let registry = registry.restart().await;
    assert_eq!(
        registry.anonymous.json("/api/v1/search?q=shorten").await["total"],
        1
    );
}
