// SPDX-License-Identifier: Apache-2.0
//! `/api/v1/certificates`

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use registry_schema::account::{CertificateDetail, NewCertificate};

use super::body;
use crate::app::App;
use crate::http::error::Failure;
use crate::service::{access::Caller, certificate};

/// Client certificates
///
/// That stand for accounts. For administrators.
#[utoipa::path(get, path = "/certificates", tag = "certificates",
    responses((status = 200, body = Vec<CertificateDetail>)))]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<Vec<CertificateDetail>>, Failure> {
    Ok(Json(certificate::list(&app, &caller).await?))
}

/// Map a client certificate
///
/// To an account, by a name in it or by its key. For administrators.
#[utoipa::path(post, path = "/certificates", tag = "certificates",
    request_body = NewCertificate,
    responses((status = 201, description = "Mapped", body = CertificateDetail)))]
pub(super) async fn add(
    State(app): State<App>,
    caller: Caller,
    bytes: axum::body::Bytes,
) -> Result<(StatusCode, Json<CertificateDetail>), Failure> {
    let new: NewCertificate = body::read(&bytes)?;
    let added = certificate::add(&app, &caller, new).await?;
    Ok((StatusCode::CREATED, Json(added)))
}

/// Take a mapping back
///
/// A URI may hold slashes. For administrators.
#[utoipa::path(delete, path = "/certificates/{kind}/{*value}", tag = "certificates",
    params(
        ("kind" = String, Path, description = "`uri`, `dns`, `email` or `spki`"),
        ("value" = String, Path, description = "The name, or the hash of the key")),
    responses((status = 204, description = "Gone")))]
pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path((kind, value)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    certificate::remove(&app, &caller, &kind, &value).await?;
    Ok(StatusCode::NO_CONTENT)
}
