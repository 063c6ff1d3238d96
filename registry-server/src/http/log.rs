// SPDX-License-Identifier: Apache-2.0
//! `/log/checkpoint` and `/log/tile/…`: the publish log as C2SP `tlog-tiles` has it.

use axum::{
    Router,
    extract::State,
    http::{HeaderValue, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use registry_schema::transparency::TilePath;

use super::error::Failure;
use crate::{app::App, service::log};

/// What is never to change may be kept for a year.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// A wider tile comes in its place.
const FOR_A_WHILE: HeaderValue = HeaderValue::from_static("public, max-age=3600, immutable");
/// The next publication changes it.
const FOR_A_MOMENT: HeaderValue = HeaderValue::from_static("public, max-age=1");

/// The addresses below `/log` that programs read.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/log/checkpoint", get(checkpoint))
        .route("/log/tile/{*path}", get(tile))
}

async fn checkpoint(State(app): State<App>) -> Result<Response, Failure> {
    let note = log::checkpoint(&app).await?.note().to_string();
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    let headers = [
        (header::CONTENT_TYPE, text),
        (header::CACHE_CONTROL, FOR_A_MOMENT),
    ];
    Ok((headers, note).into_response())
}

async fn tile(State(app): State<App>, uri: Uri) -> Result<Response, Failure> {
    let nowhere = || Failure::no_such_page(uri.path());
    let path = uri.path().strip_prefix("/log/").unwrap_or_default();
    let tile: TilePath = path.parse().map_err(|_| nowhere())?;
    let bytes = log::tile(&app, tile).await?.ok_or_else(nowhere)?;
    let bytes_type = HeaderValue::from_static("application/octet-stream");
    let kept = if tile.is_full() {
        FOR_EVER
    } else {
        FOR_A_WHILE
    };
    let headers = [
        (header::CONTENT_TYPE, bytes_type),
        (header::CACHE_CONTROL, kept),
    ];
    Ok((headers, bytes).into_response())
}
