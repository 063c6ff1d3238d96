// SPDX-License-Identifier: Apache-2.0
//! Who may do what: every kind of caller times every route, and what each must get.
//!
//! The expectation is the table in `rows`, written by hand. A route that is served and has no row
//! there fails the test: a new one is refused to everybody until somebody says who may use it.

mod callers;
mod requests;
mod rows;

use std::{collections::BTreeSet, path::Path};

use registry_schema::{Digest, media_type};
use serde_json::json;

use crate::support::{
    TestRegistry, expect,
    package::{EMPTY, PackageBuilder, descriptor},
};
use callers::{Outcome, actors, expected};
use requests::{filled, outcome, send};
use rows::{
    Needs::{Administrator, Viewer},
    ROWS, Row,
};

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
