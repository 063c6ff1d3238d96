// SPDX-License-Identifier: Apache-2.0
//! Signatures as the registry sees them: by which registered key, or why by none.
//!
//! A signature is judged when it arrives and again when the keys of its namespace
//! change. It belongs to a digest, not to a tag: it may arrive before the tag or after.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use registry_client::{
    oci::Annotations,
    pull::{Blob, FetchedSignature, SimpleSigning},
    verify::signature::{self, Roots, SignatureFault},
};
use registry_schema::{
    Digest, Identity, Namespace,
    identity::OidcIdentity,
    media_type,
    name::{RepositoryName, Tag},
    signature::{MAX_BUNDLE, PublicKey, SignatureError},
    transparency::LoggedSignature,
    trust::policy::SignerPattern,
};

use super::{ServiceError, access::Caller, document::Document, epoch, log, pending};
use crate::{
    app::App,
    blob::BlobError,
    store::{self, Tx, signatures::Signature},
};

/// Most signatures of one manifest that are looked at.
const MAX_LAYERS: usize = 32;

/// A verdict over one signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// `verified`, `unknown_key`, `revoked` or `invalid`.
    pub state: &'static str,
    /// The key that verified it, or that it claims.
    pub fingerprint: Option<String>,
    /// The identity of the namespace that it is by.
    pub signer: Option<Identity>,
    /// Why it does not count.
    pub reason: Option<String>,
}

/// Since when nothing counts that an identity signs, and why.
type Revoked = Option<(DateTime<Utc>, String)>;

/// Whom a namespace lets sign, and whom it let sign once.
#[derive(Debug, Clone, Default)]
pub struct Bound {
    keys: Vec<PublicKey>,
    identities: Vec<(SignerPattern, Revoked)>,
}

impl Bound {
    /// Whether an identity is bound, and whether it was revoked.
    pub(super) fn find(&self, identity: &Identity) -> Option<&Revoked> {
        let fits = |(pattern, _): &&(SignerPattern, Revoked)| pattern.matches(identity);
        let mut all = self
            .identities
            .iter()
            .filter(fits)
            .map(|(_, revoked)| revoked);
        // Where several patterns fit, one that counts decides.
        let first = all.next()?;
        Some(all.fold(first, |best, one| match (best, one) {
            (Some((until, _)), Some((later, _))) if later > until => one,
            (Some(_), None) => one,
            _ => best,
        }))
    }

    /// The keys, revoked ones too.
    pub(super) fn keys(&self) -> &[PublicKey] {
        &self.keys
    }
}

/// Checks a signature that was read and arrived at `seen_at` against the identities of a
/// namespace, and the Sigstore roots of this registry. What was signed before an identity was
/// revoked goes on to count: the registry knows when it arrived.
pub fn judge(
    read: &Result<FetchedSignature, SignatureFault>,
    subject: &Digest,
    bound: &Bound,
    roots: &Roots,
    seen_at: DateTime<Utc>,
) -> Verdict {
    let claimed = read.as_ref().ok().and_then(signature::claimed_key);
    let verdict = |state, reason: String| Verdict {
        state,
        fingerprint: claimed.map(|key| key.to_string()),
        reason: Some(reason),
        signer: None,
    };
    let judged = match read {
        Ok(found) => signature::judge(found, subject, &bound.keys, roots),
        Err(fault) => return verdict("invalid", fault.to_string()),
    };
    match judged {
        Ok(signer) => {
            let identity = signer.identity;
            let fingerprint = match &identity {
                Identity::Key(key) => Some(key.to_string()),
                Identity::Oidc(_) => None,
            };
            let (state, reason) = match bound.find(&identity) {
                None => {
                    let reason = format!("{identity} is not registered for the namespace");
                    ("unknown_key", Some(reason))
                }
                Some(Some((since, reason))) if seen_at >= *since => {
                    ("revoked", Some(reason.clone()))
                }
                Some(_) => ("verified", None),
            };
            Verdict {
                state,
                fingerprint,
                signer: (state == "verified").then_some(identity),
                reason,
            }
        }
        Err(SignatureFault::UnknownKey { .. }) => verdict(
            "unknown_key",
            "the key is not registered for the namespace".to_owned(),
        ),
        // Another registry may be able to judge it.
        Err(fault @ (SignatureFault::NoRoot | SignatureFault::UnknownLog(_))) => {
            verdict("unknown_key", fault.to_string())
        }
        Err(fault) => verdict("invalid", fault.to_string()),
    }
}

