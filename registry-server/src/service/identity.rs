// SPDX-License-Identifier: Apache-2.0
//! Whom a namespace lets sign, besides its keys, and how any of them ends.

use chrono::{DateTime, TimeDelta, Utc};
use registry_schema::{
    Identity, Namespace, PackageName, Version,
    continuity::ContinuityError,
    identity::OidcIdentity,
    namespace_identity::{
        IdentityEnd, IdentityRevocation, NamespaceIdentity, NewIdentityRevocation,
        NewNamespaceIdentity,
    },
    notice::MAX_NOTICE,
    transparency::Change,
    trust::{
        policy::SignerPattern,
        revocation::{NewRevocation, Reason, Subject},
    },
};
use serde_json::json;

use super::{
    ServiceError,
    access::{self, Caller, Right},
    audit, lifecycle, log, revocation, signature,
};
use crate::{
    app::App,
    store::{self, StoreError, Tx},
};

/// Most identities of a namespace, keys not counted.
const MAX_IDENTITIES: usize = 64;
/// Largest threshold.
pub const MAX_THRESHOLD: u64 = 16;
/// What arrives in the very moment in which an identity is superseded arrived before.
pub(super) const MOMENT: TimeDelta = TimeDelta::microseconds(1);
/// How far clocks may differ.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// Why an identity of a namespace is not changed as asked.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum IdentityError {
    /// It would be everybody, or nobody.
    #[error(
        "`{0}` is too wide or too narrow; name an https issuer and a subject that is more than `*`"
    )]
    Pattern(String),
    /// Keys have a place of their own.
    #[error("`{0}` is a key; register it with `bpfpkg namespace key add`")]
    IsKey(SignerPattern),
    /// There are too many.
    #[error("the namespace has {0} identities; the limit is {MAX_IDENTITIES}")]
    TooMany(usize),
    /// The namespace has no such identity.
    #[error("namespace `{namespace}` has no identity {identity} that could be changed so")]
    Unknown {
        namespace: String,
        identity: SignerPattern,
    },
    /// It was revoked.
    #[error("{0} was revoked and signs no more")]
    Revoked(Identity),
    /// The namespace does not know it.
    #[error("{0} may not sign for this namespace")]
    Stranger(Identity),
    /// A version lost its signatures.
    #[error("{0} was signed by an identity that was revoked; publish a higher version")]
    Unbacked(String),
    /// A date lies ahead.
    #[error("{0} is yet to come; an identity is revoked from now or from a past date on")]
    Ahead(DateTime<Utc>),
    /// A note is too long.
    #[error("the note is {0} bytes; the limit is {MAX_NOTICE}, in one line")]
    Note(usize),
    /// A threshold is out of range.
    #[error("the threshold is {0}; it must be 1 to {MAX_THRESHOLD}")]
    Threshold(u64),
    /// A domain does not show what it should.
    #[error("domain `{domain}`: {reason}")]
    Domain { domain: String, reason: String },
    /// There is no such proof.
    #[error("the namespace does not say that `{0}` is its own")]
    NoProof(String),
    /// A transfer is under way.
    #[error("namespace `{0}` is being handed over already; call that off first")]
    TransferOpen(String),
    /// No transfer is under way.
    #[error("namespace `{0}` is not being handed over")]
    NoTransfer(String),
    /// A continuity statement is refused.
    #[error(transparent)]
    Continuity(ContinuityError),
    /// A statement's signature is refused.
    #[error("the statement is not accepted: {0}")]
    Fault(String),
}

impl From<IdentityError> for ServiceError {
    fn from(error: IdentityError) -> Self {
        Self::Publisher(Box::new(error))
    }
}

pub(super) async fn demand_read(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
) -> Result<(), ServiceError> {
    if access::right(app, caller, namespace.as_str()).await? >= Right::Read {
        Ok(())
    } else {
        Err(ServiceError::NamespaceUnknown(namespace.to_string()))
    }
}

