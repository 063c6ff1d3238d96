// SPDX-License-Identifier: Apache-2.0
//! The revocation feed: what this registry, or a publisher of its own packages, says
//! counts no more. Signed anew with each entry, and every day, since it expires.

use bytes::Bytes;
use chrono::TimeDelta;
use registry_schema::{
    Identity,
    trust::revocation::{Feed, FeedError, MAX_NOTE, MAX_REVOKED, NewRevocation, Revoked, Subject},
};
use serde_json::json;

use super::{
    ServiceError,
    access::{self, Caller},
    audit, lifecycle, log,
};
use crate::{
    app::App,
    store::{self, Tx},
};

/// How long a feed counts. A mirror can hold back news for no longer than this.
const LIFETIME: TimeDelta = TimeDelta::days(7);
/// How old a feed is when it is signed anew.
const RENEW: TimeDelta = TimeDelta::days(1);
/// How far in the future a revocation may begin: clocks differ.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// The signed feed.
///
/// # Errors
/// [`ServiceError::Store`], [`ServiceError::Feed`].
pub async fn feed(app: &App) -> Result<Bytes, ServiceError> {
    let current = store::trust::feed(&app.db).await?;
    let fresh = current
        .issued_at
        .is_some_and(|at| app.clock.now() - at < RENEW);
    if let Some(body) = current.body.filter(|_| fresh) {
        return Ok(body.into());
    }
    renew(app).await
}

/// Signs the feed anew.
async fn renew(app: &App) -> Result<Bytes, ServiceError> {
    let mut tx = app.db.begin().await?;
    let version = store::trust::take_feed(&mut tx).await?;
    let body = sign(app, &mut tx, version).await?;
    tx.commit().await?;
    Ok(body)
}

async fn sign(app: &App, tx: &mut Tx, version: i64) -> Result<Bytes, ServiceError> {
    let now = app.clock.now();
    let feed = Feed {
        format: 1,
        registry: app.host().to_owned(),
        version: u64::try_from(version).unwrap_or(0),
        issued_at: now,
        expires_at: now + LIFETIME,
        revoked: store::trust::revoked_in(tx).await?,
    };
    let mut envelope = feed.to_envelope()?;
    app.feed_key.seal(&mut envelope);
    let body = envelope.to_json();
    store::trust::set_feed(tx, &body, now, feed.expires_at).await?;
    Ok(body.into())
}

/// Why `subject` is revoked, if it is.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn find(app: &App, subject: &Subject) -> Result<Option<Revoked>, ServiceError> {
    Ok(store::trust::find_revoked(&app.db, subject).await?)
}

/// Revokes something: administrators anything; owners the versions of their packages, the
/// indexes of those, and the keys of their namespaces.
///
/// # Errors
/// [`ServiceError::Anonymous`]; [`ServiceError::MayNotRevoke`];
/// [`ServiceError::RevokedAlready`]; [`ServiceError::Feed`] if the note is too long, the
/// time lies ahead, or the feed is full.
pub async fn revoke(
    app: &App,
    caller: &Caller,
    new: NewRevocation,
) -> Result<Revoked, ServiceError> {
    let namespaces = namespaces_of(app, &new.subject).await?;
    demand(app, caller, &new.subject, &namespaces).await?;
    if let Subject::Version(package, _) = &new.subject
        && !access::standing(app, caller, package.namespace().as_str())
            .await?
            .public
    {
        // The feed is public, and the name is not. A digest says nothing.
        let reason = format!("`{package}` is private; revoke the digest of its index instead");
        return Err(FeedError::Malformed(reason).into());
    }
    let mut tx = app.db.begin().await?;
    let revoked = add(app, &mut tx, caller, new).await?;
    tx.commit().await?;
    log::settle(app).await;
    Ok(revoked)
}

