// SPDX-License-Identifier: Apache-2.0
//! Tags: what they mean, which of them may move, and lists of them.

use registry_schema::{
    Digest, Version, media_type,
    name::{RepositoryName, Tag},
};
use serde_json::json;

use super::{
    ServiceError,
    access::{self, Action, Caller, Grant},
    audit,
    document::Document,
    review,
    visible::{self, View},
};
use crate::{
    app::App,
    store::{self, Tx},
};

/// The tag that means the highest stable version.
pub const LATEST: &str = "latest";

/// What a tag names. In a package `latest` is computed; a tag of that name that was set
/// before the first version does not count.
pub(super) async fn resolve(
    app: &App,
    repository: &RepositoryName,
    tag: &Tag,
) -> Result<Option<Digest>, ServiceError> {
    if tag.as_str() == LATEST
        && let Some(package) = repository.package()
    {
        let choices = store::packages::choices(&app.db, &package).await?;
        if !choices.is_empty() {
            let stable = choices
                .into_iter()
                .find(|one| !one.yanked && !one.version.is_prerelease());
            return Ok(stable.map(|choice| choice.index_digest));
        }
    }
    Ok(store::tags::find(&app.db, repository, tag).await?)
}

/// The same for somebody who may also see what waits.
pub(super) async fn resolve_for(
    app: &App,
    view: View,
    repository: &RepositoryName,
    tag: &Tag,
) -> Result<Option<Digest>, ServiceError> {
    let found = resolve(app, repository, tag).await?;
    if found.is_none()
        && view == View::Inside
        && let (Some(package), Ok(version)) = (repository.package(), tag.as_str().parse())
    {
        let waiting = store::pending::find(&app.db, &package, &version).await?;
        return Ok(waiting.map(|waiting| waiting.new.index_digest));
    }
    Ok(found)
}

/// Refuses a tag that may not be set: `latest` of a package, and a version's tag that
/// names something else already.
///
/// # Errors
/// [`ServiceError::LatestIsVirtual`], [`ServiceError::Immutable`].
pub(super) async fn check(
    tx: &mut Tx,
    repository: &RepositoryName,
    tag: &Tag,
    digest: &Digest,
    document: &Document,
) -> Result<(), ServiceError> {
    let Some(package) = repository.package() else {
        return Ok(());
    };
    let is_package = document.artifact_type.as_deref() == Some(media_type::PACKAGE);
    if tag.as_str() == LATEST && (is_package || store::packages::exists(tx, &package).await?) {
        return Err(ServiceError::LatestIsVirtual { package });
    }
    if let Ok(version) = tag.as_str().parse::<Version>()
        && let Some(published) = store::packages::index_of(tx, &package, &version).await?
        && published != *digest
    {
        return Err(ServiceError::Immutable {
            package,
            version,
            published,
        });
    }
    if let Ok(version) = tag.as_str().parse::<Version>()
        && let Some(waiting) = store::pending::find_in(tx, &package, &version).await?
        && waiting.new.index_digest != *digest
    {
        return Err(ServiceError::Waits { package, version });
    }
    Ok(())
}

/// What must hold of a tag for a write to happen, so that of two writers who read the
/// same tag the second one learns of the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// The tag is there, and names this.
    pub only_if: Option<Expected>,
    /// The tag is not there, or names something else.
    pub unless: Option<Expected>,
}

/// What a tag may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Anything.
    Anything,
    /// One of these digests.
    OneOf(Vec<Digest>),
}

impl Condition {
    fn holds(&self, current: Option<&Digest>) -> bool {
        let fits = |expected: &Expected| match (expected, current) {
            (_, None) => false,
            (Expected::Anything, Some(_)) => true,
            (Expected::OneOf(digests), Some(current)) => digests.contains(current),
        };
        self.only_if.as_ref().is_none_or(fits) && !self.unless.as_ref().is_some_and(fits)
    }
}

/// Demands that the condition holds of the tag; the repository is locked.
///
/// # Errors
/// [`ServiceError::TagMoved`].
pub(super) async fn demand(
    tx: &mut Tx,
    repository: &RepositoryName,
    tag: &Tag,
    condition: &Condition,
) -> Result<(), ServiceError> {
    if *condition == Condition::default() {
        return Ok(());
    }
    let current = store::tags::find_in(tx, repository, tag).await?;
    if condition.holds(current.as_ref()) {
        return Ok(());
    }
    let tag = tag.clone();
    Err(ServiceError::TagMoved { tag, current })
}

/// A page of the tags of a repository, in the order of their bytes.
#[derive(Debug)]
pub struct Page<T> {
    /// The entries.
    pub entries: Vec<T>,
    /// Whether there are more.
    pub more: bool,
}