/// The identities of a namespace as they are in this transaction.
///
/// # Errors
/// [`ServiceError::Store`]; [`ServiceError::Signature`] if a stored key is unusable.
pub async fn bound(tx: &mut Tx, namespace: &str) -> Result<Bound, ServiceError> {
    let mut bound = Bound::default();
    for row in store::namespaces::keys_in(tx, namespace).await? {
        let key = PublicKey::from_pem(&row.pem)?;
        let pattern = SignerPattern::Key(key.fingerprint());
        let revoked = sentence(
            &pattern,
            row.revocation.as_deref(),
            row.revocation_reason.as_deref(),
        );
        bound
            .identities
            .push((pattern, row.revoked_since.map(|at| (at, revoked))));
        bound.keys.push(key);
    }
    for row in store::identities::list_in(tx, namespace).await? {
        let pattern = SignerPattern::Oidc(OidcIdentity::new(&row.issuer, &row.subject)?);
        let revoked = sentence(
            &pattern,
            row.revocation.as_deref(),
            row.revocation_reason.as_deref(),
        );
        bound
            .identities
            .push((pattern, row.revoked_since.map(|at| (at, revoked))));
    }
    Ok(bound)
}

fn sentence(pattern: &SignerPattern, end: Option<&str>, note: Option<&str>) -> String {
    let end = end.unwrap_or_default();
    match note.filter(|note| !note.is_empty()) {
        Some(note) => format!("{pattern} was revoked as {end}: {note}"),
        None => format!("{pattern} was revoked as {end}"),
    }
}

/// Reads the layer of a signature. What is no signature is an invalid one; only a failure
/// of the store is an error.
async fn read(
    app: &App,
    layer: &Digest,
    annotations: Option<&Annotations>,
) -> Result<Result<FetchedSignature, SignatureFault>, ServiceError> {
    let bytes = match app.blobs.read(layer, MAX_BUNDLE as u64).await {
        Ok(bytes) => bytes.to_vec(),
        Err(BlobError::TooLarge { .. }) => {
            let actual = MAX_BUNDLE + 1;
            return Ok(Err(SignatureError::TooLarge { actual }.into()));
        }
        Err(error) => return Err(error.into()),
    };
    Ok(match annotations {
        None => Ok(FetchedSignature::Bundle(Blob(bytes))),
        Some(annotations) => SimpleSigning::of(bytes, annotations)
            .map(FetchedSignature::SimpleSigning)
            .ok_or_else(|| SignatureFault::Form("its layer has no signature".to_owned())),
    })
}

/// A signature in a manifest that is being pushed.
#[derive(Debug)]
pub(super) struct Arriving {
    subject: Digest,
    layer: Digest,
    simple_signature: Option<String>,
    read: Result<FetchedSignature, SignatureFault>,
}

/// The annotations of a simple-signing layer that matter, as they are kept: the signature
/// alone, or all of them as JSON where there is more.
fn keep(annotations: &Annotations) -> String {
    let kept: Annotations = [
        media_type::SIMPLE_SIGNING_SIGNATURE,
        media_type::SIMPLE_SIGNING_CERTIFICATE,
        media_type::SIMPLE_SIGNING_LOG_ENTRY,
        media_type::SIMPLE_SIGNING_TIMESTAMP,
    ]
    .into_iter()
    .filter_map(|name| Some((name.to_owned(), annotations.get(name)?.clone())))
    .collect();
    match kept.get(media_type::SIMPLE_SIGNING_SIGNATURE) {
        Some(signature) if kept.len() == 1 => signature.clone(),
        _ => serde_json::json!(kept).to_string(),
    }
}

/// The annotations that [`keep`] kept.
fn kept(text: &str) -> Annotations {
    serde_json::from_str(text).unwrap_or_else(|_| {
        let name = media_type::SIMPLE_SIGNING_SIGNATURE.to_owned();
        Annotations::from([(name, text.to_owned())])
    })
}

/// Reads the signatures out of a manifest: the layers of a Sigstore bundle that refers to
/// a subject, or of a manifest under the tag `sha256-<hex>.sig`. Most manifests have none.
/// Layers that are not there are left to the check of references; a bundle that states
/// something else than a signature is none.
///
/// # Errors
/// [`ServiceError::Blob`] if a layer cannot be read.
pub(super) async fn read_from(
    app: &App,
    repository: &RepositoryName,
    document: &Document,
    tags: &[Tag],
) -> Result<Vec<Arriving>, ServiceError> {
    let bundle = document.artifact_type.as_deref() == Some(media_type::SIGSTORE_BUNDLE);
    let (kind, subject) = match &document.subject {
        Some(subject) if bundle => (media_type::SIGSTORE_BUNDLE, subject.clone()),
        _ => match tags.iter().find_map(subject_of_tag) {
            Some(subject) => (media_type::SIMPLE_SIGNING, subject),
            None => return Ok(Vec::new()),
        },
    };
    let mut arriving = Vec::new();
    for layer in document
        .layers
        .iter()
        .filter(|layer| layer.media_type == kind)
        .take(MAX_LAYERS)
    {
        if store::blobs::find(&app.db, repository, &layer.digest)
            .await?
            .is_none()
        {
            continue;
        }
        let simple = kind == media_type::SIMPLE_SIGNING;
        let read = read(app, &layer.digest, simple.then_some(&layer.annotations)).await?;
        if read.as_ref().is_ok_and(signature::is_attestation) {
            continue;
        }
        arriving.push(Arriving {
            subject: subject.clone(),
            layer: layer.digest.clone(),
            simple_signature: simple.then(|| keep(&layer.annotations)),
            read,
        });
    }
    Ok(arriving)
}

