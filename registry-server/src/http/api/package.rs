// SPDX-License-Identifier: Apache-2.0
//! `GET /api/v1/packages/{namespace}/{name}` and its versions.

use axum::{Json, extract::State};
use registry_schema::api::{PackageDetail, VersionDetail};

use crate::app::App;
use crate::http::error::Failure;
use crate::http::extract::{PackagePath, VersionPath};
use crate::service::{access::Caller, catalogue};

/// One package
///
/// With its versions, highest first.
#[utoipa::path(get, path = "/packages/{namespace}/{name}", tag = "packages",
    params(
        ("namespace" = String, Path, description = "Name of the namespace"),
        ("name" = String, Path, description = "Name of the package in it")),
    responses((status = 200, body = PackageDetail)))]
pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    PackagePath(name): PackagePath,
) -> Result<Json<PackageDetail>, Failure> {
    Ok(Json(catalogue::package(&app, &caller, &name).await?))
}

/// One version
///
/// Its manifest, what the registry derived from its objects, and who signed it.
#[utoipa::path(get, path = "/packages/{namespace}/{name}/versions/{version}", tag = "packages",
    params(
        ("namespace" = String, Path, description = "Name of the namespace"),
        ("name" = String, Path, description = "Name of the package in it"),
        ("version" = String, Path, description = "A version such as `1.2.0`")),
    responses((status = 200, body = VersionDetail)))]
pub(super) async fn version(
    State(app): State<App>,
    caller: Caller,
    VersionPath(name, version): VersionPath,
) -> Result<Json<VersionDetail>, Failure> {
    Ok(Json(
        catalogue::version(&app, &caller, &name, &version).await?,
    ))
}
