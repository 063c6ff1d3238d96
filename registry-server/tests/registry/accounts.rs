// SPDX-License-Identifier: Apache-2.0
//! Accounts, members and tokens: what each may, and how each ends.

use registry_server::config_access::Registration;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{TestRegistry, User, expect, package::PackageBuilder, problem};

pub(crate) async fn send(user: &User, method: Method, path: &str, body: Value) -> Response {
    let request = user.request(method, path).json(&body);
    request.send().await.expect("an answer")
}

async fn with_password(user: &User, name: &str, password: &str, path: &str) -> StatusCode {
    let url = format!("{}{path}", user.origin);
    let request = user.client.get(url).basic_auth(name, Some(password));
    request.send().await.expect("an answer").status()
}

#[tokio::test]
async fn a_password_logs_in_until_it_changes() {
    let registry = TestRegistry::start().await;
    let new = json!({"name": "alice", "password": "correct horse"});
    expect(
        send(
            &registry.admin,
            Method::POST,
            "/api/v1/accounts",
            new.clone(),
        )
        .await,
        201,
    )
    .await;
    problem(
        send(&registry.admin, Method::POST, "/api/v1/accounts", new).await,
        409,
        "account-taken",
    )
    .await;
    let try_with = async |password: &str, path: &str| {
        with_password(&registry.anonymous, "alice", password, path).await
    };
    for path in ["/v2/", "/api/v1/account", "/token"] {
        assert_eq!(try_with("correct horse", path).await, 200, "{path}");
        assert_eq!(try_with("wrong horse!", path).await, 401, "{path}");
    }
    bearers_end_with_it(&registry).await;
    // Disabled: no password, no token, until enabled again.
    let token = registry.with_token("alice", &[]).await;
    for (disabled, password, with_token) in [(true, 401, 401), (false, 200, 200)] {
        let body = json!({ "disabled": disabled });
        expect(
            send(
                &registry.admin,
                Method::PATCH,
                "/api/v1/accounts/alice",
                body,
            )
            .await,
            200,
        )
        .await;
        assert_eq!(try_with("battery staple", "/v2/").await, password);
        assert_eq!(token.get("/v2/").await.status(), with_token);
    }
    // What is kept is no password.
    let row = registry_server::store::accounts::find(&registry.app.db, "alice").await;
    let kept = row
        .expect("a row")
        .expect("an account")
        .password
        .expect("a hash");
    assert!(
        kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{kept}"
    );
}

