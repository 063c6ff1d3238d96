// SPDX-License-Identifier: Apache-2.0
//! Signatures that a certificate, a log or a timestamp authority vouches for.
//!
//! Every signature is brought into the form of a Sigstore bundle, and that is checked
//! offline with the roots that are trusted.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use registry_schema::{
    Digest, Identity,
    digest::Algorithm,
    identity::OidcIdentity,
    signature::{MAX_BUNDLE, PublicKey, SignatureError},
};
use serde::Deserialize;
use serde_json::{Value, json};
use sigstore_verify::{
    PublicKeyVerificationPolicy, VerificationResult,
    types::{Artifact, ArtifactDigest, Bundle, DerPublicKey, HashAlgorithm},
};

use super::{Evidence, Roots, SignatureFault, Signer};
use crate::pull::SimpleSigning;

/// What a signature is over.
#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    Digest(&'a Digest),
    Bytes(&'a [u8]),
}

impl<'a> Content<'a> {
    fn artifact(self) -> Result<Artifact<'a>, SignatureFault> {
        let digest = match self {
            Self::Bytes(bytes) => return Ok(Artifact::from(bytes)),
            Self::Digest(digest) => digest,
        };
        let algorithm = match digest.algorithm() {
            Algorithm::Sha256 => HashAlgorithm::Sha2256,
            Algorithm::Sha512 => HashAlgorithm::Sha2512,
        };
        let bytes = hex(digest.hex())?;
        ArtifactDigest::new(algorithm, bytes)
            .map(Artifact::from)
            .map_err(|error| SignatureFault::Form(error.to_string()))
    }
}

/// Checks a bundle with a certificate: chain, log entry, times and signature. Says who
/// the certificate is for. What the signed bytes claim is the caller's to compare.
///
/// # Errors
/// [`SignatureFault::NoRoot`] or [`SignatureFault::UnknownLog`] if no root knows the
/// signature's authorities, else the fault under one that does.
pub(super) fn verify(
    bundle: &[u8],
    content: Content<'_>,
    roots: &Roots,
) -> Result<Signer, SignatureFault> {
    let bundle = parse(bundle)?;
    let entries = &bundle.verification_material.tlog_entries;
    let mut fault = None;
    for root in roots.iter() {
        if !entries.is_empty() && !entries.iter().any(|entry| root.names_log_of(entry)) {
            continue;
        }
        match root
            .verifier
            .verify(content.artifact()?, &bundle, &root.policy)
        {
            Ok(result) => return signer(&bundle, &result),
            Err(error) => {
                let error = SignatureFault::from(error);
                let foreign = matches!(error, SignatureFault::UntrustedCertificate(_));
                if !foreign || fault.is_none() {
                    fault = Some(error);
                }
            }
        }
    }
    Err(fault.unwrap_or_else(|| match entries.first() {
        Some(entry) if !roots.is_empty() => {
            SignatureFault::UnknownLog(entry.log_id.key_id.to_string())
        }
        _ => SignatureFault::NoRoot,
    }))
}

fn signer(bundle: &Bundle, result: &VerificationResult) -> Result<Signer, SignatureFault> {
    let (Some(subject), Some(issuer)) = (result.identity(), result.issuer()) else {
        return Err(SignatureFault::NoIdentity);
    };
    let mut signer = Signer {
        identity: Identity::Oidc(OidcIdentity::new(issuer, subject.as_str())?),
        signed_at: None,
        evidence: BTreeSet::from([Evidence::Certificate]),
    };
    note(&mut signer, bundle, result);
    Ok(signer)
}

/// Adds what a log and a timestamp authority say of a signature that fits `key`. Evidence
/// of a log that a root names must hold; what no root can judge does not count.
///
/// # Errors
/// What does not hold.
pub(super) fn add_evidence(
    signer: &mut Signer,
    bundle: &[u8],
    content: Content<'_>,
    key: &PublicKey,
    roots: &Roots,
) -> Result<(), SignatureFault> {
    if roots.is_empty() || !has_evidence(bundle) {
        return Ok(());
    }
    let bundle = parse(bundle)?;
    let policy = PublicKeyVerificationPolicy::new(DerPublicKey::new(key.as_der().to_vec()));
    let entries = &bundle.verification_material.tlog_entries;
    for root in roots.iter() {
        let logged = entries.iter().any(|entry| root.names_log_of(entry));
        if !logged && (!entries.is_empty() || !root.has_timestamps) {
            continue;
        }
        match root.verifier.verify(content.artifact()?, &bundle, &policy) {
            Ok(result) => {
                note(signer, &bundle, &result);
                return Ok(());
            }
            Err(error) if logged => return Err(error.into()),
            Err(_) => {}
        }
    }
    Ok(())
}

fn note(signer: &mut Signer, bundle: &Bundle, result: &VerificationResult) {
    let material = &bundle.verification_material;
    if result.tlog_verified() && !material.tlog_entries.is_empty() {
        signer.evidence.insert(Evidence::LogEntry);
    }
    let stamps = &material.timestamp_verification_data.rfc3161_timestamps;
    if !stamps.is_empty() {
        signer.evidence.insert(Evidence::Timestamp);
    }
    signer.signed_at = result
        .verified_timestamps()
        .iter()
        .filter_map(|time| DateTime::<Utc>::from_timestamp(time.as_second(), 0))
        .min();
}

