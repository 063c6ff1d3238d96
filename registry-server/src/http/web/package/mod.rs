// SPDX-License-Identifier: Apache-2.0
//! `GET /packages/{namespace}/{name}` and `…/{version}`: who signed it, what it can do, how to run it.

mod badge;
mod fact;
mod profile;
mod run;
mod trust;

use askama::Template;
use axum::{extract::State, response::Response};
use http::StatusCode;
use registry_schema::Reference;
use registry_schema::api::{
    Deprecation, NamespaceKey, PackageDetail, VersionDetail, VersionSummary,
};
use registry_schema::namespace_identity::{Epoch, EpochCause};
use registry_schema::review::{Pending, Wait};

use super::{
    Layout,
    format::{self, Mark, Moment},
    markdown, render,
};
use crate::app::App;
use crate::http::error::Failure;
use crate::http::extract::{PackagePath, VersionPath};
use crate::service::{access::Caller, catalogue, log, namespace};

#[derive(Template)]
#[template(path = "pages/package.html")]
struct PackagePage {
    layout: Layout,
    name: String,
    namespace: String,
    bare_name: String,
    version: String,
    summary: String,
    /// The version to prefer, if it is another one.
    newer: Option<String>,
    waits: Option<Waits>,
    yanked: bool,
    yank_reason: Option<String>,
    revoked: Option<String>,
    advice: Vec<Advice>,
    unsigned: bool,
    badges: Vec<badge::Badge>,
    trust: trust::Trust,
    /// Absent where no object could be read.
    abilities: Option<profile::Abilities>,
    /// The target whose object the tables show.
    target: String,
    reference: String,
    by_digest: String,
    hooks: Vec<&'static str>,
    node_config: String,
    programs: Vec<profile::ProgramRow>,
    maps: Vec<profile::MapRow>,
    memory: String,
    parameters: Vec<fact::ParameterRow>,
    metrics: Vec<fact::MetricRow>,
    findings: Vec<FindingRow>,
    /// Harmless HTML.
    readme: String,
    versions: Vec<VersionRow>,
    licence: String,
    licence_note: String,
    kernel: fact::Kernel,
    pulls: String,
    stars: String,
    star_detail: Option<String>,
    epoch: Option<EpochText>,
    level: String,
    level_reasons: Vec<String>,
    name_notes: Vec<String>,
    /// Whether the visitor gave one.
    starred: bool,
    published: Moment,
    source: Option<fact::Link>,
    documentation: Option<fact::Link>,
    targets: String,
    size: String,
    place: Option<String>,
    keywords: Vec<String>,
    digest: String,
    /// Its place in the publish log.
    logged: Option<String>,
}

/// What the publisher advises.
struct Advice {
    /// `The package` or `This version`.
    what: &'static str,
    message: String,
    /// What to use instead, and where that is if it is here.
    replacement: Option<(String, Option<String>)>,
}

impl Advice {
    fn new(what: &'static str, advice: &Deprecation) -> Self {
        Self {
            what,
            message: advice.message.to_string(),
            replacement: advice.replacement.as_ref().map(|instead| {
                let page = instead.registry.is_none().then(|| page_of(instead));
                (instead.to_string(), page)
            }),
        }
    }
}

fn page_of(reference: &Reference) -> String {
    match reference.version() {
        Some(version) => format!("/packages/{}/{version}", reference.package),
        None => format!("/packages/{}", reference.package),
    }
}

/// That others do not see the version yet.
struct Waits {
    title: &'static str,
    text: String,
    notes: Vec<String>,
}

