// SPDX-License-Identifier: Apache-2.0
//! Who may do what, and how the registry says so.

use chrono::Duration;
use registry_server::service::token;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::{TestRegistry, User, expect, header, package::EMPTY, refused};

fn challenges(response: &Response) -> Vec<String> {
    let lines = response.headers().get_all("www-authenticate");
    lines
        .iter()
        .map(|line| line.to_str().expect("text").to_owned())
        .collect()
}

async fn bearer(user: &User, query: &str) -> String {
    let body = user.json(&format!("/token{query}")).await;
    assert_eq!(body["token"], body["access_token"]);
    assert!(body["expires_in"].as_i64().expect("seconds") >= 300);
    body["token"].as_str().expect("a token").to_owned()
}

async fn with_bearer(user: &User, method: Method, path: &str, token: &str) -> Response {
    let anonymous = User {
        token: None,
        ..user.clone()
    };
    anonymous
        .request(method, path)
        .bearer_auth(token)
        .send()
        .await
        .expect("an answer")
}

#[tokio::test]
async fn the_challenge_that_clients_look_for() {
    let registry = TestRegistry::start().await;
    let host = registry
        .origin
        .strip_prefix("http://")
        .expect("http")
        .to_owned();
    for path in ["/v2", "/v2/"] {
        let answer = expect(registry.anonymous.get(path).await, 401).await;
        let bearer = format!(
            "Bearer realm=\"{}/token\",service=\"{host}\"",
            registry.origin
        );
        assert_eq!(challenges(&answer), [bearer]);
        refused(answer, 401, "UNAUTHORIZED").await;
        expect(registry.admin.get(path).await, 200).await;
    }
    let answer = registry.anonymous.post("/v2/demo/x/blobs/uploads/").await;
    assert!(challenges(&answer)[0].ends_with(",scope=\"repository:demo/x:pull,push\""));
    refused(answer, 401, "UNAUTHORIZED").await;
}

#[tokio::test]
async fn a_token_for_every_scope_that_clients_ask() {
    let registry = TestRegistry::start().await;
    let alice = registry.user("alice", Some("publisher")).await;
    let upload = "/v2/demo/x/blobs/uploads/";
    for query in [
        "?scope=repository:demo/x:push,pull&service=any",
        "?account=alice&scope=repository:demo/x:pull&scope=repository:demo/x:pull,push",
        "?scope=repository:demo/y:pull%20repository:demo/x:*",
        "?scope=nonsense&scope=repository:demo/x:push,fly&scope=repository::&scope=a:b:c",
    ] {
        let token = bearer(&alice, query).await;
        assert_eq!(token.split('.').count(), 3, "clients read `exp` out of it");
        expect(with_bearer(&alice, Method::GET, "/v2/", &token).await, 200).await;
        expect(with_bearer(&alice, Method::POST, upload, &token).await, 202).await;
    }
    // Without scope, or with another one, the token opens nothing, and the answer says which would.
    for query in [
        "",
        "?scope=repository:demo/x:pull",
        "?scope=repository:demo/y:push",
    ] {
        let token = bearer(&alice, query).await;
        let answer = with_bearer(&alice, Method::POST, upload, &token).await;
        assert!(
            challenges(&answer)[0].contains("scope=\"repository:demo/x:pull,push"),
            "{query}"
        );
        refused(answer, 401, "UNAUTHORIZED").await;
    }
    // Asking for more than one may gives less, not an error.
    let bob = registry.user("bob", None).await;
    let token = bearer(&bob, "?scope=repository:demo/x:pull,push").await;
    refused(
        with_bearer(&bob, Method::POST, upload, &token).await,
        403,
        "DENIED",
    )
    .await;
    let token = bearer(&registry.anonymous, "?scope=repository:demo/x:pull,push").await;
    expect(with_bearer(&bob, Method::GET, "/v2/", &token).await, 200).await;
    refused(
        with_bearer(&bob, Method::POST, upload, &token).await,
        401,
        "UNAUTHORIZED",
    )
    .await;
}

#[tokio::test]
async fn tokens_end() {
    let registry = TestRegistry::start().await;
    let alice = registry.user("alice", Some("publisher")).await;
    let jwt = bearer(&alice, "?scope=repository:demo/x:push").await;
    let upload = "/v2/demo/x/blobs/uploads/";
    expect(with_bearer(&alice, Method::POST, upload, &jwt).await, 202).await;
    registry.later(Duration::seconds(token::BEARER_SECONDS));
    refused(
        with_bearer(&alice, Method::POST, upload, &jwt).await,
        401,
        "UNAUTHORIZED",
    )
    .await;
    // A revoked token takes its bearer tokens along at once.
    let jwt = bearer(&alice, "?scope=repository:demo/x:push").await;
    let tokens = alice.json("/api/v1/tokens").await;
    let id = tokens[0]["id"].as_str().expect("text").to_owned();
    expect(alice.delete(&format!("/api/v1/tokens/{id}")).await, 204).await;
    refused(
        with_bearer(&alice, Method::POST, upload, &jwt).await,
        401,
        "UNAUTHORIZED",
    )
    .await;
    refused(alice.get("/v2/").await, 401, "UNAUTHORIZED").await;
    // Expiry.
    let carol = registry.user("carol", None).await;
    let body = json!({"label": "short", "days": 1});
    let request = carol.request(Method::POST, "/api/v1/tokens").json(&body);
    let issued: Value = expect(request.send().await.expect("an answer"), 201)
        .await
        .json()
        .await
        .expect("JSON");
    let carol = User {
        token: issued["token"].as_str().map(str::to_owned),
        ..carol
    };
    expect(carol.get("/v2/").await, 200).await;
    registry.later(Duration::days(1));
    refused(carol.get("/v2/").await, 401, "UNAUTHORIZED").await;
}

