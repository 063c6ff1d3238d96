// SPDX-License-Identifier: Apache-2.0
//! `GET /api/v1/search` and `GET /api/v1/packages`, and the question that pages ask too.

use axum::{
    Json,
    extract::{Query, State},
};
use http::StatusCode;
use registry_schema::api::{FacetCount, SearchResult};
use registry_schema::kernel::KernelVersion;
use utoipa::IntoParams;

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

/// The parameters of a search, as the API's description shows them; [`question`] reads
/// them, since some may come more than once.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described, never made")]
pub(super) struct Question {
    /// Words to find
    q: Option<String>,
    /// Only packages of this namespace
    namespace: Option<String>,
    /// Only packages for this hook; may come more than once, then all must hold
    hook: Option<String>,
    /// Only packages with this licence
    licence: Option<String>,
    /// Only packages that are signed in this way
    signed: Option<String>,
    /// Only packages that can do this; may come more than once
    can: Option<String>,
    /// Only packages with a map of this type; may come more than once
    map: Option<String>,
    /// Only packages that run on this kernel, such as `6.1`
    kernel: Option<String>,
    /// `best`, `newest` or `name`
    order: Option<String>,
    /// How many packages to leave out at the beginning
    offset: Option<u64>,
    /// Most packages to give: 1 to 100, and 20 unless given
    limit: Option<u64>,
}

/// Search packages
///
/// Best match first. A word that no package holds together with the others is relaxed.
#[utoipa::path(get, path = "/search", tag = "packages",
    params(Question),
    responses((status = 200, body = SearchResult)))]
pub(super) async fn search(
    State(app): State<App>,
    caller: Caller,
    Query(parameters): Query<Parameters>,
) -> Result<Json<SearchResult>, Failure> {
    Ok(Json(body(
        catalogue::search(&app, &caller, question(&parameters)?).await?,
    )))
}

/// Packages
///
/// The same as a search, by name unless another order is asked for.
#[utoipa::path(get, path = "/packages", tag = "packages",
    params(Question),
    responses((status = 200, body = SearchResult)))]
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
