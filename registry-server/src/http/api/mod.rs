// SPDX-License-Identifier: Apache-2.0
//! The REST API under `/api/v1`. Bodies are those of `registry_schema::api`, errors are
//! problem+json, and [`document`] describes all of it.

mod account;
mod audit;
mod body;
mod certificate;
mod identity;
mod key;
mod lifecycle;
mod log;
mod member;
mod namespace;
mod openapi;
mod ownership;
mod package;
mod publisher;
mod review;
pub(super) mod search;
mod star;
mod storage;
mod token;
mod trust;
mod upstream;
mod webhook;

use axum::{Router, extract::DefaultBodyLimit, routing::get};
use utoipa_axum::{router::OpenApiRouter, routes};

use registry_schema::trust::root::MAX_ROOT;

use crate::app::App;
pub use openapi::document;

/// Largest request body, in bytes: a public key is under one kilobyte.
const MAX_BODY: usize = 64 * 1024;

/// Every address of the API, relative to `/api/v1`.
pub fn routes() -> Router<App> {
    Router::from(described())
        .route("/openapi.json", get(openapi::show))
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

/// The routes with what their attributes say about them. One line per address.
fn described() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(search::search))
        .routes(routes!(search::list))
        .routes(routes!(package::show))
        .routes(routes!(package::version))
        .routes(routes!(lifecycle::yank, lifecycle::unyank))
        .routes(routes!(
            lifecycle::deprecate_version,
            lifecycle::restore_version
        ))
        .routes(routes!(lifecycle::deprecate, lifecycle::restore))
        .routes(routes!(review::registry))
        .routes(routes!(review::queue))
        .routes(routes!(review::decide))
        .routes(routes!(review::list))
        .routes(routes!(star::show, star::give, star::take_back))
        .routes(routes!(audit::list))
        .routes(routes!(log::show))
        .routes(routes!(log::entries))
        .routes(routes!(log::proof))
        .routes(routes!(log::cosign))
        .routes(routes!(namespace::list, namespace::create))
        .routes(routes!(
            namespace::show,
            namespace::change,
            namespace::delete
        ))
        .routes(routes!(key::list, key::add))
        .routes(routes!(key::remove))
        .routes(routes!(identity::list, identity::add))
        .routes(routes!(identity::remove))
        .routes(routes!(identity::revoke))
        .routes(routes!(identity::statements, identity::go_on))
        .routes(routes!(
            ownership::show,
            ownership::offer,
            ownership::cancel
        ))
        .routes(routes!(ownership::accept))
        .routes(routes!(ownership::proofs, ownership::prove))
        .routes(routes!(ownership::disprove))
        .routes(routes!(upstream::list, upstream::set))
        .routes(routes!(upstream::list_foreign))
        .routes(routes!(webhook::list, webhook::create))
        .routes(routes!(webhook::delete))
        .routes(routes!(webhook::test))
        .routes(routes!(webhook::deliveries))
        .routes(routes!(storage::show, storage::set))
        .routes(routes!(storage::expire))
        .routes(routes!(account::own))
        .routes(routes!(account::change_password))
        .routes(routes!(account::list, account::create))
        .routes(routes!(account::show, account::change))
        .routes(routes!(account::link))
        .routes(routes!(certificate::list, certificate::add))
        .routes(routes!(certificate::remove))
        .routes(routes!(token::list, token::issue))
        .routes(routes!(token::revoke))
        .routes(routes!(token::exchange))
        .routes(routes!(member::list))
        .routes(routes!(member::set, member::remove))
        .routes(routes!(publisher::list, publisher::add))
        .routes(routes!(publisher::remove))
        .merge(trust_routes())
}

/// What clients and nodes judge the registry by; a trust root is larger than other bodies.
fn trust_routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(trust::latest, trust::publish))
        .routes(routes!(trust::version))
        .routes(routes!(trust::feed, trust::revoke))
        .routes(routes!(trust::feed_key))
        .layer(DefaultBodyLimit::max(MAX_ROOT))
}
