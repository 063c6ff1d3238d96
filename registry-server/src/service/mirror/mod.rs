// SPDX-License-Identifier: Apache-2.0
//! Namespaces whose content comes from other registries: asked for by name when it is
//! pulled, checked by digest, and kept.
//!
//! Manifests are fetched with everything that refers to them; blobs when they are wanted,
//! except those that the catalogue judges a version by. The upstreams of a namespace are
//! asked in order; one that does not answer is left alone for a while.

mod content;
mod remotes;

use std::time::Duration;

use chrono::TimeDelta;
use registry_client::{
    Explain,
    copy::{CopyError, Plan, Wanted},
    source::Source,
};
use registry_schema::{
    Digest, Namespace, exit,
    federation::{NewUpstream, Upstream as Shown, UpstreamMode},
    name::{NameError, RepositoryName, Tag},
};
use serde_json::json;

pub(super) use content::{Kept, fetch_blob, judged_by, keeper, note_blobs, store_manifests};
pub use remotes::Remotes;

use super::{
    ServiceError,
    access::{self, Action, Caller},
    audit,
    outbound::OutboundError,
};
use crate::{
    app::App,
    store::{self, StoreError, upstreams::Upstream},
};

/// Longest time for fetching one version's manifests from one upstream.
const DEADLINE: Duration = Duration::from_mins(1);
/// For how long nothing is asked again that no upstream has.
const ABSENT: TimeDelta = TimeDelta::seconds(30);
/// Most upstreams of a namespace.
const MAX_UPSTREAMS: usize = 8;
/// Longest time that a tag may be believed, in seconds.
const MAX_TAG_SECONDS: u32 = 86_400;

/// Why an upstream is refused.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum UpstreamError {
    /// The address is none that this server connects to.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// Too many.
    #[error("{actual} upstreams are too many; the limit is {MAX_UPSTREAMS}")]
    TooMany { actual: usize },
    /// A tag would be believed for too long.
    #[error("{actual} s is too long to believe a tag; the limit is {MAX_TAG_SECONDS} s")]
    TagSeconds { actual: u32 },
    /// The place of a version cannot be read.
    #[error(
        "`{text}` names no version: {reason}; write `host/repository:tag` or `host/repository@sha256:…`"
    )]
    Place { text: String, reason: String },
    /// Only package versions are listed.
    #[error("`{place}` is no version of a package: {reason}")]
    NoVersion { place: String, reason: String },
    /// The other registry did not give it.
    #[error("{0}")]
    Copy(#[from] CopyError),
}

/// Something that is asked for by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A manifest by tag.
    Tag(Tag),
    /// A manifest by digest.
    Manifest(Digest),
    /// A blob.
    Blob(Digest),
    /// The list of what refers to a digest.
    Referrers(Digest),
}

/// What is to be done with a request for content of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Answer from here.
    Here,
    /// Answer from here, and say that nobody could be asked whether it is still so.
    Stale,
    /// The bytes are there.
    There(String),
}

/// Brings what is asked for here, if its namespace has upstreams and it is not here or may
/// have changed. Does nothing for callers who may not pull it.
///
/// # Errors
/// [`ServiceError::Unavailable`] if it is not here and no upstream answers; the errors of
/// storing it. What no upstream has is no error: the answer then says that it is not here.
pub async fn prepare(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    asked: &Asked,
) -> Result<Answer, ServiceError> {
    let upstreams = app.remotes.of(app, repository.namespace()).await?;
    if upstreams.is_empty() {
        return Ok(Answer::Here);
    }
    // Boxed, for its state is large and most reads have none.
    Box::pin(bring(app, caller, repository, asked, &upstreams)).await
}

