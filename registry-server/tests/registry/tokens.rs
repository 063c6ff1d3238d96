// SPDX-License-Identifier: Apache-2.0
//! Tokens: never wider than what made them, ending with it, and forgotten some time after.

use chrono::Duration;
use registry_server::service::token;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    accounts::send,
    support::{TestRegistry, User, expect, problem, refused},
};

#[tokio::test]
async fn a_token_is_never_wider_than_what_made_it() {
    let registry = TestRegistry::start().await;
    registry.user("alice", Some("owner")).await;
    let narrow = registry.with_token("alice", &["demo/x*:pull,push"]).await;
    let ask =
        async |user: &User, body: Value| send(user, Method::POST, "/api/v1/tokens", body).await;
    for scopes in [
        json!([]),
        json!(["*:pull"]),
        json!(["demo/x1:yank"]),
        json!(["demo:push"]),
    ] {
        let body = json!({"label": "wider", "scopes": scopes});
        problem(ask(&narrow, body).await, 403, "token-scope").await;
    }
    let body = json!({"label": "child", "scopes": ["demo/x1:push"], "days": 7});
    let child: Value = expect(ask(&narrow, body).await, 201)
        .await
        .json()
        .await
        .expect("JSON");
    let child = User {
        token: child["token"].as_str().map(str::to_owned),
        ..narrow.clone()
    };
    expect(child.post("/v2/demo/x1/blobs/uploads/").await, 202).await;
    refused(
        child.post("/v2/demo/x2/blobs/uploads/").await,
        403,
        "DENIED",
    )
    .await;
    refused(
        narrow.post("/v2/demo/y/blobs/uploads/").await,
        403,
        "DENIED",
    )
    .await;
    // What could take limits away needs a token without limits.
    for (method, path, body) in [
        (Method::GET, "/api/v1/tokens", json!(null)),
        (
            Method::PUT,
            "/api/v1/account/password",
            json!({"new": "long enough it is"}),
        ),
        (Method::POST, "/api/v1/namespaces", json!({"name": "fresh"})),
        (
            Method::PATCH,
            "/api/v1/namespaces/demo",
            json!({"visibility": "private"}),
        ),
        (
            Method::PUT,
            "/api/v1/namespaces/demo/members/alice",
            json!({"role": "viewer"}),
        ),
    ] {
        problem(send(&narrow, method, path, body).await, 403, "token-scope").await;
    }
    // An administrator's limited token administers nothing.
    let limited = registry.with_token("admin", &["*:pull,push,manage"]).await;
    problem(limited.get("/api/v1/accounts").await, 403, "token-scope").await;
    expect(limited.get("/api/v1/namespaces/secret/keys").await, 200).await;
}

#[tokio::test]
async fn a_token_ends_with_what_made_it() {
    let registry = TestRegistry::start().await;
    registry.user("alice", Some("owner")).await;
    let ask =
        async |user: &User, body: Value| send(user, Method::POST, "/api/v1/tokens", body).await;
    // Never later.
    let short = json!({"label": "short", "scopes": ["demo:pull"], "days": 1});
    let alice = registry.with_token("alice", &[]).await;
    let short: Value = expect(ask(&alice, short).await, 201)
        .await
        .json()
        .await
        .expect("JSON");
    let short = User {
        token: short["token"].as_str().map(str::to_owned),
        ..alice.clone()
    };
    let longer = json!({"label": "longer", "scopes": ["demo/x:pull"], "days": 90});
    let longer: Value = expect(ask(&short, longer).await, 201)
        .await
        .json()
        .await
        .expect("JSON");
    let end = registry.app.clock.now() + Duration::days(1);
    assert_eq!(longer["expires_at"], json!(end));
    let longer = User {
        token: longer["token"].as_str().map(str::to_owned),
        ..alice.clone()
    };
    expect(longer.get("/v2/").await, 200).await;
    let listed = alice.json("/api/v1/tokens").await;
    let listed = listed.as_array().expect("a list");
    let parent = listed
        .iter()
        .find(|token| token["label"] == "short")
        .expect("a token");
    let path = format!("/api/v1/tokens/{}", parent["id"].as_str().expect("text"));
    expect(alice.delete(&path).await, 204).await;
    problem(alice.delete(&path).await, 404, "token-unknown").await;
    expect(short.get("/v2/").await, 401).await;
    expect(longer.get("/v2/").await, 401).await;
}

#[tokio::test]
async fn a_token_that_cannot_be_is_refused() {
    let registry = TestRegistry::start().await;
    for (body, status) in [
        (json!({"label": ""}), 400),
        (json!({"label": "x".repeat(101)}), 400),
        (json!({"label": "a\nb"}), 400),
        (json!({"label": "a", "days": 0}), 400),
        (json!({"label": "a", "days": 91}), 400),
        (json!({"label": "a", "scopes": ["demo:fly"]}), 400),
        (json!({"label": "a", "scopes": vec!["demo:pull"; 33]}), 400),
        (json!({"label": "a", "account": "nobody"}), 404),
        (json!({"label": "a", "unknown": 1}), 400),
        (json!({"label": "a", "days": 90}), 201),
    ] {
        let text = body.to_string();
        let answer = send(&registry.admin, Method::POST, "/api/v1/tokens", body).await;
        assert_eq!(answer.status().as_u16(), status, "{text}");
    }
    let alice = registry.user("alice", None).await;
    let for_admin = json!({"label": "a", "account": "admin"});
    let answer = send(&alice, Method::POST, "/api/v1/tokens", for_admin).await;
    problem(answer, 403, "forbidden").await;
    // Another's token does not exist.
    let tokens = registry.admin.json("/api/v1/tokens").await;
    let tokens = tokens.as_array().expect("a list");
    let first = tokens.iter().find(|token| token["label"] == "first start");
    let first = first.expect("the first token");
    let path = format!("/api/v1/tokens/{}", first["id"].as_str().expect("text"));
    problem(alice.delete(&path).await, 404, "token-unknown").await;
    // The last use is noted, to ten minutes.
    assert!(first["last_used_at"].is_string(), "{first}");
}

