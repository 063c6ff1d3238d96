// SPDX-License-Identifier: Apache-2.0
//! `/api/v1/namespaces`

use axum::{Json, extract::State};
use http::StatusCode;
use registry_schema::account::NamespaceChange;
use registry_schema::api::{NamespaceDetail, NewNamespace};

use super::body;
use crate::app::App;
use crate::http::error::Failure;
use crate::http::extract::NamespacePath;
use crate::service::{access::Caller, namespace};

/// Namespaces
///
/// Those that the caller may read.
#[utoipa::path(get, path = "/namespaces", tag = "namespaces",
    responses((status = 200, body = Vec<NamespaceDetail>)))]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<Vec<NamespaceDetail>>, Failure> {
    Ok(Json(namespace::list(&app, &caller).await?))
}

/// One namespace
#[utoipa::path(get, path = "/namespaces/{namespace}", tag = "namespaces",
    params(("namespace" = String, Path, description = "Name of the namespace")),
    responses((status = 200, body = NamespaceDetail)))]
pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
) -> Result<Json<NamespaceDetail>, Failure> {
    Ok(Json(namespace::get(&app, &caller, &name).await?))
}

/// Create a namespace
#[utoipa::path(post, path = "/namespaces", tag = "namespaces",
    request_body = NewNamespace,
    responses((status = 201, description = "Created", body = NamespaceDetail)))]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    bytes: axum::body::Bytes,
) -> Result<(StatusCode, Json<NamespaceDetail>), Failure> {
    let new: NewNamespace = body::read(&bytes)?;
    let made = namespace::create(&app, &caller, &new.name, new.visibility).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Change a namespace
///
/// Who may read it. For owners.
#[utoipa::path(patch, path = "/namespaces/{namespace}", tag = "namespaces",
    params(("namespace" = String, Path, description = "Name of the namespace")),
    request_body = NamespaceChange,
    responses((status = 200, body = NamespaceDetail)))]
pub(super) async fn change(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
    bytes: axum::body::Bytes,
) -> Result<Json<NamespaceDetail>, Failure> {
    let change: NamespaceChange = body::read(&bytes)?;
    Ok(Json(
        namespace::change(&app, &caller, &name, &change).await?,
    ))
}

/// Delete a namespace
///
/// One that holds no repositories. Its name is never given again. For owners.
#[utoipa::path(delete, path = "/namespaces/{namespace}", tag = "namespaces",
    params(("namespace" = String, Path, description = "Name of the namespace")),
    responses((status = 204, description = "Gone")))]
pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
) -> Result<StatusCode, Failure> {
    namespace::delete(&app, &caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