async fn bring(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    asked: &Asked,
    upstreams: &[Upstream],
) -> Result<Answer, ServiceError> {
    let allowed = access::demand(app, caller, repository, Action::Pull).await;
    if allowed.is_err() {
        return Ok(Answer::Here);
    }
    if let Asked::Blob(digest) = asked {
        return content::blob(app, repository, digest, upstreams).await;
    }
    let caches: Vec<_> = upstreams
        .iter()
        .filter(|upstream| upstream.mode == UpstreamMode::Cache)
        .collect();
    let Some(first) = caches.first() else {
        return Ok(Answer::Here);
    };
    let key = format!("{repository} {asked:?}");
    let lock = app.sessions.lock(&format!("mirror {key}"));
    let _held = lock.lock().await;
    let here = here(app, repository, asked).await?;
    let now = app.clock.now();
    let fresh = TimeDelta::seconds(first.tag_seconds.into());
    let fresh = if here.is_some() { fresh } else { ABSENT };
    let settled = matches!(asked, Asked::Manifest(_)) && here.is_some();
    if settled || app.remotes.asked_within(&key, fresh, now) {
        return Ok(Answer::Here);
    }
    let outcome = ask_all(app, repository, asked, here.as_ref(), &caches).await?;
    match (outcome, here) {
        (Outcome::Answered, _) => {
            app.remotes.note(key, now);
            Ok(Answer::Here)
        }
        (Outcome::Silent, Some(_)) => Ok(Answer::Stale),
        (Outcome::Silent, None) => Err(ServiceError::Unavailable("no upstream registry answers")),
    }
}

/// Whether anybody could be asked.
enum Outcome {
    /// Somebody had it, or all who could be asked do not have it.
    Answered,
    /// Somebody who may have it did not answer.
    Silent,
}

/// What there is here of what is asked for.
async fn here(
    app: &App,
    repository: &RepositoryName,
    asked: &Asked,
) -> Result<Option<Digest>, ServiceError> {
    Ok(match asked {
        Asked::Tag(tag) => super::tag::resolve(app, repository, tag).await?,
        Asked::Manifest(digest) | Asked::Referrers(digest) => {
            store::manifests::find(&app.db, repository, digest)
                .await?
                .map(|manifest| manifest.digest)
        }
        Asked::Blob(_) => None,
    })
}

/// Asks one upstream after the other until one has it.
async fn ask_all(
    app: &App,
    repository: &RepositoryName,
    asked: &Asked,
    here: Option<&Digest>,
    upstreams: &[&Upstream],
) -> Result<Outcome, ServiceError> {
    let mut silent = false;
    for upstream in upstreams {
        if app.remotes.is_down(&upstream.host, app.clock.now()) {
            silent = true;
            continue;
        }
        let source = source_of(upstream, repository)?;
        let work = fetch(app, repository, asked, here, upstream, &source);
        let error = match tokio::time::timeout(DEADLINE, work).await {
            Ok(Ok(())) => return Ok(Outcome::Answered),
            Ok(Err(Failed::Here(error))) => return Err(error),
            Ok(Err(Failed::There(error))) if error.exit_code() == exit::NOT_FOUND => continue,
            Ok(Err(Failed::There(error))) => error.to_string(),
            Err(_) => format!("it took longer than {} s", DEADLINE.as_secs()),
        };
        tracing::warn!(upstream = upstream.host, %repository, error, "upstream failed");
        app.remotes.note_down(&upstream.host, app.clock.now());
        silent = true;
    }
    Ok(if silent {
        Outcome::Silent
    } else {
        Outcome::Answered
    })
}

/// Who is to blame that something was not fetched.
#[derive(Debug)]
pub(in crate::service) enum Failed {
    /// This registry.
    Here(ServiceError),
    /// The other one.
    There(CopyError),
}

impl From<ServiceError> for Failed {
    fn from(error: ServiceError) -> Self {
        Self::Here(error)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Here(error.into())
    }
}

impl From<CopyError> for Failed {
    fn from(error: CopyError) -> Self {
        Self::There(error)
    }
}

impl From<Failed> for ServiceError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Here(error) => error,
            Failed::There(error) => UpstreamError::Copy(error).into(),
        }
    }
}

impl From<UpstreamError> for ServiceError {
    fn from(error: UpstreamError) -> Self {
        Self::Upstream(Box::new(error))
    }
}

