// SPDX-License-Identifier: Apache-2.0
//! What happens around every request: an identifier, a log line, a count, limits and the
//! headers that browsers want.

use std::time::Instant;

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{Instrument, Span};

use super::{
    error::{self, Asked, Failure},
    limit::{self, Remaining},
};
use crate::{app::App, telemetry};

/// Header with the request's identifier.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest identifier that is taken over from the client, in bytes.
const MAX_ID: usize = 64;

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
        // One layer and not three: each costs several allocations per request.
        .layer(middleware::from_fn_with_state(app.clone(), observe))
}

/// Lets a request in, if it is within the limits, and gives the answer its form.
async fn answer(app: &App, request: Request, next: Next) -> Response {
    let asked = Asked::of(&request);
    let response = limit::enforce(app, request, next).await;
    error::shape(app, asked, response).await
}

/// Numbers, logs and counts a request, and adds the headers that every answer has.
async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let _held = app.metrics.in_flight.hold();
    let id = identifier(request.headers()).unwrap_or_else(|| {
        let id = app.random.id(app.clock.now());
        id.simple().to_string()
    });
    let method = method_label(request.method());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let quiet = matched.as_ref().is_some_and(|path| is_probe(path.as_str()));
    let span = if quiet {
        Span::none()
    } else {
        let path = request.uri().path();
        let span = tracing::info_span!("request", id, method, path, status = tracing::field::Empty);
        telemetry::continue_trace(&span, request.headers());
        span
    };
    request.extensions_mut().insert(RequestId(id.clone()));
    let began = Instant::now();
    let answered = answer(&app, request, next).instrument(span.clone());
    let mut response = answered.await;
    let took = began.elapsed();
    let label = response
        .extensions()
        .get::<RouteLabel>()
        .map(|label| label.0);
    let route = label.or(matched.as_ref().map(MatchedPath::as_str));
    let status = response.status().as_u16();
    app.metrics
        .request(method, route.unwrap_or("none"), status, took);
    if !span.is_disabled() {
        span.record("status", status);
        span.in_scope(|| tracing::info!(status, took_us = took.as_micros(), "answered"));
    }
    if let Some(remaining) = response.extensions().get::<Remaining>().copied() {
        response.headers_mut().extend(remaining.headers());
    }
    add_headers(&app, id, &mut response);
    response
}

/// What asks every few seconds, and would fill the log.
fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics")
}

/// The client's own name for the request, or for the trace that it belongs to.
fn identifier(headers: &HeaderMap) -> Option<String> {
    let sane = |id: &&str| {
        let mut bytes = id.bytes();
        (1..=MAX_ID).contains(&id.len())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let own = text("x-request-id").filter(sane);
    let trace = || text("traceparent")?.split('-').nth(1).filter(sane);
    own.or_else(trace).map(str::to_owned)
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

fn add_headers(app: &App, id: String, response: &mut Response) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, id);
    }
    let mut default = |name: HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    // A cache between us and somebody else keeps what we say it may, and guesses nothing.
    default(header::CACHE_CONTROL, "no-store");
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