/// Who may sign for a namespace on an issuer's word, oldest first, also who was revoked.
///
/// # Errors
/// [`ServiceError::NamespaceUnknown`], also if the caller may not read it.
pub async fn list(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
) -> Result<Vec<NamespaceIdentity>, ServiceError> {
    demand_read(app, caller, namespace).await?;
    let rows = store::identities::list(&app.db, namespace.as_str()).await?;
    rows.into_iter()
        .map(|row| {
            Ok(NamespaceIdentity {
                identity: SignerPattern::Oidc(OidcIdentity::new(&row.issuer, &row.subject)?),
                added_at: row.added_at,
                added_by: row.added_by,
                revoked: revoked(row.revoked_since, row.revocation, row.revocation_reason),
            })
        })
        .collect()
}

/// That an identity was revoked, as its cells say it.
pub(super) fn revoked(
    since: Option<DateTime<Utc>>,
    end: Option<String>,
    note: Option<String>,
) -> Option<IdentityRevocation> {
    Some(IdentityRevocation {
        since: since?,
        end: match end?.as_str() {
            "compromised" => IdentityEnd::Compromised,
            _ => IdentityEnd::Superseded,
        },
        note: note.unwrap_or_default(),
    })
}

/// Lets people or jobs sign for a namespace, and looks again at the signatures that arrived
/// before.
///
/// # Errors
/// [`ServiceError::Publisher`]; the errors of [`access::demand_maintainer`].
pub async fn add(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
    new: &NewNamespaceIdentity,
) -> Result<NamespaceIdentity, ServiceError> {
    let name = namespace.as_str();
    access::demand_maintainer(app, caller, name, "change who signs").await?;
    let SignerPattern::Oidc(oidc) = &new.identity else {
        return Err(IdentityError::IsKey(new.identity.clone()).into());
    };
    let says_something = oidc.subject().chars().any(|c| c != '*' && c != '/');
    let https = url::Url::parse(oidc.issuer()).is_ok_and(|url| url.scheme() == "https");
    if !says_something || !https {
        return Err(IdentityError::Pattern(new.identity.to_string()).into());
    }
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let known = store::identities::list_in(&mut tx, name).await?;
    if known.len() >= MAX_IDENTITIES {
        return Err(IdentityError::TooMany(known.len()).into());
    }
    let (issuer, subject) = (oidc.issuer(), oidc.subject());
    if store::identities::insert(&mut tx, name, issuer, subject, caller.name(), now).await? {
        signature::review(app, &mut tx, caller, namespace).await?;
        let said = Change::IdentityAdd {
            namespace: namespace.clone(),
            identity: Identity::Oidc(oidc.clone()),
            continuity: None,
        };
        log::say(app, &mut tx, said).await?;
        let detail = json!({ "identity": new.identity });
        audit::append(app, &mut tx, caller, "identity.add", name, detail).await?;
        tx.commit().await?;
        log::settle(app).await;
    }
    find(app, caller, namespace, &new.identity).await
}

async fn find(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
    identity: &SignerPattern,
) -> Result<NamespaceIdentity, ServiceError> {
    let all = list(app, caller, namespace).await?;
    let found = all.into_iter().find(|one| one.identity == *identity);
    found.ok_or_else(|| unknown(namespace, identity))
}

fn unknown(namespace: &Namespace, identity: &SignerPattern) -> ServiceError {
    IdentityError::Unknown {
        namespace: namespace.to_string(),
        identity: identity.clone(),
    }
    .into()
}

/// Takes an identity away: its signatures no longer count. One that was revoked stays known.
///
/// # Errors
/// [`IdentityError::Unknown`]; the errors of [`access::demand_maintainer`].
pub async fn remove(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
    identity: &SignerPattern,
) -> Result<(), ServiceError> {
    let name = namespace.as_str();
    access::demand_maintainer(app, caller, name, "change who signs").await?;
    let SignerPattern::Oidc(oidc) = identity else {
        return Err(IdentityError::IsKey(identity.clone()).into());
    };
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    if !store::identities::remove(&mut tx, name, oidc.issuer(), oidc.subject(), now).await? {
        return Err(unknown(namespace, identity));
    }
    signature::review(app, &mut tx, caller, namespace).await?;
    let said = Change::IdentityRemove {
        namespace: namespace.clone(),
        identity: Identity::Oidc(oidc.clone()),
    };
    log::say(app, &mut tx, said).await?;
    let detail = json!({ "identity": identity });
    audit::append(app, &mut tx, caller, "identity.remove", name, detail).await?;
    tx.commit().await?;
    log::settle(app).await;
    Ok(())
}

