// SPDX-License-Identifier: Apache-2.0
//! Reviewers and what they decide about.

use registry_schema::{
    PackageManifest, PackageName, Version,
    name::RepositoryName,
    review::{Decided, Decision, NewReview, QueuedVersion, RegistryDetail, Review as Shown},
};
use serde_json::json;

use super::{
    ServiceError,
    access::{self, Action, Caller, Right},
    audit, log, pending,
    pending::Decider,
    record,
    visible::{self, View},
};
use crate::{
    app::App,
    store::{self, StoreError, pending::Waiting, reviews::Review},
};

/// Most versions that the queue shows at once.
const QUEUE: i64 = 200;

/// What this registry is and demands.
pub fn registry(app: &App) -> RegistryDetail {
    let policy = &app.config.policy;
    let public = policy.is_public();
    RegistryDetail {
        policy: policy.policy,
        vetting: public.then_some(policy.vetting),
        pending_hours: public.then_some(policy.pending_hours),
        record_key: app.records.public().to_pem(),
    }
}

/// Demands that the caller reviews.
async fn demand(app: &App, caller: &Caller) -> Result<(), ServiceError> {
    let account = caller.known(app)?;
    if visible::is_reviewer(app, caller).await? {
        return Ok(());
    }
    if caller.scopes().is_some() {
        return Err(ServiceError::TokenScope {
            needed: "*:admin".to_owned(),
        });
    }
    Err(ServiceError::NotReviewer(account.name.clone()))
}

/// Whether the caller may decide.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn may(app: &App, caller: &Caller) -> Result<bool, ServiceError> {
    visible::is_reviewer(app, caller).await
}

/// The versions that wait for a reviewer, the longest wait first.
///
/// # Errors
/// [`ServiceError::Anonymous`], [`ServiceError::TokenScope`], [`ServiceError::NotReviewer`].
pub async fn queue(app: &App, caller: &Caller) -> Result<Vec<QueuedVersion>, ServiceError> {
    demand(app, caller).await?;
    let mut queue = Vec::new();
    for waiting in store::pending::queue(&app.db, QUEUE).await? {
        // Reviewers see what they could read once it is published.
        if !access::may_read(app, caller, &waiting.new.package.to_string()).await? {
            continue;
        }
        queue.push(queued(app, &waiting).await?);
    }
    Ok(queue)
}

async fn queued(app: &App, waiting: &Waiting) -> Result<QueuedVersion, ServiceError> {
    let new = &waiting.new;
    let summary = PackageManifest::from_json(new.config.as_bytes())
        .map_or_else(|_| String::new(), |manifest| manifest.package.summary);
    Ok(QueuedVersion {
        package: new.package.clone(),
        version: new.version.clone(),
        digest: new.index_digest.clone(),
        summary,
        pending: pending::describe(app, waiting).await?,
    })
}

/// Approves or refuses a version that waits for a reviewer.
///
/// # Errors
/// Those of [`queue`]; [`ServiceError::NotQueued`] if it does not wait, or waits with another
/// index than the one that was looked at; [`ServiceError::OwnReview`] for who pushed it or
/// belongs to its namespace.
pub async fn decide(
    app: &App,
    caller: &Caller,
    package: &PackageName,
    version: &Version,
    new: &NewReview,
) -> Result<Shown, ServiceError> {
    demand(app, caller).await?;
    let not_queued = || ServiceError::NotQueued {
        package: package.clone(),
        version: version.clone(),
    };
    if !access::may_read(app, caller, &package.to_string()).await? {
        return Err(not_queued());
    }
    let account = caller.name();
    let namespace = package.namespace().as_str();
    let role = store::namespaces::role(&app.db, namespace, account).await?;
    let mut tx = app.db.begin().await?;
    store::repositories::lock(&mut tx, &RepositoryName::from(package)).await?;
    let waiting = store::pending::find_in(&mut tx, package, version).await?;
    let waiting = waiting.filter(|waiting| waiting.review_since.is_some());
    let waiting = waiting.ok_or_else(not_queued)?;
    let other = |digest| digest != &waiting.new.index_digest;
    if new.digest.as_ref().is_some_and(other) {
        return Err(not_queued());
    }
    // Whoever runs this program on its data is nobody's second pair of eyes, but can do it
    // anyway.
    let involved = role.is_some_and(|role| role != "viewer") || waiting.new.published_by == account;
    if involved && new.approve {
        return Err(ServiceError::OwnReview {
            account: account.to_owned(),
            package: package.clone(),
        });
    }
    let decision = if new.approve {
        Decision::Approved
    } else {
        Decision::Refused
    };
    let decider = Decider {
        decision,
        account,
        reason: new.reason.as_str(),
    };
    pending::decide(app, &mut tx, caller, &waiting, &decider).await?;
    tx.commit().await?;
    log::settle(app).await;
    record::attach_all(app).await?;
    let mut all = records(app, package, version).await?;
    all.pop().ok_or_else(not_queued)
}

