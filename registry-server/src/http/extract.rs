// SPDX-License-Identifier: Apache-2.0
//! Parse at the door: what handlers receive is checked already.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{FromRequestParts, MatchedPath, Path},
    http::{header, request::Parts},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use registry_schema::{Namespace, PackageName, Version};
use serde::{Deserialize, de::DeserializeOwned};

use super::error::Failure;
use crate::{
    app::App,
    service::{ServiceError, access::Caller, certificate, oidc, password, token},
};

/// Longest `Authorization` header that is looked at, in bytes.
const MAX_AUTHORIZATION: usize = 16 * 1024;

/// The address of the other end of the connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// The certificate that the client showed, checked already: DER of the leaf.
#[derive(Debug, Clone)]
pub struct ClientCertificate(pub Arc<[u8]>);

impl FromRequestParts<App> for Caller {
    type Rejection = Failure;

    /// Reads `Authorization`: Basic with user name and password, or with an API token or an ID
    /// token as password (then the user name is not looked at: the token says whose it is);
    /// Bearer with an API token, or under `/v2` with a token of the token endpoint. Without the
    /// header the client's certificate counts, and without that it is an anonymous caller. A
    /// wrong credential is an error. On pages the session has been looked at before.
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(caller.clone());
        }
        let Some(value) = parts.headers.get(header::AUTHORIZATION) else {
            return match parts.extensions.get::<ClientCertificate>() {
                Some(ClientCertificate(der)) => {
                    Ok(Box::pin(certificate::recognise(app, der)).await?)
                }
                None => Ok(Self::default()),
            };
        };
        let text = value.to_str().map_err(|_| ServiceError::BadCredentials)?;
        if text.len() > MAX_AUTHORIZATION {
            return Err(ServiceError::BadCredentials.into());
        }
        let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
        let caller = match scheme.to_ascii_lowercase().as_str() {
            "basic" => {
                let (name, password) = basic(rest.trim())?;
                Box::pin(recognise(app, &name, &password)).await?
            }
            "bearer" => Box::pin(token::recognise_bearer(app, rest.trim(), is_oci(parts))).await?,
            _ => return Err(ServiceError::BadCredentials.into()),
        };
        Ok(caller)
    }
}

/// Recognises a user name with whatever stands where the password should.
///
/// # Errors
/// [`ServiceError::BadCredentials`], [`ServiceError::IdToken`], [`ServiceError::Store`].
pub(super) async fn recognise(app: &App, name: &str, secret: &str) -> Result<Caller, ServiceError> {
    if secret.starts_with(token::PREFIX) {
        token::recognise(app, secret).await
    } else if oidc::is_id_token(secret) {
        oidc::recognise(app, name, secret).await
    } else {
        password::recognise(app, name, secret).await
    }
}

/// Whether the request is for the OCI surface: elsewhere its bearer tokens are worth nothing,
/// for their scopes know nothing of what else there is.
fn is_oci(parts: &Parts) -> bool {
    let route = parts.extensions.get::<MatchedPath>();
    route.is_some_and(|route| route.as_str().starts_with("/v2"))
}

/// `{namespace}` of a path. A name that cannot exist leads nowhere.
pub struct NamespacePath(pub Namespace);

/// `{namespace}/{name}` of a path. A name that cannot exist leads nowhere.
pub struct PackagePath(pub PackageName);

/// `{namespace}/{name}` and `{version}` of a path. What cannot exist leads nowhere.
pub struct VersionPath(pub PackageName, pub Version);

#[derive(Deserialize)]
struct NamespaceParts {
    namespace: String,
}

#[derive(Deserialize)]
struct PackageParts {
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
struct VersionParts {
    version: String,
}

async fn parts_of<T: DeserializeOwned + Send>(parts: &mut Parts, app: &App) -> Result<T, Failure> {
    let nowhere = Failure::no_such_page(parts.uri.path());
    let path = Path::<T>::from_request_parts(parts, app).await;
    path.map(|Path(found)| found).map_err(|_| nowhere)
}

impl FromRequestParts<App> for NamespacePath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let NamespaceParts { namespace } = parts_of(parts, app).await?;
        let nowhere = |_| Failure::no_such_page(parts.uri.path());
        namespace.parse().map(Self).map_err(nowhere)
    }
}

impl FromRequestParts<App> for PackagePath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let PackageParts { namespace, name } = parts_of(parts, app).await?;
        let nowhere = |_| Failure::no_such_page(parts.uri.path());
        format!("{namespace}/{name}")
            .parse()
            .map(Self)
            .map_err(nowhere)
    }
}

impl FromRequestParts<App> for VersionPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let PackagePath(package) = PackagePath::from_request_parts(parts, app).await?;
        let VersionParts { version } = parts_of(parts, app).await?;
        let nowhere = |_| Failure::no_such_page(parts.uri.path());
        let version = version.parse().map_err(nowhere)?;
        Ok(Self(package, version))
    }
}

fn basic(encoded: &str) -> Result<(String, String), ServiceError> {
    let bytes = BASE64_STANDARD
        .decode(encoded)
        .map_err(|_| ServiceError::BadCredentials)?;
    let text = String::from_utf8(bytes).map_err(|_| ServiceError::BadCredentials)?;
    let (name, password) = text.split_once(':').ok_or(ServiceError::BadCredentials)?;
    Ok((name.to_owned(), password.to_owned()))
}
