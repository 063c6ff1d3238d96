// SPDX-License-Identifier: Apache-2.0
//! `/api/v1/registry`, `/api/v1/reviews` and `/api/v1/packages/…/versions/…/review(s)`

use axum::{Json, extract::State};
use registry_schema::review::{NewReview, QueuedVersion, RegistryDetail, Review};

use super::body;
use crate::app::App;
use crate::http::error::Failure;
use crate::http::extract::VersionPath;
use crate::service::{access::Caller, review};

/// What this registry demands
///
/// Its policy, who vets, and the key that its records are signed with.
#[utoipa::path(get, path = "/registry", tag = "reviews",
    responses((status = 200, body = RegistryDetail)))]
pub(super) async fn registry(State(app): State<App>) -> Json<RegistryDetail> {
    Json(review::registry(&app))
}

/// Versions that wait for a reviewer
///
/// The longest wait first. For reviewers and administrators.
#[utoipa::path(get, path = "/reviews", tag = "reviews",
    responses((status = 200, body = Vec<QueuedVersion>)))]
pub(super) async fn queue(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<Vec<QueuedVersion>>, Failure> {
    Ok(Json(review::queue(&app, &caller).await?))
}

/// Approve or refuse a version
///
/// For reviewers and administrators; nobody approves a version of a namespace that they
/// publish in.
#[utoipa::path(put, path = "/packages/{namespace}/{name}/versions/{version}/review", tag = "reviews",
    params(
        ("namespace" = String, Path, description = "First half of the package’s name"),
        ("name" = String, Path, description = "Second half of the package’s name"),
        ("version" = String, Path, description = "A version that waits")),
    request_body = NewReview,
    responses((status = 200, description = "The decision and its signed record", body = Review)))]
pub(super) async fn decide(
    State(app): State<App>,
    caller: Caller,
    VersionPath(package, version): VersionPath,
    bytes: axum::body::Bytes,
) -> Result<Json<Review>, Failure> {
    let new: NewReview = body::read(&bytes)?;
    let decided = review::decide(&app, &caller, &package, &version, &new).await?;
    Ok(Json(decided))
}

/// What was decided about a version
///
/// Oldest first, each with its record signed by this registry.
#[utoipa::path(get, path = "/packages/{namespace}/{name}/versions/{version}/reviews", tag = "reviews",
    params(
        ("namespace" = String, Path, description = "First half of the package’s name"),
        ("name" = String, Path, description = "Second half of the package’s name"),
        ("version" = String, Path, description = "A version")),
    responses((status = 200, body = Vec<Review>)))]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    VersionPath(package, version): VersionPath,
) -> Result<Json<Vec<Review>>, Failure> {
    Ok(Json(review::list(&app, &caller, &package, &version).await?))
}