/// What was decided about a version, oldest first, each signed by this registry.
///
/// # Errors
/// [`ServiceError::RepositoryUnknown`] for who may not see the version.
pub async fn list(
    app: &App,
    caller: &Caller,
    package: &PackageName,
    version: &Version,
) -> Result<Vec<Shown>, ServiceError> {
    let repository = RepositoryName::from(package);
    let hidden = ServiceError::RepositoryUnknown(repository.clone());
    let standing = access::standing(app, caller, package.namespace().as_str()).await?;
    if !access::may_read(app, caller, repository.as_str()).await? {
        return Err(hidden);
    }
    let versions = store::packages::choices(&app.db, package).await?;
    let published = versions.iter().any(|one| one.version == *version);
    let inside = visible::view(app, caller, standing).await? != View::Outside
        && (standing.right >= Right::Write || visible::is_reviewer(app, caller).await?);
    if !published && !inside {
        // As the version itself answers.
        return Err(if versions.is_empty() {
            hidden
        } else {
            ServiceError::VersionUnknown {
                package: package.clone(),
                version: version.clone(),
            }
        });
    }
    records(app, package, version).await
}

async fn records(
    app: &App,
    package: &PackageName,
    version: &Version,
) -> Result<Vec<Shown>, ServiceError> {
    let rows = store::reviews::list(&app.db, package, version).await?;
    rows.into_iter().map(|row| shown(app, row)).collect()
}

fn shown(app: &App, row: Review) -> Result<Shown, ServiceError> {
    let corrupt = |column, value: &str, reason: String| StoreError::Corrupt {
        table: "reviews",
        column,
        value: value.chars().take(100).collect(),
        reason,
    };
    let decision = match row.decision.as_str() {
        "accepted" => Decision::Accepted,
        "approved" => Decision::Approved,
        _ => Decision::Refused,
    };
    let record = serde_json::from_str(&row.record)
        .map_err(|error| corrupt("record", &row.record, error.to_string()))?;
    Ok(Shown {
        decided: Decided {
            registry: app.host().to_owned(),
            package: row.package,
            version: row.version,
            digest: row.index_digest,
            decision,
            decided_by: row.decided_by,
            reason: row.reason,
            decided_at: row.decided_at,
        },
        record,
    })
}

/// Ends the wait of versions that were not signed in time. Their bytes are left to the
/// collection of garbage.
///
/// # Errors
/// [`ServiceError::Store`]; what ended so far stays so.
pub async fn expire(app: &App) -> Result<(), ServiceError> {
    let before = app.clock.now() - app.config.policy.pending();
    for waiting in store::pending::unsigned(&app.db, before).await? {
        let new = &waiting.new;
        let mut tx = app.db.begin().await?;
        store::repositories::lock(&mut tx, &RepositoryName::from(&new.package)).await?;
        let still = store::pending::find_in(&mut tx, &new.package, &new.version).await?;
        if still.is_none_or(|still| still.review_since.is_some() || still.pushed_at > before) {
            continue;
        }
        store::pending::delete(&mut tx, &new.package, &new.version).await?;
        let detail = json!({"digest": new.index_digest});
        let (nobody, subject) = (Caller::default(), pending::subject(new));
        audit::append(app, &mut tx, &nobody, "version.expire", &subject, detail).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Takes a waiting version back: for who may delete tags.
///
/// # Errors
/// [`ServiceError::Store`]; the errors of [`access::demand`].
pub(super) async fn withdraw(
    app: &App,
    caller: &Caller,
    package: &PackageName,
    version: &Version,
) -> Result<bool, ServiceError> {
    let repository = RepositoryName::from(package);
    access::demand(app, caller, &repository, Action::Delete).await?;
    let mut tx = app.db.begin().await?;
    store::repositories::lock(&mut tx, &repository).await?;
    if !store::pending::delete(&mut tx, package, version).await? {
        return Ok(false);
    }
    let subject = format!("{package}:{version}");
    audit::append(
        app,
        &mut tx,
        caller,
        "version.withdraw",
        &subject,
        json!({}),
    )
    .await?;
    tx.commit().await?;
    Ok(true)
}
