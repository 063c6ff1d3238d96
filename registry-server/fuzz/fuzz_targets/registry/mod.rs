// SPDX-License-Identifier: Apache-2.0
//! A registry of this process, asked without a socket.

use std::{net::SocketAddr, sync::LazyLock};

use axum::{
    Router,
    body::Body,
    http::{HeaderName, HeaderValue, Request, Uri},
};
use registry_server::{
    Config,
    clock::{Clock, Random},
    http, open,
};
use tokio::runtime::Runtime;
use tower::ServiceExt;

static REGISTRY: LazyLock<(Runtime, Router)> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("threads");
    // Kept until the process ends, which is how a fuzzer ends.
    let folder = tempfile::tempdir().expect("a folder").keep();
    let addr = SocketAddr::from(([127, 0, 0, 1], 5000));
    let config = Config::local(folder);
    let opened = runtime.block_on(open(config, addr, Clock::system(), Random::seeded(1)));
    let (app, _) = opened.expect("a registry");
    (runtime, http::router(app))
});

/// The status of the answer to a GET; 400 for a target that HTTP itself refuses.
pub(crate) fn ask(target: &str, header: Option<(HeaderName, HeaderValue)>) -> u16 {
    let Ok(uri) = target.parse::<Uri>() else {
        return 400;
    };
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = uri;
    request.headers_mut().extend(header);
    let (runtime, router) = &*REGISTRY;
    let answer = runtime.block_on(router.clone().oneshot(request));
    answer.map_or_else(|never| match never {}, |answer| answer.status().as_u16())
}
