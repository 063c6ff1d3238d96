// SPDX-License-Identifier: Apache-2.0
//! `GET /api/v1/openapi.json`: the API's description, made from the routes themselves.

use std::sync::LazyLock;

use axum::{
    http::{StatusCode, header},
    response::IntoResponse,
};
use registry_schema::api::PROBLEM;
use serde_json::{Map, Value, json};

static DOCUMENT: LazyLock<Value> = LazyLock::new(describe);
static TEXT: LazyLock<String> = LazyLock::new(|| DOCUMENT.to_string());

/// The OpenAPI 3.1 document of `/api/v1`.
pub fn document() -> &'static Value {
    &DOCUMENT
}

/// `GET /openapi.json`
pub(super) async fn show() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str())
}

/// What the routes say, completed by what holds for all of them.
fn describe() -> Value {
    let (_, routes) = super::described().split_for_parts();
    let routes = serde_json::to_value(routes).unwrap_or_default();
    let paths: Map<String, Value> = match &routes["paths"] {
        Value::Object(paths) => paths.iter().map(|(at, item)| path(at, item)).collect(),
        _ => Map::new(),
    };
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "bpfpkg registry",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Packages, namespaces and accounts of a registry for signed eBPF packages. \
                Content is pushed and pulled under /v2, by the OCI distribution specification.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/api/v1" }],
        "security": [{}, { "token": [] }, { "basic": [] }],
        "paths": paths,
        "components": {
            "schemas": registry_schema::openapi::schemas(),
            "responses": { "Problem": problem() },
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "An API token" },
                "basic": { "type": "http", "scheme": "basic", "description": "An API token as password, with any user name" },
            },
        },
    })
}

fn problem() -> Value {
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    json!({ "description": "What went wrong", "content": { PROBLEM: { "schema": schema } } })
}

/// A path without the framework's mark of a rest that may hold slashes, and its operations.
fn path(at: &str, item: &Value) -> (String, Value) {
    let at = at.replace("{*", "{");
    let mut item = item.clone();
    for (method, operation) in item.as_object_mut().into_iter().flatten() {
        complete(&at, method, operation);
    }
    (at, item)
}

fn complete(at: &str, method: &str, operation: &mut Value) {
    let words = at.split('/').map(|word| word.trim_matches(['{', '}']));
    let id: Vec<&str> = std::iter::once(method)
        .chain(words)
        .filter(|word| !word.is_empty())
        .collect();
    operation["operationId"] = id.join("_").replace('-', "_").into();
    if let Value::Object(responses) = &mut operation["responses"] {
        for (status, response) in responses.iter_mut() {
            let status = status
                .parse()
                .ok()
                .and_then(|code| StatusCode::from_u16(code).ok());
            if response["description"].as_str().is_none_or(str::is_empty) {
                response["description"] =
                    status.and_then(|status| status.canonical_reason()).into();
            }
        }
        responses.insert(
            "default".to_owned(),
            json!({ "$ref": "#/components/responses/Problem" }),
        );
    }
}
