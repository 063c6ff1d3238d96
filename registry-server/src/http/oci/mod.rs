// SPDX-License-Identifier: Apache-2.0
//! OCI distribution, version 1.1.

pub mod token;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::error::Failure;
use crate::{
    app::App,
    service::{ServiceError, access::Caller},
};

/// Answers everything under `/v2`.
///
/// # Errors
/// [`Failure`] with the OCI code of what went wrong.
pub async fn dispatch(
    State(app): State<App>,
    caller: Caller,
    request: Request,
) -> Result<Response, Failure> {
    match request.uri().path() {
        "/v2" | "/v2/" => {
            // A challenge even where anonymous pulls work: several clients never ask for a
            // token if this one request does not demand it.
            if caller.account.is_none() && caller.grants.is_none() {
                return Err(ServiceError::Anonymous {
                    host: app.host().to_owned(),
                }
                .into());
            }
            Ok(StatusCode::OK.into_response())
        }
        path => Err(Failure::no_such_page(path)),
    }
}
