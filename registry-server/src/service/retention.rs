// SPDX-License-Identifier: Apache-2.0
//! The storage rules of a namespace: how much it may hold, and what of it may go. A
//! published version never goes.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use registry_schema::{
    Digest, Namespace,
    name::RepositoryName,
    storage::{Expired, ExpiredContent, NamespaceStorage, StorageRules},
};
use serde_json::json;

use super::{
    ServiceError,
    access::{self, Caller},
    audit,
};
use crate::{
    app::App,
    store::{
        self,
        retention::{PlainTag, Untagged},
        rules::Rules,
    },
};

/// What a namespace holds and may hold.
///
/// # Errors
/// The errors of [`access::demand_owner`].
pub async fn get(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
) -> Result<NamespaceStorage, ServiceError> {
    access::demand_owner(app, caller, namespace.as_str(), "see the storage rules").await?;
    let rules = store::rules::find(&app.db, namespace.as_str()).await?;
    Ok(NamespaceStorage {
        used_bytes: store::rules::used(&app.db, namespace.as_str()).await?,
        rules: StorageRules {
            quota_bytes: rules.quota_bytes,
            untagged_days: rules.untagged_days,
            keep_tags: rules.keep_tags,
        },
    })
}

/// Sets the rules of a namespace. Its owners say what may go; how much it may hold, only an
/// administrator.
///
/// # Errors
/// The errors of [`access::demand_owner`]; [`ServiceError::NotAdministrator`] if the quota
/// would change; [`ServiceError::StorageRule`] if a number is 0 or too large.
pub async fn set(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
    rules: StorageRules,
) -> Result<NamespaceStorage, ServiceError> {
    access::demand_owner(app, caller, namespace.as_str(), "change the storage rules").await?;
    for (rule, value) in [
        ("untagged_days", rules.untagged_days),
        ("keep_tags", rules.keep_tags),
    ] {
        if let Some(value) = value
            && !(1..=MOST).contains(&value)
        {
            let (least, most) = (1, MOST);
            return Err(ServiceError::StorageRule {
                rule,
                value,
                least,
                most,
            });
        }
    }
    let new = Rules {
        quota_bytes: rules.quota_bytes,
        untagged_days: rules.untagged_days,
        keep_tags: rules.keep_tags,
    };
    let mut tx = app.db.begin().await?;
    let old = store::rules::lock(&mut tx, namespace.as_str()).await?;
    if old.quota_bytes != new.quota_bytes && !caller.is_administrator() {
        return Err(ServiceError::NotAdministrator {
            account: caller.name().to_owned(),
            action: "change the quota of a namespace",
        });
    }
    let now = app.clock.now();
    store::rules::set(&mut tx, namespace.as_str(), new, now, caller.name()).await?;
    let detail = json!(rules);
    audit::append(
        app,
        &mut tx,
        caller,
        "storage.rules",
        namespace.as_str(),
        detail,
    )
    .await?;
    tx.commit().await?;
    get(app, caller, namespace).await
}

/// Largest number of days or tags that a rule may name.
const MOST: u64 = 100_000;

/// Removes what the rules of a namespace let go, or only says what that would be.
///
/// # Errors
/// The errors of [`access::demand_owner`]; [`ServiceError::Store`].
pub async fn apply(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
    dry_run: bool,
) -> Result<Expired, ServiceError> {
    access::demand_owner(app, caller, namespace.as_str(), "remove old content").await?;
    expire(app, caller, namespace.as_str(), dry_run).await
}

/// Removes what the rules of all namespaces let go.
///
/// # Errors
/// [`ServiceError::Store`]; what went so far stays gone.
pub async fn run(app: &App) -> Result<(), ServiceError> {
    for namespace in store::rules::with_retention(&app.db).await? {
        let expired = expire(app, &Caller::default(), &namespace, false).await?;
        if !expired.contents.is_empty() {
            let number = expired.contents.len();
            tracing::info!(namespace, number, "removed what the storage rules let go");
        }
    }
    Ok(())
}

