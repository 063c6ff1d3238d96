// SPDX-License-Identifier: Apache-2.0
//! `/v2/<name>/blobs/uploads/…`

use std::ops::Range;

use axum::{
    body::Body,
    http::{HeaderName, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use registry_schema::{Digest, digest::Algorithm, name::RepositoryName};

use super::{
    CONTENT_DIGEST, PathError, bad_path, blob_location, header_text, located, query_digest,
    query_one, range, set,
};
use crate::{
    app::App,
    blob::ByteStream,
    http::error::Failure,
    service::{
        ServiceError,
        access::Caller,
        blob,
        upload::{self, Progress},
    },
};

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// Begins an upload; with `?mount=` tries to take the blob from another repository, with
/// `?digest=` the body is the whole blob. `?digest-algorithm=` needs no more than a check:
/// the digest is computed when the upload ends, by the algorithm that is asked for then.
pub(super) async fn begin(
    app: &App,
    caller: &Caller,
    name: &RepositoryName,
    request: &Parts,
    body: Body,
) -> Result<Response, Failure> {
    if let Some(algorithm) = query_one(request, "digest-algorithm") {
        let known = algorithm.parse::<Algorithm>();
        known.map_err(|error| bad_path(&PathError::Digest(error)))?;
    }
    if let Some(digest) = query_digest(request, "mount")? {
        let from = query_one(request, "from").map(|from| from.parse().ok());
        // A name that no repository can have is a repository without the blob.
        let possible = !matches!(from, Some(None));
        let from = from.flatten();
        if possible && blob::mount(app, caller, name, &digest, from.as_ref()).await? {
            return Ok(created(name, &digest));
        }
    }
    let digest = query_digest(request, "digest")?;
    let progress = upload::begin(app, caller, name).await?;
    match digest {
        Some(digest) => {
            let body = stream(body);
            upload::finish(app, caller, name, &progress.id, None, body, &digest).await?;
            Ok(created(name, &digest))
        }
        None => Ok(going_on(StatusCode::ACCEPTED, name, &progress)),
    }
}

/// Appends a chunk, or a stream where the client gives no range.
pub(super) async fn append(
    app: &App,
    caller: &Caller,
    name: &RepositoryName,
    id: &str,
    request: &Parts,
    body: Body,
) -> Result<Response, Failure> {
    let range = content_range(request)?;
    let progress = upload::append(app, caller, name, id, range, stream(body)).await;
    let progress = progress.map_err(|error| misplaced(name, error))?;
    Ok(going_on(StatusCode::ACCEPTED, name, &progress))
}

/// Ends an upload: the body, if any, is its last chunk.
pub(super) async fn finish(
    app: &App,
    caller: &Caller,
    name: &RepositoryName,
    id: &str,
    request: &Parts,
    body: Body,
) -> Result<Response, Failure> {
    let Some(digest) = query_digest(request, "digest")? else {
        let detail = "the request that ends an upload needs `?digest=`";
        return Err(Failure::new(
            StatusCode::BAD_REQUEST,
            "digest",
            "DIGEST_INVALID",
            detail,
        ));
    };
    // An empty body with a range repeats what came before: there is nothing to place.
    let empty = header_text(request, &header::CONTENT_LENGTH) == Some("0");
    let range = content_range(request)?.filter(|_| !empty);
    upload::finish(app, caller, name, id, range, stream(body), &digest)
        .await
        .map_err(|error| misplaced(name, error))?;
    Ok(created(name, &digest))
}

/// Says how far an upload is.
pub(super) async fn status(
    app: &App,
    caller: &Caller,
    name: &RepositoryName,
    id: &str,
) -> Result<Response, Failure> {
    let progress = upload::status(app, caller, name, id).await?;
    Ok(going_on(StatusCode::NO_CONTENT, name, &progress))
}

/// Forgets an upload.
pub(super) async fn cancel(
    app: &App,
    caller: &Caller,
    name: &RepositoryName,
    id: &str,
) -> Result<Response, Failure> {
    upload::cancel(app, caller, name, id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn created(name: &RepositoryName, digest: &Digest) -> Response {
    let mut response = located(StatusCode::CREATED, &blob_location(name, digest));
    set(&mut response, CONTENT_DIGEST, digest.as_str());
    response
}

fn location(name: &RepositoryName, id: &str) -> String {
    format!("/v2/{name}/blobs/uploads/{id}")
}

/// `0-<last byte>`; the specification has no word for nothing, and `0-0` is what clients
/// understand.
fn received(offset: u64) -> String {
    format!("0-{}", offset.saturating_sub(1))
}

fn going_on(status: StatusCode, name: &RepositoryName, progress: &Progress) -> Response {
    let mut response = located(status, &location(name, &progress.id));
    set(&mut response, header::RANGE, &received(progress.offset));
    set(&mut response, UPLOAD_ID, &progress.id);
    response
}

/// A chunk in the wrong place gets the place to continue at.
fn misplaced(name: &RepositoryName, error: ServiceError) -> Failure {
    let place = match &error {
        ServiceError::Offset { id, offset, .. } => Some((location(name, id), received(*offset))),
        _ => None,
    };
    let failure = Failure::from(error);
    match place {
        Some((location, range)) => failure
            .with_header(header::LOCATION, &location)
            .with_header(header::RANGE, &range),
        None => failure,
    }
}

fn content_range(request: &Parts) -> Result<Option<Range<u64>>, Failure> {
    let Some(value) = request.headers.get(header::CONTENT_RANGE) else {
        return Ok(None);
    };
    let parsed = range::chunk(value.to_str().unwrap_or_default());
    let chunk = parsed.map_err(|text| {
        let detail = format!("`Content-Range: {text}` is malformed; write `first-last`");
        Failure::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "range",
            "BLOB_UPLOAD_INVALID",
            detail,
        )
    })?;
    let length: Option<u64> =
        header_text(request, &header::CONTENT_LENGTH).and_then(|text| text.parse().ok());
    match length {
        Some(length) if length != 0 && length != chunk.end - chunk.start => {
            let detail = format!(
                "the body is {length} bytes long, but its range says {}",
                chunk.end - chunk.start
            );
            Err(Failure::new(
                StatusCode::BAD_REQUEST,
                "range",
                "SIZE_INVALID",
                detail,
            ))
        }
        _ => Ok(Some(chunk)),
    }
}

fn stream(body: Body) -> ByteStream {
    let stream = body.into_data_stream();
    Box::pin(stream.map(|piece| piece.map_err(std::io::Error::other)))
}
