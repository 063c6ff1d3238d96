// SPDX-License-Identifier: Apache-2.0
//! `/v2/<name>/manifests/<reference>`

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use registry_schema::{Digest, name::RepositoryName};

use super::{
    CONTENT_DIGEST, PathError, Reference, bad_path, cache_control, header_text, is_known, located,
    query, set,
};
use crate::{
    app::App,
    http::{error::Failure, extract::Peer},
    service::{
        access::Caller,
        document::MAX_MANIFEST,
        manifest::{self, ManifestName, NewManifest},
        pull,
    },
};

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const TAG: HeaderName = HeaderName::from_static("oci-tag");
/// Most tags that one push by digest may set.
const MAX_TAGS: usize = 100;

/// Gives the exact bytes that were pushed, whatever the client accepts: a client that
/// cannot read them says so better than a 404 would.
pub(super) async fn get(
    app: &App,
    caller: &Caller,
    name: &RepositoryName,
    reference: Reference,
    request: &Parts,
) -> Result<Response, Failure> {
    let by_digest = matches!(reference, Reference::Digest(_));
    let reference = match reference {
        Reference::Tag(tag) => ManifestName::Tag(tag),
        Reference::Digest(digest) => ManifestName::Digest(digest),
    };
    let found = manifest::find(app, caller, name, &reference).await?;
    let (manifest, head) = (found.manifest, request.method == Method::HEAD);
    if !head && let Some(package) = name.package() {
        let peer = request.extensions.get::<Peer>();
        let peer = peer.map_or([127, 0, 0, 1].into(), |peer| peer.0);
        pull::count(app, caller, peer, &package, &manifest.digest).await?;
    }
    let length = manifest.body.len();
    let mut response = if is_known(request, &manifest.digest) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let body = if head {
            Body::empty()
        } else {
            Body::from(manifest.body)
        };
        app.metrics.sent(if head { 0 } else { length as u64 });
        let mut response = (StatusCode::OK, body).into_response();
        set(&mut response, header::CONTENT_TYPE, &manifest.media_type);
        set(&mut response, header::CONTENT_LENGTH, &length.to_string());
        response
    };
    set(&mut response, CONTENT_DIGEST, manifest.digest.as_str());
    set(
        &mut response,
        header::ETAG,
        &format!("\"{}\"", manifest.digest),
    );
    let cache = cache_control(found.public, by_digest);
    response.headers_mut().insert(header::CACHE_CONTROL, cache);
    Ok(response)
}

/// Stores a manifest under a tag, or under its digest and the tags of `?tag=`.
pub(super) async fn put(
    app: &App,
    caller: &Caller,
    name: &RepositoryName,
    reference: Reference,
    request: &Parts,
    body: Body,
) -> Result<Response, Failure> {
    let mut tags = Vec::new();
    for tag in query(request, "tag").into_iter().take(MAX_TAGS) {
        tags.push(
            tag.parse()
                .map_err(|error| bad_path(&PathError::Tag(error)))?,
        );
    }
    let digest = match reference {
        Reference::Tag(tag) => {
            tags.insert(0, tag);
            None
        }
        Reference::Digest(digest) => Some(digest),
    };
    let by_digest = digest.is_some();
    let media_type = header_text(request, &header::CONTENT_TYPE)
        .map(|text| text.split(';').next().unwrap_or_default().trim().to_owned())
        .filter(|text| !text.is_empty());
    let body = axum::body::to_bytes(body, MAX_MANIFEST).await;
    let body = body
        .map_err(|error| too_large(&error.to_string()))?
        .to_vec();
    let set_tags = tags.clone();
    let stored = manifest::put(
        app,
        caller,
        name,
        NewManifest {
            body,
            media_type,
            digest,
            tags,
            given: manifest::Given::default(),
        },
    )
    .await?;
    let mut response = located(
        StatusCode::CREATED,
        &format!("/v2/{name}/manifests/{}", stored.digest),
    );
    set(&mut response, CONTENT_DIGEST, stored.digest.as_str());
    if let Some(subject) = &stored.subject {
        set(&mut response, SUBJECT, subject.as_str());
    }
    for tag in set_tags.iter().filter(|_| by_digest) {
        if let Ok(value) = HeaderValue::from_str(tag.as_str()) {
            response.headers_mut().append(TAG, value);
        }
    }
    Ok(response)
}

/// Deletes a manifest and its tags.
pub(super) async fn delete(
    app: &App,
    caller: &Caller,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Response, Failure> {
    manifest::delete(app, caller, name, digest).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

fn too_large(reason: &str) -> Failure {
    let detail =
        format!("the manifest cannot be read ({reason}); the limit is {MAX_MANIFEST} bytes");
    Failure::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too-large",
        "SIZE_INVALID",
        detail,
    )
}
