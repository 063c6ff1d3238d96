// SPDX-License-Identifier: Apache-2.0
//! `GET /api`: the REST API for people, from its own description.

use askama::Template;
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::{Layout, render};
use crate::http::api;

#[derive(Template)]
#[template(path = "pages/api.html")]
struct ApiPage {
    layout: Layout,
    groups: Vec<Group>,
    bodies: Vec<Body>,
}

/// Addresses that belong together.
struct Group {
    name: String,
    operations: Vec<Operation>,
}

/// One method of one address.
struct Operation {
    id: String,
    method: String,
    path: String,
    summary: String,
    description: String,
    parameters: Vec<Row>,
    takes: Option<Kind>,
    gives: Vec<(String, Kind)>,
    curl: String,
}

/// A JSON object that requests or answers hold.
struct Body {
    name: String,
    description: String,
    fields: Vec<Row>,
}

/// A parameter or a field.
struct Row {
    name: String,
    kind: Kind,
    required: bool,
    description: String,
}

/// What a value is: words, and the body on this page that they mean.
struct Kind {
    words: String,
    body: Option<String>,
}

pub(super) async fn show(layout: Layout) -> Response {
    let document = api::document();
    let page = ApiPage {
        groups: groups(document, &layout),
        bodies: bodies(&document["components"]["schemas"]),
        layout,
    };
    render(StatusCode::OK, &page)
}

fn groups(document: &Value, layout: &Layout) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (path, item) in entries(&document["paths"]) {
        for (method, operation) in entries(item) {
            let tag = text(&operation["tags"][0]);
            let operation = self::operation(document, layout, path, method, operation);
            match groups.iter_mut().find(|group| group.name == tag) {
                Some(group) => group.operations.push(operation),
                None => groups.push(Group {
                    name: tag,
                    operations: vec![operation],
                }),
            }
        }
    }
    groups
}

fn operation(
    document: &Value,
    layout: &Layout,
    path: &str,
    method: &str,
    operation: &Value,
) -> Operation {
    let takes = &operation["requestBody"]["content"]["application/json"]["schema"];
    let gives = entries(&operation["responses"]).filter(|(status, _)| *status != "default");
    let gives = gives.map(|(status, response)| {
        let schema = &response["content"]["application/json"]["schema"];
        (status.clone(), kind(schema))
    });
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let parameters = parameters.map(|parameter| Row {
        name: text(&parameter["name"]),
        kind: kind(&parameter["schema"]),
        required: parameter["required"] == true,
        description: text(&parameter["description"]),
    });
    Operation {
        id: text(&operation["operationId"]),
        method: method.to_uppercase(),
        path: format!("/api/v1{path}"),
        summary: text(&operation["summary"]),
        description: text(&operation["description"]),
        parameters: parameters.collect(),
        takes: (!takes.is_null()).then(|| kind(takes)),
        gives: gives.collect(),
        curl: curl(document, layout, path, method, takes),
    }
}

fn bodies(schemas: &Value) -> Vec<Body> {
    let bodies = entries(schemas).map(|(name, schema)| {
        let required = schema["required"].as_array();
        let fields = entries(&schema["properties"]).map(|(field, schema)| Row {
            name: field.clone(),
            kind: kind(schema),
            required: required.is_some_and(|names| names.iter().any(|name| name == field)),
            description: text(&schema["description"]),
        });
        let fields: Vec<Row> = fields.collect();
        let mut description = text(&schema["description"]);
        if fields.is_empty() {
            description = format!("{description} ({})", kind(schema).words);
        }
        Body {
            name: name.clone(),
            description,
            fields,
        }
    });
    bodies.collect()
}

/// Says in words what a JSON Schema lets through.
fn kind(schema: &Value) -> Kind {
    let plain = |words: String| Kind { words, body: None };
    if let Some(name) = reference(schema) {
        return Kind {
            words: name.to_owned(),
            body: Some(name.to_owned()),
        };
    }
    if schema["type"] == "array" {
        let of = kind(&schema["items"]);
        return Kind {
            words: format!("list of {}", of.words),
            ..of
        };
    }
    for choice in ["anyOf", "oneOf", "enum"] {
        if let Value::Array(several) = &schema[choice] {
            let mut kinds = several.iter().map(|one| match one {
                Value::String(value) => plain(format!("`{value}`")),
                _ => kind(one),
            });
            let first = kinds.next().unwrap_or_else(|| plain(String::new()));
            let rest = kinds.map(|kind| kind.words);
            let words: Vec<String> = std::iter::once(first.words).chain(rest).collect();
            return Kind {
                words: words.join(" or "),
                body: first.body,
            };
        }
    }
    if let Some(value) = schema["const"].as_str() {
        return plain(format!("`{value}`"));
    }
    match &schema["type"] {
        Value::String(kind) => plain(kind.clone()),
        Value::Array(kinds) => plain(kinds.iter().map(text).collect::<Vec<_>>().join(" or ")),
        _ => plain("nothing".to_owned()),
    }
}

/// A call that can be pasted, with names in place of the parameters of the path.
fn curl(document: &Value, layout: &Layout, path: &str, method: &str, takes: &Value) -> String {
    let scheme = if layout.plain { "http" } else { "https" };
    let path = path
        .replace("{namespace}", "demo")
        .replace("{name}", "xdp-pass")
        .replace("{version}", "1.0.0");
    let url = format!("{scheme}://{}/api/v1{path}", layout.host);
    if method == "get" {
        return format!("curl {url}");
    }
    let mut call = format!(
        "curl -X {} -H \"Authorization: Bearer $TOKEN\" {url}",
        method.to_uppercase()
    );
    if let Some(name) = reference(takes) {
        let body = &document["components"]["schemas"][name];
        let required = body["required"].as_array().into_iter().flatten();
        let fields = required.map(|field| {
            let kind = &body["properties"][text(field)]["type"];
            let value = if kind == "integer" { "0" } else { "\"…\"" };
            format!("{field}: {value}")
        });
        let fields: Vec<String> = fields.collect();
        call = format!("{call} -d '{{{}}}'", fields.join(", "));
    }
    call
}

fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
