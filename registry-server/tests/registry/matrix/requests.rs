// SPDX-License-Identifier: Apache-2.0
//! A row as a request that only the right decides about, and its answer as an outcome.

use registry_schema::{Digest, media_type};
use reqwest::Method;
use serde_json::{Value, json};

use super::{callers::Outcome, rows::Row};
use crate::support::{
    User,
    package::{EMPTY, KeyPair},
};

/// The paths of a row with their placeholders filled, for one namespace.
pub(super) fn filled(path: &str, namespace: &str, manifest: &Digest) -> String {
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

pub(super) async fn send(
    user: &User,
    row: &Row,
    namespace: &str,
    content: &[u8],
) -> reqwest::Response {
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
pub(super) async fn outcome(row: &Row, answer: reqwest::Response) -> Outcome {
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