async fn fetch(
    app: &App,
    repository: &RepositoryName,
    asked: &Asked,
    here: Option<&Digest>,
    upstream: &Upstream,
    source: &RepositoryName,
) -> Result<(), Failed> {
    let registry = app.remotes.connect(&upstream.host, upstream.plain_http)?;
    let from = Source::Registry(&registry);
    let wanted = match asked {
        Asked::Tag(tag) => {
            let there = registry.digest_at(source, tag.as_str()).await;
            match there {
                // The same as before: only what refers to it may be new.
                Ok(Some(there)) if Some(&there) == here => Wanted::Digest(there),
                Ok(Some(_)) => Wanted::Tag(Some(tag.clone())),
                // Not every registry knows what the latest version is.
                Ok(None) if tag.as_str() == super::tag::LATEST => Wanted::Tag(None),
                Ok(None) => {
                    return Err(Failed::There(CopyError::Nothing {
                        repository: source.clone(),
                        from: upstream.host.clone(),
                    }));
                }
                Err(error) => return Err(Failed::There(error.into())),
            }
        }
        Asked::Manifest(digest) | Asked::Referrers(digest) | Asked::Blob(digest) => {
            Wanted::Digest(digest.clone())
        }
    };
    let plan = Plan::of(from, source, &wanted)
        .await
        .map_err(Failed::There)?;
    content::take(app, repository, upstream, source, &registry, plan).await?;
    Ok(())
}

/// The repository of an upstream that has the content of one of ours.
fn source_of(
    upstream: &Upstream,
    repository: &RepositoryName,
) -> Result<RepositoryName, NameError> {
    let name = repository
        .as_str()
        .strip_prefix(repository.namespace())
        .unwrap_or_default();
    let full = format!("{}{name}", upstream.prefix);
    full.trim_start_matches('/').parse()
}

/// The upstreams of a namespace.
///
/// # Errors
/// Those of [`access::demand_owner`]; [`ServiceError::Store`].
pub async fn list(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
) -> Result<Vec<Shown>, ServiceError> {
    access::demand_owner(app, caller, namespace.as_str(), "see upstreams").await?;
    let all = store::upstreams::list(&app.db).await?;
    let own = all
        .into_iter()
        .filter(|one| one.namespace == namespace.as_str());
    Ok(own.map(shown).collect())
}

/// Sets the registries that a namespace's content is fetched from. Only administrators may:
/// this server then connects there, with the credentials that its operator has given it.
///
/// # Errors
/// [`ServiceError::NotAdministrator`], [`ServiceError::NamespaceUnknown`],
/// [`ServiceError::Upstream`].
pub async fn set(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
    new: Vec<NewUpstream>,
) -> Result<Vec<Shown>, ServiceError> {
    access::demand_administrator(app, caller, "mirror other registries")?;
    access::demand_owner(app, caller, namespace.as_str(), "mirror other registries").await?;
    if new.len() > MAX_UPSTREAMS {
        return Err(UpstreamError::TooMany { actual: new.len() }.into());
    }
    let now = app.clock.now();
    let mut upstreams = Vec::new();
    for one in new {
        if one.tag_seconds > MAX_TAG_SECONDS {
            return Err(UpstreamError::TagSeconds {
                actual: one.tag_seconds,
            }
            .into());
        }
        app.remotes.check(&one.host, one.plain_http).await?;
        let prefix = one.prefix.unwrap_or_else(|| namespace.to_string());
        if !prefix.is_empty() {
            prefix.parse::<RepositoryName>()?;
        }
        upstreams.push(Upstream {
            namespace: namespace.to_string(),
            mode: UpstreamMode::Cache,
            host: one.host,
            plain_http: one.plain_http,
            prefix,
            tag_seconds: one.tag_seconds,
            created_at: now,
            created_by: caller.name().to_owned(),
        });
    }
    let hosts: Vec<_> = upstreams.iter().map(|one| one.host.as_str()).collect();
    let detail = json!({"hosts": hosts});
    let mut tx = app.db.begin().await?;
    store::upstreams::clear(&mut tx, namespace.as_str(), UpstreamMode::Cache).await?;
    for upstream in &upstreams {
        store::upstreams::insert(&mut tx, upstream).await?;
    }
    audit::append(
        app,
        &mut tx,
        caller,
        "upstream.set",
        namespace.as_str(),
        detail,
    )
    .await?;
    tx.commit().await?;
    app.remotes.forget();
    Ok(upstreams.into_iter().map(shown).collect())
}

fn shown(upstream: Upstream) -> Shown {
    Shown {
        mode: upstream.mode,
        host: upstream.host,
        plain_http: upstream.plain_http,
        prefix: upstream.prefix,
        tag_seconds: upstream.tag_seconds,
        created_at: upstream.created_at,
        created_by: upstream.created_by,
    }
}