#[tokio::test]
async fn wrong_credentials_are_refused_alike() {
    let registry = TestRegistry::start().await;
    let good = registry.admin.token.clone().expect("a token");
    let mut messages = std::collections::BTreeSet::new();
    let last = if good.ends_with('0') { '1' } else { '0' };
    let mistyped = format!("{}{last}", &good[..good.len() - 1]);
    let forged = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.";
    for value in [
        "Basic !!!".to_owned(),
        "Basic YWRtaW4=".to_owned(),
        "Digest x".to_owned(),
        "Bearer".to_owned(),
        format!("Bearer {forged}"),
        format!("Bearer {mistyped}"),
        format!("Bearer {}", "A".repeat(20_000)),
    ] {
        let request = registry
            .anonymous
            .request(Method::GET, "/v2/demo/x/tags/list");
        let answer = request
            .header("authorization", value)
            .send()
            .await
            .expect("an answer");
        messages.insert(refused(answer, 401, "UNAUTHORIZED").await);
    }
    assert_eq!(messages.len(), 1, "{messages:?}");
    expect(
        with_bearer(&registry.admin, Method::GET, "/v2/", &good).await,
        200,
    )
    .await;
}

#[tokio::test]
async fn private_and_missing_look_alike() {
    let registry = TestRegistry::start().await;
    registry.admin.push_blob("secret/there", EMPTY).await;
    let stranger = registry.user("stranger", None).await;
    for user in [&registry.anonymous, &stranger] {
        let mut seen = Vec::new();
        for name in ["secret/there", "secret/none", "missing/none"] {
            let answer = user.get(&format!("/v2/{name}/tags/list")).await;
            let status = answer.status();
            let text = answer.text().await.expect("a body").replace(name, "NAME");
            seen.push((status, text));
        }
        assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
    }
}

#[tokio::test]
async fn a_missing_namespace_says_how_to_make_it() {
    let registry = TestRegistry::start().await;
    let alice = registry.user("alice", None).await;
    let message = refused(
        alice.post("/v2/nowhere/x/blobs/uploads/").await,
        404,
        "NAME_UNKNOWN",
    )
    .await;
    assert!(
        message.contains("`bpfpkg namespace create nowhere`"),
        "{message}"
    );
}

#[tokio::test]
async fn no_token_is_kept_or_logged_in_clear() {
    let registry = TestRegistry::start().await;
    let token = registry.admin.token.clone().expect("a token");
    expect(registry.admin.get("/v2/").await, 200).await;
    let metrics = registry
        .anonymous
        .get("/metrics")
        .await
        .text()
        .await
        .expect("text");
    assert!(!metrics.contains(&token[7..]));
    let registry = registry.restart().await;
    let root = registry
        .dir
        .as_ref()
        .expect("a directory")
        .path()
        .to_owned();
    for entry in std::fs::read_dir(root).expect("a directory").flatten() {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        let found = bytes
            .windows(token.len())
            .any(|window| window == token.as_bytes());
        assert!(!found, "{}", entry.path().display());
    }
}

#[tokio::test]
async fn paths_that_lead_nowhere_have_the_form_their_caller_reads() {
    let registry = TestRegistry::start().await;
    refused(registry.admin.get("/v2/x").await, 404, "NAME_UNKNOWN").await;
    refused(
        registry.admin.get("/v2/BAD/tags/list").await,
        400,
        "NAME_INVALID",
    )
    .await;
    let answer = registry.admin.post("/v2/demo/x/tags/list").await;
    assert_eq!(header(&answer, "allow"), "GET");
    refused(answer, 405, "UNSUPPORTED").await;
    let answer = expect(registry.admin.get("/api/v1/nothing").await, 404).await;
    assert_eq!(header(&answer, "content-type"), "application/problem+json");
    let id = header(&answer, "x-request-id").to_owned();
    let problem: Value = answer.json().await.expect("JSON");
    assert_eq!(problem["request_id"], id.as_str());
    for path in ["/healthz", "/readyz"] {
        expect(registry.anonymous.get(path).await, 200).await;
    }
}