/// Lists up to `limit` tags after `last`, which need not exist.
///
/// # Errors
/// [`ServiceError::RepositoryUnknown`]; the errors of [`access::demand`].
pub async fn list(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    last: &str,
    limit: usize,
) -> Result<Page<Tag>, ServiceError> {
    let standing = access::demand(app, caller, repository, Action::Pull).await?;
    let mut tags = store::tags::list(&app.db, repository).await?;
    match visible::view(app, caller, standing).await? {
        View::Open => {}
        View::Inside => add_waiting(app, repository, &mut tags).await?,
        View::Outside => {
            keep_shown(app, repository, &mut tags).await?;
            if tags.is_empty() {
                return Err(ServiceError::RepositoryUnknown(repository.clone()));
            }
        }
    }
    if tags.is_empty() && !store::repositories::exists(&app.db, repository).await? {
        return Err(ServiceError::RepositoryUnknown(repository.clone()));
    }
    tags.retain(|tag| tag.as_str() > last);
    let more = limit > 0 && tags.len() > limit;
    tags.truncate(limit);
    Ok(Page {
        entries: tags,
        more,
    })
}

/// Adds the tags of versions that wait.
async fn add_waiting(
    app: &App,
    repository: &RepositoryName,
    tags: &mut Vec<Tag>,
) -> Result<(), ServiceError> {
    if let Some(package) = repository.package() {
        let waiting = store::pending::of(&app.db, &package).await?;
        tags.extend(waiting.iter().map(|waiting| waiting.new.version.tag()));
        tags.sort_unstable();
    }
    Ok(())
}

/// Takes out the tags of what is not published.
async fn keep_shown(
    app: &App,
    repository: &RepositoryName,
    tags: &mut Vec<Tag>,
) -> Result<(), ServiceError> {
    let mut shown = Vec::with_capacity(tags.len());
    for tag in tags.drain(..) {
        if let Some(digest) = store::tags::find(&app.db, repository, &tag).await?
            && visible::is_shown(app, repository, &digest).await?
        {
            shown.push(tag);
        }
    }
    *tags = shown;
    Ok(())
}

/// Lists up to `limit` repositories after `last` that the caller may read.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn catalogue(
    app: &App,
    caller: &Caller,
    last: &str,
    limit: usize,
) -> Result<Page<RepositoryName>, ServiceError> {
    let ask = i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1;
    // A bearer token that was given for something else shows what everybody may see.
    let asked = |grant: &Grant| grant.kind == "registry" && grant.name == "catalog";
    let covered = caller
        .grants
        .as_ref()
        .is_none_or(|grants| grants.iter().any(asked));
    let nobody = Caller::default();
    let caller = if covered { caller } else { &nobody };
    let mut entries = readable(app, caller, last, ask).await?;
    let more = limit > 0 && entries.len() > limit;
    entries.truncate(limit);
    Ok(Page { entries, more })
}

/// Up to `limit` repositories after `last` that account and token may read. A limited token
/// hides some of what the database gives, so that it may take several looks to fill a page.
async fn readable(
    app: &App,
    caller: &Caller,
    last: &str,
    limit: i64,
) -> Result<Vec<RepositoryName>, ServiceError> {
    let (mut entries, mut last) = (Vec::new(), last.to_owned());
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    loop {
        let everything = caller.is_administrator();
        let page =
            store::repositories::list(&app.db, &last, caller.name(), everything, limit).await?;
        let exhausted = page.len() < wanted;
        for name in page {
            last = name.to_string();
            if caller.scopes().is_some() && !access::may_read(app, caller, name.as_str()).await? {
                continue;
            }
            if app.config.policy.is_public() {
                let standing = access::standing(app, caller, name.namespace()).await?;
                if visible::view(app, caller, standing).await? == View::Outside
                    && !store::visible::has_version(&app.db, &name).await?
                {
                    continue;
                }
            }
            entries.push(name);
        }
        if exhausted || entries.len() >= wanted {
            entries.truncate(wanted);
            return Ok(entries);
        }
    }
}

/// Deletes a tag; the manifest stays.
///
/// # Errors
/// [`ServiceError::ManifestUnknown`]; [`ServiceError::Published`] for a version's tag;
/// [`ServiceError::TagMoved`]; the errors of [`access::demand`].
pub async fn delete(
    app: &App,
    caller: &Caller,
    repository: &RepositoryName,
    tag: &Tag,
    condition: &Condition,
) -> Result<(), ServiceError> {
    access::demand(app, caller, repository, Action::Delete).await?;
    if let (Some(package), Ok(version)) = (repository.package(), tag.as_str().parse::<Version>())
        && review::withdraw(app, caller, &package, &version).await?
    {
        return Ok(());
    }
    let mut tx = app.db.begin().await?;
    store::repositories::lock(&mut tx, repository).await?;
    demand(&mut tx, repository, tag, condition).await?;
    if let (Some(package), Ok(version)) = (repository.package(), tag.as_str().parse::<Version>())
        && store::packages::index_of(&mut tx, &package, &version)
            .await?
            .is_some()
    {
        return Err(ServiceError::Published { package, version });
    }
    if !store::tags::delete(&mut tx, repository, tag).await? {
        let (repository, name) = (repository.clone(), tag.to_string());
        return Err(ServiceError::ManifestUnknown { repository, name });
    }
    let subject = format!("{repository}:{tag}");
    audit::append(app, &mut tx, caller, "tag.delete", &subject, json!({})).await?;
    Ok(tx.commit().await?)
}
