// SPDX-License-Identifier: Apache-2.0
//! `GET /token`: bearer tokens for OCI clients.

use axum::{
    Json,
    extract::{RawQuery, State},
    http::header,
    response::IntoResponse,
};
use chrono::SecondsFormat;
use serde_json::json;

use crate::{
    app::App,
    http::error::Failure,
    service::{access::Caller, token},
};

/// Gives a token for the `scope`s asked, which may be none or several; anonymous callers
/// get one too, good for what everybody may read.
///
/// # Errors
/// [`Failure`] 401 for wrong credentials.
pub async fn grant(
    State(app): State<App>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, Failure> {
    let query = query.unwrap_or_default();
    let scopes: Vec<String> = url::form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == "scope")
        .map(|(_, value)| value.into_owned())
        .collect();
    let bearer = token::grant(&app, &caller, &scopes).await?;
    Ok((
        [(header::CACHE_CONTROL, "no-store")],
        Json(json!({
            "token": bearer.text,
            "access_token": bearer.text,
            "expires_in": token::BEARER_SECONDS,
            "issued_at": bearer.issued_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        })),
    ))
}
