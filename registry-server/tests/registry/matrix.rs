// SPDX-License-Identifier: Apache-2.0
//! Who may do what: every kind of caller times every route, and what each must get.
//!
//! The expectation is the table below, written by hand. A route that is served and has no row
//! here fails the test: a new one is refused to everybody until somebody says who may use it.

use std::{collections::BTreeSet, path::Path};

use registry_schema::{Digest, media_type};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    TestRegistry, User, expect,
    package::{EMPTY, KeyPair, PackageBuilder, descriptor},
};

/// Who may use a route, from least to most; each includes the ones after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Needs {
    /// Nobody needs to be anybody.
    Nothing,
    /// Some account.
    Account,
    /// The right to read: everybody in a public namespace, members in a private one.
    Viewer,
    /// Membership, of any kind.
    Member,
    Publisher,
    Maintainer,
    Owner,
    Administrator,
}
use Needs::{Account, Administrator, Maintainer, Member, Nothing, Owner, Publisher, Viewer};

/// A kind of request. `NS` is the namespace, `/v2` paths are below its repository `m`. The last
/// word is what a limited token must allow; empty if no limit matters, `!` if none may be there,
/// `blind` if nobody looks at the credential.
struct Row(&'static str, &'static str, Needs, &'static str);

const ROWS: &[Row] = &[
    // The OCI surface.
    Row("GET", "/v2/", Account, ""),
    Row("HEAD", "/v2/", Account, ""),
    Row("GET", "/v2/_catalog", Nothing, ""),
    Row("GET", "/v2/NS/m/tags/list", Viewer, "pull"),
    Row("GET", "/v2/NS/m/manifests/one", Viewer, "pull"),
    Row("HEAD", "/v2/NS/m/manifests/one", Viewer, "pull"),
    Row("GET", "/v2/NS/m/manifests/MANIFEST", Viewer, "pull"),
    Row("GET", "/v2/NS/m/blobs/BLOB", Viewer, "pull"),
    Row("HEAD", "/v2/NS/m/blobs/BLOB", Viewer, "pull"),
    Row("GET", "/v2/NS/m/referrers/BLOB", Viewer, "pull"),
    Row("POST", "/v2/NS/m/blobs/uploads/", Publisher, "push"),
    Row(
        "POST",
        "/v2/NS/m/blobs/uploads/?mount=BLOB&from=NS/m",
        Publisher,
        "push",
    ),
    Row("PATCH", "/v2/NS/m/blobs/uploads/none", Publisher, "push"),
    Row(
        "PUT",
        "/v2/NS/m/blobs/uploads/none?digest=BLOB",
        Publisher,
        "push",
    ),
    Row("GET", "/v2/NS/m/blobs/uploads/none", Publisher, "push"),
    Row("HEAD", "/v2/NS/m/blobs/uploads/none", Publisher, "push"),
    Row("DELETE", "/v2/NS/m/blobs/uploads/none", Publisher, "push"),
    Row("PUT", "/v2/NS/m/manifests/two", Publisher, "push"),
    Row("DELETE", "/v2/NS/m/manifests/none", Maintainer, "delete"),
    Row("DELETE", "/v2/NS/m/manifests/ABSENT", Maintainer, "delete"),
    Row("DELETE", "/v2/NS/m/blobs/ABSENT", Maintainer, "delete"),
    // The catalogue.
    Row("GET", "/api/v1/search", Nothing, ""),
    Row("GET", "/api/v1/packages", Nothing, ""),
    Row("GET", "/api/v1/packages/{namespace}/{name}", Viewer, "pull"),
    Row(
        "GET",
        "/api/v1/packages/{namespace}/{name}/versions/{version}",
        Viewer,
        "pull",
    ),
    Row(
        "GET",
        "/api/v1/packages/{namespace}/{name}/star",
        Viewer,
        "pull",
    ),
    // Stars are an account's own; who may not read may not star.
    Row(
        "PUT",
        "/api/v1/packages/{namespace}/{name}/star",
        Account,
        "star",
    ),
    Row(
        "DELETE",
        "/api/v1/packages/{namespace}/{name}/star",
        Account,
        "star",
    ),
    // What is demanded of versions, and who decides.
    Row("GET", "/api/v1/registry", Nothing, "blind"),
    Row("GET", "/api/v1/reviews", Administrator, "admin"),
    Row(
        "PUT",
        "/api/v1/packages/{namespace}/{name}/versions/{version}/review",
        Administrator,
        "admin",
    ),
    Row(
        "GET",
        "/api/v1/packages/{namespace}/{name}/versions/{version}/reviews",
        Viewer,
        "pull",
    ),
    // The life of versions.
    Row(
        "PUT",
        "/api/v1/packages/{namespace}/{name}/versions/{version}/yank",
        Maintainer,
        "yank",
    ),
    Row(
        "DELETE",
        "/api/v1/packages/{namespace}/{name}/versions/{version}/yank",
        Maintainer,
        "yank",
    ),
    Row(
        "PUT",
        "/api/v1/packages/{namespace}/{name}/versions/{version}/deprecation",
        Maintainer,
        "yank",
    ),
    Row(
        "DELETE",
        "/api/v1/packages/{namespace}/{name}/versions/{version}/deprecation",
        Maintainer,
        "yank",
    ),
    Row(
        "PUT",
        "/api/v1/packages/{namespace}/{name}/deprecation",
        Maintainer,
        "yank",
    ),
    Row(
        "DELETE",
        "/api/v1/packages/{namespace}/{name}/deprecation",
        Maintainer,
        "yank",
    ),
    // Namespaces.
    Row("GET", "/api/v1/namespaces", Nothing, ""),
    Row("POST", "/api/v1/namespaces", Account, "manage"),
    Row("GET", "/api/v1/namespaces/{namespace}", Viewer, "pull"),
    Row("PATCH", "/api/v1/namespaces/{namespace}", Owner, "manage"),
    Row("DELETE", "/api/v1/namespaces/{namespace}", Owner, "manage"),
    Row("GET", "/api/v1/namespaces/{namespace}/keys", Viewer, "pull"),
    Row(
        "POST",
        "/api/v1/namespaces/{namespace}/keys",
        Maintainer,
        "manage",
    ),
    Row(
        "DELETE",
        "/api/v1/namespaces/{namespace}/keys/{fingerprint}",
        Maintainer,
        "manage",
    ),
    Row(
        "GET",
        "/api/v1/namespaces/{namespace}/identities",
        Viewer,
        "pull",
    ),
    Row(
        "POST",
        "/api/v1/namespaces/{namespace}/identities",
        Maintainer,
        "manage",
    ),
    Row(
        "DELETE",
        "/api/v1/namespaces/{namespace}/identities/{identity}",
        Maintainer,
        "manage",
    ),
    Row(
        "POST",
        "/api/v1/namespaces/{namespace}/revocations",
        Maintainer,
        "manage",
    ),
    Row(
        "GET",
        "/api/v1/namespaces/{namespace}/continuity",
        Viewer,
        "pull",
    ),
    Row(
        "POST",
        "/api/v1/namespaces/{namespace}/continuity",
        Maintainer,
        "manage",
    ),
    Row(
        "GET",
        "/api/v1/namespaces/{namespace}/transfer",
        Viewer,
        "pull",
    ),
    Row(
        "POST",
        "/api/v1/namespaces/{namespace}/transfer",
        Owner,
        "manage",
    ),
    Row(
        "DELETE",
        "/api/v1/namespaces/{namespace}/transfer",
        Owner,
        "manage",
    ),
    Row(
        "GET",
        "/api/v1/namespaces/{namespace}/proofs",
        Viewer,
        "pull",
    ),
    Row(
        "POST",
        "/api/v1/namespaces/{namespace}/proofs",
        Maintainer,
        "manage",
    ),
    Row(
        "DELETE",
        "/api/v1/namespaces/{namespace}/proofs/{kind}/{subject}",
        Maintainer,
        "manage",
    ),
    // Only whom it was offered accepts; everybody else learns nothing.
    Row(
        "POST",
        "/api/v1/namespaces/{namespace}/transfer/accept",
        Account,
        "accept",
    ),
    Row(
        "GET",
        "/api/v1/namespaces/{namespace}/members",
        Member,
        "pull",
    ),
    Row(
        "PUT",
        "/api/v1/namespaces/{namespace}/members/{account}",
        Owner,
        "manage",
    ),
    Row(
        "DELETE",
        "/api/v1/namespaces/{namespace}/members/{account}",
        Owner,
        "manage",
    ),
    Row(
        "GET",
        "/api/v1/namespaces/{namespace}/trusted-publishers",
        Maintainer,
        "manage",
    ),
    Row(
        "POST",
        "/api/v1/namespaces/{namespace}/trusted-publishers",
        Maintainer,
        "manage",
    ),
    Row(
        "DELETE",
        "/api/v1/namespaces/{namespace}/trusted-publishers/{publisher}",
        Maintainer,
        "manage",
    ),
    Row(
        "GET",
        "/api/v1/namespaces/{namespace}/storage",
        Owner,
        "manage",
    ),
    Row(
        "PUT",
        "/api/v1/namespaces/{namespace}/storage",
        Owner,
        "manage",
    ),
    Row(
        "POST",
        "/api/v1/namespaces/{namespace}/storage/expire",
        Owner,
        "manage",
    ),
    Row("GET", "/api/v1/audit?namespace=NS", Owner, "manage"),
    Row("GET", "/api/v1/audit", Administrator, "admin"),
    // Other registries, and programs that want to know.
    Row(
        "GET",
        "/api/v1/namespaces/{namespace}/upstreams",
        Owner,
        "manage",
    ),
    Row(
        "PUT",
        "/api/v1/namespaces/{namespace}/upstreams",
        Administrator,
        "admin",
    ),
    Row(
        "POST",
        "/api/v1/packages/{namespace}/{name}/foreign",
        Owner,
        "manage",
    ),
    Row(
        "GET",
        "/api/v1/namespaces/{namespace}/webhooks",
        Owner,
        "manage",
    ),
    Row(
        "POST",
        "/api/v1/namespaces/{namespace}/webhooks",
        Owner,
        "manage",
    ),
    Row(
        "DELETE",
        "/api/v1/namespaces/{namespace}/webhooks/{id}",
        Owner,
        "manage",
    ),
    Row(
        "POST",
        "/api/v1/namespaces/{namespace}/webhooks/{id}/test",
        Owner,
        "manage",
    ),
    Row(
        "GET",
        "/api/v1/namespaces/{namespace}/webhooks/{id}/deliveries",
        Owner,
        "manage",
    ),
    // Accounts.
    Row("GET", "/api/v1/account", Account, ""),
    Row("PUT", "/api/v1/account/password", Account, "!"),
    Row("GET", "/api/v1/tokens", Account, "!"),
    Row("POST", "/api/v1/tokens", Account, "!"),
    Row("DELETE", "/api/v1/tokens/{id}", Account, "!"),
    Row("POST", "/api/v1/oidc/exchange", Nothing, "blind"),
    Row("GET", "/api/v1/accounts", Administrator, "admin"),
    Row("POST", "/api/v1/accounts", Administrator, "admin"),
    Row("GET", "/api/v1/accounts/{account}", Administrator, "admin"),
    Row(
        "PATCH",
        "/api/v1/accounts/{account}",
        Administrator,
        "admin",
    ),
    Row(
        "POST",
        "/api/v1/accounts/{account}/identities",
        Administrator,
        "admin",
    ),
    Row("GET", "/api/v1/certificates", Administrator, "admin"),
    Row("POST", "/api/v1/certificates", Administrator, "admin"),
    Row(
        "DELETE",
        "/api/v1/certificates/{kind}/{value}",
        Administrator,
        "admin",
    ),
    // Trust.
    Row("GET", "/api/v1/log", Nothing, "blind"),
    Row("GET", "/api/v1/log/entries", Nothing, "blind"),
    Row("POST", "/api/v1/log/cosignatures", Nothing, "blind"),
    Row(
        "GET",
        "/api/v1/packages/{namespace}/{name}/versions/{version}/proof",
        Viewer,
        "pull",
    ),
    Row("GET", "/api/v1/trust/root", Nothing, "blind"),
    Row("PUT", "/api/v1/trust/root", Administrator, "admin"),
    Row("GET", "/api/v1/trust/root/{version}", Nothing, "blind"),
    Row("GET", "/api/v1/trust/revocations", Nothing, "blind"),
    Row("GET", "/api/v1/trust/revocations/key", Nothing, "blind"),
    // Owners may revoke their own; this is nobody's.
    Row("POST", "/api/v1/trust/revocations", Administrator, "admin"),
];

/// A caller: what it is in `demo`, and in `secret` (where only `inside` belong).
struct Actor {
    name: &'static str,
    user: User,
    /// What it has in `demo`; `Account` for a stranger, `Nothing` for nobody.
    role: Needs,
    /// Whether it has the same role in `secret`.
    inside: bool,
    /// What its token is limited to; none if to nothing.
    only: Option<&'static [&'static str]>,
    /// Whether its credential is worth nothing.
    dead: bool,
}

