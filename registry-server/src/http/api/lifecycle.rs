// SPDX-License-Identifier: Apache-2.0
//! `…/versions/{version}/yank`, `…/versions/{version}/deprecation`, `…/{name}/deprecation`

use axum::{Json, body::Bytes, extract::State};
use http::StatusCode;
use registry_schema::api::{Deprecation, NewDeprecation, Yank};

use super::body;
use crate::app::App;
use crate::http::error::Failure;
use crate::http::extract::{PackagePath, VersionPath};
use crate::service::{access::Caller, lifecycle};

/// Yank a version
#[utoipa::path(put, path = "/packages/{namespace}/{name}/versions/{version}/yank", tag = "packages",
    params(
        ("namespace" = String, Path, description = "Name of the namespace"),
        ("name" = String, Path, description = "Name of the package in it"),
        ("version" = String, Path, description = "The version")),
    request_body = Yank,
    responses((status = 204, description = "Yanked")))]
pub(super) async fn yank(
    State(app): State<App>,
    caller: Caller,
    VersionPath(package, version): VersionPath,
    bytes: Bytes,
) -> Result<StatusCode, Failure> {
    let Yank { reason } = body::read(&bytes)?;
    lifecycle::yank(&app, &caller, &package, &version, &reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take a yank back
#[utoipa::path(delete, path = "/packages/{namespace}/{name}/versions/{version}/yank", tag = "packages",
    params(
        ("namespace" = String, Path, description = "Name of the namespace"),
        ("name" = String, Path, description = "Name of the package in it"),
        ("version" = String, Path, description = "The version")),
    responses((status = 204, description = "Not yanked")))]
pub(super) async fn unyank(
    State(app): State<App>,
    caller: Caller,
    VersionPath(package, version): VersionPath,
) -> Result<StatusCode, Failure> {
    lifecycle::unyank(&app, &caller, &package, &version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deprecate a version
#[utoipa::path(put, path = "/packages/{namespace}/{name}/versions/{version}/deprecation", tag = "packages",
    params(
        ("namespace" = String, Path, description = "Name of the namespace"),
        ("name" = String, Path, description = "Name of the package in it"),
        ("version" = String, Path, description = "The version")),
    request_body = NewDeprecation,
    responses((status = 200, body = Deprecation)))]
pub(super) async fn deprecate_version(
    State(app): State<App>,
    caller: Caller,
    VersionPath(package, version): VersionPath,
    bytes: Bytes,
) -> Result<Json<Deprecation>, Failure> {
    let new: NewDeprecation = body::read(&bytes)?;
    let done = lifecycle::deprecate(&app, &caller, &package, Some(&version), &new).await?;
    Ok(Json(done))
}

/// Take a version's deprecation back
#[utoipa::path(delete, path = "/packages/{namespace}/{name}/versions/{version}/deprecation", tag = "packages",
    params(
        ("namespace" = String, Path, description = "Name of the namespace"),
        ("name" = String, Path, description = "Name of the package in it"),
        ("version" = String, Path, description = "The version")),
    responses((status = 204, description = "Not deprecated")))]
pub(super) async fn restore_version(
    State(app): State<App>,
    caller: Caller,
    VersionPath(package, version): VersionPath,
) -> Result<StatusCode, Failure> {
    lifecycle::restore(&app, &caller, &package, Some(&version)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deprecate a package
#[utoipa::path(put, path = "/packages/{namespace}/{name}/deprecation", tag = "packages",
    params(
        ("namespace" = String, Path, description = "Name of the namespace"),
        ("name" = String, Path, description = "Name of the package in it")),
    request_body = NewDeprecation,
    responses((status = 200, body = Deprecation)))]
pub(super) async fn deprecate(
    State(app): State<App>,
    caller: Caller,
    PackagePath(package): PackagePath,
    bytes: Bytes,
) -> Result<Json<Deprecation>, Failure> {
    let new: NewDeprecation = body::read(&bytes)?;
    let done = lifecycle::deprecate(&app, &caller, &package, None, &new).await?;
    Ok(Json(done))
}

/// Take a package's deprecation back
#[utoipa::path(delete, path = "/packages/{namespace}/{name}/deprecation", tag = "packages",
    params(
        ("namespace" = String, Path, description = "Name of the namespace"),
        ("name" = String, Path, description = "Name of the package in it")),
    responses((status = 204, description = "Not deprecated")))]
pub(super) async fn restore(
    State(app): State<App>,
    caller: Caller,
    PackagePath(package): PackagePath,
) -> Result<StatusCode, Failure> {
    lifecycle::restore(&app, &caller, &package, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
