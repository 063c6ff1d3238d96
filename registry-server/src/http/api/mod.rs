// SPDX-License-Identifier: Apache-2.0
//! The REST API under `/api/v1`.

use axum::Router;

use crate::app::App;

/// The routes under `/api/v1`.
pub fn routes() -> Router<App> {
    Router::new()
}