/// What an answer must be.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Allowed: whatever the request itself deserves.
    Allowed,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404, as if there were nothing.
    Hidden,
}

fn expected(row: &Row, actor: &Actor, private: bool) -> Outcome {
    let Row(_, path, needs, word) = row;
    if actor.dead {
        // Some routes look at nobody.
        let blind = *word == "blind";
        return if blind {
            Outcome::Allowed
        } else {
            Outcome::Unauthorized
        };
    }
    if *word == "blind" || *needs == Nothing {
        return Outcome::Allowed;
    }
    let oci = path.starts_with("/v2");
    let anonymous = actor.role == Nothing;
    let administrator = actor.role == Administrator;
    if *word == "accept" {
        return if anonymous {
            Outcome::Unauthorized
        } else {
            Outcome::Hidden
        };
    }
    let about = path.contains("NS") || path.contains("{namespace}");
    if !about {
        return match (anonymous, needs, word) {
            // Where registration is closed, that is the answer to whoever asks.
            (_, Administrator, _)
                if *path == "/api/v1/accounts" && row.0 == "POST" && !administrator =>
            {
                Outcome::Forbidden
            }
            (true, ..) => Outcome::Unauthorized,
            (_, Administrator, _) if !administrator => Outcome::Forbidden,
            (_, _, &"!" | &"manage" | &"admin") if actor.only.is_some() => Outcome::Forbidden,
            _ => Outcome::Allowed,
        };
    }
    if *needs == Administrator {
        // Who is none learns nothing about the namespace either.
        let limited = !administrator || actor.only.is_some();
        return match (anonymous, limited) {
            (true, _) => Outcome::Unauthorized,
            (false, true) => Outcome::Forbidden,
            (false, false) => Outcome::Allowed,
        };
    }
    // A token that says nothing of the namespace is a stranger's there.
    let touches = actor.only.is_none_or(|words| !words.is_empty());
    let member = actor.role >= Viewer && touches && (!private || actor.inside || administrator);
    if private && !member {
        // The catalogue never asks for a password: what one may not read is not there.
        let asks = oci || !matches!(needs, Viewer);
        return if anonymous && asks {
            Outcome::Unauthorized
        } else {
            Outcome::Hidden
        };
    }
    let covered = actor
        .only
        .is_none_or(|words| words.contains(word) || (*word == "star"));
    match needs {
        Viewer if !private => Outcome::Allowed,
        Viewer if covered => Outcome::Allowed,
        Viewer if oci => Outcome::Forbidden,
        Viewer => Outcome::Hidden,
        _ if anonymous => Outcome::Unauthorized,
        Account => Outcome::Allowed,
        Member if !covered => Outcome::Forbidden,
        Member if member => Outcome::Allowed,
        _ if covered && member && actor.role >= *needs => Outcome::Allowed,
        _ => Outcome::Forbidden,
    }
}

