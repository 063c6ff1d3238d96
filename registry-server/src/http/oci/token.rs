// SPDX-License-Identifier: Apache-2.0
//! `/token`: bearer tokens for OCI clients.

use axum::{
    Json,
    body::Bytes,
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::SecondsFormat;
use serde_json::json;

use crate::{
    app::App,
    http::{error::Failure, extract},
    service::{ServiceError, access::Caller, token},
};

/// Largest form, in bytes: an ID token and a page of scopes.
const MAX_FORM: usize = 64 * 1024;

/// What a client asks, in a query or in a form.
#[derive(Default)]
struct Asked {
    scopes: Vec<String>,
    client: String,
    offline: bool,
    grant: String,
    username: String,
    password: String,
    refresh: String,
}

impl Asked {
    fn read(text: &[u8]) -> Self {
        let mut asked = Self::default();
        for (name, value) in url::form_urlencoded::parse(text) {
            let value = value.into_owned();
            match name.as_ref() {
                "scope" => asked.scopes.push(value),
                "client_id" => asked.client = value,
                "offline_token" => asked.offline |= value == "true",
                "access_type" => asked.offline |= value == "offline",
                "grant_type" => asked.grant = value,
                "username" => asked.username = value,
                "password" => asked.password = value,
                "refresh_token" => asked.refresh = value,
                _ => {}
            }
        }
        asked
    }
}

/// `GET /token`: gives a token for the `scope`s asked, which may be none or several; anonymous
/// callers get one too, good for what everybody may read.
///
/// # Errors
/// [`Failure`] 401 for wrong credentials.
pub async fn grant(
    State(app): State<App>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let asked = Asked::read(query.unwrap_or_default().as_bytes());
    let refresh = if asked.offline && caller.account.is_some() {
        Some(token::refresh(&app, &caller, &asked.client).await?)
    } else {
        None
    };
    answer(&app, &caller, &asked.scopes, refresh).await
}

/// `POST /token`: the same with the credentials in a form, as OAuth 2 has it. A kept token
/// (`grant_type=refresh_token`) stays the same.
///
/// # Errors
/// [`Failure`] 401 for wrong credentials, 400 for another `grant_type`.
pub async fn login(State(app): State<App>, form: Bytes) -> Result<Response, Failure> {
    let invalid = |detail: &str| {
        let status = StatusCode::BAD_REQUEST;
        Failure::new(status, "form-invalid", "UNSUPPORTED", detail)
    };
    if form.len() > MAX_FORM {
        return Err(invalid("the form is too large"));
    }
    let asked = Asked::read(&form);
    let (caller, refresh) = match asked.grant.as_str() {
        "refresh_token" => {
            let caller = token::recognise(&app, &asked.refresh).await?;
            (caller, Some(asked.refresh))
        }
        "password" => {
            let caller = extract::recognise(&app, &asked.username, &asked.password).await?;
            let refresh = if asked.offline {
                Some(token::refresh(&app, &caller, &asked.client).await?)
            } else {
                None
            };
            (caller, refresh)
        }
        _ => {
            return Err(invalid(
                "`grant_type` must be `password` or `refresh_token`",
            ));
        }
    };
    if caller.account.is_none() {
        return Err(ServiceError::BadCredentials.into());
    }
    answer(&app, &caller, &asked.scopes, refresh).await
}

async fn answer(
    app: &App,
    caller: &Caller,
    scopes: &[String],
    refresh: Option<String>,
) -> Result<Response, Failure> {
    let bearer = token::grant(app, caller, scopes).await?;
    let mut body = json!({
        "token": bearer.text,
        "access_token": bearer.text,
        "token_type": "Bearer",
        "expires_in": token::BEARER_SECONDS,
        "issued_at": bearer.issued_at.to_rfc3339_opts(SecondsFormat::Secs, true),
    });
    if let Some(refresh) = refresh {
        body["refresh_token"] = refresh.into();
    }
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
}
