// SPDX-License-Identifier: Apache-2.0
//! The REST API under `/api/v1`. Bodies are those of `registry_schema::api`, errors are
//! problem+json.

mod audit;
mod body;
mod key;
mod namespace;
mod package;
pub(super) mod search;
mod star;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{delete, get},
};

use crate::app::App;

/// Largest request body, in bytes: a public key is under one kilobyte.
const MAX_BODY: usize = 64 * 1024;

/// Every address of the API, relative to `/api/v1`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/search", get(search::search))
        .route("/packages", get(search::list))
        .route("/packages/{namespace}/{name}", get(package::show))
        .route(
            "/packages/{namespace}/{name}/versions/{version}",
            get(package::version),
        )
        .route(
            "/packages/{namespace}/{name}/star",
            get(star::show).put(star::give).delete(star::take_back),
        )
        .route("/audit", get(audit::list))
        .route("/namespaces", get(namespace::list).post(namespace::create))
        .route("/namespaces/{namespace}", get(namespace::show))
        .route(
            "/namespaces/{namespace}/keys",
            get(key::list).post(key::add),
        )
        .route(
            "/namespaces/{namespace}/keys/{*fingerprint}",
            delete(key::remove),
        )
        .layer(DefaultBodyLimit::max(MAX_BODY))
}
