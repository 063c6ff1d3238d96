// SPDX-License-Identifier: Apache-2.0
//! `/api/v1/namespaces`

use axum::{Json, extract::State};
use http::StatusCode;
use registry_schema::api::{NamespaceDetail, NewNamespace};

use super::body;
use crate::app::App;
use crate::http::error::Failure;
use crate::http::extract::NamespacePath;
use crate::service::{access::Caller, namespace};

/// `GET /namespaces`
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<Vec<NamespaceDetail>>, Failure> {
    Ok(Json(namespace::list(&app, &caller).await?))
}

/// `GET /namespaces/{namespace}`
pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
) -> Result<Json<NamespaceDetail>, Failure> {
    Ok(Json(namespace::get(&app, &caller, &name).await?))
}

/// `POST /namespaces`
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    bytes: axum::body::Bytes,
) -> Result<(StatusCode, Json<NamespaceDetail>), Failure> {
    let new: NewNamespace = body::read(&bytes)?;
    let made = namespace::create(&app, &caller, &new.name, new.visibility).await?;
    Ok((StatusCode::CREATED, Json(made)))
}