fn parse(bytes: &[u8]) -> Result<Bundle, SignatureFault> {
    let text =
        std::str::from_utf8(bytes).map_err(|error| SignatureFault::Form(error.to_string()))?;
    Bundle::from_json(text).map_err(|error| SignatureFault::Form(error.to_string()))
}

/// Whether there is a log entry or a timestamp in a bundle.
fn has_evidence(bundle: &[u8]) -> bool {
    let document: Value = serde_json::from_slice(bundle).unwrap_or_default();
    [
        "/verificationMaterial/tlogEntries",
        "/verificationMaterial/timestampVerificationData/rfc3161Timestamps",
    ]
    .iter()
    .filter_map(|pointer| document.pointer(pointer)?.as_array())
    .any(|items| !items.is_empty())
}

/// Rekor's promise in the annotation of a `.sig` layer, as cosign writes it.
#[derive(Deserialize)]
struct Promise {
    #[serde(rename = "SignedEntryTimestamp")]
    signed_entry_timestamp: String,
    #[serde(rename = "Payload")]
    payload: PromisePayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromisePayload {
    body: String,
    integrated_time: i64,
    log_index: i64,
    #[serde(rename = "logID")]
    log_id: String,
}

/// The kind of a log entry.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    kind: String,
    api_version: String,
}

/// A timestamp in the annotation of a `.sig` layer, as cosign writes it.
#[derive(Deserialize)]
struct Timestamp {
    #[serde(rename = "SignedRFC3161Timestamp")]
    signed: String,
}

/// Brings a simple signature with a certificate, a log entry or a timestamp into the form
/// of a v0.1 bundle that signs the payload; none if it has nothing of that.
///
/// # Errors
/// [`SignatureFault::Form`] if a part cannot be read.
pub(super) fn seal(simple: &SimpleSigning) -> Result<Option<Vec<u8>>, SignatureFault> {
    if simple.certificate.is_none() && simple.log_entry.is_none() && simple.timestamp.is_none() {
        return Ok(None);
    }
    let mut material = match &simple.certificate {
        Some(pem) => json!({"x509CertificateChain": {"certificates": [{"rawBytes": body(pem)?}]}}),
        None => json!({"publicKey": {"hint": ""}}),
    };
    if let Some(text) = &simple.log_entry {
        material["tlogEntries"] = json!([log_entry(text)?]);
    }
    if let Some(text) = &simple.timestamp {
        let timestamp: Timestamp = annotation("timestamp", text)?;
        material["timestampVerificationData"] =
            json!({"rfc3161Timestamps": [{"signedTimestamp": timestamp.signed}]});
    }
    let digest = BASE64_STANDARD.encode(hex(Digest::sha256(&simple.payload.0).hex())?);
    // Only v0.1 may have a log's promise without its proof.
    let version = if simple.log_entry.is_some() { "1" } else { "2" };
    let bundle = json!({
        "mediaType": format!("application/vnd.dev.sigstore.bundle+json;version=0.{version}"),
        "verificationMaterial": material,
        "messageSignature": {
            "messageDigest": {"algorithm": "SHA2_256", "digest": digest},
            "signature": simple.signature,
        },
    });
    Ok(Some(bundle.to_string().into_bytes()))
}

fn log_entry(text: &str) -> Result<Value, SignatureFault> {
    let Promise {
        signed_entry_timestamp,
        payload,
    } = annotation("log entry", text)?;
    let body = BASE64_STANDARD.decode(&payload.body);
    let body = body.map_err(|error| SignatureFault::LogEntry(error.to_string()))?;
    let kind: Kind = serde_json::from_slice(&body)
        .map_err(|error| SignatureFault::LogEntry(error.to_string()))?;
    Ok(json!({
        "logIndex": payload.log_index.to_string(),
        "logId": {"keyId": BASE64_STANDARD.encode(hex(&payload.log_id)?)},
        "kindVersion": {"kind": kind.kind, "version": kind.api_version},
        "integratedTime": payload.integrated_time.to_string(),
        "inclusionPromise": {"signedEntryTimestamp": signed_entry_timestamp},
        "canonicalizedBody": payload.body,
    }))
}

fn annotation<T: serde::de::DeserializeOwned>(
    which: &str,
    text: &str,
) -> Result<T, SignatureFault> {
    if text.len() > MAX_BUNDLE {
        let actual = text.len();
        return Err(SignatureError::TooLarge { actual }.into());
    }
    serde_json::from_str(text)
        .map_err(|error| SignatureFault::Form(format!("the {which}'s annotation: {error}")))
}

/// The base64 of the first certificate in a PEM text.
fn body(pem: &str) -> Result<String, SignatureFault> {
    let inner = pem
        .split_once("-----BEGIN CERTIFICATE-----")
        .and_then(|(_, rest)| rest.split_once("-----END CERTIFICATE-----"));
    let (body, _) = inner.ok_or_else(|| {
        SignatureFault::Certificate("no `-----BEGIN CERTIFICATE-----` block".to_owned())
    })?;
    Ok(body.split_ascii_whitespace().collect())
}

fn hex(text: &str) -> Result<Vec<u8>, SignatureFault> {
    hex::decode(text).map_err(|error| SignatureFault::Form(format!("an id: {error}")))
}
