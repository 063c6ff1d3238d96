// SPDX-License-Identifier: Apache-2.0
//! What an OIDC provider vouches for: exchange of ID tokens, logins of people, and what must
//! not get through. The provider is our own, on the loopback interface, with real keys.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use chrono::Duration;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use registry_server::{Config, config_access::Registration};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{TestRegistry, User, browser::Browser, expect, provider::provider};

/// What a job of `main` in `org/repo` is told about itself.
fn claims(registry: &TestRegistry, jti: &str) -> Value {
    let now = registry.app.clock.now().timestamp();
    json!({
        "iss": provider().url,
        "aud": registry.app.host(),
        "sub": "repo:org/repo:ref:refs/heads/main",
        "repository": "org/repo",
        "environment": "release",
        "run_attempt": 1,
        "jti": jti,
        "iat": now,
        "nbf": now,
        "exp": now + 300,
    })
}

/// A registry that believes the provider.
pub(crate) async fn registry() -> TestRegistry {
    TestRegistry::start_with(believing).await
}

fn believing(mut config: Config) -> Config {
    let url = &provider().url;
    // What is refused here is refused often.
    config.limits.failed_logins = 0;
    config.access.oidc_issuers = vec![url.clone(), format!("{url}/liar"), format!("{url}/endless")];
    config.access.login_issuer = Some(url.clone());
    config.access.login_client_id = Some("bpfpkg".to_owned());
    config
}

async fn trust(registry: &TestRegistry, body: Value) -> Response {
    let path = "/api/v1/namespaces/demo/trusted-publishers";
    let request = registry.admin.request(Method::POST, path).json(&body);
    request.send().await.expect("an answer")
}

fn rule() -> Value {
    json!({
        "name": "release",
        "issuer": provider().url,
        "subject": "repo:org/repo:ref:refs/heads/*",
        "claims": {"repository": "org/repo", "run_attempt": "*"},
    })
}

async fn exchange(registry: &TestRegistry, token: &str) -> Response {
    let request = registry
        .anonymous
        .request(Method::POST, "/api/v1/oidc/exchange");
    let request = request.json(&json!({ "token": token }));
    request.send().await.expect("an answer")
}

/// A CI job with the token that it got for its ID token, good in `demo`.
pub(crate) async fn publisher(registry: &TestRegistry) -> User {
    expect(trust(registry, rule()).await, 201).await;
    let token = provider().sign(Algorithm::ES256, &claims(registry, "publisher"));
    let answer: Value = expect(exchange(registry, &token).await, 201)
        .await
        .json()
        .await
        .expect("JSON");
    User {
        token: answer["token"].as_str().map(str::to_owned),
        ..registry.anonymous.clone()
    }
}

/// Owners of `demo` whose credentials are worth nothing any more. Turns the clock by a day.
pub(crate) async fn dead(registry: &TestRegistry) -> Vec<(&'static str, User)> {
    let ask = async |user: &User, method: Method, path: &str, body: Value| {
        let request = user.request(method, path).json(&body);
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json::<Value>().await.unwrap_or_default()
    };
    let owner = registry.user("former", Some("owner")).await;
    registry.join("secret", "former", "owner").await;
    let make = async |days: u32| {
        let body = json!({"label": "dead", "days": days});
        ask(&owner, Method::POST, "/api/v1/tokens", body).await
    };
    let with = |answer: &Value| User {
        token: answer["token"].as_str().map(str::to_owned),
        ..owner.clone()
    };
    let (expired, revoked) = (make(1).await, make(90).await);
    let path = format!("/api/v1/tokens/{}", revoked["id"].as_str().expect("text"));
    ask(&owner, Method::DELETE, &path, json!({})).await;
    let disabled = registry.user("disabled", Some("owner")).await;
    registry.join("secret", "disabled", "owner").await;
    let body = json!({"disabled": true});
    ask(
        &registry.admin,
        Method::PATCH,
        "/api/v1/accounts/disabled",
        body,
    )
    .await;
    registry.later(Duration::days(1));
    vec![
        ("expired token", with(&expired)),
        ("revoked token", with(&revoked)),
        ("disabled account", disabled),
    ]
}

