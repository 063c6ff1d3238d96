// SPDX-License-Identifier: Apache-2.0
//! The route table: every URL of the product begins here.

pub mod api;
pub mod error;
mod error_identity;
pub mod extract;
pub mod health;
pub mod layers;
pub mod limit;
mod log;
pub mod oci;
mod pace;
pub mod serve;
pub mod tls;
pub mod web;

use axum::{
    Router,
    http::Uri,
    routing::{any, get},
};

use self::error::Failure;
use crate::app::App;

pub use layers::{RequestId, RouteLabel};
pub use serve::{serve, serve_probes};

/// All routes with all layers.
pub fn router(app: App) -> Router {
    let routes = Router::new()
        // Clients of the OCI distribution specification, and their token endpoint.
        .route("/v2", any(oci::dispatch))
        .route("/v2/", any(oci::dispatch))
        .route("/v2/{*path}", any(oci::dispatch))
        .route("/token", get(oci::token::grant).post(oci::token::login))
        // The REST API: `bpfpkg` and anybody's scripts.
        .nest("/api/v1", api::routes())
        // The publish log, for whoever checks it.
        .merge(log::routes())
        // The catalogue, for people.
        .merge(web::routes(&app))
        // Whatever watches this process.
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(nothing);
    layers::wrap(routes, &app).with_state(app)
}

/// The routes for whatever watches this process, alone.
fn probes(app: &App) -> Router {
    Router::new()
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(nothing)
        .with_state(app.clone())
}

async fn nothing(uri: Uri) -> Failure {
    Failure::no_such_page(uri.path())
}
