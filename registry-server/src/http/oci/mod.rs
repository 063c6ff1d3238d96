// SPDX-License-Identifier: Apache-2.0
//! OCI distribution, version 1.1: one resource per file.

mod blob;
pub mod condition;
mod manifest;
pub mod path;
pub mod range;
mod referrers;
mod remote;
mod tag;
pub mod token;
mod upload;
mod warning;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use registry_schema::{Digest, name::RepositoryName};

use self::path::{PathError, Reference, Resource};
use super::{RouteLabel, error::Failure};
use crate::{
    app::App,
    service::{ServiceError, access::Caller},
};

/// The digest of what an answer carries.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Answers everything under `/v2`.
///
/// # Errors
/// [`Failure`] with the OCI code of what went wrong.
pub async fn dispatch(
    State(app): State<App>,
    caller: Result<Caller, Failure>,
    request: Request,
) -> Response {
    let (request, body) = request.into_parts();
    let resource = match path::parse(request.uri.path()) {
        Ok(resource) => resource,
        Err(error) => return bad_path(&error).into_response(),
    };
    let (label, scope) = (label(&resource), scope(&resource, &request.method));
    let answer = match caller {
        Ok(caller) => remote::serve(app, caller, resource, &request, body).await,
        Err(failure) => Err(failure),
    };
    let mut response = match answer {
        Ok(response) => response,
        Err(mut failure) => {
            failure.scope = failure.scope.or(scope);
            failure.into_response()
        }
    };
    response.extensions_mut().insert(RouteLabel(label));
    response
}

/// What writes is boxed: its state is large, and would be copied with every read.
async fn route(
    app: App,
    caller: Caller,
    resource: Resource,
    request: &Parts,
    body: Body,
) -> Result<Response, Failure> {
    match (resource, request.method.as_str()) {
        (Resource::Ping, "GET" | "HEAD") => ping(&app, &caller),
        (Resource::Catalog, "GET") => tag::catalogue(&app, &caller, request).await,
        (Resource::Tags(name), "GET") => tag::list(&app, &caller, &name, request).await,
        (Resource::Manifest(name, reference), "GET" | "HEAD") => {
            manifest::get(&app, &caller, &name, reference, request).await
        }
        (Resource::Manifest(name, reference), "PUT") => {
            Box::pin(manifest::put(
                &app, &caller, &name, reference, request, body,
            ))
            .await
        }
        (Resource::Manifest(name, Reference::Tag(tag)), "DELETE") => {
            Box::pin(tag::delete(&app, &caller, &name, &tag, request)).await
        }
        (Resource::Manifest(name, Reference::Digest(digest)), "DELETE") => {
            Box::pin(manifest::delete(&app, &caller, &name, &digest)).await
        }
        (Resource::Blob(name, digest), "GET" | "HEAD") => {
            blob::get(&app, &caller, &name, &digest, request).await
        }
        (Resource::Blob(name, digest), "DELETE") => {
            Box::pin(blob::delete(&app, &caller, &name, &digest)).await
        }
        (Resource::Uploads(name), "POST") => {
            Box::pin(upload::begin(&app, &caller, &name, request, body)).await
        }
        (Resource::Upload(name, id), "PATCH") => {
            Box::pin(upload::append(&app, &caller, &name, &id, request, body)).await
        }
        (Resource::Upload(name, id), "PUT") => {
            Box::pin(upload::finish(&app, &caller, &name, &id, request, body)).await
        }
        (Resource::Upload(name, id), "GET" | "HEAD") => {
            upload::status(&app, &caller, &name, &id).await
        }
        (Resource::Upload(name, id), "DELETE") => upload::cancel(&app, &caller, &name, &id).await,
        (Resource::Referrers(name, digest), "GET") => {
            referrers::list(&app, &caller, &name, &digest, request).await
        }
        (resource, method) => Err(wrong_method(&resource, method)),
    }
}

/// A challenge even where anonymous pulls work: several clients never ask for a token if
/// this one request does not demand it.
fn ping(app: &App, caller: &Caller) -> Result<Response, Failure> {
    if caller.account.is_none() && caller.grants.is_none() {
        return Err(ServiceError::Anonymous {
            host: app.host().to_owned(),
        }
        .into());
    }
    let version = HeaderName::from_static("docker-distribution-api-version");
    Ok((StatusCode::OK, [(version, "registry/2.0")]).into_response())
}

