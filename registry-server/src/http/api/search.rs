// SPDX-License-Identifier: Apache-2.0
//! `GET /api/v1/search` and `GET /api/v1/packages`, and the question that pages ask too.

use axum::{
    Json,
    extract::{Query, State},
};
use http::StatusCode;
use registry_schema::api::{FacetCount, SearchResult};
use registry_schema::kernel::KernelVersion;

use crate::app::App;
use crate::http::error::Failure;
use crate::index::{Document, Facet, Order, Search};
use crate::service::access::Caller;
use crate::service::catalogue::{self, Listing};

/// Packages on a page unless asked otherwise.
const PAGE: usize = 20;
/// Most packages on a page.
const LARGEST_PAGE: usize = 100;

/// The parameters of a search, in the order in which they came.
pub(in crate::http) type Parameters = Vec<(String, String)>;

/// Reads the parameters of a search. Facets may come more than once: all must hold.
///
/// # Errors
/// 400 with the parameter, its value and what it takes.
pub(in crate::http) fn question(parameters: &Parameters) -> Result<Search, Failure> {
    let mut search = Search {
        limit: PAGE,
        ..Search::default()
    };
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        match name.as_str() {
            "q" => search.text.clone_from(value),
            "namespace" => search.namespace = Some(value.clone()),
            "order" => {
                search.order = Order::named(value)
                    .ok_or_else(|| refuse(name, value, "best, newest or name"))?;
            }
            "offset" => search.first = number(name, value)?,
            "limit" => search.limit = number(name, value)?.clamp(1, LARGEST_PAGE),
            "kernel" => {
                let kernel = KernelVersion::from_release(value)
                    .map_err(|_| refuse(name, value, "a kernel version such as 6.1"))?;
                search.kernel = Some(Document::kernel_number(
                    kernel.major.into(),
                    kernel.minor.into(),
                ));
            }
            // The spelling that manifests and SPDX use.
            "license" => search.filters.push((Facet::Licence, value.clone())),
            _ => match Facet::named(name) {
                Some(facet) => search.filters.push((facet, value.clone())),
                None => return Err(unknown(name)),
            },
        }
    }
    Ok(search)
}

fn number(name: &str, value: &str) -> Result<usize, Failure> {
    value
        .parse()
        .map_err(|_| refuse(name, value, "a whole number"))
}

fn refuse(name: &str, value: &str, takes: &str) -> Failure {
    let value: String = value.chars().take(60).collect();
    invalid(format!("parameter `{name}` is `{value}`; it takes {takes}"))
}

fn unknown(name: &str) -> Failure {
    let name: String = name.chars().take(60).collect();
    invalid(format!(
        "there is no search parameter `{name}`; use q, hook, licence, signed, can, map, kernel, namespace, order, offset or limit"
    ))
}

fn invalid(detail: String) -> Failure {
    Failure::new(
        StatusCode::BAD_REQUEST,
        "query-invalid",
        "UNSUPPORTED",
        detail,
    )
}

/// `GET /search`
pub(super) async fn search(
    State(app): State<App>,
    caller: Caller,
    Query(parameters): Query<Parameters>,
) -> Result<Json<SearchResult>, Failure> {
    Ok(Json(body(
        catalogue::search(&app, &caller, question(&parameters)?).await?,
    )))
}

/// `GET /packages`: the same by name, unless another order is asked for.
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(mut parameters): Query<Parameters>,
) -> Result<Json<SearchResult>, Failure> {
    parameters.insert(0, ("order".to_owned(), "name".to_owned()));
    Ok(Json(body(
        catalogue::search(&app, &caller, question(&parameters)?).await?,
    )))
}

fn body(listing: Listing) -> SearchResult {
    let facets = listing.facets.into_iter().map(|count| FacetCount {
        facet: count.facet.name().to_owned(),
        value: count.value,
        packages: count.packages,
    });
    SearchResult {
        total: listing.total,
        packages: listing.packages,
        next_offset: listing.next_offset,
        relaxed: listing.relaxed,
        facets: facets.collect(),
    }
}
