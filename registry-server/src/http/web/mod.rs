// SPDX-License-Identifier: Apache-2.0
//! The catalogue as pages.

use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use registry_schema::api::Problem;

use crate::app::App;

/// The routes of the pages.
pub fn routes() -> Router<App> {
    Router::new()
}

/// The page of an error.
pub fn error_page(_app: &App, problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, format!("{}: {}\n", problem.title, problem.detail)).into_response()
}
