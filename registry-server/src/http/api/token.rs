// SPDX-License-Identifier: Apache-2.0
//! `/api/v1/tokens` and `/api/v1/oidc/exchange`

use axum::{
    Json,
    extract::{Path, Query, State},
};
use http::{StatusCode, header};
use registry_schema::account::{Exchange, NewToken, NewTokenAnswer, TokenDetail};
use serde::Deserialize;
use utoipa::IntoParams;

use super::body;
use crate::app::App;
use crate::http::error::Failure;
use crate::service::{access::Caller, oidc, token};

/// An answer that holds a secret: kept by nobody on the way.
type Secret = (
    StatusCode,
    [(header::HeaderName, &'static str); 1],
    Json<NewTokenAnswer>,
);

const NO_STORE: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

/// The parameters of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Whose; the caller's if absent.
    account: Option<String>,
}

/// Tokens
///
/// Those of the caller; administrators may ask for another account’s.
#[utoipa::path(get, path = "/tokens", tag = "tokens",
    params(Parameters),
    responses((status = 200, body = Vec<TokenDetail>)))]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Vec<TokenDetail>>, Failure> {
    let account = parameters.account.as_deref();
    Ok(Json(token::list(&app, &caller, account).await?))
}

/// Make a token
///
/// Never wider and never longer than what the request was made with. Its secret is in this answer only.
#[utoipa::path(post, path = "/tokens", tag = "tokens",
    request_body = NewToken,
    responses((status = 201, description = "Made", body = NewTokenAnswer)))]
pub(super) async fn issue(
    State(app): State<App>,
    caller: Caller,
    bytes: axum::body::Bytes,
) -> Result<Secret, Failure> {
    let new: NewToken = body::read(&bytes)?;
    let made = token::issue(&app, &caller, &new).await?;
    Ok((StatusCode::CREATED, NO_STORE, Json(made)))
}

/// Revoke a token
///
/// And all that were made with it.
#[utoipa::path(delete, path = "/tokens/{id}", tag = "tokens",
    params(("id" = String, Path, description = "The token’s id")),
    responses((status = 204, description = "Gone")))]
pub(super) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    token::revoke(&app, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Exchange an ID token
///
/// Of a CI provider, for a token that publishes for 30 minutes.
#[utoipa::path(post, path = "/oidc/exchange", tag = "tokens",
    request_body = Exchange,
    responses((status = 201, description = "Made", body = NewTokenAnswer)))]
pub(super) async fn exchange(
    State(app): State<App>,
    bytes: axum::body::Bytes,
) -> Result<Secret, Failure> {
    let asked: Exchange = body::read(&bytes)?;
    let namespace = asked
        .namespace
        .as_ref()
        .map(registry_schema::Namespace::as_str);
    let made = oidc::exchange(&app, &asked.token, namespace).await?;
    Ok((StatusCode::CREATED, NO_STORE, Json(made)))
}
