// SPDX-License-Identifier: Apache-2.0
//! What shows who stands behind a namespace: a domain that carries a token, an account at a
//! forge whose jobs publish here. Both are looked at again and lapse.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use registry_schema::{
    Identity, Namespace,
    identity::OidcIdentity,
    namespace_identity::{NewProof, Proof as Shown, ProofKind},
    trust::policy::SignerPattern,
};
use serde_json::json;
use url::{Host, Url};

use super::{
    ServiceError,
    access::{self, Caller, Right},
    audit,
    identity::{self, IdentityError},
};
use crate::{
    app::App,
    store::{self, Tx, proofs::Proof},
};

/// Where a domain carries its tokens.
pub const PATH: &str = "/.well-known/bpfpkg.txt";
/// Largest file that is read there, in bytes.
const MAX_FILE: usize = 64 * 1024;
/// How long a domain may take.
const WAIT: Duration = Duration::from_secs(10);
/// How often a domain is looked at.
const AGAIN: TimeDelta = TimeDelta::hours(23);
/// Most proofs of a namespace.
const MAX_PROOFS: usize = 16;

fn describe(app: &App, row: Proof, token: bool) -> Shown {
    let lapse = TimeDelta::days(app.config.policy.proof_days.into());
    let now = app.clock.now();
    Shown {
        kind: match row.kind.as_str() {
            "forge" => ProofKind::Forge,
            _ => ProofKind::Domain,
        },
        line: (token && row.kind == "domain").then(|| line(app, &row)),
        subject: row.subject,
        valid: row.proved_at.is_some_and(|at| at > now - lapse),
        proved_at: row.proved_at,
        lapses_at: row.proved_at.map(|at| at + lapse),
        checked_at: row.checked_at,
        failure: row.failure,
    }
}

/// The line that a domain is to carry.
fn line(app: &App, proof: &Proof) -> String {
    let (host, namespace) = (app.host(), &proof.namespace);
    format!("bpfpkg-namespace={host}/{namespace} {}", proof.token)
}

/// What a namespace has shown of itself; its maintainers also see what a domain is to carry.
///
/// # Errors
/// [`ServiceError::NamespaceUnknown`], also if the caller may not read it.
pub async fn list(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
) -> Result<Vec<Shown>, ServiceError> {
    identity::demand_read(app, caller, namespace).await?;
    let right = access::right(app, caller, namespace.as_str()).await?;
    let rows = store::proofs::list(&app.db, namespace.as_str()).await?;
    let token = right >= Right::Maintain;
    Ok(rows
        .into_iter()
        .map(|row| describe(app, row, token))
        .collect())
}

/// Adds a domain or forge account, or looks at it again. A domain is looked at at once; an
/// account when one of its jobs publishes here and names the namespace.
///
/// # Errors
/// [`IdentityError::Domain`], [`IdentityError::Pattern`], [`IdentityError::TooMany`]; the
/// errors of [`access::demand_maintainer`].
pub async fn add(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
    new: &NewProof,
) -> Result<Shown, ServiceError> {
    let name = namespace.as_str();
    access::demand_maintainer(app, caller, name, "say who stands behind it").await?;
    let (kind, subject) = match new {
        NewProof::Domain(domain) => {
            address(app, domain).await?;
            ("domain", domain.clone())
        }
        NewProof::Forge(SignerPattern::Oidc(oidc)) => {
            let believed = &app.config.access.oidc_issuers;
            if !believed.iter().any(|issuer| issuer == oidc.issuer()) {
                return Err(ServiceError::IssuerUnknown {
                    issuer: oidc.issuer().to_owned(),
                    believed: believed.join(", "),
                });
            }
            if !oidc.subject().chars().any(char::is_alphanumeric) {
                return Err(IdentityError::Pattern(oidc.subject().to_owned()).into());
            }
            ("forge", Identity::Oidc(oidc.clone()).to_string())
        }
        NewProof::Forge(other) => return Err(IdentityError::Pattern(other.to_string()).into()),
    };
    let now = app.clock.now();
    let row = Proof {
        namespace: name.to_owned(),
        kind: kind.to_owned(),
        subject: subject.clone(),
        token: hex::encode(app.random.bytes::<20>()),
        added_at: now,
        added_by: caller.name().to_owned(),
        checked_at: None,
        proved_at: None,
        failure: None,
    };
    let known = store::proofs::list(&app.db, name).await?;
    let is_there = |one: &Proof| one.kind == kind && one.subject == subject;
    if !known.iter().any(is_there) {
        if known.len() >= MAX_PROOFS {
            return Err(IdentityError::TooMany(known.len()).into());
        }
        let mut tx = app.db.begin().await?;
        store::proofs::insert(&mut tx, &row).await?;
        let detail = json!({"kind": kind, "subject": subject});
        audit::append(app, &mut tx, caller, "proof.add", name, detail).await?;
        tx.commit().await?;
    }
    let find = async || -> Result<Proof, ServiceError> {
        let rows = store::proofs::list(&app.db, name).await?;
        let found = rows.into_iter().find(is_there);
        found.ok_or_else(|| IdentityError::NoProof(subject.clone()).into())
    };
    let row = find().await?;
    if row.kind == "domain" {
        look(app, &row).await?;
    }
    Ok(describe(app, find().await?, true))
}

