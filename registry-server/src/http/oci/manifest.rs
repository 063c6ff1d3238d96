// SPDX-License-Identifier: Apache-2.0
//! `/v2/<name>/manifests/<reference>`

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use registry_schema::{Digest, name::RepositoryName, review::Vetting};

use super::{
    CONTENT_DIGEST, PathError, Reference, bad_path, cache_control, condition, header_text, located,
    query, set, warning,
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
    store::manifests::Manifest,
};

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const TAG: HeaderName = HeaderName::from_static("oci-tag");
/// Most tags that one push by digest may set: each is a header line of the answer, and
/// clients read no more than 100 lines.
const MAX_TAGS: usize = 50;

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
    let digest = found.manifest.digest.clone();
    let known = condition::is_known(&request.headers, &digest);
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        whole(app, found.manifest, &request.method)
    };
    set(&mut response, CONTENT_DIGEST, digest.as_str());
    set(&mut response, header::ETAG, &format!("\"{digest}\""));
    let cache = cache_control(found.public, by_digest);
    response.headers_mut().insert(header::CACHE_CONTROL, cache);
    if let (Some(package), Some(version)) = (name.package(), found.version) {
        warning::add(&mut response, &version.warnings);
        if request.method == Method::GET && !known {
            let peer = request.extensions.get::<Peer>();
            let peer = peer.map_or([127, 0, 0, 1].into(), |peer| peer.0);
            // A disk that takes no writes keeps nobody from reading.
            let counted = pull::count(app, caller, peer, &package, &version.version).await;
            if let Err(error) = counted {
                tracing::warn!(%package, %error, "a pull was not counted");
            }
        }
    }
    Ok(response)
}

/// The exact bytes, or for HEAD what they would be.
fn whole(app: &App, manifest: Manifest, method: &Method) -> Response {
    let length = manifest.body.len();
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        app.metrics.sent(length as u64);
        Body::from(manifest.body)
    };
    let mut response = (StatusCode::OK, body).into_response();
    set(&mut response, header::CONTENT_TYPE, &manifest.media_type);
    set(&mut response, header::CONTENT_LENGTH, &length.to_string());
    response
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
    let asked = query(request, "tag");
    if asked.len() > MAX_TAGS {
        return Err(too_many(asked.len()));
    }
    for tag in asked {
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
            condition: condition::of_write(&request.headers),
            given: manifest::Given::default(),
        },
    )
    .await?;
    let mut response = located(
        StatusCode::CREATED,
        &format!("/v2/{name}/manifests/{}", stored.digest),
    );
    set(&mut response, CONTENT_DIGEST, stored.digest.as_str());
    if let Some(version) = &stored.pending {
        let sentence = format!(
            "{name} {version} waits: others see it when it is signed{}",
            match app.config.policy.vetting {
                Vetting::Automated => "",
                Vetting::Human => " and a reviewer has approved it",
            }
        );
        warning::add(&mut response, &[sentence]);
    }
    if let Some(subject) = &stored.subject {
        set(&mut response, SUBJECT, subject.as_str());
    }
    if !stored.logged {
        let late = "stored; the publish log is late and will say so soon, so there is no proof yet";
        warning::add(&mut response, &[late.to_owned()]);
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

fn too_many(tags: usize) -> Failure {
    let detail = format!("{tags} tags are too many for one push; the limit is {MAX_TAGS}");
    let status = StatusCode::URI_TOO_LONG;
    Failure::new(status, "too-many-tags", "SIZE_INVALID", detail)
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
