// SPDX-License-Identifier: Apache-2.0
//! `/healthz`, `/readyz` and `/metrics`: for the machines that watch this one.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};

use super::error::Failure;
use crate::{app::App, service::health};

/// The process is alive.
pub async fn live() -> &'static str {
    "ok\n"
}

/// The process can do its work: database and blob directory answer.
///
/// # Errors
/// [`Failure`] 503 or 500 if one of them does not.
pub async fn ready(State(app): State<App>) -> Result<&'static str, Failure> {
    health::check(&app).await?;
    Ok("ok\n")
}

/// Counters and gauges as OpenMetrics text.
///
/// # Errors
/// [`Failure`] 503 if the database does not answer.
pub async fn metrics(State(app): State<App>) -> Result<impl IntoResponse, Failure> {
    const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let gauges = health::gauges(&app).await?;
    Ok((
        StatusCode::OK,
        [(header::CONTENT_TYPE, TYPE)],
        app.metrics.render(&gauges),
    ))
}
