// SPDX-License-Identifier: Apache-2.0
//! `/api/v1/account` and `/api/v1/accounts`

use axum::{
    Json,
    extract::{Path, Query, State},
};
use http::StatusCode;
use registry_schema::account::{
    AccountChange, AccountDetail, NewAccount, NewIdentity, OwnAccount, PasswordChange,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::body;
use crate::app::App;
use crate::http::error::Failure;
use crate::service::{access::Caller, account};

/// The caller’s account
///
/// With its namespaces, and what the request was made with.
#[utoipa::path(get, path = "/account", tag = "accounts",
    responses((status = 200, body = OwnAccount)))]
pub(super) async fn own(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<OwnAccount>, Failure> {
    Ok(Json(account::own(&app, &caller).await?))
}

/// Change the caller’s password
///
/// All its sessions on the pages end.
#[utoipa::path(put, path = "/account/password", tag = "accounts",
    request_body = PasswordChange,
    responses((status = 204, description = "Changed")))]
pub(super) async fn change_password(
    State(app): State<App>,
    caller: Caller,
    bytes: axum::body::Bytes,
) -> Result<StatusCode, Failure> {
    let change: PasswordChange = body::read(&bytes)?;
    account::change_password(&app, &caller, &change).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The parameters of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Accounts after this name.
    #[serde(default)]
    last: String,
}

/// Accounts
///
/// Up to 1000 by name, for administrators.
#[utoipa::path(get, path = "/accounts", tag = "accounts",
    params(Parameters),
    responses((status = 200, body = Vec<AccountDetail>)))]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Vec<AccountDetail>>, Failure> {
    Ok(Json(account::list(&app, &caller, &parameters.last).await?))
}

/// Make an account
///
/// For administrators, or for everybody where the registry says so.
#[utoipa::path(post, path = "/accounts", tag = "accounts",
    request_body = NewAccount,
    responses((status = 201, description = "Made", body = AccountDetail)))]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    bytes: axum::body::Bytes,
) -> Result<(StatusCode, Json<AccountDetail>), Failure> {
    let new: NewAccount = body::read(&bytes)?;
    let made = account::create(&app, &caller, &new).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// One account
///
/// For administrators.
#[utoipa::path(get, path = "/accounts/{account}", tag = "accounts",
    params(("account" = String, Path, description = "Name of the account")),
    responses((status = 200, body = AccountDetail)))]
pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<AccountDetail>, Failure> {
    Ok(Json(account::get(&app, &caller, &name).await?))
}

/// Change an account
///
/// Disable or enable it, make it an administrator, or give it another password. For administrators.
#[utoipa::path(patch, path = "/accounts/{account}", tag = "accounts",
    params(("account" = String, Path, description = "Name of the account")),
    request_body = AccountChange,
    responses((status = 200, body = AccountDetail)))]
pub(super) async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    bytes: axum::body::Bytes,
) -> Result<Json<AccountDetail>, Failure> {
    let change: AccountChange = body::read(&bytes)?;
    Ok(Json(account::change(&app, &caller, &name, &change).await?))
}

/// Link an identity
///
/// Of the login provider, to an account. For administrators.
#[utoipa::path(post, path = "/accounts/{account}/identities", tag = "accounts",
    params(("account" = String, Path, description = "Name of the account")),
    request_body = NewIdentity,
    responses((status = 204, description = "Linked")))]
pub(super) async fn link(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    bytes: axum::body::Bytes,
) -> Result<StatusCode, Failure> {
    let identity: NewIdentity = body::read(&bytes)?;
    account::link(&app, &caller, &name, &identity).await?;
    Ok(StatusCode::NO_CONTENT)
}