/// The digest that a tag `sha256-<hex>.sig` is about.
fn subject_of_tag(tag: &Tag) -> Option<Digest> {
    let (algorithm, hex) = tag.as_str().strip_suffix(".sig")?.split_once('-')?;
    format!("{algorithm}:{hex}").parse().ok()
}

/// Judges the signatures of a manifest and notes them. Gives what they are about.
///
/// # Errors
/// [`ServiceError::Store`].
pub(super) async fn record(
    app: &App,
    tx: &mut Tx,
    repository: &RepositoryName,
    manifest: &Digest,
    arriving: Vec<Arriving>,
) -> Result<BTreeSet<Digest>, ServiceError> {
    let mut subjects = BTreeSet::new();
    if arriving.is_empty() {
        return Ok(subjects);
    }
    let (bound, now) = (bound(tx, repository.namespace()).await?, app.clock.now());
    for one in arriving {
        // Pushed again, it is as old as it was.
        let known = store::signatures::seen_at(tx, repository, manifest, &one.layer).await?;
        let seen_at = known.unwrap_or(now);
        let verdict = judge(
            &one.read,
            &one.subject,
            &bound,
            &app.sigstore_roots,
            seen_at,
        );
        let state = verdict.state;
        tracing::info!(%repository, subject = %one.subject, state, "signature arrived");
        subjects.insert(one.subject.clone());
        let signature = Signature {
            repository: repository.clone(),
            subject: one.subject,
            manifest: manifest.clone(),
            layer: one.layer,
            simple_signature: one.simple_signature,
            state: state.to_owned(),
            fingerprint: verdict.fingerprint,
            signer: verdict.signer.map(|signer| signer.to_string()),
            reason: verdict.reason,
            seen_at,
        };
        store::signatures::upsert(tx, &signature).await?;
        if known.is_none() {
            log_arrival(app, tx, &signature).await?;
        }
    }
    if let Some(package) = repository.package()
        && store::packages::exists(tx, &package).await?
    {
        store::changes::append(tx, &package, now).await?;
    }
    Ok(subjects)
}

/// Says to the publish log that a signature of a published version counts.
async fn log_arrival(app: &App, tx: &mut Tx, arrived: &Signature) -> Result<(), ServiceError> {
    let (Some(package), Some(signer)) = (arrived.repository.package(), &arrived.signer) else {
        return Ok(());
    };
    // A bundle says the same as its simple form, which older clients need.
    if arrived.state != "verified" || arrived.simple_signature.is_some() {
        return Ok(());
    }
    let signature = LoggedSignature {
        signer: signer.parse()?,
        bundle: arrived.layer.clone(),
    };
    log::signed(app, tx, &package, &arrived.subject, signature).await
}

/// Judges all signatures of a namespace anew, after its identities changed.
///
/// # Errors
/// [`ServiceError::Store`], [`ServiceError::Blob`].
pub async fn review(
    app: &App,
    tx: &mut Tx,
    caller: &Caller,
    namespace: &Namespace,
) -> Result<(), ServiceError> {
    let bound = bound(tx, namespace.as_str()).await?;
    for mut signature in store::signatures::list_namespace(tx, namespace.as_str()).await? {
        let annotations = signature.simple_signature.as_deref().map(kept);
        let read = read(app, &signature.layer, annotations.as_ref()).await?;
        let seen_at = signature.seen_at;
        let verdict = judge(
            &read,
            &signature.subject,
            &bound,
            &app.sigstore_roots,
            seen_at,
        );
        let signer = verdict.signer.map(|signer| signer.to_string());
        if verdict.state != signature.state
            || verdict.fingerprint != signature.fingerprint
            || signer != signature.signer
        {
            signature.state = verdict.state.to_owned();
            signature.fingerprint = verdict.fingerprint;
            signature.signer = signer;
            signature.reason = verdict.reason;
            store::signatures::upsert(tx, &signature).await?;
        }
    }
    let now = app.clock.now();
    let packages = store::signatures::packages(tx, namespace.as_str()).await?;
    for package in &packages {
        store::changes::append(tx, package, now).await?;
    }
    pending::settle_namespace(app, tx, caller, namespace).await?;
    for package in &packages {
        epoch::renew(app, tx, caller, package).await?;
    }
    Ok(())
}