/// Adds an entry in a transaction that has the right to, and signs the feed. A version that is
/// revoked is withdrawn too.
///
/// # Errors
/// [`ServiceError::RevokedAlready`], [`ServiceError::Feed`], [`ServiceError::Store`].
pub async fn add(
    app: &App,
    tx: &mut Tx,
    caller: &Caller,
    new: NewRevocation,
) -> Result<Revoked, ServiceError> {
    let now = app.clock.now();
    let malformed = |reason: String| ServiceError::from(FeedError::Malformed(reason));
    if new.note.len() > MAX_NOTE {
        let length = new.note.len();
        return Err(malformed(format!(
            "the note is {length} bytes; the limit is {MAX_NOTE}"
        )));
    }
    let at = new.at.unwrap_or(now);
    if at - now > AHEAD {
        return Err(malformed(format!(
            "the revocation begins at {at}, which is yet to come"
        )));
    }
    let revoked = Revoked {
        subject: new.subject,
        at,
        reason: new.reason,
        note: new.note,
    };
    let version = store::trust::take_feed(tx).await?;
    if !store::trust::insert_revoked(tx, &revoked, version, now, caller.name()).await? {
        return Err(ServiceError::RevokedAlready(revoked.subject.to_string()));
    }
    let mut all = store::trust::revoked_in(tx).await?;
    if all.len() >= MAX_REVOKED {
        return Err(malformed(format!(
            "it has {MAX_REVOKED} entries and is full"
        )));
    }
    // One that was there already may say more than what was asked for.
    all.retain(|one| one.subject == revoked.subject);
    let revoked = all.pop().unwrap_or(revoked);
    sign(app, tx, version).await?;
    let subject = match &revoked.subject {
        Subject::Version(package, version) => {
            store::changes::append(tx, package, now).await?;
            format!("{package}:{version}")
        }
        other => format!("revoked:{other}"),
    };
    let detail = json!({"subject": revoked.subject, "reason": revoked.reason, "at": revoked.at});
    audit::append(app, tx, caller, "revocation.add", &subject, detail).await?;
    // What everybody would refuse must not be what is chosen.
    let reason = format!("it was revoked as {}", revoked.reason.as_str());
    for (package, version) in store::trust::offered(tx, &revoked.subject).await? {
        lifecycle::withdraw(app, tx, caller, package, version, &reason).await?;
    }
    Ok(revoked)
}

/// The namespaces whose own a subject is. To hold a copy of a digest, or to have registered
/// a key, is not enough: a published version names its namespace and was signed for it.
async fn namespaces_of(app: &App, subject: &Subject) -> Result<Vec<String>, ServiceError> {
    Ok(match subject {
        Subject::Version(package, version) => {
            let published = store::catalogue::versions(&app.db, package).await?;
            let known = published.iter().any(|listed| listed.version == *version);
            known
                .then(|| package.namespace().to_string())
                .into_iter()
                .collect()
        }
        Subject::Digest(digest) => store::trust::publishers_of(&app.db, digest).await?,
        Subject::Identity(Identity::Key(key)) => {
            store::trust::publishers_with(&app.db, &key.to_string()).await?
        }
        Subject::Identity(Identity::Oidc(_)) => Vec::new(),
    })
}

async fn demand(
    app: &App,
    caller: &Caller,
    subject: &Subject,
    namespaces: &[String],
) -> Result<(), ServiceError> {
    let account = caller.known(app)?;
    let refused = || ServiceError::MayNotRevoke {
        account: account.name.clone(),
        subject: subject.to_string(),
    };
    if account.administrator {
        return access::demand_administrator(app, caller, "revoke anything");
    }
    for namespace in namespaces {
        match access::demand_owner(app, caller, namespace, "revoke").await {
            Ok(()) => return Ok(()),
            Err(error @ (ServiceError::TokenScope { .. } | ServiceError::Store(_))) => {
                return Err(error);
            }
            // Whose it is, and whether it is there, is nobody else's business.
            Err(_) => {}
        }
    }
    Err(refused())
}

/// Signs the feed anew if it is time.
///
/// # Errors
/// [`ServiceError::Store`], [`ServiceError::Feed`].
pub async fn keep_fresh(app: &App) -> Result<(), ServiceError> {
    feed(app).await.map(drop)
}