impl Waits {
    fn new(pending: &Pending) -> Self {
        let signed = format!("{} of {}", pending.signers.len(), pending.threshold);
        let (title, text) = match (pending.waits_for, pending.ends_at) {
            (Wait::Review, _) => (
                "Waits for a reviewer",
                format!(
                    "{signed} signatures are there. Only publishers and reviewers see this page."
                ),
            ),
            (Wait::Signature, ends) => {
                let end =
                    ends.map(|at| at.format(", and goes on %Y-%m-%d at %H:%M UTC").to_string());
                let end = end.unwrap_or_default();
                (
                    "Waits for signatures",
                    format!(
                        "It has {signed} that its namespace demands{end}. Only publishers and reviewers see this page."
                    ),
                )
            }
        };
        Self {
            title,
            text,
            notes: pending.notes.clone(),
        }
    }
}

/// Since when the same signers vouch for the package.
struct EpochText {
    title: String,
    text: String,
}

impl EpochText {
    fn new(epoch: &Epoch) -> Self {
        let since = Moment::from(epoch.began_at).day;
        let why = match epoch.cause {
            EpochCause::First => "since it was first published",
            EpochCause::Signer => "others sign it than before, who were not named by those",
            EpochCause::Transfer => "its namespace was handed over",
        };
        Self {
            title: format!("{}, since {since}", epoch.number),
            text: why.to_owned(),
        }
    }
}

/// What stars there are besides those that count.
fn star_detail(version: &VersionDetail) -> Option<String> {
    let mut parts = Vec::new();
    if version.stars > 0 {
        parts.push(format!("{} on this version", version.version_stars));
    }
    if version.former_stars > 0 {
        parts.push(format!(
            "{} earned under earlier signers, which count nothing",
            version.former_stars
        ));
    }
    (!parts.is_empty()).then(|| parts.join(" · "))
}

struct FindingRow {
    code: String,
    mark: Mark,
    message: String,
    fix: String,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a mark of its own in the row"
)]
struct VersionRow {
    version: String,
    shown: bool,
    published: Moment,
    mark: Mark,
    pulls: String,
    yanked: bool,
    waits: bool,
    deprecated: bool,
    digest: String,
    short_digest: String,
}

pub(super) async fn show_latest(
    State(app): State<App>,
    caller: Caller,
    layout: Layout,
    PackagePath(name): PackagePath,
) -> Result<Response, Failure> {
    let package = catalogue::package(&app, &caller, &name).await?;
    let version = catalogue::version(&app, &caller, &name, &package.summary.version).await?;
    let keys = namespace::keys(&app, &caller, name.namespace()).await?;
    let mut page = PackagePage::new(layout, package, &version, &keys);
    page.starred = catalogue::stars(&app, &caller, &name).await?.starred;
    page.logged = logged(&app, &version).await?;
    Ok(render(StatusCode::OK, &page))
}

pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    layout: Layout,
    VersionPath(name, version): VersionPath,
) -> Result<Response, Failure> {
    let package = catalogue::package(&app, &caller, &name).await?;
    let version = catalogue::version(&app, &caller, &name, &version).await?;
    let keys = namespace::keys(&app, &caller, name.namespace()).await?;
    let mut page = PackagePage::new(layout, package, &version, &keys);
    page.starred = catalogue::stars(&app, &caller, &name).await?.starred;
    page.logged = logged(&app, &version).await?;
    Ok(render(StatusCode::OK, &page))
}