/// Ends a key or an identity in the transaction; `false` if there is none that can be ended
/// so: what is superseded may turn out to be compromised, and that from an earlier date on.
pub(super) async fn end(
    tx: &mut Tx,
    namespace: &Namespace,
    identity: &SignerPattern,
    end: IdentityEnd,
    since: DateTime<Utc>,
    note: &str,
) -> Result<bool, StoreError> {
    let (name, end) = (namespace.as_str(), end.as_str());
    match identity {
        SignerPattern::Key(key) => {
            store::namespaces::revoke_key(tx, name, &key.to_string(), end, since, note).await
        }
        SignerPattern::Oidc(oidc) => {
            let (issuer, subject) = (oidc.issuer(), oidc.subject());
            store::identities::revoke(tx, name, (issuer, subject), end, since, note).await
        }
    }
}

/// Ends a key or an identity because another took its place, and tells nodes.
pub(super) async fn supersede(
    app: &App,
    tx: &mut Tx,
    caller: &Caller,
    namespace: &Namespace,
    identity: SignerPattern,
    since: DateTime<Utc>,
    note: &str,
) -> Result<(), ServiceError> {
    let new = NewIdentityRevocation {
        identity,
        end: IdentityEnd::Superseded,
        since: None,
        note: note.to_owned(),
    };
    if end(tx, namespace, &new.identity, new.end, since, note).await? {
        let identity = as_identity(&new.identity);
        feed(app, tx, caller, namespace, &identity, &new, since).await?;
    }
    Ok(())
}

fn as_identity(pattern: &SignerPattern) -> Identity {
    match pattern {
        SignerPattern::Key(key) => Identity::Key(*key),
        SignerPattern::Oidc(oidc) => Identity::Oidc(oidc.clone()),
    }
}

/// The identities of a namespace that are compromised, and since when.
pub(super) async fn compromised(
    tx: &mut Tx,
    namespace: &str,
) -> Result<Vec<(SignerPattern, DateTime<Utc>)>, ServiceError> {
    let mut found = Vec::new();
    for row in store::namespaces::keys_in(tx, namespace).await? {
        if let (Some(since), Some("compromised")) = (row.revoked_since, row.revocation.as_deref()) {
            found.push((SignerPattern::Key(row.fingerprint.parse()?), since));
        }
    }
    for row in store::identities::list_in(tx, namespace).await? {
        if let (Some(since), Some("compromised")) = (row.revoked_since, row.revocation.as_deref()) {
            let pattern = SignerPattern::Oidc(OidcIdentity::new(&row.issuer, &row.subject)?);
            found.push((pattern, since));
        }
    }
    Ok(found)
}

/// Revokes a key or an identity. What arrived before the date goes on to count. In a public
/// registry, versions that too few others have signed are withdrawn.
///
/// # Errors
/// [`IdentityError::Unknown`], [`IdentityError::Ahead`], [`IdentityError::Note`]; the errors
/// of [`access::demand_maintainer`].
pub async fn revoke(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
    new: &NewIdentityRevocation,
) -> Result<IdentityRevocation, ServiceError> {
    let name = namespace.as_str();
    access::demand_maintainer(app, caller, name, "change who signs").await?;
    let now = app.clock.now();
    let since = match new.end {
        // What was superseded later than it was said could be backdated at will.
        IdentityEnd::Superseded => now + MOMENT,
        IdentityEnd::Compromised => new.since.unwrap_or(now),
    };
    if since - now > AHEAD {
        return Err(IdentityError::Ahead(since).into());
    }
    if new.note.len() > MAX_NOTICE || new.note.chars().any(char::is_control) {
        return Err(IdentityError::Note(new.note.len()).into());
    }
    let mut tx = app.db.begin().await?;
    if !end(&mut tx, namespace, &new.identity, new.end, since, &new.note).await? {
        return Err(unknown(namespace, &new.identity));
    }
    signature::review(app, &mut tx, caller, namespace).await?;
    if app.config.policy.is_public() {
        withdraw(app, &mut tx, caller, namespace, &new.identity).await?;
    }
    let identity = as_identity(&new.identity);
    let said = Change::IdentityRevoke {
        namespace: namespace.clone(),
        identity: identity.clone(),
        since,
    };
    log::say(app, &mut tx, said).await?;
    feed(app, &mut tx, caller, namespace, &identity, new, since).await?;
    let detail = json!({"identity": new.identity, "end": new.end, "since": since});
    audit::append(app, &mut tx, caller, "identity.revoke", name, detail).await?;
    tx.commit().await?;
    log::settle(app).await;
    Ok(IdentityRevocation {
        end: new.end,
        since,
        note: new.note.clone(),
    })
}