/// Takes a domain or account back.
///
/// # Errors
/// [`IdentityError::NoProof`]; the errors of [`access::demand_maintainer`].
pub async fn remove(
    app: &App,
    caller: &Caller,
    namespace: &Namespace,
    kind: &str,
    subject: &str,
) -> Result<(), ServiceError> {
    let name = namespace.as_str();
    access::demand_maintainer(app, caller, name, "say who stands behind it").await?;
    let mut tx = app.db.begin().await?;
    if !store::proofs::remove(&mut tx, name, kind, subject).await? {
        let subject = subject.chars().take(200).collect();
        return Err(IdentityError::NoProof(subject).into());
    }
    let detail = json!({"kind": kind, "subject": subject});
    audit::append(app, &mut tx, caller, "proof.remove", name, detail).await?;
    Ok(tx.commit().await?)
}

/// The address at a domain: by https, and by plain http only where the operator allowed the
/// network. A port is for such networks alone, for on a public host anybody may have one.
async fn address(app: &App, domain: &str) -> Result<Url, IdentityError> {
    let wrong = |reason: String| IdentityError::Domain {
        domain: domain.chars().take(200).collect(),
        reason,
    };
    let form = || wrong("write a host name such as `example.org`, in lower case".to_owned());
    let plain = Url::parse(&format!("http://{domain}{PATH}")).map_err(|_| form())?;
    let written = match (plain.host(), plain.port()) {
        (Some(Host::Domain(host)), None) => host.to_owned(),
        (Some(Host::Domain(host)), Some(port)) => format!("{host}:{port}"),
        _ => return Err(form()),
    };
    if written != domain || plain.path() != PATH {
        return Err(form());
    }
    let outbound = &app.remotes.outbound;
    if outbound.check(&plain).await.is_ok() {
        return Ok(plain);
    }
    if plain.port().is_some() || !domain.contains('.') {
        return Err(form());
    }
    let secure = Url::parse(&format!("https://{domain}{PATH}")).map_err(|_| form())?;
    outbound
        .check(&secure)
        .await
        .map_err(|error| wrong(error.to_string()))?;
    Ok(secure)
}

/// Looks whether a domain carries its line, and notes what was found.
async fn look(app: &App, proof: &Proof) -> Result<(), ServiceError> {
    let found = tokio::time::timeout(WAIT, fetch(app, proof)).await;
    let failure = match found {
        Ok(Ok(())) => None,
        // Which domain it is stands beside it.
        Ok(Err(IdentityError::Domain { reason, .. })) => Some(reason),
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("it took longer than {} s", WAIT.as_secs())),
    };
    let failure = failure.map(|text| text.chars().take(300).collect::<String>());
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    store::proofs::checked(&mut tx, proof, failure.as_deref(), now).await?;
    Ok(tx.commit().await?)
}

async fn fetch(app: &App, proof: &Proof) -> Result<(), IdentityError> {
    let failed = |reason: String| IdentityError::Domain {
        domain: proof.subject.clone(),
        reason,
    };
    let url = address(app, &proof.subject).await?;
    // No redirect: it would be another host's word.
    let client = app.remotes.outbound.straight_client(WAIT);
    let client = client.map_err(|error| failed(error.to_string()))?;
    let answer = client.get(url).send().await;
    let answer = answer.map_err(|error| failed(error.without_url().to_string()))?;
    if !answer.status().is_success() {
        return Err(failed(format!("{PATH} answers {}", answer.status())));
    }
    let mut text = Vec::new();
    let mut pieces = answer.bytes_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| failed(error.without_url().to_string()))?;
        if text.len() + piece.len() > MAX_FILE {
            return Err(failed(format!("{PATH} is larger than {MAX_FILE} bytes")));
        }
        text.extend_from_slice(&piece);
    }
    let wanted = line(app, proof);
    let text = String::from_utf8_lossy(&text);
    if text.lines().any(|line| line.trim() == wanted) {
        Ok(())
    } else {
        // The line itself is for maintainers; what failed is for everybody.
        let place = format!("{}/{}", app.host(), proof.namespace);
        Err(failed(format!("{PATH} has no line that fits {place}")))
    }
}

/// Looks at the domains that were not looked at for a day.
///
/// # Errors
/// [`ServiceError::Store`]. That a domain does not answer is no error.
pub async fn run(app: &App) -> Result<(), ServiceError> {
    let before = app.clock.now() - AGAIN;
    for proof in store::proofs::due(&app.db, before).await? {
        look(app, &proof).await?;
    }
    Ok(())
}

/// Notes that a job of an account at a forge has asked for a token for this namespace, by
/// its name: so the account says that the namespace is its own, and not only the reverse.
///
/// # Errors
/// [`ServiceError::Store`].
pub(super) async fn seen(
    app: &App,
    tx: &mut Tx,
    namespace: &str,
    issuer: &str,
    subject: &str,
) -> Result<(), ServiceError> {
    let Ok(oidc) = OidcIdentity::new(issuer, subject) else {
        return Ok(());
    };
    let (identity, now): (_, DateTime<Utc>) = (Identity::Oidc(oidc), app.clock.now());
    for proof in store::proofs::list(&app.db, namespace).await? {
        let pattern: Result<SignerPattern, _> = proof.subject.parse();
        if proof.kind == "forge" && pattern.is_ok_and(|one| one.matches(&identity)) {
            store::proofs::checked(tx, &proof, None, now).await?;
        }
    }
    Ok(())
}
