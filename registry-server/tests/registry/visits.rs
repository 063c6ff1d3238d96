// SPDX-License-Identifier: Apache-2.0
//! The pages of an account: sessions, forms, cookies, and what another site cannot do.

use std::collections::HashMap;

use axum::{body::Body, http::Request};
use chrono::Duration;
use reqwest::Response;
use serde_json::json;
use tower::ServiceExt;

use crate::support::{TestRegistry, browser::Browser, expect, header, package::PackageBuilder};

const PASSWORD: &str = "correct horse";

impl Browser {
    async fn page(&mut self, path: &str) -> String {
        expect(self.get(path).await, 200)
            .await
            .text()
            .await
            .expect("a page")
    }

    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Response {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let request = self
            .client
            .post(format!("{}{path}", self.origin))
            .body(body);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.send(request).await
    }

    /// Signs in through the form, and gives the answer.
    async fn sign_in(&mut self, name: &str, password: &str, next: &str) -> Response {
        let page = self.page(&format!("/login?next={next}")).await;
        let (csrf, next) = (hidden(&page, "csrf"), hidden(&page, "next"));
        let fields = [
            ("csrf", csrf.as_str()),
            ("next", &next),
            ("name", name),
            ("password", password),
        ];
        self.post("/login", &fields).await
    }

    fn session(&self) -> Option<&String> {
        self.cookies.get("bpfpkg-session")
    }
}

/// The value of a hidden field.
fn hidden(page: &str, name: &str) -> String {
    let field = format!("name=\"{name}\" value=\"");
    let rest = page
        .split(&field)
        .nth(1)
        .unwrap_or_else(|| panic!("no {name} in {page}"));
    rest.split('"').next().expect("an end").to_owned()
}

async fn alice(registry: &TestRegistry) -> Browser {
    let new = json!({"name": "alice", "password": PASSWORD});
    let request = registry
        .admin
        .request(reqwest::Method::POST, "/api/v1/accounts")
        .json(&new);
    expect(request.send().await.expect("an answer"), 201).await;
    Browser::new(registry)
}

#[tokio::test]
async fn signing_in_and_out() {
    let registry = TestRegistry::start().await;
    let mut browser = alice(&registry).await;
    assert_eq!(
        header(
            &expect(browser.get("/account").await, 303).await,
            "location"
        ),
        "/login"
    );
    let wrong = expect(browser.sign_in("alice", "wrong horse!", "").await, 401).await;
    let wrong = wrong.text().await.expect("a page");
    assert!(
        wrong.contains("The user name or password is wrong.") && wrong.contains("value=\"alice\"")
    );
    assert_eq!(browser.session(), None);
    // An address of somebody else is no place to go to.
    let answer = expect(
        browser.sign_in("alice", PASSWORD, "//evil.example").await,
        303,
    )
    .await;
    assert_eq!(header(&answer, "location"), "/account");
    let first = browser.session().expect("a session").clone();
    assert!(first.len() >= 64);
    let answer = expect(browser.get("/account").await, 200).await;
    assert_eq!(header(&answer, "cache-control"), "no-store");
    let page = answer.text().await.expect("a page");
    assert!(page.contains("<h1>alice</h1>") && !page.contains("<script"));
    // A new login has a new secret, and the former one is worth nothing.
    let mut former = browser.clone();
    expect(browser.sign_in("alice", PASSWORD, "/search").await, 303).await;
    assert_ne!(browser.session(), Some(&first));
    expect(former.get("/account").await, 303).await;
    // Out: also on the server.
    let csrf = hidden(&browser.page("/account").await, "csrf");
    let mut stolen = browser.clone();
    expect(browser.post("/logout", &[("csrf", &csrf)]).await, 303).await;
    assert_eq!(browser.session(), None);
    expect(stolen.get("/account").await, 303).await;
    // After twelve hours it is over by itself.
    expect(browser.sign_in("alice", PASSWORD, "").await, 303).await;
    registry.later(Duration::hours(12));
    expect(browser.get("/account").await, 303).await;
}