/// Tells nodes too, by the revocation feed: of a key whose versions are all of this public
/// namespace. To register somebody else's key and revoke it is no way to stop them.
async fn feed(
    app: &App,
    tx: &mut Tx,
    caller: &Caller,
    namespace: &Namespace,
    identity: &Identity,
    new: &NewIdentityRevocation,
    since: DateTime<Utc>,
) -> Result<(), ServiceError> {
    let Identity::Key(key) = identity else {
        return Ok(());
    };
    let public = access::standing(app, &Caller::default(), namespace.as_str())
        .await?
        .public;
    let publishers = store::trust::publishers_with(&app.db, &key.to_string()).await?;
    if !public || publishers != [namespace.to_string()] {
        return Ok(());
    }
    let entry = NewRevocation {
        subject: Subject::Identity(identity.clone()),
        reason: match new.end {
            IdentityEnd::Superseded => Reason::Superseded,
            IdentityEnd::Compromised => Reason::Compromised,
        },
        at: Some(since),
        note: new.note.clone(),
    };
    match revocation::add(app, tx, caller, entry).await {
        Err(ServiceError::RevokedAlready(_)) => Ok(()),
        done => done.map(drop),
    }
}

/// Withdraws the versions that a revoked identity had signed and that too few others have.
async fn withdraw(
    app: &App,
    tx: &mut Tx,
    caller: &Caller,
    namespace: &Namespace,
    identity: &SignerPattern,
) -> Result<(), ServiceError> {
    let threshold = store::pending::threshold_in(tx, namespace.as_str()).await?;
    let unbacked = store::identities::unbacked(tx, namespace.as_str(), threshold).await?;
    let reason = format!("its signer {identity} was revoked");
    for (package, version) in unbacked {
        lifecycle::withdraw(app, tx, caller, package, version, &reason).await?;
    }
    Ok(())
}

/// Demands that enough identities vouch for a version that a revoked one had signed.
pub(super) async fn demand_backed(
    tx: &mut Tx,
    package: &PackageName,
    version: &Version,
) -> Result<(), ServiceError> {
    let namespace = package.namespace().as_str();
    let threshold = store::pending::threshold_in(tx, namespace).await?;
    let unbacked = store::identities::unbacked(tx, namespace, threshold).await?;
    if unbacked
        .iter()
        .any(|one| one.0 == *package && one.1 == *version)
    {
        return Err(IdentityError::Unbacked(format!("{package}:{version}")).into());
    }
    Ok(())
}

/// Sets how many identities of a namespace must sign a version.
///
/// # Errors
/// [`IdentityError::Threshold`]; the errors of [`access::demand_owner`].
pub async fn set_threshold(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
    threshold: u64,
) -> Result<(), ServiceError> {
    let name = namespace.as_str();
    access::demand_owner(app, caller, name, "change how many must sign").await?;
    if !(1..=MAX_THRESHOLD).contains(&threshold) {
        return Err(IdentityError::Threshold(threshold).into());
    }
    let mut tx = app.db.begin().await?;
    store::identities::set_threshold(&mut tx, name, threshold).await?;
    signature::review(app, &mut tx, caller, namespace).await?;
    let detail = json!({ "threshold": threshold });
    audit::append(app, &mut tx, caller, "namespace.threshold", name, detail).await?;
    tx.commit().await?;
    log::settle(app).await;
    Ok(())
}
