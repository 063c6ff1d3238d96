// SPDX-License-Identifier: Apache-2.0
//! `GET /packages/{namespace}`: whose keys sign here, and what was published.

use askama::Template;
use axum::{extract::State, response::Response};
use http::StatusCode;
use registry_schema::api::{NamespaceKey, Visibility};

use super::{
    Layout,
    format::{self, Moment},
    render,
    row::Row,
};
use crate::app::App;
use crate::http::error::Failure;
use crate::http::extract::NamespacePath;
use crate::index::{Order, Search};
use crate::service::{access::Caller, catalogue, namespace};

/// Packages that the page shows.
const ROWS: usize = 100;

#[derive(Template)]
#[template(path = "pages/namespace.html")]
struct NamespacePage {
    layout: Layout,
    namespace: String,
    extent: String,
    private: bool,
    keys: Vec<Key>,
    packages: Vec<Row>,
}

/// A key with what speaks for it.
struct Key {
    fingerprint: String,
    since: Moment,
    registered_by: String,
    versions_signed: String,
    pem: String,
}

impl From<NamespaceKey> for Key {
    fn from(key: NamespaceKey) -> Self {
        Self {
            fingerprint: key.fingerprint.to_string(),
            since: key.registered_at.into(),
            registered_by: key.registered_by,
            versions_signed: format::thousands(key.versions_signed),
            pem: key.pem,
        }
    }
}

pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    layout: Layout,
    NamespacePath(name): NamespacePath,
) -> Result<Response, Failure> {
    let found = namespace::get(&app, &caller, &name).await?;
    let keys = namespace::keys(&app, &caller, &name).await?;
    let question = Search {
        namespace: Some(name.to_string()),
        order: Order::Name,
        limit: ROWS,
        ..Search::default()
    };
    let listing = catalogue::search(&app, &caller, question).await?;
    let page = NamespacePage {
        layout,
        namespace: name.to_string(),
        extent: format::count(listing.total, "package"),
        private: found.visibility == Visibility::Private,
        keys: keys.into_iter().map(Key::from).collect(),
        packages: listing.packages.into_iter().map(Row::from).collect(),
    };
    Ok(render(StatusCode::OK, &page))
}
