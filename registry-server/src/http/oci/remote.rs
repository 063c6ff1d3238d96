// SPDX-License-Identifier: Apache-2.0
//! Content of namespaces that is kept elsewhere, before it is answered from here.

use axum::{
    body::Body,
    http::{HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};

use super::{Reference, Resource, route};
use crate::{
    app::App,
    http::error::Failure,
    service::{
        access::Caller,
        mirror::{self, Answer, Asked},
    },
};

/// Answers a request, once what it asks for is here; or says where it is.
pub(super) async fn serve(
    app: App,
    caller: Caller,
    resource: Resource,
    request: &Parts,
    body: Body,
) -> Result<Response, Failure> {
    let read = matches!(request.method, Method::GET | Method::HEAD);
    let asked = match &resource {
        Resource::Manifest(name, Reference::Tag(tag)) => Some((name, Asked::Tag(tag.clone()))),
        Resource::Manifest(name, Reference::Digest(digest)) => {
            Some((name, Asked::Manifest(digest.clone())))
        }
        Resource::Blob(name, digest) => Some((name, Asked::Blob(digest.clone()))),
        Resource::Referrers(name, digest) => Some((name, Asked::Referrers(digest.clone()))),
        _ => None,
    };
    let Some((name, asked)) = asked.filter(|_| read) else {
        return route(app, caller, resource, request, body).await;
    };
    match mirror::prepare(&app, &caller, name, &asked).await? {
        Answer::Here => route(app, caller, resource, request, body).await,
        Answer::Stale => {
            let mut response = route(app, caller, resource, request, body).await?;
            let stale = HeaderValue::from_static("110 - \"Response is Stale\"");
            response.headers_mut().append(header::WARNING, stale);
            Ok(response)
        }
        // 307, because every client follows it and it names the digest: one that checks what
        // it gets, as all of them must, needs to trust neither of us.
        Answer::There(place) => {
            let location = [(header::LOCATION, place)];
            Ok((StatusCode::TEMPORARY_REDIRECT, location).into_response())
        }
    }
}
