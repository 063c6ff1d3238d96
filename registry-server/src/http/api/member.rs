// SPDX-License-Identifier: Apache-2.0
//! `/api/v1/namespaces/{namespace}/members`

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use registry_schema::account::{Member, NewMember};

use super::body;
use crate::app::App;
use crate::http::error::Failure;
use crate::http::extract::NamespacePath;
use crate::service::{access::Caller, member};

/// Members of a namespace
///
/// For its members.
#[utoipa::path(get, path = "/namespaces/{namespace}/members", tag = "members",
    params(("namespace" = String, Path, description = "Name of the namespace")),
    responses((status = 200, body = Vec<Member>)))]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
) -> Result<Json<Vec<Member>>, Failure> {
    Ok(Json(member::list(&app, &caller, &name).await?))
}

/// Give a role
///
/// Also instead of another. For owners.
#[utoipa::path(put, path = "/namespaces/{namespace}/members/{account}", tag = "members",
    params(
        ("namespace" = String, Path, description = "Name of the namespace"),
        ("account" = String, Path, description = "Name of the account")),
    request_body = NewMember,
    responses((status = 200, body = Member)))]
pub(super) async fn set(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
    Path((_, account)): Path<(String, String)>,
    bytes: axum::body::Bytes,
) -> Result<Json<Member>, Failure> {
    let new: NewMember = body::read(&bytes)?;
    Ok(Json(
        member::set(&app, &caller, &name, &account, new.role).await?,
    ))
}

/// Take a role away
///
/// For owners, and for a member that leaves.
#[utoipa::path(delete, path = "/namespaces/{namespace}/members/{account}", tag = "members",
    params(
        ("namespace" = String, Path, description = "Name of the namespace"),
        ("account" = String, Path, description = "Name of the account")),
    responses((status = 204, description = "Gone")))]
pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
    Path((_, account)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    member::remove(&app, &caller, &name, &account).await?;
    Ok(StatusCode::NO_CONTENT)
}
