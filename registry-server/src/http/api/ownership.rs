// SPDX-License-Identifier: Apache-2.0
//! `/api/v1/namespaces/{namespace}/transfer…` and `…/proofs`

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use registry_schema::namespace_identity::{NewProof, NewTransfer, Proof, Transfer};

use super::body;
use crate::app::App;
use crate::http::error::Failure;
use crate::http::extract::NamespacePath;
use crate::service::{access::Caller, proof, transfer};

/// To whom a namespace is being handed over
///
/// `null` if to nobody. The two parties see an offer, everybody else what was accepted.
#[utoipa::path(get, path = "/namespaces/{namespace}/transfer", tag = "ownership",
    params(("namespace" = String, Path, description = "Name of the namespace")),
    responses((status = 200, body = Option<Transfer>)))]
pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
) -> Result<Json<Option<Transfer>>, Failure> {
    Ok(Json(transfer::get(&app, &caller, &name).await?))
}

/// Offer a namespace to another account
///
/// For owners. Nothing happens until that account accepts, and then some days later.
#[utoipa::path(post, path = "/namespaces/{namespace}/transfer", tag = "ownership",
    params(("namespace" = String, Path, description = "Name of the namespace")),
    request_body = NewTransfer,
    responses((status = 201, description = "Offered", body = Transfer)))]
pub(super) async fn offer(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
    bytes: axum::body::Bytes,
) -> Result<(StatusCode, Json<Transfer>), Failure> {
    let new: NewTransfer = body::read(&bytes)?;
    let offered = transfer::offer(&app, &caller, &name, &new.to).await?;
    Ok((StatusCode::CREATED, Json(offered)))
}

/// Call a transfer off
///
/// For owners, and for whom the namespace was offered.
#[utoipa::path(delete, path = "/namespaces/{namespace}/transfer", tag = "ownership",
    params(("namespace" = String, Path, description = "Name of the namespace")),
    responses((status = 204, description = "Off")))]
pub(super) async fn cancel(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
) -> Result<StatusCode, Failure> {
    transfer::cancel(&app, &caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Accept a namespace
///
/// For whom it was offered. It is handed over some days later.
#[utoipa::path(post, path = "/namespaces/{namespace}/transfer/accept", tag = "ownership",
    params(("namespace" = String, Path, description = "Name of the namespace")),
    responses((status = 200, body = Transfer)))]
pub(super) async fn accept(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
) -> Result<Json<Transfer>, Failure> {
    Ok(Json(transfer::accept(&app, &caller, &name).await?))
}

/// What shows who stands behind a namespace
///
/// Domains and accounts at forges, and when each was last seen. Maintainers also see the line
/// that a domain is to carry.
#[utoipa::path(get, path = "/namespaces/{namespace}/proofs", tag = "ownership",
    params(("namespace" = String, Path, description = "Name of the namespace")),
    responses((status = 200, body = Vec<Proof>)))]
pub(super) async fn proofs(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
) -> Result<Json<Vec<Proof>>, Failure> {
    Ok(Json(proof::list(&app, &caller, &name).await?))
}

/// Add a domain or account, or look at it again
///
/// For maintainers.
#[utoipa::path(post, path = "/namespaces/{namespace}/proofs", tag = "ownership",
    params(("namespace" = String, Path, description = "Name of the namespace")),
    request_body = NewProof,
    responses((status = 200, description = "What was found", body = Proof)))]
pub(super) async fn prove(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
    bytes: axum::body::Bytes,
) -> Result<Json<Proof>, Failure> {
    let new: NewProof = body::read(&bytes)?;
    Ok(Json(proof::add(&app, &caller, &name, &new).await?))
}

/// Take a domain or account back
///
/// For maintainers.
#[utoipa::path(delete, path = "/namespaces/{namespace}/proofs/{kind}/{*subject}", tag = "ownership",
    params(
        ("namespace" = String, Path, description = "Name of the namespace"),
        ("kind" = String, Path, description = "`domain` or `forge`"),
        ("subject" = String, Path, description = "The domain, or `oidc:<issuer>#<pattern>`")),
    responses((status = 204, description = "Gone")))]
pub(super) async fn disprove(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
    Path((_, kind, subject)): Path<(String, String, String)>,
) -> Result<StatusCode, Failure> {
    proof::remove(&app, &caller, &name, &kind, &subject).await?;
    Ok(StatusCode::NO_CONTENT)
}
