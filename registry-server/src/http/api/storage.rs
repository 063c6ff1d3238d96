// SPDX-License-Identifier: Apache-2.0
//! `/api/v1/namespaces/{namespace}/storage`

use axum::{
    Json,
    extract::{Query, State},
};
use registry_schema::storage::{Expired, NamespaceStorage, StorageRules};
use serde::Deserialize;

use super::body;
use crate::app::App;
use crate::http::error::Failure;
use crate::http::extract::NamespacePath;
use crate::service::{access::Caller, retention};

/// Storage of a namespace
///
/// How much it holds, and its rules. For its owners.
#[utoipa::path(get, path = "/namespaces/{namespace}/storage", tag = "namespaces",
    params(("namespace" = String, Path, description = "Name of the namespace")),
    responses((status = 200, body = NamespaceStorage)))]
pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
) -> Result<Json<NamespaceStorage>, Failure> {
    Ok(Json(retention::get(&app, &caller, &name).await?))
}

/// Change the storage rules
///
/// Owners say what may go after a while; only administrators change the quota.
#[utoipa::path(put, path = "/namespaces/{namespace}/storage", tag = "namespaces",
    params(("namespace" = String, Path, description = "Name of the namespace")),
    request_body = StorageRules,
    responses((status = 200, body = NamespaceStorage)))]
pub(super) async fn set(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
    bytes: axum::body::Bytes,
) -> Result<Json<NamespaceStorage>, Failure> {
    let rules: StorageRules = body::read(&bytes)?;
    Ok(Json(retention::set(&app, &caller, &name, rules).await?))
}

/// Whether to change anything.
#[derive(Debug, Deserialize)]
pub(super) struct Mode {
    #[serde(default)]
    dry_run: bool,
}

/// Remove what the storage rules let go
///
/// The registry does it every hour by itself. Published versions never go.
#[utoipa::path(post, path = "/namespaces/{namespace}/storage/expire", tag = "namespaces",
    params(
        ("namespace" = String, Path, description = "Name of the namespace"),
        ("dry_run" = Option<bool>, Query, description = "Only say what would go")),
    responses((status = 200, body = Expired)))]
pub(super) async fn expire(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
    Query(mode): Query<Mode>,
) -> Result<Json<Expired>, Failure> {
    let expired = retention::apply(&app, &caller, &name, mode.dry_run).await?;
    Ok(Json(expired))
}
