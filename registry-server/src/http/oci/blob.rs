// SPDX-License-Identifier: Apache-2.0
//! `/v2/<name>/blobs/<digest>`

use axum::{
    body::Body,
    http::{Method, Response as HttpResponse, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use registry_schema::{Digest, name::RepositoryName};

use super::{
    CONTENT_DIGEST, cache_control, condition, header_text,
    range::{Wanted, wanted},
};
use crate::{
    app::App,
    http::error::Failure,
    service::{ServiceError, access::Caller, blob},
};

/// Streams a blob, or the part that `Range` names.
pub(super) async fn get(
    app: &App,
    caller: &Caller,
    name: &RepositoryName,
    digest: &Digest,
    request: &Parts,
) -> Result<Response, Failure> {
    let found = if request.method == Method::HEAD {
        blob::find_to_keep(app, caller, name, digest).await?
    } else {
        blob::find(app, caller, name, digest).await?
    };
    let size = found.size_bytes;
    let answer = HttpResponse::builder()
        .header(CONTENT_DIGEST, digest.as_str())
        .header(header::ETAG, format!("\"{digest}\""))
        .header(header::CACHE_CONTROL, cache_control(found.public, true))
        .header(header::ACCEPT_RANGES, "bytes");
    if condition::is_known(&request.headers, digest) {
        return Ok(built(
            answer.status(StatusCode::NOT_MODIFIED).body(Body::empty()),
        ));
    }
    let answer = answer.header(header::CONTENT_TYPE, "application/octet-stream");
    let same =
        header_text(request, &header::IF_RANGE).is_none_or(|tag| tag == format!("\"{digest}\""));
    let range = header_text(request, &header::RANGE).filter(|_| same);
    let (status, part) = match wanted(range, size) {
        Wanted::Whole => (StatusCode::OK, 0..size),
        Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Wanted::Nothing => {
            let detail = format!("the blob has {size} bytes; no byte of it is in that range");
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            return Err(Failure::new(status, "range", "SIZE_INVALID", detail)
                .with_header(header::CONTENT_RANGE, &format!("bytes */{size}")));
        }
    };
    let length = part.end - part.start;
    let mut answer = answer.status(status).header(header::CONTENT_LENGTH, length);
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
        answer = answer.header(header::CONTENT_RANGE, range);
    }
    if request.method == Method::HEAD {
        return Ok(built(answer.body(Body::empty())));
    }
    if let Some(bytes) = blob::content(app, digest, size).await? {
        app.metrics.sent(length);
        let part = usize::try_from(part.start).unwrap_or(0)..usize::try_from(part.end).unwrap_or(0);
        return Ok(built(answer.body(Body::from(bytes.slice(part)))));
    }
    let whole = status == StatusCode::OK;
    let stream = app.blobs.stream(digest, part.start, length, whole).await;
    let counted = app.clone();
    let stream = stream.map_err(ServiceError::from)?.inspect(move |piece| {
        if let Ok(piece) = piece {
            counted.metrics.sent(piece.len() as u64);
        }
    });
    Ok(built(answer.body(Body::from_stream(stream))))
}

/// Deletes a blob from the repository.
pub(super) async fn delete(
    app: &App,
    caller: &Caller,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Response, Failure> {
    blob::delete(app, caller, name, digest).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// The response; headers of our own making cannot fail to be headers.
fn built(response: Result<Response, axum::http::Error>) -> Response {
    response.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}
