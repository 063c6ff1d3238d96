// SPDX-License-Identifier: Apache-2.0
//! Keyless signing: a certificate authority (Fulcio) gives a key that lives for minutes to
//! whoever an identity token names; a log (Rekor) and a timestamp authority say when.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use registry_schema::{exit, media_type};
use serde_json::{Value, json};
use sigstore_sign::{
    Error as SigstoreError, Signer, SigningContext, SigningServices, fulcio, oidc::IdentityToken,
    rekor::RekorApiVersion, types::Bundle,
};

use super::SignError;
use crate::oci::Annotations;

/// Which interface the log speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RekorVersion {
    /// Entries with a promise and a time.
    V1,
    /// Entries with a proof; the time comes from a timestamp authority.
    V2,
}

/// The services that sign together, by their URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Services {
    /// The certificate authority.
    pub fulcio: String,
    /// The log.
    pub rekor: String,
    /// Which interface the log speaks.
    pub rekor_version: RekorVersion,
    /// The timestamp authority; a Rekor v2 log needs one.
    pub tsa: Option<String>,
}

/// Who signs with an identity token.
pub struct Keyless {
    signer: Signer,
    name: String,
    version: RekorVersion,
}

impl Keyless {
    /// Prepares to sign as the person or workload that `token` names.
    ///
    /// # Errors
    /// [`SignError::Token`], [`SignError::TokenExpired`] or [`SignError::NoTimestamps`].
    pub fn new(services: &Services, token: &str) -> Result<Self, SignError> {
        let token = IdentityToken::from_jwt(token.trim())
            .map_err(|error| SignError::Token(error.to_string()))?;
        if token.is_expired() {
            return Err(SignError::TokenExpired);
        }
        let version = match services.rekor_version {
            RekorVersion::V1 => RekorApiVersion::V1,
            RekorVersion::V2 if services.tsa.is_none() => return Err(SignError::NoTimestamps),
            RekorVersion::V2 => RekorApiVersion::V2,
        };
        let mut chosen = SigningServices::new(&services.fulcio, &services.rekor)
            .with_rekor(&services.rekor, version);
        if let Some(tsa) = &services.tsa {
            chosen = chosen.with_tsa_url(tsa);
        }
        Ok(Self {
            name: format!("{} ({})", token.identity(), token.issuer()),
            signer: SigningContext::new(chosen).signer(token),
            version: services.rekor_version,
        })
    }

    /// Who signs, as the token has it.
    pub(super) fn name(&self) -> String {
        self.name.clone()
    }

    pub(super) async fn sign_statement(&self, statement: &[u8]) -> Result<Vec<u8>, SignError> {
        let bundle = self.signer.sign_raw_statement(statement).await;
        write(&bundle.map_err(Box::new)?)
    }

    pub(super) async fn sign_file(&self, content: &[u8]) -> Result<Vec<u8>, SignError> {
        let bundle = self.signer.sign(content).await;
        write(&bundle.map_err(Box::new)?)
    }

    /// Signs the payload of a `.sig` tag; gives the annotations of its layer. None for a
    /// log that gives no promise: nothing else fits there.
    pub(super) async fn sign_simple(
        &self,
        payload: &[u8],
    ) -> Result<Option<Annotations>, SignError> {
        if self.version == RekorVersion::V2 {
            return Ok(None);
        }
        let bundle = self.signer.sign(payload).await.map_err(Box::new)?;
        let bundle: Value = serde_json::from_slice(&write(&bundle)?).unwrap_or_default();
        Ok(annotations(&bundle))
    }
}

/// What a `.sig` layer says of its signature, as cosign writes it.
fn annotations(bundle: &Value) -> Option<Annotations> {
    let text = |pointer: &str| bundle.pointer(pointer)?.as_str();
    let number = |pointer: &str| text(pointer)?.parse::<i64>().ok();
    let certificate = text("/verificationMaterial/certificate/rawBytes")?;
    let log = BASE64_STANDARD
        .decode(text("/verificationMaterial/tlogEntries/0/logId/keyId")?)
        .ok()?;
    let entry = json!({
        "SignedEntryTimestamp":
            text("/verificationMaterial/tlogEntries/0/inclusionPromise/signedEntryTimestamp")?,
        "Payload": {
            "body": text("/verificationMaterial/tlogEntries/0/canonicalizedBody")?,
            "integratedTime": number("/verificationMaterial/tlogEntries/0/integratedTime")?,
            "logIndex": number("/verificationMaterial/tlogEntries/0/logIndex")?,
            "logID": hex::encode(log),
        },
    });
    let mut annotations = Annotations::from([
        (
            media_type::SIMPLE_SIGNING_SIGNATURE.to_owned(),
            text("/messageSignature/signature")?.to_owned(),
        ),
        (
            media_type::SIMPLE_SIGNING_CERTIFICATE.to_owned(),
            pem(certificate),
        ),
        (
            media_type::SIMPLE_SIGNING_LOG_ENTRY.to_owned(),
            entry.to_string(),
        ),
    ]);
    let stamp =
        "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp";
    if let Some(stamp) = text(stamp) {
        annotations.insert(
            media_type::SIMPLE_SIGNING_TIMESTAMP.to_owned(),
            json!({"SignedRFC3161Timestamp": stamp}).to_string(),
        );
    }
    Some(annotations)
}

fn pem(base64: &str) -> String {
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = base64;
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = tail;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

fn write(bundle: &Bundle) -> Result<Vec<u8>, SignError> {
    let text = bundle.to_json();
    let text = text.map_err(|error| Box::new(SigstoreError::Types(error)))?;
    Ok(text.into_bytes())
}

/// The exit code of a command that ends with this error.
pub(super) fn exit_code(error: &SigstoreError) -> u8 {
    match error {
        SigstoreError::Fulcio(fulcio::Error::Status {
            status: 400..=403, ..
        }) => exit::AUTH,
        SigstoreError::Fulcio(_) | SigstoreError::Rekor(_) | SigstoreError::Tsa(_) => {
            exit::UNAVAILABLE
        }
        _ => exit::FAILURE,
    }
}
