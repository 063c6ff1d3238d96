// SPDX-License-Identifier: Apache-2.0
//! Parse at the door: what handlers receive is checked already.

use std::net::IpAddr;

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use base64::{Engine, prelude::BASE64_STANDARD};

use super::error::Failure;
use crate::{
    app::App,
    service::{ServiceError, access::Caller, token},
};

/// Longest `Authorization` header that is looked at, in bytes.
const MAX_AUTHORIZATION: usize = 16 * 1024;

/// The address of the other end of the connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

impl FromRequestParts<App> for Caller {
    type Rejection = Failure;

    /// Reads `Authorization`: Basic with an API token as password (the user name is not
    /// looked at: the token says whose it is), Bearer with an API token or with a token
    /// of the token endpoint. No header is an anonymous caller; a wrong one is an error.
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let Some(value) = parts.headers.get(header::AUTHORIZATION) else {
            return Ok(Self::default());
        };
        let text = value.to_str().map_err(|_| ServiceError::BadCredentials)?;
        if text.len() > MAX_AUTHORIZATION {
            return Err(ServiceError::BadCredentials.into());
        }
        let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
        let caller = match scheme.to_ascii_lowercase().as_str() {
            "basic" => token::recognise(app, &password(rest.trim())?).await?,
            "bearer" => token::recognise_bearer(app, rest.trim()).await?,
            _ => return Err(ServiceError::BadCredentials.into()),
        };
        Ok(caller)
    }
}

fn password(encoded: &str) -> Result<String, ServiceError> {
    let bytes = BASE64_STANDARD
        .decode(encoded)
        .map_err(|_| ServiceError::BadCredentials)?;
    let text = String::from_utf8(bytes).map_err(|_| ServiceError::BadCredentials)?;
    let (_, password) = text.split_once(':').ok_or(ServiceError::BadCredentials)?;
    Ok(password.to_owned())
}
