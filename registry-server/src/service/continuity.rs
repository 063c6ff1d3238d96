// SPDX-License-Identifier: Apache-2.0
//! Continuity statements: an identity of a namespace names who may go on.

use chrono::{DateTime, Utc};
use registry_client::verify::signature::{SignatureFault, judge_attestation};
use registry_schema::{
    Digest, Identity, Namespace,
    continuity::{Continuity, ContinuityError},
    identity::OidcIdentity,
    namespace_identity::{AcceptedContinuity, NewContinuity},
    signature::{Bundle, SignatureError},
    transparency::Change,
    trust::policy::SignerPattern,
};
use serde_json::json;

use super::{
    ServiceError,
    access::{self, Caller},
    audit,
    epoch::Link,
    identity::{self, IdentityError},
    log, signature,
};
use crate::{
    app::App,
    store::{self, StoreError, Tx, epochs::Statement, namespaces::Key},
};

/// Takes a statement up: the successor may sign for the namespace, and the old identity, if
/// it retires, no more.
///
/// # Errors
/// [`ServiceError::Publisher`] with [`IdentityError::Continuity`], if it is none, not for this
/// namespace or not by an identity of it; [`IdentityError::Revoked`]; the errors of
/// [`access::demand_maintainer`].
pub async fn accept(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
    new: &NewContinuity,
) -> Result<AcceptedContinuity, ServiceError> {
    access::demand_maintainer(app, caller, namespace.as_str(), "change who signs").await?;
    let text = new.bundle.to_string();
    let says = read(text.as_bytes())?;
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    store::members::lock(&mut tx, namespace.as_str()).await?;
    let bound = signature::bound(&mut tx, namespace.as_str()).await?;
    let subject = Continuity::subject(&says.successor);
    let judged = judge_attestation(text.as_bytes(), &subject, bound.keys(), &app.sigstore_roots);
    let signer = judged
        .map_err(|fault: SignatureFault| IdentityError::Fault(fault.to_string()))?
        .signer
        .identity;
    let key = says
        .check(app.host(), namespace, &signer, now)
        .map_err(IdentityError::from)?;
    match bound.find(&signer) {
        None => return Err(IdentityError::Stranger(signer).into()),
        Some(Some(_)) => return Err(IdentityError::Revoked(signer).into()),
        Some(None) => {}
    }
    if let Some(Some(_)) = bound.find(&says.successor) {
        return Err(IdentityError::Revoked(says.successor.clone()).into());
    }
    let (by, name) = (caller.name(), namespace.as_str());
    match (&says.successor, key) {
        (Identity::Key(fingerprint), Some(key)) => {
            let row = Key {
                fingerprint: fingerprint.to_string(),
                pem: key.to_pem(),
                added_at: now,
                added_by: by.to_owned(),
                revoked_since: None,
                revocation: None,
                revocation_reason: None,
            };
            store::namespaces::add_key(&mut tx, name, &row).await?;
        }
        (Identity::Oidc(oidc), _) if bound.find(&says.successor).is_none() => {
            let (issuer, subject) = (oidc.issuer(), oidc.subject());
            store::identities::insert(&mut tx, name, issuer, subject, by, now).await?;
        }
        _ => {}
    }
    let id = app.random.id(now).to_string();
    let row = Statement {
        id,
        signer: signer.to_string(),
        successor: says.successor.to_string(),
        retires: says.retires,
        statement: text,
        accepted_at: now,
        accepted_by: by.to_owned(),
    };
    store::epochs::insert_statement(&mut tx, name, &row).await?;
    if says.retires {
        retire(
            app,
            &mut tx,
            caller,
            namespace,
            &signer,
            now + identity::MOMENT,
        )
        .await?;
    }
    signature::review(app, &mut tx, caller, namespace).await?;
    say(app, &mut tx, caller, namespace, &says, &row).await?;
    tx.commit().await?;
    log::settle(app).await;
    shown(&row, false)
}

/// Says to the logs that a statement was accepted.
async fn say(
    app: &App,
    tx: &mut Tx,
    caller: &Caller,
    namespace: &Namespace,
    says: &Continuity,
    row: &Statement,
) -> Result<(), ServiceError> {
    let digest = Digest::sha256(row.statement.as_bytes());
    let added = Change::IdentityAdd {
        namespace: namespace.clone(),
        identity: says.successor.clone(),
        continuity: Some(digest.clone()),
    };
    log::say(app, tx, added).await?;
    if says.retires {
        let removed = Change::IdentityRemove {
            namespace: namespace.clone(),
            identity: says.signer.clone(),
        };
        log::say(app, tx, removed).await?;
    }
    let detail = json!({
        "signer": says.signer, "successor": says.successor, "retires": says.retires,
        "statement": digest,
    });
    audit::append(
        app,
        tx,
        caller,
        "identity.continue",
        namespace.as_str(),
        detail,
    )
    .await
}