#[tokio::test]
async fn a_kept_token_is_good_for_bearer_tokens() {
    let registry = TestRegistry::start().await;
    let new = json!({"name": "alice", "password": "correct horse"});
    expect(
        send(&registry.admin, Method::POST, "/api/v1/accounts", new).await,
        201,
    )
    .await;
    registry.join("demo", "alice", "publisher").await;
    let post = async |form: &str| {
        let request = registry.anonymous.request(Method::POST, "/token");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request
            .body(form.to_owned())
            .send()
            .await
            .expect("an answer")
    };
    let form = "grant_type=password&service=x&client_id=test&access_type=offline\
                &username=alice&password=correct+horse&scope=repository:demo/x:pull,push";
    let answer: Value = expect(post(form).await, 200)
        .await
        .json()
        .await
        .expect("JSON");
    assert_eq!(answer["token_type"], "Bearer");
    let kept = answer["refresh_token"]
        .as_str()
        .expect("a token")
        .to_owned();
    let form = format!(
        "grant_type=refresh_token&refresh_token={kept}&scope=repository:demo/x:push\
         &scope=repository:demo/y:pull"
    );
    let answer: Value = expect(post(&form).await, 200)
        .await
        .json()
        .await
        .expect("JSON");
    assert_eq!(answer["refresh_token"], kept.as_str());
    let bearer = answer["access_token"].as_str().expect("a token");
    let request = registry
        .anonymous
        .request(Method::POST, "/v2/demo/x/blobs/uploads/");
    let request = request.bearer_auth(bearer).header("content-length", 0);
    expect(request.send().await.expect("an answer"), 202).await;
    // A bearer token of the token endpoint is worth nothing outside `/v2`.
    let request = registry
        .anonymous
        .request(Method::GET, "/api/v1/account")
        .bearer_auth(bearer);
    expect(request.send().await.expect("an answer"), 401).await;
    for (form, status) in [
        ("", 400),
        ("grant_type=code", 400),
        ("grant_type=password&username=alice&password=wrong", 401),
        ("grant_type=password", 401),
        ("grant_type=refresh_token&refresh_token=x", 401),
    ] {
        assert_eq!(post(form).await.status().as_u16(), status, "{form}");
    }
    // What is kept may push and pull, and nothing else.
    let kept = User {
        token: Some(kept),
        ..registry.anonymous.clone()
    };
    problem(kept.get("/api/v1/tokens").await, 403, "token-scope").await;
}

#[tokio::test]
async fn a_bearer_token_for_one_repository_mounts_from_no_other() {
    let registry = TestRegistry::start().await;
    let digest = registry.admin.push_blob("secret/there", b"hidden").await;
    let mount = async |scopes: &str| {
        let answer = registry
            .admin
            .json(&format!("/token?scope=repository:demo/x:push{scopes}"))
            .await;
        let path = format!("/v2/demo/x/blobs/uploads/?mount={digest}&from=secret/there");
        let request = registry.anonymous.request(Method::POST, &path);
        let request = request.bearer_auth(answer["token"].as_str().expect("a token"));
        request
            .header("content-length", 0)
            .send()
            .await
            .expect("an answer")
            .status()
    };
    assert_eq!(mount("").await, 202);
    assert_eq!(mount("&scope=repository:secret/there:pull").await, 201);
}

#[tokio::test]
async fn what_has_ended_is_forgotten_after_a_while() {
    let registry = TestRegistry::start().await;
    let bob = registry.user("bob", None).await;
    let made = async |user: &User, label: &str, days: u32| {
        let body = json!({"label": label, "days": days});
        let made = send(user, Method::POST, "/api/v1/tokens", body).await;
        let made: Value = expect(made, 201).await.json().await.expect("JSON");
        User {
            token: made["token"].as_str().map(str::to_owned),
            ..user.clone()
        }
    };
    let child = made(&bob, "child", 40).await;
    made(&child, "grandchild", 2).await;
    let labels = async || {
        token::sweep(&registry.app).await.expect("a sweep");
        let tokens = registry.admin.json("/api/v1/tokens?account=bob").await;
        let tokens = tokens.as_array().expect("a list").clone();
        let label = |token: &Value| token["label"].as_str().unwrap_or_default().to_owned();
        let mut labels: Vec<_> = tokens.iter().map(label).collect();
        labels.sort();
        labels
    };
    assert_eq!(labels().await, ["child", "grandchild", "test"]);
    // It has ended, and one can still see that it was there.
    registry.later(Duration::days(20));
    assert_eq!(labels().await, ["child", "grandchild", "test"]);
    registry.later(Duration::days(13));
    assert_eq!(labels().await, ["child", "test"]);
    // Revoked, and with it the one that it made: the whole family goes.
    let tokens = registry.admin.json("/api/v1/tokens?account=bob").await;
    let mut tokens = tokens.as_array().expect("a list").iter();
    let own = tokens.find(|token| token["label"] == "test");
    let id = own.expect("bob's own")["id"].as_str().expect("an id");
    let path = format!("/api/v1/tokens/{id}");
    expect(bob.delete(&path).await, 204).await;
    registry.later(Duration::days(29));
    assert_eq!(labels().await, ["child", "test"]);
    registry.later(Duration::days(2));
    assert_eq!(labels().await, [""; 0]);
    expect(bob.get("/api/v1/account").await, 401).await;
}
