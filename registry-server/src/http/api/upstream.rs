// SPDX-License-Identifier: Apache-2.0
//! `/api/v1/namespaces/{namespace}/upstreams` and
//! `/api/v1/packages/{namespace}/{name}/foreign`

use axum::{Json, extract::State};
use http::StatusCode;
use registry_schema::federation::{Foreign, NewForeign, NewUpstreams, Upstream};

use super::body;
use crate::{
    app::App,
    http::{
        error::Failure,
        extract::{NamespacePath, PackagePath},
    },
    service::{access::Caller, foreign, mirror},
};

/// Upstreams of a namespace
///
/// The registries that its content comes from, in the order in which they are asked. For
/// owners.
#[utoipa::path(get, path = "/namespaces/{namespace}/upstreams", tag = "federation",
    params(("namespace" = String, Path, description = "Name of the namespace")),
    responses((status = 200, body = Vec<Upstream>)))]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
) -> Result<Json<Vec<Upstream>>, Failure> {
    Ok(Json(mirror::list(&app, &caller, &name).await?))
}

/// Set the upstreams of a namespace
///
/// For administrators. An empty list ends mirroring; what was fetched stays.
#[utoipa::path(put, path = "/namespaces/{namespace}/upstreams", tag = "federation",
    params(("namespace" = String, Path, description = "Name of the namespace")), request_body = NewUpstreams,
    responses((status = 200, body = Vec<Upstream>)))]
pub(super) async fn set(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
    bytes: axum::body::Bytes,
) -> Result<Json<Vec<Upstream>>, Failure> {
    let new: NewUpstreams = body::read(&bytes)?;
    Ok(Json(
        mirror::set(&app, &caller, &name, new.upstreams).await?,
    ))
}

/// List a version of another registry
///
/// Its objects stay there. For owners of the namespace.
#[utoipa::path(post, path = "/packages/{namespace}/{name}/foreign", tag = "federation",
    params(
        ("namespace" = String, Path, description = "Name of the namespace"),
        ("name" = String, Path, description = "Name of the package within it")), request_body = NewForeign,
    responses((status = 201, description = "Listed", body = Foreign)))]
pub(super) async fn list_foreign(
    State(app): State<App>,
    caller: Caller,
    PackagePath(package): PackagePath,
    bytes: axum::body::Bytes,
) -> Result<(StatusCode, Json<Foreign>), Failure> {
    let new: NewForeign = body::read(&bytes)?;
    let listed = foreign::list(&app, &caller, &package, &new).await?;
    Ok((StatusCode::CREATED, Json(listed)))
}
