// SPDX-License-Identifier: Apache-2.0
//! `GET /`: the newest and the most pulled packages, or how to publish the first.

use askama::Template;
use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{Layout, render, row::Row};
use crate::{
    app::App,
    http::error::Failure,
    index::{Facet, Order, Search},
    service::{access::Caller, catalogue},
};

/// Rows per list.
const ROWS: u32 = 8;
/// Hooks that the line under the search box counts.
const HOOKS: usize = 5;

#[derive(Template)]
#[template(path = "pages/home.html")]
struct HomePage {
    layout: Layout,
    total: u64,
    tally: Vec<Tally>,
    newest: Vec<Row>,
    pulled: Vec<Row>,
}

/// A number that leads to its packages.
struct Tally {
    href: String,
    packages: u64,
    label: String,
}

pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    layout: Layout,
) -> Result<Response, Failure> {
    let question = Search {
        order: Order::Newest,
        limit: ROWS as usize,
        ..Search::default()
    };
    let newest = catalogue::search(&app, &caller, question).await?;
    let pulled = catalogue::most_pulled(&app, ROWS).await?;
    let counted = |facet| {
        newest
            .facets
            .iter()
            .filter(move |count| count.facet == facet)
    };
    let signed = counted(Facet::Signed)
        .filter(|count| count.value == "signed")
        .take(1);
    let tally = signed
        .chain(counted(Facet::Hook).take(HOOKS))
        .map(|count| Tally {
            href: format!("/search?{}={}", count.facet.name(), count.value),
            packages: count.packages,
            label: count.value.replace('_', " "),
        });
    let page = HomePage {
        layout,
        total: newest.total,
        tally: tally.collect(),
        newest: newest.packages.into_iter().map(Row::from).collect(),
        pulled: pulled.into_iter().map(Row::from).collect(),
    };
    Ok(render(StatusCode::OK, &page))
}
