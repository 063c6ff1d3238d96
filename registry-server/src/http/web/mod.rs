// SPDX-License-Identifier: Apache-2.0
//! The catalogue for people: a page is a struct, its template and a short handler.
//!
//! Pages are complete without scripts, and the policy below keeps scripts out.

mod account;
mod api;
mod asset;
mod error;
mod feed;
mod format;
mod home;
mod layout;
mod log;
mod markdown;
mod namespace;
mod package;
mod publish;
mod review;
mod row;
mod search;

use askama::Template;
use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::app::App;
pub use error::error_page;
use layout::Layout;

/// Only this server's style and pictures, no scripts, no frames, forms only to this server.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// Every page of the product.
pub fn routes(app: &App) -> Router<App> {
    Router::new()
        .route("/", get(home::show))
        .route("/search", get(search::show))
        .route("/publish", get(publish::show))
        .route("/api", get(api::show))
        .route("/log", get(log::show))
        .route(
            "/packages",
            get(|| async { Redirect::permanent("/search") }),
        )
        .route("/packages/{namespace}", get(namespace::show))
        .route("/packages/{namespace}/{name}", get(package::show_latest))
        .route("/packages/{namespace}/{name}/{version}", get(package::show))
        .route("/feed.atom", get(feed::everything))
        .route("/feeds/{namespace}", get(feed::namespace))
        .route("/feeds/{namespace}/{name}", get(feed::package))
        .route("/reviews", get(review::show))
        .route(
            "/packages/{namespace}/{name}/{version}/review",
            post(review::decide),
        )
        .merge(account::routes())
        .layer(middleware::from_fn_with_state(app.clone(), account::attach))
        .route("/static/{stamp}/{file}", get(asset::show))
        .layer(middleware::from_fn(protected))
}

async fn protected(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    protect(response.headers_mut());
    response
}

/// Adds the headers that keep a page from doing more than it should.
fn protect(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("same-origin"),
    );
}

/// Renders a page. A template that cannot be rendered is a fault of ours: 500.
fn render(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "page cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