/// Ends an identity that named its successor. A pattern is not ended by one that fits it:
/// others may too.
async fn retire(
    app: &App,
    tx: &mut Tx,
    caller: &Caller,
    namespace: &Namespace,
    signer: &Identity,
    now: DateTime<Utc>,
) -> Result<(), ServiceError> {
    let pattern = match signer {
        Identity::Key(key) => SignerPattern::Key(*key),
        Identity::Oidc(oidc) => {
            SignerPattern::Oidc(OidcIdentity::new(oidc.issuer(), oidc.subject())?)
        }
    };
    let note = "it named its successor";
    identity::supersede(app, tx, caller, namespace, pattern, now, note).await
}

/// Reads what a bundle says, before anybody looks at its signature.
fn read(bundle: &[u8]) -> Result<Continuity, IdentityError> {
    let malformed = |error: SignatureError| IdentityError::Fault(error.to_string());
    let parsed = Bundle::parse(bundle).map_err(malformed)?;
    let statement = parsed.statement().ok_or(SignatureError::NoStatement);
    Ok(Continuity::read(statement.map_err(malformed)?)?)
}

/// Which of a namespace's identities named whom, as far as that counts: what a key said
/// since it was compromised, somebody else may have said.
pub(super) async fn links(tx: &mut Tx, namespace: &Namespace) -> Result<Vec<Link>, ServiceError> {
    let compromised = identity::compromised(tx, namespace.as_str()).await?;
    let mut links = Vec::new();
    for row in store::epochs::statements_in(tx, namespace.as_str()).await? {
        let (signer, successor) = (row.signer.parse()?, row.successor.parse()?);
        if !is_void(&compromised, &signer, row.accepted_at) {
            links.push(Link { signer, successor });
        }
    }
    Ok(links)
}

fn is_void(
    compromised: &[(SignerPattern, DateTime<Utc>)],
    signer: &Identity,
    accepted_at: DateTime<Utc>,
) -> bool {
    compromised
        .iter()
        .any(|(pattern, since)| pattern.matches(signer) && accepted_at >= *since)
}

/// The statements of a namespace, oldest first, for whoever wants to check them.
///
/// # Errors
/// [`ServiceError::NamespaceUnknown`], also if the caller may not read it.
pub async fn list(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
) -> Result<Vec<AcceptedContinuity>, ServiceError> {
    identity::demand_read(app, caller, namespace).await?;
    let mut compromised = Vec::new();
    for row in store::namespaces::keys(&app.db, namespace.as_str()).await? {
        if let (Some(since), Some("compromised")) = (row.revoked_since, row.revocation.as_deref()) {
            compromised.push((SignerPattern::Key(row.fingerprint.parse()?), since));
        }
    }
    for row in store::identities::list(&app.db, namespace.as_str()).await? {
        if let (Some(since), Some("compromised")) = (row.revoked_since, row.revocation.as_deref()) {
            let pattern = SignerPattern::Oidc(OidcIdentity::new(&row.issuer, &row.subject)?);
            compromised.push((pattern, since));
        }
    }
    let rows = store::epochs::statements(&app.db, namespace.as_str()).await?;
    rows.iter()
        .map(|row| {
            let signer = row.signer.parse()?;
            shown(row, is_void(&compromised, &signer, row.accepted_at))
        })
        .collect()
}

fn shown(row: &Statement, void: bool) -> Result<AcceptedContinuity, ServiceError> {
    let corrupt = |reason: String| StoreError::Corrupt {
        table: "continuity",
        column: "statement",
        value: row.statement.chars().take(100).collect(),
        reason,
    };
    Ok(AcceptedContinuity {
        says: read(row.statement.as_bytes()).map_err(|error| corrupt(error.to_string()))?,
        accepted_at: row.accepted_at,
        bundle: serde_json::from_str(&row.statement).map_err(|error| corrupt(error.to_string()))?,
        digest: Digest::sha256(row.statement.as_bytes()),
        void,
    })
}

/// Whether an identity has named anybody between two moments: what a transfer asks.
pub(super) async fn vouched_between(
    tx: &mut Tx,
    namespace: &Namespace,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<bool, ServiceError> {
    let compromised = identity::compromised(tx, namespace.as_str()).await?;
    for row in store::epochs::statements_in(tx, namespace.as_str()).await? {
        let signer = row.signer.parse()?;
        if row.accepted_at >= from
            && row.accepted_at <= to
            && !is_void(&compromised, &signer, row.accepted_at)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

impl From<ContinuityError> for IdentityError {
    fn from(error: ContinuityError) -> Self {
        Self::Continuity(error)
    }
}
