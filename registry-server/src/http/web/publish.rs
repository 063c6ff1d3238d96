// SPDX-License-Identifier: Apache-2.0
//! `GET /publish`: how to publish on this host.

use askama::Template;
use axum::response::Response;
use http::StatusCode;

use super::{Layout, render};

#[derive(Template)]
#[template(path = "pages/publish.html")]
struct PublishPage {
    layout: Layout,
}

pub(super) async fn show(layout: Layout) -> Response {
    render(StatusCode::OK, &PublishPage { layout })
}