#[tokio::test]
async fn a_job_publishes_with_nothing_but_its_id_token() {
    let registry = registry().await;
    expect(trust(&registry, rule()).await, 201).await;
    for (algorithm, jti) in [(Algorithm::RS256, "one"), (Algorithm::ES256, "two")] {
        let token = provider().sign(algorithm, &claims(&registry, jti));
        let answer = expect(exchange(&registry, &token).await, 201).await;
        let answer: Value = answer.json().await.expect("JSON");
        assert_eq!(answer["scopes"], json!(["demo/*:pull,push"]));
        let end = registry.app.clock.now() + Duration::minutes(30);
        assert_eq!(answer["expires_at"], json!(end));
        let job = User {
            token: answer["token"].as_str().map(str::to_owned),
            ..registry.anonymous.clone()
        };
        job.push_blob("demo/x", jti.as_bytes()).await;
        let own = job.json("/api/v1/account").await;
        assert_eq!(own["name"], "demo+release");
        let credential = own["credential"].as_str().expect("text").to_owned();
        assert!(
            credential.contains("repo:org/repo:ref:refs/heads/main"),
            "{credential}"
        );
        // Once: whoever reads the ID token in a log comes too late.
        let again = expect(exchange(&registry, &token).await, 401).await;
        let again: Value = again.json().await.expect("a problem");
        assert_eq!(
            again["detail"],
            "the ID token is not accepted: it was exchanged before"
        );
        registry.later(Duration::minutes(30));
        expect(job.get("/v2/").await, 401).await;
    }
    let page = registry
        .admin
        .json("/api/v1/audit?namespace=demo&limit=1")
        .await;
    let entry = &page["entries"][0];
    assert_eq!(entry["action"], "token.exchange");
    assert_eq!(entry["detail"]["jti"], "two");
    // The provider was asked for its keys once.
    let before = provider().fetched.load(Ordering::SeqCst);
    let token = provider().sign(Algorithm::ES256, &claims(&registry, "three"));
    expect(exchange(&registry, &token).await, 201).await;
    assert!(provider().fetched.load(Ordering::SeqCst) - before <= 1);
}

#[tokio::test]
async fn the_trust_ends_with_its_tokens() {
    let registry = registry().await;
    let job = publisher(&registry).await;
    job.push_blob("demo/x", b"x").await;
    let path = "/api/v1/namespaces/demo/trusted-publishers/release";
    expect(registry.admin.delete(path).await, 204).await;
    expect(job.get("/v2/").await, 401).await;
    expect(registry.admin.delete(path).await, 404).await;
    let token = provider().sign(Algorithm::ES256, &claims(&registry, "late"));
    expect(exchange(&registry, &token).await, 401).await;
    // The name can be used again.
    expect(trust(&registry, rule()).await, 201).await;
    expect(exchange(&registry, &token).await, 201).await;
}