async fn expire(
    app: &App,
    caller: &Caller,
    namespace: &str,
    dry_run: bool,
) -> Result<Expired, ServiceError> {
    let rules = store::rules::find(&app.db, namespace).await?;
    let mut contents = Vec::new();
    for tag in old_tags(app, namespace, rules).await? {
        if dry_run || remove_tag(app, &tag).await? {
            contents.push(ExpiredContent {
                repository: tag.repository.to_string(),
                tag: Some(tag.name),
                digest: tag.digest,
            });
        }
    }
    if let Some(days) = rules.untagged_days {
        let before = app.clock.now() - TimeDelta::days(i64::try_from(days).unwrap_or(i64::MAX));
        for manifest in store::retention::untagged(&app.db, namespace, before).await? {
            if dry_run || remove_manifest(app, &manifest, before).await? {
                contents.push(ExpiredContent {
                    repository: manifest.repository.to_string(),
                    tag: None,
                    digest: manifest.digest,
                });
            }
        }
    }
    if !dry_run && !contents.is_empty() {
        let mut tx = app.db.begin().await?;
        let detail = json!({ "contents": contents });
        audit::append(app, &mut tx, caller, "storage.expire", namespace, detail).await?;
        tx.commit().await?;
    }
    Ok(Expired { dry_run, contents })
}

/// The tags beyond the number to keep; and those that carry the signatures of a manifest
/// that is gone, which go as manifests without a tag do.
async fn old_tags(app: &App, namespace: &str, rules: Rules) -> Result<Vec<PlainTag>, ServiceError> {
    let keep = rules.keep_tags.map_or(usize::MAX, |keep| {
        usize::try_from(keep).unwrap_or(usize::MAX)
    });
    let mut old = Vec::new();
    let mut seen: BTreeMap<RepositoryName, usize> = BTreeMap::new();
    for tag in store::retention::plain_tags(&app.db, namespace).await? {
        if let Some(subject) = subject_of(&tag.name) {
            let gone = store::manifests::find(&app.db, &tag.repository, &subject).await?;
            let age = rules
                .untagged_days
                .map(|days| TimeDelta::days(i64::try_from(days).unwrap_or(i64::MAX)));
            let aged = age.is_some_and(|age| tag.updated_at <= app.clock.now() - age);
            if gone.is_none() && aged {
                old.push(tag);
            }
            continue;
        }
        let seen = seen.entry(tag.repository.clone()).or_default();
        *seen += 1;
        if *seen > keep {
            old.push(tag);
        }
    }
    Ok(old)
}

/// What a tag like `sha256-<hex>` or `sha256-<hex>.sig` belongs to.
fn subject_of(tag: &str) -> Option<Digest> {
    let (algorithm, rest) = tag.split_once('-')?;
    let hex = rest.split('.').next()?;
    format!("{algorithm}:{hex}").parse().ok()
}

async fn remove_tag(app: &App, tag: &PlainTag) -> Result<bool, ServiceError> {
    let name = tag.name.parse()?;
    let mut tx = app.db.begin().await?;
    // Set anew since it was listed, it is new.
    let same = store::tags::find_in(&mut tx, &tag.repository, &name).await?;
    if same.as_ref() != Some(&tag.digest) {
        return Ok(false);
    }
    let removed = store::tags::delete(&mut tx, &tag.repository, &name).await?;
    tx.commit().await?;
    Ok(removed)
}

async fn remove_manifest(
    app: &App,
    manifest: &Untagged,
    before: DateTime<Utc>,
) -> Result<bool, ServiceError> {
    let mut tx = app.db.begin().await?;
    store::repositories::lock(&mut tx, &manifest.repository).await?;
    if !store::retention::is_untagged(&mut tx, manifest, before).await? {
        return Ok(false);
    }
    let removed = store::manifests::delete(&mut tx, &manifest.repository, &manifest.digest).await?;
    tx.commit().await?;
    Ok(removed)
}
