// SPDX-License-Identifier: Apache-2.0
//! The description of the REST API is complete, true and does not change by accident.

use std::collections::BTreeSet;

use registry_server::http::api;
use serde_json::Value;

use crate::support::{TestRegistry, expect};

/// Compares the description with the one in the tree, which reviewers see change.
/// `UPDATE_SCHEMA=1 cargo test -p registry-server --test registry openapi` writes it anew.
#[test]
fn the_snapshot_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../schema/openapi.json");
    let text = serde_json::to_string_pretty(api::document()).expect("JSON") + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &text).expect("the snapshot is written");
    }
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        stored == text,
        "{path} is stale; run `UPDATE_SCHEMA=1 cargo test -p registry-server --test registry openapi`"
    );
}

#[tokio::test]
async fn the_registry_serves_its_description_and_a_page_of_it() {
    let registry = TestRegistry::start().await;
    let served = registry.anonymous.json("/api/v1/openapi.json").await;
    assert_eq!(&served, api::document());
    let page = expect(registry.anonymous.get("/api").await, 200).await;
    let page = page.text().await.expect("a page");
    for (path, item) in served["paths"].as_object().expect("paths") {
        assert!(page.contains(&format!("/api/v1{path}")), "{path}");
        for operation in item.as_object().expect("operations").values() {
            let id = operation["operationId"].as_str().expect("an id");
            assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
        }
    }
    assert!(!page.contains("<script"));
}

/// Each operation is described for people, has its own name, and its references lead somewhere.
#[test]
fn nothing_is_left_undescribed() {
    let document = api::document();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let at = format!("{method} {path}");
            assert!(ids.insert(operation["operationId"].to_string()), "{at}");
            assert!(operation["summary"].is_string(), "{at} has no summary");
            assert!(operation["tags"][0].is_string(), "{at} has no tag");
            let named = operation["parameters"].as_array().into_iter().flatten();
            let named = named.filter(|parameter| parameter["in"] == "path").count();
            assert_eq!(named, path.matches('{').count(), "parameters of {at}");
        }
    }
    let mut references = Vec::new();
    collect(document, &mut references);
    for reference in references {
        let pointer = reference.trim_start_matches('#');
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                references.push(reference.clone());
            }
            map.values().for_each(|value| collect(value, references));
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}