#[tokio::test]
async fn an_id_token_that_does_not_convince() {
    let registry = registry().await;
    expect(trust(&registry, rule()).await, 201).await;
    let provider = provider();
    let good = claims(&registry, "good");
    let now = registry.app.clock.now().timestamp();
    let but = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        provider.sign(Algorithm::ES256, &claims)
    };
    let signed = provider.sign(Algorithm::ES256, &good);
    let (content, _) = signed.rsplit_once('.').expect("three parts");
    let (_, payload) = content.split_once('.').expect("two parts");
    let shared = EncodingKey::from_secret(b"bpfpkg");
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("ec".to_owned());
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
    let other = EncodingKey::from_ec_der(&other.serialize_der());
    let forge = |key: &EncodingKey, id: &str| {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(id.to_owned());
        jsonwebtoken::encode(&header, &good, key).expect("a token")
    };
    for (what, token) in [
        ("no token", "x".to_owned()),
        ("no signature", format!("{content}.")),
        ("no algorithm", format!("eyJhbGciOiJub25lIn0.{payload}.")),
        (
            "a shared secret",
            jsonwebtoken::encode(&header, &good, &shared).expect("a token"),
        ),
        ("another key", forge(&other, "ec")),
        ("an unknown key", forge(&other, "new")),
        ("another kind of key", forge(&other, "rsa")),
        ("another audience", but("aud", json!("registry.example"))),
        ("no audience", but("aud", json!(null))),
        (
            "another issuer",
            but("iss", json!("https://issuer.example")),
        ),
        (
            "an issuer that lies",
            but("iss", json!(format!("{}/liar", provider.url))),
        ),
        (
            "an issuer without end",
            but("iss", json!(format!("{}/endless", provider.url))),
        ),
        ("expired", but("exp", json!(now - 61))),
        ("never ending", but("exp", json!("never"))),
        ("not yet", but("nbf", json!(now + 61))),
        ("from the future", but("iat", json!(now + 61))),
        (
            "another subject",
            but("sub", json!("repo:org/other:ref:refs/heads/main")),
        ),
        ("a tag", but("sub", json!("repo:org/repo:ref:refs/tags/v1"))),
        ("another claim", but("repository", json!("org/fork"))),
        ("a missing claim", but("run_attempt", json!(null))),
        (
            "a claim of another kind",
            but("repository", json!(["org/repo"])),
        ),
        ("too long", but("filler", json!("x".repeat(20_000)))),
    ] {
        let status = exchange(&registry, &token).await.status().as_u16();
        assert!(matches!(status, 401 | 503), "{what}: {status}");
    }
    // The clocks need not agree to the second.
    expect(exchange(&registry, &but("exp", json!(now - 59))).await, 201).await;
}

#[tokio::test]
async fn a_trust_that_says_nothing_is_refused() {
    let registry = registry().await;
    let but = |name: &str, value: Value| {
        let mut rule = rule();
        rule[name] = value;
        rule
    };
    for body in [
        but("issuer", json!("https://issuer.example")),
        but("name", json!("a+b")),
        but("packages", json!("a*b")),
        but("subject", json!("")),
        but("subject", json!("x".repeat(513))),
        json!({"name": "all", "issuer": provider().url, "subject": "*"}),
        json!({"name": "all", "issuer": provider().url, "subject": "**", "claims": {"a": "*"}}),
    ] {
        let text = body.to_string();
        assert_eq!(trust(&registry, body).await.status(), 400, "{text}");
    }
    expect(trust(&registry, but("packages", json!("xdp-*"))).await, 201).await;
    expect(trust(&registry, rule()).await, 409).await;
    // Only the packages of the rule.
    let token = provider().sign(Algorithm::ES256, &claims(&registry, "xdp"));
    let answer: Value = expect(exchange(&registry, &token).await, 201)
        .await
        .json()
        .await
        .expect("JSON");
    assert_eq!(answer["scopes"], json!(["demo/xdp-*:pull,push"]));
    let job = User {
        token: answer["token"].as_str().map(str::to_owned),
        ..registry.anonymous.clone()
    };
    job.push_blob("demo/xdp-a", b"x").await;
    expect(job.post("/v2/demo/tc-a/blobs/uploads/").await, 403).await;
}

#[tokio::test]
async fn an_id_token_serves_as_the_password_of_a_container_tool() {
    let registry = registry().await;
    expect(trust(&registry, rule()).await, 201).await;
    let token = provider().sign(Algorithm::RS256, &claims(&registry, "tool"));
    let job = User {
        token: Some(token.clone()),
        ..registry.anonymous.clone()
    };
    // A tool sends it again and again; several requests may be the first.
    let (one, other) = futures::join!(job.get("/v2/"), job.get("/v2/"));
    assert_eq!(
        (one.status(), other.status()),
        (StatusCode::OK, StatusCode::OK)
    );
    job.push_blob("demo/x", b"x").await;
    let bearer = job.json("/token?scope=repository:demo/x:push").await;
    assert!(bearer["token"].is_string());
    // It is used up all the same.
    expect(exchange(&registry, &token).await, 401).await;
    registry.later(Duration::minutes(30));
    expect(job.get("/v2/").await, 401).await;
    // And one that was exchanged is no password.
    let token = provider().sign(Algorithm::RS256, &claims(&registry, "exchanged"));
    expect(exchange(&registry, &token).await, 201).await;
    let job = User {
        token: Some(token),
        ..registry.anonymous.clone()
    };
    expect(job.get("/v2/").await, 401).await;
}

