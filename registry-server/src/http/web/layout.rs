// SPDX-License-Identifier: Apache-2.0
//! What every page has around its content.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::{account::Visitor, asset};
use crate::app::App;

/// The frame of a page.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// Host and port, as a reference names this registry.
    pub host: String,
    /// Reached without TLS, so that tools need to be told.
    pub plain: bool,
    /// Text in the search box.
    pub query: String,
    /// Address of the style sheet.
    pub style: String,
    /// Address of the product's picture.
    pub mark: String,
    /// The release of this server.
    pub release: &'static str,
    /// Who has a session.
    pub visitor: Option<Visitor>,
}

impl Layout {
    /// The frame of this registry's pages.
    pub(super) fn new(app: &App) -> Self {
        let plain = app.origin().starts_with("http://");
        Self {
            host: app.host().to_owned(),
            plain,
            query: String::new(),
            style: asset::path("style.css"),
            mark: asset::path("mark.svg"),
            release: env!("CARGO_PKG_VERSION"),
            visitor: None,
        }
    }
}

impl FromRequestParts<App> for Layout {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self {
            visitor: parts.extensions.get().cloned(),
            ..Self::new(app)
        })
    }
}