impl PackagePage {
    fn new(
        layout: Layout,
        package: PackageDetail,
        version: &VersionDetail,
        keys: &[NamespaceKey],
    ) -> Self {
        let readable = version
            .profiles
            .iter()
            .find(|target| target.profile.is_some());
        let profile = readable.and_then(|target| target.profile.as_ref());
        let manifest = &version.manifest;
        let run = run::Run::new(&layout, version);
        Self {
            name: version.name.to_string(),
            namespace: version.name.namespace().to_string(),
            bare_name: version.name.name().to_owned(),
            version: version.summary.version.to_string(),
            summary: manifest.package.summary.clone(),
            newer: (package.summary.version != version.summary.version)
                .then(|| package.summary.version.to_string()),
            waits: version.summary.pending.as_ref().map(Waits::new),
            yanked: version.summary.yanked,
            revoked: version.revoked.as_ref().map(ToString::to_string),
            yank_reason: version
                .summary
                .yank_reason
                .as_ref()
                .map(ToString::to_string),
            advice: advice(&package, version),
            unsigned: version.summary.signature != registry_schema::api::SignatureState::Signed,
            badges: badge::badges(version, profile),
            trust: trust::Trust::new(version, keys),
            abilities: profile.map(profile::Abilities::new),
            target: readable
                .map(|target| target.target.clone())
                .unwrap_or_default(),
            reference: run.reference,
            by_digest: run.by_digest,
            hooks: run.hooks,
            node_config: run.node_config,
            programs: profile::programs(manifest, profile),
            maps: profile.map(profile::maps).unwrap_or_default(),
            memory: profile
                .map(|profile| format::bytes(profile.map_memory))
                .unwrap_or_default(),
            parameters: fact::parameters(manifest),
            metrics: fact::metrics(manifest),
            findings: findings(version),
            readme: if version.readme.is_empty() {
                String::new()
            } else {
                markdown::render(&version.readme)
            },
            versions: version_rows(package.versions, version),
            licence: manifest.package.license.clone(),
            licence_note: fact::licence_note(profile),
            kernel: fact::Kernel::new(manifest, profile),
            pulls: format::count(package.summary.pulls, "pull"),
            stars: format::count(version.stars, "star"),
            star_detail: star_detail(version),
            epoch: version.epoch.as_ref().map(EpochText::new),
            level: format!("{} ({})", version.level, version.level.word()),
            level_reasons: version.level_reasons.clone(),
            name_notes: version.name_notes.clone(),
            starred: false,
            published: version.summary.published_at.into(),
            source: manifest.package.repository.as_deref().map(fact::Link::new),
            documentation: manifest
                .package
                .documentation
                .as_deref()
                .map(fact::Link::new),
            targets: version
                .profiles
                .iter()
                .map(|target| target.target.as_str())
                .collect::<Vec<_>>()
                .join(", "),
            size: format::bytes(version.size),
            place: version.place.clone(),
            keywords: manifest.package.keywords.clone(),
            digest: version.summary.digest.to_string(),
            logged: None,
            layout,
        }
    }
}

async fn logged(app: &App, version: &VersionDetail) -> Result<Option<String>, Failure> {
    let place = log::place(app, &version.name, &version.summary.version).await?;
    Ok(place.map(format::thousands))
}

fn advice(package: &PackageDetail, version: &VersionDetail) -> Vec<Advice> {
    let all = package.summary.deprecated.as_ref();
    let one = version.summary.deprecated.as_ref();
    let all = all.map(|advice| Advice::new("The package", advice));
    let one = one.map(|advice| Advice::new("This version", advice));
    all.into_iter().chain(one).collect()
}

/// The findings of all objects, each once.
fn findings(version: &VersionDetail) -> Vec<FindingRow> {
    let mut seen = Vec::new();
    for finding in version.profiles.iter().flat_map(|target| &target.findings) {
        if !seen.contains(&finding) {
            seen.push(finding);
        }
    }
    let row = |finding: &registry_schema::profile::Finding| FindingRow {
        code: finding.code.clone(),
        mark: finding.severity.into(),
        message: finding.message.clone(),
        fix: finding.fix.clone(),
    };
    seen.into_iter().map(row).collect()
}

fn version_rows(versions: Vec<VersionSummary>, shown: &VersionDetail) -> Vec<VersionRow> {
    let row = |version: VersionSummary| VersionRow {
        shown: version.version == shown.summary.version,
        version: version.version.to_string(),
        published: version.published_at.into(),
        mark: version.signature.into(),
        pulls: format::thousands(version.pulls),
        waits: version.pending.is_some(),
        yanked: version.yanked,
        deprecated: version.deprecated.is_some(),
        short_digest: version.digest.hex().chars().take(12).collect(),
        digest: version.digest.to_string(),
    };
    versions.into_iter().map(row).collect()
}