/// A bearer token that the password bought ends when `alice` changes it.
async fn bearers_end_with_it(registry: &TestRegistry) {
    let url = format!("{}/token?scope=repository:demo/x:pull", registry.origin);
    let request = registry
        .anonymous
        .client
        .get(url)
        .basic_auth("alice", Some("correct horse"));
    let answer: Value = request
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    let bearer = answer["token"].as_str().expect("a token").to_owned();
    let ping = async || {
        let request = registry
            .anonymous
            .request(Method::GET, "/v2/")
            .bearer_auth(&bearer);
        request.send().await.expect("an answer").status()
    };
    assert_eq!(ping().await, 200);
    let change = async |old: &str, new: &str| {
        let url = format!("{}/api/v1/account/password", registry.origin);
        let request = registry
            .anonymous
            .client
            .put(url)
            .basic_auth("alice", Some("correct horse"));
        request
            .json(&json!({"old": old, "new": new}))
            .send()
            .await
            .expect("an answer")
    };
    problem(
        change("wrong horse!", "battery staple").await,
        401,
        "credentials-invalid",
    )
    .await;
    problem(
        change("correct horse", "short").await,
        400,
        "password-invalid",
    )
    .await;
    problem(
        change("correct horse", &"x".repeat(257)).await,
        400,
        "password-invalid",
    )
    .await;
    expect(change("correct horse", "battery staple").await, 204).await;
    assert_eq!(ping().await, 401);
    let status = with_password(&registry.anonymous, "alice", "correct horse", "/v2/").await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn administrators_make_accounts_unless_everybody_may() {
    let registry = TestRegistry::start().await;
    let new = |name: &str, administrator: bool| json!({"name": name, "password": "long enough!", "administrator": administrator});
    let alice = registry.user("alice", None).await;
    for user in [&registry.anonymous, &alice] {
        let refusal = send(user, Method::POST, "/api/v1/accounts", new("eve", false)).await;
        problem(refusal, 403, "registration-closed").await;
    }
    for name in ["", "Eve", "a+b", "e/ve", &"x".repeat(65)] {
        let refusal = send(
            &registry.admin,
            Method::POST,
            "/api/v1/accounts",
            new(name, false),
        )
        .await;
        problem(refusal, 400, "name-invalid").await;
    }
    for path in [
        "/api/v1/accounts",
        "/api/v1/accounts/alice",
        "/api/v1/tokens?account=admin",
    ] {
        expect(alice.get(path).await, 403).await;
        expect(registry.admin.get(path).await, 200).await;
    }
    let last = send(
        &registry.admin,
        Method::PATCH,
        "/api/v1/accounts/admin",
        json!({"disabled": true}),
    );
    problem(last.await, 409, "last-administrator").await;
    let open = TestRegistry::start_with(|mut config| {
        config.access.registration = Registration::Open;
        config
    })
    .await;
    let made = send(
        &open.anonymous,
        Method::POST,
        "/api/v1/accounts",
        new("eve", false),
    )
    .await;
    expect(made, 201).await;
    let wider = send(
        &open.anonymous,
        Method::POST,
        "/api/v1/accounts",
        new("eva", true),
    )
    .await;
    expect(wider, 401).await;
    let without = json!({"name": "robot"});
    let without = send(&open.anonymous, Method::POST, "/api/v1/accounts", without).await;
    problem(without, 400, "password-invalid").await;
}

#[tokio::test]
async fn a_namespace_always_has_an_owner() {
    let registry = TestRegistry::start().await;
    let alice = registry.user("alice", None).await;
    let made = send(
        &alice,
        Method::POST,
        "/api/v1/namespaces",
        json!({"name": "team"}),
    )
    .await;
    expect(made, 201).await;
    let member = "/api/v1/namespaces/team/members/alice";
    problem(alice.delete(member).await, 409, "last-owner").await;
    let lower = send(&alice, Method::PUT, member, json!({"role": "maintainer"})).await;
    problem(lower, 409, "last-owner").await;
    let bob = registry.user("bob", None).await;
    expect(bob.get("/api/v1/namespaces/team/members").await, 403).await;
    let nobody = "/api/v1/namespaces/team/members/nobody";
    let nobody = send(&alice, Method::PUT, nobody, json!({"role": "viewer"})).await;
    problem(nobody, 404, "account-unknown").await;
    let role = "/api/v1/namespaces/team/members/bob";
    for (given, status) in [("reader", 400), ("viewer", 200), ("owner", 200)] {
        expect(
            send(&alice, Method::PUT, role, json!({ "role": given })).await,
            status,
        )
        .await;
    }
    let members = bob.json("/api/v1/namespaces/team/members").await;
    assert_eq!(members[0]["account"], "alice");
    assert_eq!(members[1]["role"], "owner");
    let own = bob.json("/api/v1/account").await;
    assert_eq!(
        own["memberships"],
        json!([{"namespace": "team", "role": "owner"}])
    );
    // Two owners that remove each other at the same time: one stays.
    let (one, other) = futures::join!(alice.delete(role), bob.delete(member));
    let mut statuses = [one.status().as_u16(), other.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses[0], 204, "{statuses:?}");
    assert_ne!(statuses[1], 204, "{statuses:?}");
}

#[tokio::test]
async fn a_deleted_namespace_is_gone_and_its_name_taken() {
    let registry = TestRegistry::start().await;
    let alice = registry.user("alice", None).await;
    let new = json!({"name": "team"});
    expect(
        send(&alice, Method::POST, "/api/v1/namespaces", new.clone()).await,
        201,
    )
    .await;
    alice.push_blob("team/x", b"{}").await;
    problem(
        alice.delete("/api/v1/namespaces/team").await,
        409,
        "namespace-used",
    )
    .await;
    let empty = json!({"name": "empty"});
    expect(
        send(&alice, Method::POST, "/api/v1/namespaces", empty.clone()).await,
        201,
    )
    .await;
    expect(alice.delete("/api/v1/namespaces/empty").await, 204).await;
    expect(alice.get("/api/v1/namespaces/empty").await, 404).await;
    expect(alice.post("/v2/empty/x/blobs/uploads/").await, 404).await;
    let again = send(&alice, Method::POST, "/api/v1/namespaces", empty).await;
    problem(again, 409, "namespace-taken").await;
}

#[tokio::test]
async fn visibility_reaches_the_search_too() {
    let registry = TestRegistry::start().await;
    let packed = PackageBuilder::new("secret/pass", "1.0.0").pack();
    expect(packed.push(&registry.admin, "1.0.0").await, 201).await;
    let found = async || registry.anonymous.json("/api/v1/search?q=pass").await["total"].clone();
    assert_eq!(found().await, 0);
    for (visibility, total, status) in [("public", 1, 200), ("private", 0, 404)] {
        let change = json!({ "visibility": visibility });
        let path = "/api/v1/namespaces/secret";
        expect(
            send(&registry.admin, Method::PATCH, path, change).await,
            200,
        )
        .await;
        assert_eq!(found().await, total);
        expect(
            registry.anonymous.get("/api/v1/packages/secret/pass").await,
            status,
        )
        .await;
    }
}
