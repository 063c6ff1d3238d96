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

/// `GET …/keys`
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
) -> Result<Json<Vec<NamespaceKey>>, Failure> {
    Ok(Json(namespace::keys(&app, &caller, &name).await?))
}

/// `POST …/keys`
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

/// `DELETE …/keys/{fingerprint}`. The fingerprint may hold slashes, as base64 does.
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