fn bad_path(error: &PathError) -> Failure {
    let (status, oci) = match error {
        PathError::Form => (StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
        PathError::Escape | PathError::Name(_) => (StatusCode::BAD_REQUEST, "NAME_INVALID"),
        PathError::Tag(_) => (StatusCode::BAD_REQUEST, "MANIFEST_INVALID"),
        PathError::Digest(_) => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
    };
    Failure::new(status, "path", oci, error.to_string())
}

fn wrong_method(resource: &Resource, method: &str) -> Failure {
    let allowed = match resource {
        Resource::Ping => "GET, HEAD",
        Resource::Catalog | Resource::Tags(_) | Resource::Referrers(..) => "GET",
        Resource::Manifest(..) => "GET, HEAD, PUT, DELETE",
        Resource::Blob(..) => "GET, HEAD, DELETE",
        Resource::Uploads(_) => "POST",
        Resource::Upload(..) => "GET, HEAD, PATCH, PUT, DELETE",
    };
    let method: String = method.chars().take(20).collect();
    let detail = format!("{method} is not possible here; {allowed} are");
    Failure::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method",
        "UNSUPPORTED",
        detail,
    )
    .with_header(header::ALLOW, allowed)
}

/// What `/metrics` calls the resource.
const fn label(resource: &Resource) -> &'static str {
    match resource {
        Resource::Ping => "/v2/",
        Resource::Catalog => "/v2/_catalog",
        Resource::Tags(_) => "/v2/{name}/tags/list",
        Resource::Manifest(..) => "/v2/{name}/manifests/{reference}",
        Resource::Blob(..) => "/v2/{name}/blobs/{digest}",
        Resource::Uploads(_) => "/v2/{name}/blobs/uploads/",
        Resource::Upload(..) => "/v2/{name}/blobs/uploads/{id}",
        Resource::Referrers(..) => "/v2/{name}/referrers/{digest}",
    }
}

/// The scope that a token must have for the request.
fn scope(resource: &Resource, method: &Method) -> Option<String> {
    let name = match resource {
        Resource::Ping => return None,
        Resource::Catalog => return Some("registry:catalog:*".to_owned()),
        Resource::Tags(name)
        | Resource::Manifest(name, _)
        | Resource::Blob(name, _)
        | Resource::Uploads(name)
        | Resource::Upload(name, _)
        | Resource::Referrers(name, _) => name,
    };
    let actions = match (resource, method.as_str()) {
        (_, "DELETE") => "delete",
        (Resource::Uploads(_) | Resource::Upload(..), _) | (_, "PUT" | "POST" | "PATCH") => {
            "pull,push"
        }
        _ => "pull",
    };
    Some(format!("repository:{name}:{actions}"))
}

/// The values of a query parameter. A raw `+` stays one: `application/x+json` is sent
/// unescaped by clients that do not know the rules of forms.
fn query(request: &Parts, name: &str) -> Vec<String> {
    let query = request.uri.query().unwrap_or_default().replace('+', "%2B");
    url::form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
        .collect()
}

/// The first value of a query parameter.
fn query_one(request: &Parts, name: &str) -> Option<String> {
    query(request, name).into_iter().next()
}

/// The digest in a query parameter.
fn query_digest(request: &Parts, name: &str) -> Result<Option<Digest>, Failure> {
    let text = query_one(request, name);
    text.map(|text| {
        text.parse()
            .map_err(|error| bad_path(&PathError::Digest(error)))
    })
    .transpose()
}

/// A header as text; one that is no text counts as not there.
fn header_text<'a>(request: &'a Parts, name: &HeaderName) -> Option<&'a str> {
    request
        .headers
        .get(name)
        .and_then(|value| value.to_str().ok())
}

/// How long an answer about content may be kept: digests never change; what is not
/// everybody's is kept by nobody.
fn cache_control(public: bool, by_digest: bool) -> HeaderValue {
    HeaderValue::from_static(match (public, by_digest) {
        (false, _) => "no-store",
        (true, true) => "public, max-age=31536000, immutable",
        (true, false) => "no-cache",
    })
}

/// An answer of a status and a relative `Location`: behind a proxy an absolute one would
/// name the wrong host, and some clients send credentials to whatever host it names.
fn located(status: StatusCode, location: &str) -> Response {
    let mut response = (status, Body::empty()).into_response();
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Puts a value of our own making into a header.
fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// Where a blob is read.
fn blob_location(name: &RepositoryName, digest: &Digest) -> String {
    format!("/v2/{name}/blobs/{digest}")
}
