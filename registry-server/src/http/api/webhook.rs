// SPDX-License-Identifier: Apache-2.0
//! `/api/v1/namespaces/{namespace}/webhooks`

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use registry_schema::federation::{CreatedWebhook, Delivery, NewWebhook, Webhook};

use super::body;
use crate::{
    app::App,
    http::{error::Failure, extract::NamespacePath},
    service::{access::Caller, webhook},
};

/// Webhooks of a namespace
///
/// Without their secrets. For owners, as all of these.
#[utoipa::path(get, path = "/namespaces/{namespace}/webhooks", tag = "webhooks",
    params(("namespace" = String, Path, description = "Name of the namespace")),
    responses((status = 200, body = Vec<Webhook>)))]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
) -> Result<Json<Vec<Webhook>>, Failure> {
    Ok(Json(webhook::list(&app, &caller, &name).await?))
}

/// Make a webhook
///
/// The answer is the only one that shows its secret.
#[utoipa::path(post, path = "/namespaces/{namespace}/webhooks", tag = "webhooks",
    params(("namespace" = String, Path, description = "Name of the namespace")), request_body = NewWebhook,
    responses((status = 201, description = "Made", body = CreatedWebhook)))]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
    bytes: axum::body::Bytes,
) -> Result<(StatusCode, Json<CreatedWebhook>), Failure> {
    let new: NewWebhook = body::read(&bytes)?;
    let made = webhook::create(&app, &caller, &name, new).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Remove a webhook
#[utoipa::path(delete, path = "/namespaces/{namespace}/webhooks/{id}", tag = "webhooks",
    params(
        ("namespace" = String, Path, description = "Name of the namespace"),
        ("id" = String, Path, description = "The webhook")),
    responses((status = 204, description = "Gone")))]
pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    webhook::delete(&app, &caller, &name, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Try a webhook
///
/// Sends it a message, and switches it on again if it was switched off.
#[utoipa::path(post, path = "/namespaces/{namespace}/webhooks/{id}/test", tag = "webhooks",
    params(
        ("namespace" = String, Path, description = "Name of the namespace"),
        ("id" = String, Path, description = "The webhook")),
    responses((status = 202, description = "A message is on its way")))]
pub(super) async fn test(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    webhook::test(&app, &caller, &name, &id).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Messages to a webhook
///
/// The newest 100, and what became of each.
#[utoipa::path(get, path = "/namespaces/{namespace}/webhooks/{id}/deliveries", tag = "webhooks",
    params(
        ("namespace" = String, Path, description = "Name of the namespace"),
        ("id" = String, Path, description = "The webhook")),
    responses((status = 200, body = Vec<Delivery>)))]
pub(super) async fn deliveries(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Vec<Delivery>>, Failure> {
    Ok(Json(webhook::deliveries(&app, &caller, &name, &id).await?))
}
