// SPDX-License-Identifier: Apache-2.0
//! `/api/v1/trust`: what clients and nodes judge this registry by. Signed envelopes, byte
//! for byte as they were signed.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use registry_schema::trust::revocation::{NewRevocation, Revoked};
use serde_json::{Value, json};

use super::body;
use crate::app::App;
use crate::http::error::Failure;
use crate::service::{access::Caller, revocation, root};

type Document = ([(HeaderName, HeaderValue); 2], Bytes);

fn document(bytes: Bytes, cache: &'static str) -> Document {
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
    ];
    (headers, bytes)
}

fn no_root() -> Failure {
    let detail = "this registry has published no such trust root";
    Failure::new(StatusCode::NOT_FOUND, "root-unknown", "UNSUPPORTED", detail)
}

/// The trust root
///
/// The newest version, in a DSSE envelope.
#[utoipa::path(get, path = "/trust/root", tag = "trust",
    responses((status = 200, description = "A DSSE envelope", body = Value)))]
pub(super) async fn latest(State(app): State<App>) -> Result<Document, Failure> {
    let bytes = root::latest(&app).await?.ok_or_else(no_root)?;
    Ok(document(bytes, "public, max-age=300"))
}

/// One version of the trust root
#[utoipa::path(get, path = "/trust/root/{version}", tag = "trust",
    params(("version" = u64, Path, description = "Counts from 1")),
    responses((status = 200, description = "A DSSE envelope", body = Value)))]
pub(super) async fn version(
    State(app): State<App>,
    Path(version): Path<u64>,
) -> Result<Document, Failure> {
    let bytes = root::version(&app, version).await?.ok_or_else(no_root)?;
    Ok(document(bytes, "public, max-age=31536000, immutable"))
}

/// Publish the next trust root
///
/// Needs an administrator. The root must be signed by the threshold of its own keys and of
/// those of the version before it.
#[utoipa::path(put, path = "/trust/root", tag = "trust", request_body = Value,
    responses((status = 201, description = "Published", body = Value)))]
pub(super) async fn publish(
    State(app): State<App>,
    caller: Caller,
    bytes: Bytes,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let version = root::publish(&app, &caller, &bytes).await?;
    Ok((StatusCode::CREATED, Json(json!({ "version": version }))))
}

/// The key of the revocation feed
///
/// For who writes a trust root; a client believes the root.
#[utoipa::path(get, path = "/trust/revocations/key", tag = "trust",
    responses((status = 200, description = "Public key and its fingerprint", body = Value)))]
pub(super) async fn feed_key(State(app): State<App>) -> Json<Value> {
    let key = app.feed_key.public();
    Json(json!({ "fingerprint": key.fingerprint(), "pem": key.to_pem() }))
}

/// The revocation feed
///
/// All keys, digests and versions that count no more, in a DSSE envelope.
#[utoipa::path(get, path = "/trust/revocations", tag = "trust",
    responses((status = 200, description = "A DSSE envelope", body = Value)))]
pub(super) async fn feed(State(app): State<App>) -> Result<Document, Failure> {
    let bytes = revocation::feed(&app).await?;
    Ok(document(bytes, "public, max-age=60"))
}

/// Revoke a key, a digest or a version
///
/// Needs an administrator, or an owner of the namespace that it belongs to. It cannot be
/// taken back.
#[utoipa::path(post, path = "/trust/revocations", tag = "trust", request_body = NewRevocation,
    responses((status = 201, description = "Revoked", body = Revoked)))]
pub(super) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    bytes: Bytes,
) -> Result<(StatusCode, Json<Revoked>), Failure> {
    let new: NewRevocation = body::read(&bytes)?;
    let revoked = revocation::revoke(&app, &caller, new).await?;
    Ok((StatusCode::CREATED, Json(revoked)))
}
