// SPDX-License-Identifier: Apache-2.0
//! `GET /reviews`: what waits for a reviewer, and the form that decides.

use askama::Template;
use axum::{
    body::Bytes,
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, StatusCode};
use registry_schema::review::{NewReview, QueuedVersion};

use super::{
    Layout,
    account::{Fields, Visitor},
    format::{self, Moment},
    render,
};
use crate::app::App;
use crate::http::error::Failure;
use crate::http::extract::VersionPath;
use crate::service::{access::Caller, review};

#[derive(Template)]
#[template(path = "pages/reviews.html")]
struct ReviewsPage {
    layout: Layout,
    visitor: Visitor,
    extent: String,
    error: Option<String>,
    queue: Vec<Queued>,
}

/// A version as the queue shows it.
struct Queued {
    package: String,
    version: String,
    digest: String,
    summary: String,
    pushed: Moment,
    pushed_by: String,
    signers: Vec<String>,
    notes: Vec<String>,
}

impl From<QueuedVersion> for Queued {
    fn from(queued: QueuedVersion) -> Self {
        let pending = queued.pending;
        Self {
            package: queued.package.to_string(),
            version: queued.version.to_string(),
            digest: queued.digest.to_string(),
            summary: queued.summary,
            pushed: pending.pushed_at.into(),
            pushed_by: pending.pushed_by,
            signers: pending.signers,
            notes: pending.notes,
        }
    }
}

/// The queue, and above it why a decision was not taken.
async fn page(
    app: &App,
    caller: &Caller,
    layout: Layout,
    visitor: Visitor,
    failure: Option<Failure>,
) -> Result<Response, Failure> {
    let queue = review::queue(app, caller).await?;
    let status = failure.as_ref().map_or(StatusCode::OK, |one| one.status);
    let page = ReviewsPage {
        layout,
        visitor,
        extent: format::count(queue.len() as u64, "version"),
        error: failure.map(|one| one.detail),
        queue: queue.into_iter().map(Queued::from).collect(),
    };
    Ok(render(status, &page))
}

pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    layout: Layout,
    visitor: Visitor,
) -> Result<Response, Failure> {
    page(&app, &caller, layout, visitor, None).await
}

pub(super) async fn decide(
    State(app): State<App>,
    caller: Caller,
    layout: Layout,
    visitor: Visitor,
    headers: HeaderMap,
    VersionPath(package, version): VersionPath,
    body: Bytes,
) -> Result<Response, Failure> {
    let fields = Fields::read(&app, &headers, &body, &visitor.csrf)?;
    let decided = match read(&fields) {
        Ok(new) => review::decide(&app, &caller, &package, &version, &new)
            .await
            .map_err(Failure::from),
        Err(failure) => Err(failure),
    };
    match decided {
        Ok(_) => Ok(Redirect::to("/reviews").into_response()),
        Err(failure) if failure.status.is_server_error() => Err(failure),
        Err(failure) => page(&app, &caller, layout, visitor, Some(failure)).await,
    }
}

fn read(fields: &Fields) -> Result<NewReview, Failure> {
    let bad = |detail: String| {
        let status = StatusCode::BAD_REQUEST;
        Failure::new(status, "review-invalid", "UNSUPPORTED", detail)
    };
    let approve = match fields.get("decision") {
        "approve" => true,
        "refuse" => false,
        other => {
            let other: String = other.chars().take(40).collect();
            return Err(bad(format!("`{other}` is no decision; approve or refuse")));
        }
    };
    let reason = fields.get("reason").parse();
    let digest = fields.get("digest").parse();
    Ok(NewReview {
        approve,
        reason: reason
            .map_err(|error: registry_schema::notice::NoticeError| bad(error.to_string()))?,
        digest: Some(
            digest.map_err(|error: registry_schema::digest::DigestError| bad(error.to_string()))?,
        ),
    })
}
