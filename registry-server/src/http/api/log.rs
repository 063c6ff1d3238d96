// SPDX-License-Identifier: Apache-2.0
//! `/api/v1/log`, `/api/v1/log/…` and `…/versions/{version}/proof`

use axum::{
    Json,
    body::Bytes,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use registry_schema::{
    Namespace,
    transparency::api::{LogDetail, LogPage},
};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::http::error::Failure;
use crate::http::extract::VersionPath;
use crate::service::{
    access::Caller,
    log::{self, Part},
};

/// Publish log
///
/// Its name, its key, how far it goes, and who watches it. What proves itself is under `/log/`.
#[utoipa::path(get, path = "/log", tag = "log", responses((status = 200, body = LogDetail)))]
pub(super) async fn show(State(app): State<App>) -> Result<Json<LogDetail>, Failure> {
    Ok(Json(log::detail(&app).await?))
}

/// The parameters of a list of entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Only the entries about this namespace.
    #[param(value_type = Option<String>)]
    namespace: Option<Namespace>,
    /// Entries before this place, newest first.
    before: Option<u64>,
    /// Entries from this place on, oldest first.
    from: Option<u64>,
    /// How many, 1 to 1000.
    limit: Option<u64>,
}

/// Entries of the publish log
///
/// Newest first unless `from` is given.
#[utoipa::path(get, path = "/log/entries", tag = "log", params(Parameters),
    responses((status = 200, body = LogPage)))]
pub(super) async fn entries(
    State(app): State<App>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<LogPage>, Failure> {
    let part = match (parameters.before, parameters.from) {
        (None, None) => Part::End,
        (Some(place), None) => Part::Before(place),
        (None, Some(place)) => Part::From(place),
        (Some(_), Some(_)) => {
            let detail = "give `before` or `from`, not both";
            let status = StatusCode::BAD_REQUEST;
            return Err(Failure::new(status, "query-invalid", "UNSUPPORTED", detail));
        }
    };
    let limit = parameters.limit.unwrap_or(log::PAGE);
    Ok(Json(
        log::entries(&app, parameters.namespace.as_ref(), part, limit).await?,
    ))
}

/// The parameters of a proof.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ProofParameters {
    /// Of what: `publish` (by default) or `yank`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    of: log::Event,
}

/// Proof of what the publish log says of a version
///
/// As C2SP `tlog-proof`: entry, way to the root, signed checkpoint.
#[utoipa::path(get, path = "/packages/{namespace}/{name}/versions/{version}/proof", tag = "log",
    params(
        ("namespace" = String, Path, description = "Name of the namespace"),
        ("name" = String, Path, description = "Name of the package in it"),
        ("version" = String, Path, description = "A version such as `1.2.0`"),
        ProofParameters),
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn proof(
    State(app): State<App>,
    caller: Caller,
    VersionPath(package, version): VersionPath,
    Query(parameters): Query<ProofParameters>,
) -> Result<Response, Failure> {
    let proof = log::proof(&app, &caller, &package, &version, parameters.of).await?;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, text)], proof.to_string()).into_response())
}

/// Hand in cosignatures
///
/// A checkpoint of this log with cosignatures (C2SP `tlog-cosignature`) of witnesses that the
/// registry knows. They prove themselves: nobody need log in.
#[utoipa::path(post, path = "/log/cosignatures", tag = "log",
    request_body(content = String, content_type = "text/plain"),
    responses((status = 204, description = "Kept")))]
pub(super) async fn cosign(State(app): State<App>, body: Bytes) -> Result<StatusCode, Failure> {
    log::cosign(&app, &body).await?;
    Ok(StatusCode::NO_CONTENT)
}
