// SPDX-License-Identifier: Apache-2.0
//! `/api/v1/namespaces/{namespace}/trusted-publishers`

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use registry_schema::account::{NewTrustedPublisher, TrustedPublisher};

use super::body;
use crate::app::App;
use crate::http::error::Failure;
use crate::http::extract::NamespacePath;
use crate::service::{access::Caller, publisher};

/// Trusted publishers
///
/// CI jobs that may publish without a kept secret. For maintainers.
#[utoipa::path(get, path = "/namespaces/{namespace}/trusted-publishers", tag = "members",
    params(("namespace" = String, Path, description = "Name of the namespace")),
    responses((status = 200, body = Vec<TrustedPublisher>)))]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
) -> Result<Json<Vec<TrustedPublisher>>, Failure> {
    Ok(Json(publisher::list(&app, &caller, &name).await?))
}

/// Add a trusted publisher
///
/// For maintainers.
#[utoipa::path(post, path = "/namespaces/{namespace}/trusted-publishers", tag = "members",
    params(("namespace" = String, Path, description = "Name of the namespace")),
    request_body = NewTrustedPublisher,
    responses((status = 201, description = "Added", body = TrustedPublisher)))]
pub(super) async fn add(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
    bytes: axum::body::Bytes,
) -> Result<(StatusCode, Json<TrustedPublisher>), Failure> {
    let new: NewTrustedPublisher = body::read(&bytes)?;
    let added = publisher::add(&app, &caller, &name, &new).await?;
    Ok((StatusCode::CREATED, Json(added)))
}

/// Remove a trusted publisher
///
/// Tokens that it was given end at once. For maintainers.
#[utoipa::path(delete, path = "/namespaces/{namespace}/trusted-publishers/{publisher}", tag = "members",
    params(
        ("namespace" = String, Path, description = "Name of the namespace"),
        ("publisher" = String, Path, description = "What the namespace calls it")),
    responses((status = 204, description = "Gone")))]
pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
    Path((_, publisher)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    publisher::remove(&app, &caller, &name, &publisher).await?;
    Ok(StatusCode::NO_CONTENT)
}