/// The paths of a row with their placeholders filled, for one namespace.
fn filled(path: &str, namespace: &str, manifest: &Digest) -> String {
    let unregistered = KeyPair::new(99).public.fingerprint().to_string();
    let pairs = [
        ("NS", namespace),
        ("{namespace}", namespace),
        ("{name}", "pass"),
        ("root/{version}", "root/1"),
        ("{version}", "1.0.0"),
        ("{account}", "nobody"),
        ("{publisher}", "none"),
        ("{id}", "none"),
        ("{kind}", "dns"),
        ("{value}", "none"),
        ("{fingerprint}", &unregistered),
        ("{subject}", "none"),
        ("{identity}", "oidc:https%3A%2F%2Fnobody.example%23none"),
        ("MANIFEST", &manifest.to_string()),
        ("BLOB", &Digest::sha256(EMPTY).to_string()),
        ("ABSENT", &Digest::sha256(b"absent").to_string()),
    ];
    pairs
        .iter()
        .fold(path.to_owned(), |path, (from, to)| path.replace(from, to))
}

/// A body that the route can read, so that only the right decides.
fn body(method: &str, path: &str, content: &[u8]) -> Vec<u8> {
    let value = match (method, path) {
        ("PUT", "/v2/NS/m/manifests/two") => return content.to_vec(),
        (_, path) if path.starts_with("/v2/") => return EMPTY.to_vec(),
        ("POST", "/api/v1/namespaces") => json!({"name": "demo"}),
        ("POST", path) if path.ends_with("/keys") => {
            json!({"pem": KeyPair::new(8).public.to_pem()})
        }
        ("PUT", path) if path.contains("/members/") => json!({"role": "viewer"}),
        ("POST", path) if path.ends_with("/trusted-publishers") => {
            json!({"name": "x", "issuer": "https://nobody.example", "subject": "x"})
        }
        ("PUT", path) if path.ends_with("/review") => json!({"approve": false, "reason": "x"}),
        ("PUT", path) if path.ends_with("/yank") => json!({"reason": "x"}),
        ("PUT", path) if path.ends_with("/deprecation") => json!({"message": "x"}),
        ("POST", path) if path.ends_with("/identities") && path.contains("{namespace}") => {
            json!({"identity": "oidc:https://nobody.example#x"})
        }
        ("POST", path) if path.ends_with("}/revocations") => {
            json!({"identity": "oidc:https://nobody.example#none", "end": "superseded"})
        }
        ("POST", path) if path.ends_with("/continuity") => json!({"bundle": {}}),
        ("POST", path) if path.ends_with("/transfer") => json!({"to": "nobody"}),
        ("POST", path) if path.ends_with("/proofs") => json!({"domain": "not a domain"}),
        ("POST", path) if path.ends_with("/webhooks") => json!({"url": "ftp://x"}),
        ("POST", path) if path.ends_with("/foreign") => json!({"source": "x"}),
        ("PUT", path) if path.ends_with("/upstreams") => json!({"upstreams": []}),
        ("PUT", "/api/v1/account/password") => json!({"new": "long enough it is"}),
        ("POST", "/api/v1/tokens") => json!({"label": "matrix"}),
        ("POST", "/api/v1/oidc/exchange") => json!({"token": "x"}),
        ("POST", "/api/v1/trust/revocations") => {
            json!({"subject": Digest::sha256(b"nobody's"), "reason": "defective"})
        }
        ("POST", "/api/v1/accounts") => json!({"name": "admin"}),
        ("POST", path) if path.ends_with("/identities") => json!({"issuer": "x", "subject": "x"}),
        ("POST", "/api/v1/certificates") => json!({"kind": "x", "value": "x", "account": "x"}),
        _ => json!({}),
    };
    value.to_string().into_bytes()
}

