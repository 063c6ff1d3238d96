// SPDX-License-Identifier: Apache-2.0
//! `/api/v1/namespaces/{namespace}/keys`

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use registry_schema::api::{NamespaceKey, NewKey};
use registry_schema::signature::Fingerprint;

use super::body;
use crate::app::App;
use crate::http::error::Failure;
use crate::http::extract::NamespacePath;
use crate::service::{ServiceError, access::Caller, namespace};

/// Keys of a namespace
///
/// Those that its publishers sign with, and what each has signed.
#[utoipa::path(get, path = "/namespaces/{namespace}/keys", tag = "namespaces",
    params(("namespace" = String, Path, description = "Name of the namespace")),
    responses((status = 200, body = Vec<NamespaceKey>)))]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
) -> Result<Json<Vec<NamespaceKey>>, Failure> {
    Ok(Json(namespace::keys(&app, &caller, &name).await?))
}

/// Register a key
///
/// Needs the right to change the namespace.
#[utoipa::path(post, path = "/namespaces/{namespace}/keys", tag = "namespaces",
    params(("namespace" = String, Path, description = "Name of the namespace")),
    request_body = NewKey,
    responses((status = 201, description = "Registered", body = NamespaceKey)))]
pub(super) async fn add(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
    bytes: axum::body::Bytes,
) -> Result<(StatusCode, Json<NamespaceKey>), Failure> {
    let new: NewKey = body::read(&bytes)?;
    let key = namespace::add_key(&app, &caller, &name, &new.pem).await?;
    Ok((StatusCode::CREATED, Json(key)))
}

/// Take a key out
///
/// The fingerprint may hold slashes, as base64 does.
#[utoipa::path(delete, path = "/namespaces/{namespace}/keys/{*fingerprint}", tag = "namespaces",
    params(
        ("namespace" = String, Path, description = "Name of the namespace"),
        ("fingerprint" = String, Path, description = "The key's fingerprint, as `SHA256:…`")),
    responses((status = 204, description = "Gone")))]
pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
    Path((_, fingerprint)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    let fingerprint: Fingerprint = fingerprint.parse().map_err(ServiceError::from)?;
    namespace::remove_key(&app, &caller, &name, &fingerprint).await?;
    Ok(StatusCode::NO_CONTENT)
}
