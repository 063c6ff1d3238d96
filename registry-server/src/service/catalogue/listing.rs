// SPDX-License-Identifier: Apache-2.0
//! Lists of packages: searched, filtered, most pulled. The index says which, the store says what.

use std::collections::BTreeSet;

use registry_schema::PackageName;
use registry_schema::api::{PackageSummary, SignatureState, VersionDetail};

use super::read;
use crate::app::App;
use crate::index::{Change, Document, FacetCount, Search};
use crate::service::ServiceError;
use crate::service::access::{self, Caller, Right};
use crate::store;

/// Changes that are taken from the feed at once.
const BATCH: i64 = 500;

/// A page of packages.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Number of packages on all pages.
    pub total: u64,
    /// Those of this page, in order.
    pub packages: Vec<PackageSummary>,
    /// Where the next page begins; none on the last.
    pub next_offset: Option<u64>,
    /// How many packages on all pages have which property.
    pub facets: Vec<FacetCount>,
    /// No package holds all words of the text: these hold some.
    pub relaxed: bool,
}

/// Finds packages that the caller may read. What was published before the call is found.
///
/// # Errors
/// [`ServiceError::Store`], [`ServiceError::Index`].
pub async fn search(app: &App, caller: &Caller, search: Search) -> Result<Listing, ServiceError> {
    catch_up(app).await?;
    let readable = access::readable(app, caller).await?;
    let question = Search { readable, ..search };
    let end = question.first.saturating_add(question.limit);
    let searched = app.clone();
    let found = blocking(move || Ok(searched.index.search(&question)?)).await?;
    Ok(Listing {
        total: found.total as u64,
        packages: summaries(app, &found.names).await?,
        next_offset: (end < found.total).then_some(end as u64),
        facets: found.facets,
        relaxed: found.relaxed,
    })
}

/// The public packages with the most pulls.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn most_pulled(app: &App, limit: u32) -> Result<Vec<PackageSummary>, ServiceError> {
    let names = store::catalogue::most_pulled(&app.db, i64::from(limit)).await?;
    summaries(
        app,
        &names.iter().map(ToString::to_string).collect::<Vec<_>>(),
    )
    .await
}

async fn summaries(app: &App, names: &[String]) -> Result<Vec<PackageSummary>, ServiceError> {
    let one = async |name: &String| {
        let name: PackageName = name.parse()?;
        let versions = store::catalogue::versions(&app.db, &name).await?;
        read::summary(app, &name, &versions).await
    };
    let all = futures::future::try_join_all(names.iter().map(one)).await?;
    Ok(all.into_iter().flatten().collect())
}

/// Brings the index up to the store's last change, so that a search finds what was just
/// published. Usually there is nothing to do, and this is one look at one table.
async fn catch_up(app: &App) -> Result<(), ServiceError> {
    let _one_at_a_time = app.indexing.lock().await;
    loop {
        let position = app.index.position()?;
        let changes = store::changes::list(&app.db, position, BATCH).await?;
        let Some(last) = changes.last().map(|change| change.sequence) else {
            return Ok(());
        };
        let packages: BTreeSet<PackageName> =
            changes.into_iter().map(|change| change.package).collect();
        let mut batch = Vec::with_capacity(packages.len());
        for package in packages {
            batch.push(document(app, &package).await?);
        }
        let searched = app.clone();
        blocking(move || Ok(searched.index.apply(&batch, last)?)).await?;
    }
}

/// Begins again at the start of the feed if the index has seen more of it than there is: the
/// database was restored from an older copy.
///
/// # Errors
/// [`ServiceError::Store`], [`ServiceError::Index`].
pub async fn reconcile(app: &App) -> Result<(), ServiceError> {
    if app.index.position()? > store::changes::head(&app.db).await? {
        app.index.clear()?;
    }
    catch_up(app).await
}

async fn document(app: &App, name: &PackageName) -> Result<Change, ServiceError> {
    let versions = store::catalogue::versions(&app.db, name).await?;
    let Some(latest) = read::latest(&versions).cloned() else {
        return Ok(Change::Remove(name.to_string()));
    };
    let detail = read::detail(app, name, latest).await?;
    let public =
        access::right(app, &Caller::default(), name.namespace().as_str()).await? >= Right::Read;
    Ok(Change::Put(Box::new(describe(detail, public))))
}

/// What the index needs to know of a version.
fn describe(detail: VersionDetail, public: bool) -> Document {
    let manifest = detail.manifest;
    let package = manifest.package;
    let profiles = || {
        detail
            .profiles
            .iter()
            .filter_map(|target| target.profile.as_ref())
    };
    let programs = || profiles().flat_map(|profile| &profile.programs);
    let functions = manifest
        .programs
        .iter()
        .map(|program| program.function.clone());
    let called = programs()
        .flat_map(|program| program.helpers.iter().chain(&program.kfuncs))
        .cloned();
    let maps = || profiles().flat_map(|profile| &profile.maps);
    let minimum = manifest.kernel.and_then(|kernel| kernel.minimum);
    let floors = profiles().filter_map(|profile| profile.kernel_floor.as_ref());
    let kernel = minimum
        .into_iter()
        .chain(floors.map(|floor| floor.version))
        .max();
    Document {
        name: detail.name.to_string(),
        public,
        summary: package.summary,
        keywords: distinct(package.keywords.into_iter().chain(package.categories)),
        readme: detail.readme,
        symbols: distinct(
            functions
                .chain(called)
                .chain(maps().map(|map| map.name.clone())),
        ),
        hooks: distinct(
            manifest
                .programs
                .iter()
                .map(|program| program.program_type.to_string()),
        ),
        licences: licences(&package.license),
        signed: signature_word(detail.summary.signature).to_owned(),
        maps: distinct(maps().map(|map| map.map_type.clone())),
        abilities: distinct(
            profiles()
                .flat_map(|profile| &profile.privileges)
                .map(ToString::to_string),
        ),
        kernel: kernel.map_or(0, |version| {
            Document::kernel_number(version.major.into(), version.minor.into())
        }),
        stars: detail.stars,
        published: u64::try_from(detail.summary.published_at.timestamp_micros()).unwrap_or(0),
    }
}

/// The word for a state in filters: the one that JSON uses.
pub(super) fn signature_word(state: SignatureState) -> &'static str {
    match state {
        SignatureState::Unsigned => "unsigned",
        SignatureState::UnknownKey => "unknown-key",
        SignatureState::Revoked => "revoked",
        SignatureState::Signed => "signed",
    }
}

/// The identifiers of an SPDX expression: one may search for each licence that is offered.
fn licences(expression: &str) -> Vec<String> {
    let words = expression.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')'));
    let names = words.filter(|word| !word.is_empty() && !matches!(*word, "AND" | "OR" | "WITH"));
    distinct(names.map(str::to_owned))
}

fn distinct(words: impl Iterator<Item = String>) -> Vec<String> {
    words.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Runs what reads and writes the index's files, away from the threads that serve requests.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(ServiceError::Unavailable("the search index stopped")),
    }
}
