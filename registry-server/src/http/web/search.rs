// SPDX-License-Identifier: Apache-2.0
//! `GET /search?q=`: packages that match, and links that narrow or widen the search.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use http::StatusCode;
use url::form_urlencoded::Serializer;

use super::{Layout, format, render, row::Row};
use crate::app::App;
use crate::http::api::search::{Parameters, question};
use crate::http::error::Failure;
use crate::index::{Facet, FacetCount};
use crate::service::{access::Caller, catalogue};

/// Values that a facet shows, besides the chosen ones.
const CHOICES: usize = 8;

#[derive(Template)]
#[template(path = "pages/search.html")]
struct SearchPage {
    layout: Layout,
    heading: String,
    /// The heading with the filters, so that no two pages are called the same.
    title: String,
    /// The kernel that is filtered by.
    kernel: String,
    /// The other parameters of this search.
    kept: Parameters,
    extent: String,
    relaxed: bool,
    filtered: bool,
    without_filters: String,
    groups: Vec<Group>,
    packages: Vec<Row>,
    previous: Option<String>,
    next: Option<String>,
}

/// A facet with its values.
struct Group {
    name: &'static str,
    title: &'static str,
    choices: Vec<Choice>,
}

/// A link that adds or removes one filter.
struct Choice {
    href: String,
    label: String,
    packages: String,
    chosen: bool,
}

pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    mut layout: Layout,
    Query(parameters): Query<Parameters>,
) -> Result<Response, Failure> {
    let parameters = known(parameters);
    let search = question(&parameters)?;
    let (first, limit, text) = (search.first, search.limit, search.text.clone());
    let filters: Parameters = without(&parameters, &["q", "order", "offset"]);
    let listing = catalogue::search(&app, &caller, search).await?;
    layout.query.clone_from(&text);
    let page = SearchPage {
        layout,
        title: title_of(&text, &filters),
        heading: heading(&text),
        kernel: last(&parameters, "kernel"),
        kept: without(&parameters, &["kernel", "offset"]),
        extent: extent(first, listing.packages.len(), listing.total),
        relaxed: listing.relaxed,
        filtered: !filters.is_empty(),
        without_filters: address(&[("q".to_owned(), text)]),
        groups: Facet::ALL
            .map(|facet| group(facet, &listing.facets, &parameters))
            .into_iter()
            .flatten()
            .collect(),
        previous: (first > 0).then(|| at(&parameters, first.saturating_sub(limit) as u64)),
        next: listing.next_offset.map(|offset| at(&parameters, offset)),
        packages: listing.packages.into_iter().map(Row::from).collect(),
    };
    Ok(render(StatusCode::OK, &page))
}

/// Leaves out what other sites append to links.
fn known(parameters: Parameters) -> Parameters {
    let words = ["q", "kernel", "namespace", "order", "offset", "license"];
    let known = |name: &str| words.contains(&name) || Facet::named(name).is_some();
    parameters
        .into_iter()
        .filter(|(name, value)| known(name) && !value.is_empty())
        .collect()
}

fn without(parameters: &Parameters, names: &[&str]) -> Parameters {
    let kept = parameters
        .iter()
        .filter(|(name, _)| !names.contains(&name.as_str()));
    kept.cloned().collect()
}

fn last(parameters: &Parameters, name: &str) -> String {
    let found = parameters.iter().rev().find(|(key, _)| key == name);
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

fn title_of(text: &str, filters: &Parameters) -> String {
    let words = filters
        .iter()
        .map(|(name, value)| format!("{name} {value}"));
    let words: Vec<String> = std::iter::once(heading(text)).chain(words).collect();
    words.join(", ").chars().take(150).collect()
}

fn heading(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    if short.trim().is_empty() {
        "All packages".to_owned()
    } else {
        format!("Packages for “{}”", short.trim())
    }
}

fn extent(first: usize, shown: usize, total: u64) -> String {
    if shown == 0 || shown as u64 == total {
        return format::count(total, "package");
    }
    format!(
        "{}–{} of {}",
        first + 1,
        first + shown,
        format::count(total, "package")
    )
}

/// The values of one facet: the chosen ones, and those that would narrow the search.
fn group(facet: Facet, counts: &[FacetCount], parameters: &Parameters) -> Option<Group> {
    let chosen = |value: &str| {
        parameters
            .iter()
            .any(|(name, with)| name == facet.name() && with == value)
    };
    let mut choices: Vec<Choice> = Vec::new();
    for count in counts.iter().filter(|count| count.facet == facet) {
        let chosen = chosen(&count.value);
        if choices.len() >= CHOICES && !chosen {
            continue;
        }
        choices.push(Choice {
            href: toggled(parameters, facet, &count.value),
            label: label(facet, &count.value),
            packages: format::thousands(count.packages),
            chosen,
        });
    }
    (!choices.is_empty()).then(|| Group {
        name: facet.name(),
        title: title(facet),
        choices,
    })
}

fn title(facet: Facet) -> &'static str {
    match facet {
        Facet::Hook => "Hook",
        Facet::Signed => "Signature",
        Facet::Licence => "Licence",
        Facet::Can => "Can",
        Facet::Map => "Map type",
    }
}

fn label(facet: Facet, value: &str) -> String {
    match facet {
        Facet::Signed | Facet::Can => value.replace('-', " "),
        Facet::Hook | Facet::Map | Facet::Licence => value.to_owned(),
    }
}

/// The address of this search with one filter more or less, on its first page.
fn toggled(parameters: &Parameters, facet: Facet, value: &str) -> String {
    let same = |(name, with): &&(String, String)| name == facet.name() && with == value;
    let mut rest: Parameters = parameters
        .iter()
        .filter(|pair| !same(pair) && pair.0 != "offset")
        .cloned()
        .collect();
    if !parameters.iter().any(|pair| same(&pair)) {
        rest.push((facet.name().to_owned(), value.to_owned()));
    }
    address(&rest)
}

/// The address of another page of this search.
fn at(parameters: &Parameters, offset: u64) -> String {
    let mut rest = without(parameters, &["offset"]);
    if offset > 0 {
        rest.push(("offset".to_owned(), offset.to_string()));
    }
    address(&rest)
}

fn address(parameters: &[(String, String)]) -> String {
    let query = Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish();
    if query.is_empty() {
        "/search".to_owned()
    } else {
        format!("/search?{query}")
    }
}
