// SPDX-License-Identifier: Apache-2.0
//! `/api/v1/packages/{namespace}/{name}/star`

use axum::{Json, extract::State};
use registry_schema::api::Stars;

use crate::app::App;
use crate::http::error::Failure;
use crate::http::extract::PackagePath;
use crate::service::{access::Caller, catalogue};

/// Stars of a package
#[utoipa::path(get, path = "/packages/{namespace}/{name}/star", tag = "packages",
    params(
        ("namespace" = String, Path, description = "Name of the namespace"),
        ("name" = String, Path, description = "Name of the package in it")),
    responses((status = 200, body = Stars)))]
pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    PackagePath(name): PackagePath,
) -> Result<Json<Stars>, Failure> {
    Ok(Json(catalogue::stars(&app, &caller, &name).await?))
}

/// Give a star
#[utoipa::path(put, path = "/packages/{namespace}/{name}/star", tag = "packages",
    params(
        ("namespace" = String, Path, description = "Name of the namespace"),
        ("name" = String, Path, description = "Name of the package in it")),
    responses((status = 200, body = Stars)))]
pub(super) async fn give(
    State(app): State<App>,
    caller: Caller,
    PackagePath(name): PackagePath,
) -> Result<Json<Stars>, Failure> {
    Ok(Json(catalogue::give(&app, &caller, &name).await?))
}

/// Take the star back
#[utoipa::path(delete, path = "/packages/{namespace}/{name}/star", tag = "packages",
    params(
        ("namespace" = String, Path, description = "Name of the namespace"),
        ("name" = String, Path, description = "Name of the package in it")),
    responses((status = 200, body = Stars)))]
pub(super) async fn take_back(
    State(app): State<App>,
    caller: Caller,
    PackagePath(name): PackagePath,
) -> Result<Json<Stars>, Failure> {
    Ok(Json(catalogue::take_back(&app, &caller, &name).await?))
}
