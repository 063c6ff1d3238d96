// SPDX-License-Identifier: Apache-2.0
//! `/api/v1/namespaces/{namespace}/identities`, `…/revocations` and `…/continuity`

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use registry_schema::{
    namespace_identity::{
        AcceptedContinuity, IdentityRevocation, NamespaceIdentity, NewContinuity,
        NewIdentityRevocation, NewNamespaceIdentity,
    },
    trust::policy::SignerPattern,
};

use super::body;
use crate::app::App;
use crate::http::error::Failure;
use crate::http::extract::NamespacePath;
use crate::service::{access::Caller, continuity, identity};

/// Who may sign on an issuer’s word
///
/// People and jobs without a key of their own, also those that were revoked.
#[utoipa::path(get, path = "/namespaces/{namespace}/identities", tag = "identities",
    params(("namespace" = String, Path, description = "Name of the namespace")),
    responses((status = 200, body = Vec<NamespaceIdentity>)))]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
) -> Result<Json<Vec<NamespaceIdentity>>, Failure> {
    Ok(Json(identity::list(&app, &caller, &name).await?))
}

/// Let somebody sign on an issuer’s word
///
/// Signatures that arrived before count from now on, too. For maintainers.
#[utoipa::path(post, path = "/namespaces/{namespace}/identities", tag = "identities",
    params(("namespace" = String, Path, description = "Name of the namespace")),
    request_body = NewNamespaceIdentity,
    responses((status = 201, description = "Bound", body = NamespaceIdentity)))]
pub(super) async fn add(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
    bytes: axum::body::Bytes,
) -> Result<(StatusCode, Json<NamespaceIdentity>), Failure> {
    let new: NewNamespaceIdentity = body::read(&bytes)?;
    let added = identity::add(&app, &caller, &name, &new).await?;
    Ok((StatusCode::CREATED, Json(added)))
}

/// Take an identity away
///
/// What it signed counts no more. One that was revoked stays known.
#[utoipa::path(delete, path = "/namespaces/{namespace}/identities/{*identity}", tag = "identities",
    params(
        ("namespace" = String, Path, description = "Name of the namespace"),
        ("identity" = String, Path, description = "`oidc:<issuer>#<pattern>`")),
    responses((status = 204, description = "Gone")))]
pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
    Path((_, text)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    let pattern: SignerPattern = text.parse().map_err(|error: String| {
        Failure::new(
            StatusCode::BAD_REQUEST,
            "identity-invalid",
            "UNSUPPORTED",
            error,
        )
    })?;
    identity::remove(&app, &caller, &name, &pattern).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Revoke a key or identity
///
/// What arrived before the date goes on to count. For maintainers.
#[utoipa::path(post, path = "/namespaces/{namespace}/revocations", tag = "identities",
    params(("namespace" = String, Path, description = "Name of the namespace")),
    request_body = NewIdentityRevocation,
    responses((status = 201, description = "Revoked", body = IdentityRevocation)))]
pub(super) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
    bytes: axum::body::Bytes,
) -> Result<(StatusCode, Json<IdentityRevocation>), Failure> {
    let new: NewIdentityRevocation = body::read(&bytes)?;
    let revoked = identity::revoke(&app, &caller, &name, &new).await?;
    Ok((StatusCode::CREATED, Json(revoked)))
}

/// Continuity statements
///
/// Whom the namespace’s identities named, oldest first, each as it was signed.
#[utoipa::path(get, path = "/namespaces/{namespace}/continuity", tag = "identities",
    params(("namespace" = String, Path, description = "Name of the namespace")),
    responses((status = 200, body = Vec<AcceptedContinuity>)))]
pub(super) async fn statements(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
) -> Result<Json<Vec<AcceptedContinuity>>, Failure> {
    Ok(Json(continuity::list(&app, &caller, &name).await?))
}

/// Hand in a continuity statement
///
/// Signed by an identity of the namespace, it lets the one it names sign in its place or
/// beside it, without a new signer epoch. For maintainers.
#[utoipa::path(post, path = "/namespaces/{namespace}/continuity", tag = "identities",
    params(("namespace" = String, Path, description = "Name of the namespace")),
    request_body = NewContinuity,
    responses((status = 201, description = "Accepted", body = AcceptedContinuity)))]
pub(super) async fn go_on(
    State(app): State<App>,
    caller: Caller,
    NamespacePath(name): NamespacePath,
    bytes: axum::body::Bytes,
) -> Result<(StatusCode, Json<AcceptedContinuity>), Failure> {
    let new: NewContinuity = body::read(&bytes)?;
    let accepted = continuity::accept(&app, &caller, &name, &new).await?;
    Ok((StatusCode::CREATED, Json(accepted)))
}
