// SPDX-License-Identifier: Apache-2.0
//! What happens around every request: an identifier, a log line, a count, limits and the
//! headers that browsers want.

use std::time::{Duration, Instant};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tower_http::{catch_panic::CatchPanicLayer, timeout::RequestBodyTimeoutLayer};
use tracing::Instrument;

use super::error::{self, Failure};
use crate::app::App;

/// How long a client may pause within a body.
const BODY_PAUSE: Duration = Duration::from_secs(30);
/// Header with the request's identifier.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The identifier of a request, as in the log and in `X-Request-Id`.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Which row of the route table answered, where the framework cannot know it.
#[derive(Debug, Clone, Copy)]
pub struct RouteLabel(pub &'static str);

/// Puts the layers around the routes.
pub fn wrap(router: Router<App>, app: &App) -> Router<App> {
    router
        .layer(CatchPanicLayer::custom(
            |_panic: Box<dyn std::any::Any + Send>| {
                let detail =
                    "the registry failed; its log says why, under the request's identifier";
                Failure::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "UNSUPPORTED",
                    detail,
                )
                .into_response()
            },
        ))
        .layer(RequestBodyTimeoutLayer::new(BODY_PAUSE))
        .layer(middleware::from_fn_with_state(app.clone(), error::shape))
        .layer(middleware::from_fn_with_state(app.clone(), observe))
}

/// Numbers, logs and counts a request, and adds the headers that every answer has.
async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let id = app.random.id(app.clock.now()).to_string();
    let method = method_label(request.method());
    let path = request.uri().path().to_owned();
    let matched = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    request.extensions_mut().insert(RequestId(id.clone()));
    let span = tracing::info_span!("request", id = %id, method, path = %path);
    let began = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let took = began.elapsed();
    let label = response.extensions().get::<RouteLabel>();
    let route = label.map_or(matched, |label| label.0.to_owned());
    let status = response.status().as_u16();
    app.metrics.request(method, &route, status, took);
    span.in_scope(|| tracing::info!(status, took_us = took.as_micros(), "answered"));
    add_headers(&app, &id, &mut response);
    response
}

/// The methods we know; another one must not become a label.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

fn add_headers(app: &App, id: &str, response: &mut Response) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    let mut default = |name: HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    default(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    default(header::REFERRER_POLICY, "no-referrer");
    default(header::X_FRAME_OPTIONS, "DENY");
    // Pages set their own; everything else must never be run by a browser.
    default(
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    );
    if app.public_url.scheme() == "https" {
        default(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
}