#[tokio::test]
async fn another_site_can_do_nothing() {
    let registry = TestRegistry::start().await;
    let mut browser = alice(&registry).await;
    expect(browser.sign_in("alice", PASSWORD, "").await, 303).await;
    let csrf = hidden(&browser.page("/account").await, "csrf");
    let forms = [
        "/logout",
        "/account/tokens",
        "/account/tokens/revoke",
        "/account/password",
        "/packages/demo/pass/star",
        "/login",
    ];
    for path in forms {
        for fields in [&[][..], &[("csrf", "")], &[("csrf", "0123456789abcdef")]] {
            assert_eq!(browser.post(path, fields).await.status(), 403, "{path}");
        }
        // Even with the right secret, a request that says that it comes from elsewhere is refused.
        let request = browser.client.post(format!("{}{path}", browser.origin));
        let request = request
            .header("origin", "https://evil.example")
            .body(format!("csrf={csrf}"));
        assert_eq!(browser.send(request).await.status(), 403, "{path}");
    }
    // The secret of one session is none of another.
    let mut other = Browser::new(&registry);
    expect(other.sign_in("alice", PASSWORD, "").await, 303).await;
    assert_eq!(
        other.post("/logout", &[("csrf", &csrf)]).await.status(),
        403
    );
    // And no machine surface looks at cookies.
    for path in ["/v2/", "/api/v1/account", "/api/v1/tokens"] {
        assert_eq!(browser.get(path).await.status(), 401, "{path}");
    }
    expect(browser.get("/account").await, 200).await;
}

#[tokio::test]
async fn a_token_is_shown_once_and_revoked_by_a_form() {
    let registry = TestRegistry::start().await;
    let mut browser = alice(&registry).await;
    expect(browser.sign_in("alice", PASSWORD, "").await, 303).await;
    let csrf = hidden(&browser.page("/account").await, "csrf");
    let fields = [
        ("csrf", csrf.as_str()),
        ("label", "laptop <b>"),
        ("scopes", "demo/*:pull *:pull"),
        ("days", "7"),
    ];
    let page = expect(browser.post("/account/tokens", &fields).await, 200).await;
    let page = page.text().await.expect("a page");
    let secret = page.split("bpfpkg_").nth(1).expect("a token");
    let secret = format!("bpfpkg_{}", secret.split('<').next().expect("an end"));
    let user = crate::support::User {
        token: Some(secret.clone()),
        ..registry.anonymous.clone()
    };
    expect(user.get("/v2/").await, 200).await;
    let page = browser.page("/account").await;
    assert!(!page.contains(&secret));
    assert!(page.contains("laptop &#60;b&#62;"), "{page}");
    let id = hidden(&page, "id");
    expect(
        browser
            .post("/account/tokens/revoke", &[("csrf", &csrf), ("id", &id)])
            .await,
        303,
    )
    .await;
    expect(user.get("/v2/").await, 401).await;
    assert!(browser.page("/account").await.contains("revoked"));
    for (name, value) in [
        ("scopes", "demo:fly"),
        ("days", "91"),
        ("days", "x"),
        ("label", ""),
    ] {
        let mut fields = HashMap::from([
            ("csrf", csrf.as_str()),
            ("label", "a"),
            ("scopes", ""),
            ("days", "1"),
        ]);
        fields.insert(name, value);
        let fields: Vec<_> = fields.into_iter().collect();
        let answer = expect(browser.post("/account/tokens", &fields).await, 400).await;
        assert!(
            answer
                .text()
                .await
                .expect("a page")
                .contains("role=\"alert\""),
            "{name}={value}"
        );
    }
}

