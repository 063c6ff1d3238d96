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
    service::{access::Caller, manifest},
    store::manifests::Referrer,
};

const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");

/// Lists everything that refers to a digest, on one page: several clients do not follow
/// `Link` and would miss signatures. A digest that nobody knows has an empty list.
pub(super) async fn list(
    app: &App,
    caller: &Caller,
    name: &RepositoryName,
    digest: &Digest,
    request: &Parts,
) -> Result<Response, Failure> {
    let wanted = query_one(request, "artifactType");
    let mut referrers = manifest::referrers(app, caller, name, digest).await?;
    if let Some(wanted) = &wanted {
        referrers.retain(|referrer| referrer.artifact_type.as_deref() == Some(wanted));
    }
    let manifests: Vec<Value> = referrers.into_iter().map(descriptor).collect();
    let index = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "manifests": manifests,
    });
    let mut response = index.to_string().into_response();
    set(&mut response, header::CONTENT_TYPE, media_type::OCI_INDEX);
    if wanted.is_some() {
        set(&mut response, FILTERS, "artifactType");
    }
    Ok(response)
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