async fn send(user: &User, row: &Row, namespace: &str, content: &[u8]) -> reqwest::Response {
    let path = filled(row.1, namespace, &Digest::sha256(content));
    let method = Method::from_bytes(row.0.as_bytes()).expect("a method");
    let mut request = user.request(method, &path);
    if row.1.ends_with("manifests/two") {
        request = request.header("content-type", media_type::OCI_MANIFEST);
    }
    if !matches!(row.0, "GET" | "HEAD") {
        request = request.body(body(row.0, row.1, content));
    }
    request.send().await.expect("an answer")
}

/// What an answer was. A 404 says by its code whether it hides something or only has nothing.
async fn outcome(row: &Row, answer: reqwest::Response) -> Outcome {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap_or(Value::Null);
    let code = body["errors"][0]["code"].as_str().or(body["type"].as_str());
    match (status, code.unwrap_or_default()) {
        // The exchange refuses what it was given, not who gave it; and nobody stars their own.
        (401, "id-token-invalid") | (403, "own-package") => Outcome::Allowed,
        (401, _) => Outcome::Unauthorized,
        (403, _) => Outcome::Forbidden,
        (404, "NAME_UNKNOWN" | "namespace-unknown" | "package-unknown" | "not-found") => {
            Outcome::Hidden
        }
        (404, "") if row.0 == "HEAD" && !row.1.ends_with("/none") => Outcome::Hidden,
        _ => Outcome::Allowed,
    }
}

