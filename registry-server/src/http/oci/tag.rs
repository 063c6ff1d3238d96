// SPDX-License-Identifier: Apache-2.0
//! `/v2/<name>/tags/list` and `/v2/_catalog`

use axum::{
    Json,
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use registry_schema::name::{RepositoryName, Tag};
use serde_json::json;

use super::{condition, query_one, set};
use crate::{
    app::App,
    http::error::Failure,
    service::{access::Caller, tag},
};

/// Most entries of one page; what a client asks beyond it is cut.
const MAX_PAGE: usize = 1000;

/// Lists the tags of a repository, in the order of their bytes.
pub(super) async fn list(
    app: &App,
    caller: &Caller,
    name: &RepositoryName,
    request: &Parts,
) -> Result<Response, Failure> {
    let (last, limit) = page(request)?;
    let page = tag::list(app, caller, name, &last, limit).await?;
    let mut response = Json(json!({"name": name, "tags": page.entries})).into_response();
    if let Some(last) = page.entries.last().filter(|_| page.more) {
        link(
            &mut response,
            &format!("/v2/{name}/tags/list"),
            limit,
            last.as_str(),
        );
    }
    Ok(response)
}

/// Lists the repositories that the caller may read.
pub(super) async fn catalogue(
    app: &App,
    caller: &Caller,
    request: &Parts,
) -> Result<Response, Failure> {
    let (last, limit) = page(request)?;
    let page = tag::catalogue(app, caller, &last, limit).await?;
    let mut response = Json(json!({"repositories": page.entries})).into_response();
    if let Some(last) = page.entries.last().filter(|_| page.more) {
        link(&mut response, "/v2/_catalog", limit, last.as_str());
    }
    Ok(response)
}

/// Deletes a tag.
pub(super) async fn delete(
    app: &App,
    caller: &Caller,
    name: &RepositoryName,
    tag: &Tag,
    request: &Parts,
) -> Result<Response, Failure> {
    let condition = condition::of_write(&request.headers);
    tag::delete(app, caller, name, tag, &condition).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

fn page(request: &Parts) -> Result<(String, usize), Failure> {
    let last = query_one(request, "last").unwrap_or_default();
    let Some(text) = query_one(request, "n") else {
        return Ok((last, MAX_PAGE));
    };
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        let text: String = text.chars().take(40).collect();
        let detail = format!("`n={text}` is no number of entries; write digits");
        return Err(Failure::new(
            StatusCode::BAD_REQUEST,
            "page",
            "UNSUPPORTED",
            detail,
        ));
    }
    // Digits that do not fit are more than the most.
    Ok((last, text.parse().unwrap_or(MAX_PAGE).min(MAX_PAGE)))
}

fn link(response: &mut Response, path: &str, limit: usize, last: &str) {
    let last: String = url::form_urlencoded::byte_serialize(last.as_bytes()).collect();
    set(
        response,
        header::LINK,
        &format!("<{path}?n={limit}&last={last}>; rel=\"next\""),
    );
}