impl Browser {
    /// Begins a login, and gives what the provider was told.
    async fn leave(&mut self) -> HashMap<String, String> {
        let answer = expect(self.get("/login/provider").await, 303).await;
        let to = answer.headers()["location"].to_str().expect("text");
        let to = reqwest::Url::parse(to).expect("a URL");
        assert_eq!(to.path(), "/authorize");
        to.query_pairs().into_owned().collect()
    }
}

/// The provider's answer to a login: a code for an ID token.
fn answer(registry: &TestRegistry, told: &HashMap<String, String>, change: &Value) -> String {
    static CODES: AtomicUsize = AtomicUsize::new(0);
    let now = registry.app.clock.now().timestamp();
    let mut claims = json!({
        "iss": provider().url,
        "aud": told["client_id"],
        "sub": "user-7",
        "preferred_username": "Alice",
        "nonce": told["nonce"],
        "iat": now,
        "exp": now + 300,
    });
    for (name, value) in change.as_object().into_iter().flatten() {
        claims[name] = value.clone();
    }
    let code = format!("code-{}", CODES.fetch_add(1, Ordering::SeqCst));
    let token = provider().sign(Algorithm::ES256, &claims);
    let challenge = told["code_challenge"].clone();
    provider()
        .codes
        .lock()
        .expect("no panic")
        .insert(code.clone(), (challenge, token));
    format!("/login/callback?state={}&code={code}", told["state"])
}

#[tokio::test]
async fn people_log_in_through_the_provider() {
    let registry = TestRegistry::start_with(|config| {
        let mut config = believing(config);
        config.access.registration = Registration::Login;
        config
    })
    .await;
    let mut browser = Browser::new(&registry);
    let told = browser.leave().await;
    assert_eq!(told["code_challenge_method"], "S256");
    assert_eq!(
        told["redirect_uri"],
        format!("{}/login/callback", registry.origin)
    );
    let back = answer(&registry, &told, &json!({}));
    // Another browser cannot finish what this one began.
    let mut other = Browser::new(&registry);
    expect(other.get(&back).await, 401).await;
    expect(browser.get(&back).await, 303).await;
    let page = expect(browser.get("/account").await, 200).await;
    assert!(page.text().await.expect("text").contains("<h1>alice</h1>"));
    // A state counts once.
    expect(browser.get(&back).await, 401).await;
    for change in [
        json!({"nonce": "other"}),
        json!({"aud": "other"}),
        json!({"iss": "other"}),
    ] {
        let mut browser = Browser::new(&registry);
        let told = browser.leave().await;
        let back = answer(&registry, &told, &change);
        expect(browser.get(&back).await, 401).await;
        expect(browser.get("/account").await, 303).await;
    }
    // Too late.
    let mut browser = Browser::new(&registry);
    let told = browser.leave().await;
    let back = answer(&registry, &told, &json!({}));
    registry.later(Duration::minutes(10));
    expect(browser.get(&back).await, 401).await;
}

#[tokio::test]
async fn who_is_no_account_stays_outside_where_registration_is_closed() {
    let registry = registry().await;
    let mut browser = Browser::new(&registry);
    let told = browser.leave().await;
    let back = answer(&registry, &told, &json!({}));
    expect(browser.get(&back).await, 403).await;
    // Linked, it is let in.
    registry.user("carol", None).await;
    let body = json!({"issuer": provider().url, "subject": "user-7"});
    for status in [204, 409] {
        let request = registry
            .admin
            .request(Method::POST, "/api/v1/accounts/carol/identities");
        expect(request.json(&body).send().await.expect("an answer"), status).await;
    }
    let told = browser.leave().await;
    let back = answer(&registry, &told, &json!({}));
    expect(browser.get(&back).await, 303).await;
    let page = browser.get("/account").await.text().await.expect("text");
    assert!(page.contains("<h1>carol</h1>"));
}
