// SPDX-License-Identifier: Apache-2.0
//! `/healthz`, `/readyz` and `/metrics`: for the machines that watch this one.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};

use super::error::Failure;
use crate::{
    app::App,
    metrics::Family,
    service::{ServiceError, health},
};

/// The process is alive.
pub async fn live() -> &'static str {
    "ok\n"
}

/// The process can do its work: database and blob directory answer.
///
/// # Errors
/// [`Failure`] 503 or 500 if one of them does not.
pub async fn ready(State(app): State<App>) -> Result<&'static str, Failure> {
    if app.is_stopping() {
        return Err(ServiceError::Unavailable("the registry is stopping").into());
    }
    health::check(&app).await?;
    Ok("ok\n")
}

/// Counters and gauges as OpenMetrics text.
///
/// # Errors
/// [`Failure`] 503 if the database does not answer.
pub async fn metrics(State(app): State<App>) -> Result<impl IntoResponse, Failure> {
    const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let mut more = health::measure(&app).await?;
    more.extend(certificates(&app));
    Ok((
        StatusCode::OK,
        [(header::CONTENT_TYPE, TYPE)],
        app.metrics.render(&more),
    ))
}

/// How long each certificate of this server is still good.
#[expect(clippy::cast_precision_loss, reason = "seconds, far below 2^53")]
fn certificates(app: &App) -> Option<Family> {
    let now = app.clock.now();
    let expiries = app.tls.as_ref()?.expiries().into_iter();
    let seconds = |end: chrono::DateTime<chrono::Utc>| (end - now).num_seconds() as f64;
    let values = expiries.map(|end| (end.path.display().to_string(), seconds(end.at)));
    Some(Family {
        name: "certificate_expiry_seconds",
        unit: "seconds",
        help: "Time until a certificate of this server ends; negative if it has.",
        label: "file",
        values: values.collect(),
    })
}
