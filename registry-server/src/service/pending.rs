// SPDX-License-Identifier: Apache-2.0
//! Versions that wait, under the policy `public`: for signatures by identities of their
//! namespace, and where people vet, for a reviewer.
//!
//! A waiting version is no row of the catalogue and no tag, so that nothing that lists,
//! searches, counts or resolves can show it. Its release writes all of that at once.

use chrono::{DateTime, Utc};
use registry_schema::{
    Digest, Namespace, PackageName,
    name::RepositoryName,
    review::{Decided, Decision, Pending, Vetting, Wait},
};
use serde_json::json;

use super::{ServiceError, access::Caller, audit, epoch, log, record};
use crate::{
    app::App,
    store::{self, Tx, packages::NewVersion, pending::Waiting, reviews::Review},
};

/// Who decided, and why.
pub(super) struct Decider<'a> {
    pub(super) decision: Decision,
    pub(super) account: &'a str,
    pub(super) reason: &'a str,
}

/// Lets a version wait; `notes` are for its reviewer. The repository is locked, and its tag
/// was checked.
pub(super) async fn hold(
    app: &App,
    tx: &mut Tx,
    new: &NewVersion,
    source: Option<&str>,
    notes: Vec<String>,
) -> Result<bool, ServiceError> {
    if store::pending::find_in(tx, &new.package, &new.version)
        .await?
        .is_some()
    {
        return Ok(false);
    }
    let waiting = Waiting {
        new: new.clone(),
        source: source.map(str::to_owned),
        notes,
        pushed_at: app.clock.now(),
        review_since: None,
    };
    store::pending::insert(tx, &waiting).await?;
    Ok(true)
}

/// Looks whether the waiting versions with this index have what they wait for. Says whether
/// anything was decided.
pub(super) async fn settle(
    app: &App,
    tx: &mut Tx,
    caller: &Caller,
    package: &PackageName,
    digest: &Digest,
) -> Result<bool, ServiceError> {
    let mut decided = false;
    for waiting in store::pending::by_digest(tx, package, digest).await? {
        decided |= settle_one(app, tx, caller, &waiting).await?;
    }
    Ok(decided)
}

/// The same for a whole namespace, after its keys changed.
pub(super) async fn settle_namespace(
    app: &App,
    tx: &mut Tx,
    caller: &Caller,
    namespace: &Namespace,
) -> Result<(), ServiceError> {
    for waiting in store::pending::of_namespace(tx, namespace.as_str()).await? {
        settle_one(app, tx, caller, &waiting).await?;
    }
    Ok(())
}

async fn settle_one(
    app: &App,
    tx: &mut Tx,
    caller: &Caller,
    waiting: &Waiting,
) -> Result<bool, ServiceError> {
    let new = &waiting.new;
    let namespace = new.package.namespace().as_str();
    let threshold = store::pending::threshold_in(tx, namespace).await?;
    let signers = store::pending::signers_in(tx, &new.package, &new.index_digest).await?;
    if (signers.len() as u64) < threshold {
        store::pending::await_signatures(tx, new).await?;
        return Ok(false);
    }
    if app.config.policy.vetting == Vetting::Human {
        let now = app.clock.now();
        if store::pending::await_review(tx, new, now).await? {
            let detail = json!({"digest": new.index_digest, "signers": signers});
            audit::append(app, tx, caller, "version.await", &subject(new), detail).await?;
        }
        return Ok(false);
    }
    let reason = format!(
        "the objects fit the manifest, and {} of the namespace signed",
        signers.join(", ")
    );
    let decider = Decider {
        decision: Decision::Accepted,
        account: "",
        reason: &reason,
    };
    decide(app, tx, caller, waiting, &decider).await?;
    Ok(true)
}

/// `package:version`.
pub(super) fn subject(new: &NewVersion) -> String {
    format!("{}:{}", new.package, new.version)
}

/// Ends the wait: the version is published, or its tag is gone. Either leaves a record.
pub(super) async fn decide(
    app: &App,
    tx: &mut Tx,
    caller: &Caller,
    waiting: &Waiting,
    decider: &Decider<'_>,
) -> Result<Decided, ServiceError> {
    let (new, now) = (&waiting.new, app.clock.now());
    let outcome = Decided {
        registry: app.host().to_owned(),
        package: new.package.clone(),
        version: new.version.clone(),
        digest: new.index_digest.clone(),
        decision: decider.decision,
        decided_by: decider.account.to_owned(),
        reason: decider.reason.to_owned(),
        decided_at: now,
    };
    store::pending::delete(tx, &new.package, &new.version).await?;
    let review = Review {
        id: app.random.id(now).to_string(),
        package: new.package.clone(),
        version: new.version.clone(),
        index_digest: new.index_digest.clone(),
        decision: decider.decision.as_str().to_owned(),
        decided_by: outcome.decided_by.clone(),
        reason: outcome.reason.clone(),
        decided_at: now,
        record: record::sign(app, &outcome),
    };
    store::reviews::insert(tx, &review).await?;
    let mut detail = json!({"digest": new.index_digest, "pushed_by": new.published_by});
    let action = if decider.decision == Decision::Refused {
        detail["reason"] = decider.reason.into();
        "version.refuse"
    } else {
        if let Some(source) = &waiting.source {
            detail["source"] = source.as_str().into();
        }
        release(tx, new, now).await?;
        log::published(app, tx, &new.package, &new.version, &new.index_digest).await?;
        epoch::renew(app, tx, caller, &new.package).await?;
        "version.publish"
    };
    audit::append(app, tx, caller, action, &subject(new), detail).await?;
    Ok(outcome)
}

/// Writes the rows of the catalogue and the tag.
async fn release(tx: &mut Tx, new: &NewVersion, now: DateTime<Utc>) -> Result<(), ServiceError> {
    let repository = RepositoryName::from(&new.package);
    store::packages::insert_version(tx, new, now).await?;
    store::tags::set(tx, &repository, &new.version.tag(), &new.index_digest, now).await?;
    Ok(store::changes::append(tx, &new.package, now).await?)
}

/// What a waiting version waits for.
pub(super) async fn describe(app: &App, waiting: &Waiting) -> Result<Pending, ServiceError> {
    let new = &waiting.new;
    let waits_for = match waiting.review_since {
        Some(_) => Wait::Review,
        None => Wait::Signature,
    };
    let ends_at = waiting.pushed_at + app.config.policy.pending();
    Ok(Pending {
        waits_for,
        pushed_at: waiting.pushed_at,
        pushed_by: new.published_by.clone(),
        ends_at: (waits_for == Wait::Signature).then_some(ends_at),
        signers: store::pending::signers(&app.db, &new.package, &new.index_digest).await?,
        threshold: store::pending::threshold(&app.db, new.package.namespace().as_str()).await?,
        notes: waiting.notes.clone(),
    })
}