/// `demo` and `secret`, each with an image `m` and a package `pass`. Gives the manifest.
async fn content(registry: &TestRegistry) -> Vec<u8> {
    let config = descriptor(media_type::OCI_EMPTY, EMPTY);
    let content = json!({"schemaVersion": 2, "config": config, "layers": []});
    let content = content.to_string().into_bytes();
    for namespace in ["demo", "secret"] {
        let name = format!("{namespace}/m");
        registry.admin.push_blob(&name, EMPTY).await;
        let kind = media_type::OCI_MANIFEST;
        expect(
            registry
                .admin
                .put_manifest(&name, "one", kind, &content)
                .await,
            201,
        )
        .await;
        let package = PackageBuilder::new(&format!("{namespace}/pass"), "1.0.0").pack();
        expect(package.push(&registry.admin, "1.0.0").await, 201).await;
    }
    content
}

async fn actors(registry: &TestRegistry) -> Vec<Actor> {
    let actor = |name, user, role, inside| Actor {
        name,
        user,
        role,
        inside,
        only: None,
        dead: false,
    };
    let mut actors = vec![
        actor("anonymous", registry.anonymous.clone(), Nothing, false),
        actor(
            "stranger",
            registry.user("stranger", None).await,
            Account,
            false,
        ),
        actor("administrator", registry.admin.clone(), Administrator, true),
        actor(
            "owner-of-demo",
            registry.user("owner-of-demo", Some("owner")).await,
            Owner,
            false,
        ),
    ];
    for (name, role) in [
        ("viewer", Viewer),
        ("publisher", Publisher),
        ("maintainer", Maintainer),
        ("owner", Owner),
    ] {
        let user = registry.user(name, Some(name)).await;
        registry.join("secret", name, name).await;
        actors.push(actor(name, user, role, true));
    }
    let limits: [(&str, &str, &str, &'static [&'static str]); 5] = [
        ("owner: pull", "owner", "*:pull", &["pull"]),
        ("owner: push", "owner", "*:pull,push", &["pull", "push"]),
        (
            "owner: no manage",
            "owner",
            "*:pull,push,delete,yank",
            &["pull", "push", "delete", "yank"],
        ),
        ("owner: elsewhere", "owner", "other/*:pull,push,manage", &[]),
        ("administrator: pull", "admin", "*:pull", &["pull"]),
    ];
    for (name, account, scope, only) in limits {
        let role = if account == "admin" {
            Administrator
        } else {
            Owner
        };
        let user = registry.with_token(account, &[scope]).await;
        let limited = actor(name, user, role, true);
        actors.push(Actor {
            only: Some(only),
            ..limited
        });
    }
    for (name, user) in crate::oidc::dead(registry).await {
        actors.push(Actor {
            dead: true,
            ..actor(name, user, Owner, true)
        });
    }
    let ci = crate::oidc::publisher(registry).await;
    actors.push(Actor {
        only: Some(&["pull", "push"]),
        ..actor("CI job", ci, Publisher, false)
    });
    actors
}