#[tokio::test]
async fn a_password_is_set_by_who_came_with_the_first_token() {
    let registry = TestRegistry::start().await;
    let token = registry.admin.token.clone().expect("a token");
    let mut browser = Browser::new(&registry);
    expect(browser.sign_in("whoever", &token, "").await, 303).await;
    let csrf = hidden(&browser.page("/account").await, "csrf");
    let set = async |browser: &mut Browser, old: &str, new: &str| {
        let fields = [("csrf", csrf.as_str()), ("old", old), ("new", new)];
        browser
            .post("/account/password", &fields)
            .await
            .status()
            .as_u16()
    };
    assert_eq!(set(&mut browser, "", "short").await, 400);
    assert_eq!(set(&mut browser, "", PASSWORD).await, 303);
    // All sessions have ended.
    expect(browser.get("/account").await, 303).await;
    expect(browser.sign_in("admin", PASSWORD, "").await, 303).await;
    // A session that a token opened ends with the token; a limited one opens none.
    let limited = registry.with_token("admin", &["*:pull"]).await;
    let limited = limited.token.expect("a token");
    expect(browser.sign_in("", &limited, "").await, 401).await;
    registry.later(Duration::seconds(1));
    let other = registry.with_token("admin", &[]).await;
    let mut visit = Browser::new(&registry);
    expect(
        visit
            .sign_in("", other.token.as_deref().expect("a token"), "")
            .await,
        303,
    )
    .await;
    let tokens = registry.admin.json("/api/v1/tokens").await;
    let last = tokens.as_array().expect("a list").last().expect("a token");
    let path = format!("/api/v1/tokens/{}", last["id"].as_str().expect("text"));
    expect(other.delete(&path).await, 204).await;
    expect(visit.get("/account").await, 303).await;
}

#[tokio::test]
async fn pages_show_what_the_visitor_may_see() {
    let registry = TestRegistry::start().await;
    for name in ["demo/pass", "secret/pass"] {
        let packed = PackageBuilder::new(name, "1.0.0").pack();
        expect(packed.push(&registry.admin, "1.0.0").await, 201).await;
    }
    let mut browser = alice(&registry).await;
    assert!(browser.page("/").await.contains("href=\"/login\""));
    expect(browser.sign_in("alice", PASSWORD, "").await, 303).await;
    assert!(
        browser
            .page("/")
            .await
            .contains("<a href=\"/account\">alice</a>")
    );
    expect(browser.get("/packages/secret/pass").await, 404).await;
    registry.join("secret", "alice", "viewer").await;
    let answer = expect(browser.get("/packages/secret/pass").await, 200).await;
    assert_eq!(header(&answer, "cache-control"), "no-store");
    // A star, and back.
    let page = browser.page("/packages/demo/pass").await;
    let csrf = hidden(&page, "csrf");
    assert!(
        page.contains(">Star it</button>") && page.contains("0 stars"),
        "{page}"
    );
    let path = "/packages/demo/pass/star";
    expect(browser.post(path, &[("csrf", &csrf)]).await, 303).await;
    let page = browser.page("/packages/demo/pass").await;
    assert!(
        page.contains(">Take your star back</button>") && page.contains("1 star"),
        "{page}"
    );
    expect(
        browser
            .post(path, &[("csrf", &csrf), ("take", "back")])
            .await,
        303,
    )
    .await;
    assert!(
        browser
            .page("/packages/demo/pass")
            .await
            .contains("0 stars")
    );
    // Nobody stars what is not there for them, or their own.
    expect(
        browser
            .post("/packages/absent/pass/star", &[("csrf", &csrf)])
            .await,
        404,
    )
    .await;
    expect(
        browser
            .post("/packages/secret/pass/star", &[("csrf", &csrf)])
            .await,
        403,
    )
    .await;
}

#[tokio::test]
async fn cookies_are_bound_to_https_where_there_is_https() {
    let registry = TestRegistry::start_with(|mut config| {
        config.public_url = Some("https://registry.example".parse().expect("a URL"));
        config
    })
    .await;
    let request = Request::get("/login")
        .body(Body::empty())
        .expect("a request");
    let router = registry_server::http::router(registry.app.clone());
    let answer = router.oneshot(request).await.expect("an answer");
    let line = answer.headers()["set-cookie"].to_str().expect("text");
    assert!(
        line.starts_with("__Host-bpfpkg-form=") && line.contains("; Secure"),
        "{line}"
    );
}
