// SPDX-License-Identifier: Apache-2.0
//! Errors as pages that lead on.

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use registry_schema::api::Problem;

use super::{Layout, protect, render};
use crate::app::App;

#[derive(Template)]
#[template(path = "pages/error.html")]
struct ErrorPage {
    layout: Layout,
    title: String,
    detail: String,
    /// What may be worth searching for instead.
    search: Option<String>,
    request_id: Option<String>,
}

/// The page for `problem`, which was met at `path`.
pub fn error_page(app: &App, path: &str, problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let missing = status == StatusCode::NOT_FOUND;
    let title = match status {
        StatusCode::NOT_FOUND => "Not found".to_owned(),
        StatusCode::BAD_REQUEST => "This address cannot be understood".to_owned(),
        _ => problem.title.clone(),
    };
    let page = ErrorPage {
        layout: Layout::new(app),
        title,
        detail: sentence(&problem.detail),
        search: missing.then(|| wanted(path)).flatten(),
        request_id: problem
            .request_id
            .clone()
            .filter(|_| status.is_server_error()),
    };
    let mut response = render(status, &page).into_response();
    protect(response.headers_mut());
    response
}

/// A problem's detail as a sentence of its own.
fn sentence(detail: &str) -> String {
    let mut rest = detail.chars();
    let first = rest
        .next()
        .map(|first| first.to_uppercase().to_string())
        .unwrap_or_default();
    let end = if detail.ends_with(['.', '!', '?', '`']) {
        ""
    } else {
        "."
    };
    format!("{first}{}{end}", rest.as_str())
}

/// The package's name in `/packages/{namespace}/{name}…`, if it is one that could exist.
fn wanted(path: &str) -> Option<String> {
    let name = path.strip_prefix("/packages/")?.split('/').nth(1)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (!name.is_empty() && name.len() <= 64 && name.chars().all(plain)).then(|| name.to_owned())
}