#[tokio::test]
async fn every_caller_on_every_route() {
    let registry = crate::oidc::registry().await;
    let content = content(&registry).await;
    let actors = actors(&registry).await;
    let (mut cells, mut wrong) = (0, Vec::new());
    for actor in &actors {
        for row in ROWS {
            let about = row.1.contains("NS") || row.1.contains("{namespace}");
            for namespace in if about {
                &["demo", "secret"][..]
            } else {
                &["demo"]
            } {
                let answer = send(&actor.user, row, namespace, &content).await;
                let status = answer.status();
                assert!(
                    !status.is_server_error(),
                    "{}: {} {}",
                    actor.name,
                    row.0,
                    row.1
                );
                let (found, wanted) = (
                    outcome(row, answer).await,
                    expected(row, actor, *namespace == "secret"),
                );
                cells += 1;
                // HEAD has no body to tell an upload that is none from one that is hidden.
                let mute = row.0 == "HEAD" && row.1.ends_with("/none") && status == 404;
                if found != wanted && !(mute && wanted == Outcome::Hidden) {
                    wrong.push(format!(
                        "{}: {} {} in {namespace}: {found:?} ({status}), not {wanted:?}",
                        actor.name, row.0, row.1
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cells}: {wrong:#?}", wrong.len());
    assert!(cells >= 1000, "only {cells} cells");
}

/// The routes of the REST API, as it describes itself.
fn api_routes() -> BTreeSet<(String, String)> {
    let paths = registry_server::http::api::document()["paths"].as_object();
    let mut routes = BTreeSet::new();
    for (path, item) in paths.expect("paths") {
        for method in item.as_object().expect("operations").keys() {
            routes.insert((method.to_uppercase(), format!("/api/v1{path}")));
        }
    }
    assert!(routes.len() > 30, "{routes:?}");
    routes
}

/// The requests of the OCI surface, as `http/oci/mod.rs` tells them apart.
fn oci_routes() -> BTreeSet<(String, String)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/oci/mod.rs");
    let text = std::fs::read_to_string(file).expect("a source");
    let mut routes = BTreeSet::new();
    for line in text.lines().map(str::trim) {
        let Some(rest) = line.strip_prefix("(Resource::") else {
            continue;
        };
        let resource: String = rest
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect();
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
            if line.contains("=>")
                && !line.contains("| (_")
                && line.contains(&format!("\"{method}\""))
            {
                routes.insert((method.to_owned(), resource.clone()));
            }
        }
    }
    assert!(routes.len() > 10, "{routes:?}");
    routes
}

#[test]
fn every_route_has_a_row() {
    let rows = || ROWS.iter().map(|row| (row.0.to_owned(), row.1));
    let known: BTreeSet<_> = rows()
        .map(|(method, path)| (method, path.split('?').next().unwrap_or(path).to_owned()))
        .collect();
    let missing: Vec<_> = api_routes().difference(&known).cloned().collect();
    assert!(missing.is_empty(), "say who may use {missing:#?}");
    let some = Digest::sha256(EMPTY);
    let known: BTreeSet<_> = rows()
        .filter(|(_, path)| path.starts_with("/v2"))
        .map(|(method, path)| {
            let path = filled(path, "demo", &some);
            let path = path.split('?').next().unwrap_or_default();
            let parsed = registry_server::http::oci::path::parse(path).expect("a path");
            let resource = format!("{parsed:?}");
            (
                method,
                resource.split('(').next().unwrap_or_default().to_owned(),
            )
        })
        .collect();
    let missing: Vec<_> = oci_routes().difference(&known).cloned().collect();
    assert!(missing.is_empty(), "say who may use {missing:#?}");
}

/// An answer without what differs between any two.
pub(crate) async fn appearance(
    answer: reqwest::Response,
    name: &str,
) -> (u16, Vec<String>, String) {
    let status = answer.status().as_u16();
    let headers = answer.headers().iter();
    let shown = headers
        .filter(|(name, _)| !matches!(name.as_str(), "date" | "x-request-id" | "set-cookie"));
    let mut headers: Vec<String> = shown
        .map(|(header, value)| {
            format!(
                "{header}: {}",
                value.to_str().expect("text").replace(name, "NAME")
            )
        })
        .collect();
    headers.sort();
    let text = answer.text().await.expect("a body").replace(name, "NAME");
    let mut lines = text
        .split(',')
        .filter(|part| !part.contains("request_id"))
        .collect::<Vec<_>>()
        .join(",");
    if let Some(at) = lines.find("<code>0") {
        // The request's identifier on a page.
        lines.truncate(at);
    }
    (status, headers, lines)
}

#[tokio::test]
async fn what_is_private_looks_like_what_is_not_there() {
    let registry = TestRegistry::start().await;
    let content = content(&registry).await;
    let users = [
        ("anonymous", registry.anonymous.clone()),
        ("stranger", registry.user("stranger", None).await),
        ("token for elsewhere", {
            registry.user("member", None).await;
            registry.join("secret", "member", "owner").await;
            registry
                .with_token("member", &["demo/*:pull,push,manage"])
                .await
        }),
    ];
    let pages = [
        "/packages/NS",
        "/packages/NS/pass",
        "/packages/NS/pass/1.0.0",
    ];
    let pages = pages.map(|path| Row("GET", path, Viewer, "pull"));
    for (who, user) in &users {
        let about = |row: &&Row| row.1.contains("NS") || row.1.contains("{namespace}");
        for row in ROWS.iter().chain(&pages).filter(about) {
            let there = appearance(send(user, row, "secret", &content).await, "secret").await;
            let absent = appearance(send(user, row, "absent", &content).await, "absent").await;
            assert_eq!(there, absent, "{who}: {} {}", row.0, row.1);
            assert!(
                matches!(there.0, 401 | 404) || row.2 == Administrator,
                "{who}: {} {}: {}",
                row.0,
                row.1,
                there.0
            );
        }
    }
}
