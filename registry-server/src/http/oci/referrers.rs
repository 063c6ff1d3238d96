// SPDX-License-Identifier: Apache-2.0
//! `/v2/<name>/referrers/<digest>`

use axum::{
    http::{HeaderName, header, request::Parts},
    response::{IntoResponse, Response},
};
use registry_schema::{Digest, media_type, name::RepositoryName};
use serde_json::{Map, Value, json};

use super::{query_one, set};
use crate::{
    app::App,
    http::error::Failure,
    service::{
        access::Caller,
        manifest::{self, Wanted},
    },
    store::manifests::Referrer,
};

const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");

/// Lists everything that refers to a digest, on one page as long as clients can read it:
/// several do not follow `Link` and would miss signatures. A digest that nobody knows has
/// an empty list.
pub(super) async fn list(
    app: &App,
    caller: &Caller,
    name: &RepositoryName,
    digest: &Digest,
    request: &Parts,
) -> Result<Response, Failure> {
    let wanted = Wanted {
        artifact_type: query_one(request, "artifactType").unwrap_or_default(),
        last: query_one(request, "last").unwrap_or_default(),
    };
    let kind = wanted.artifact_type.clone();
    let page = manifest::referrers(app, caller, name, digest, wanted).await?;
    let last = page.entries.last().filter(|_| page.more);
    let next = last.map(|last| next(name, digest, &kind, &last.digest));
    let manifests: Vec<Value> = page.entries.into_iter().map(descriptor).collect();
    let index = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "manifests": manifests,
    });
    let mut response = index.to_string().into_response();
    set(&mut response, header::CONTENT_TYPE, media_type::OCI_INDEX);
    if !kind.is_empty() {
        set(&mut response, FILTERS, "artifactType");
    }
    if let Some(next) = next {
        set(&mut response, header::LINK, &next);
    }
    Ok(response)
}

fn next(name: &RepositoryName, digest: &Digest, kind: &str, last: &Digest) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if !kind.is_empty() {
        query.append_pair("artifactType", kind);
    }
    let query = query.append_pair("last", last.as_str()).finish();
    format!("</v2/{name}/referrers/{digest}?{query}>; rel=\"next\"")
}

fn descriptor(referrer: Referrer) -> Value {
    let mut descriptor = Map::new();
    descriptor.insert("mediaType".to_owned(), referrer.media_type.into());
    descriptor.insert("digest".to_owned(), referrer.digest.as_str().into());
    descriptor.insert("size".to_owned(), referrer.size_bytes.into());
    if let Some(kind) = referrer.artifact_type {
        descriptor.insert("artifactType".to_owned(), kind.into());
    }
    if let Some(annotations) = referrer
        .annotations
        .and_then(|text| serde_json::from_str(&text).ok())
    {
        descriptor.insert("annotations".to_owned(), annotations);
    }
    Value::Object(descriptor)
}
