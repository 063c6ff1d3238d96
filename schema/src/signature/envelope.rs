// SPDX-License-Identifier: Apache-2.0
//! The forms in which a signature is stored: bundles, and simple signing.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{
    Fingerprint, IN_TOTO, PublicKey, SIGN_PREDICATE, SignatureError, Statement, json, malformed,
};
use crate::{
    digest::{Algorithm, Digest, shorten},
    media_type::SIGSTORE_BUNDLE,
};

/// The media types of bundles, newest first (sigstore protobuf-specs, `Bundle.media_type`).
const MEDIA_TYPES: [&str; 4] = [
    SIGSTORE_BUNDLE,
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
    "application/vnd.dev.sigstore.bundle+json;version=0.2",
    "application/vnd.dev.sigstore.bundle+json;version=0.1",
];

/// The DSSE pre-authentication encoding of a payload: what is really signed.
///
/// `DSSEv1 SP len(type) SP type SP len(payload) SP payload`, from the DSSE
/// protocol, version 1.
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut encoded = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    )
    .into_bytes();
    encoded.extend_from_slice(payload);
    encoded
}

/// A v0.3 bundle with a statement that was signed with a key pair.
pub fn bundle(key: &Fingerprint, statement: &[u8], signature: &[u8]) -> Vec<u8> {
    bundle_of(
        &json!({"publicKey": {"hint": key.hint()}}),
        statement,
        signature,
    )
}

/// A v0.3 bundle with a signed statement and other verification material.
pub fn bundle_of(material: &Value, statement: &[u8], signature: &[u8]) -> Vec<u8> {
    let bundle = json!({
        "mediaType": SIGSTORE_BUNDLE,
        "verificationMaterial": material,
        "dsseEnvelope": {
            "payload": BASE64_STANDARD.encode(statement),
            "payloadType": IN_TOTO,
            "signatures": [{"sig": BASE64_STANDARD.encode(signature)}],
        },
    });
    bundle.to_string().into_bytes()
}

/// A v0.3 bundle with a signature over bytes that have this sha256.
pub fn message_bundle(key: &Fingerprint, content: &Digest, signature: &[u8]) -> Vec<u8> {
    let digest = hex::decode(content.hex()).unwrap_or_default();
    let bundle = json!({
        "mediaType": SIGSTORE_BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": key.hint()}},
        "messageSignature": {
            "messageDigest": {"algorithm": "SHA2_256", "digest": BASE64_STANDARD.encode(digest)},
            "signature": BASE64_STANDARD.encode(signature),
        },
    });
    bundle.to_string().into_bytes()
}

/// The simple-signing payload for a `.sig` tag: who it is for, and the digest.
pub fn simple_signing(repository: &str, subject: &Digest) -> Vec<u8> {
    let payload = json!({
        "critical": {
            "identity": {"docker-reference": repository},
            "image": {"docker-manifest-digest": subject.as_str()},
            "type": "cosign container image signature",
        },
        "optional": null,
    });
    payload.to_string().into_bytes()
}

/// What a signature must be about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The digest of the bytes.
    pub digest: &'a Digest,
    /// The bytes, where they are at hand.
    pub content: Option<&'a [u8]>,
}

impl<'a> From<&'a Digest> for Subject<'a> {
    fn from(digest: &'a Digest) -> Self {
        Self {
            digest,
            content: None,
        }
    }
}

/// What a signature is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// "This, and nothing else": a plain signature.
    Signature,
    /// A statement with a predicate of any type but the plain signature's.
    Attestation,
}

/// What a signature is to be checked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Material {
    /// A public key, by its fingerprint where the signature names one.
    Key(Option<Fingerprint>),
    /// A certificate that travels with the signature.
    Certificate,
}

/// A signature that was read but not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    material: Material,
    signature: Vec<u8>,
    content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Statement {
        payload: Vec<u8>,
        statement: Statement,
    },
    Message(Option<Digest>),
    SimpleSigning {
        payload: Vec<u8>,
        subject: String,
    },
}

impl Bundle {
    /// Reads a Sigstore bundle, v0.1 to v0.3, with a statement or a signature over bytes.
    ///
    /// # Errors
    /// [`SignatureError::TooLarge`] beyond [`super::MAX_BUNDLE`],
    /// [`SignatureError::PayloadType`], [`SignatureError::StatementType`] or
    /// [`SignatureError::Subjects`] for a statement of another kind,
    /// [`SignatureError::Malformed`] with what else is missing or wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, SignatureError> {
        let document = json::parse(bytes)?;
        let kind = json::text(&document, "/mediaType")?;
        if !MEDIA_TYPES.contains(&kind) {
            return Err(malformed(format!(
                "media type `{}` is not `{SIGSTORE_BUNDLE}`",
                shorten(kind)
            )));
        }
        let material = material(&document)?;
        if document.get("messageSignature").is_some() {
            if document.get("dsseEnvelope").is_some() {
                return Err(malformed(
                    "it has both `dsseEnvelope` and `messageSignature`".to_owned(),
                ));
            }
            return Ok(Self {
                material,
                signature: json::base64(&document, "/messageSignature/signature")?,
                content: Content::Message(message_digest(&document)?),
            });
        }
        let payload_type = json::text(&document, "/dsseEnvelope/payloadType")?;
        if payload_type != IN_TOTO {
            let actual = shorten(payload_type);
            return Err(SignatureError::PayloadType { actual });
        }
        let signatures = document
            .pointer("/dsseEnvelope/signatures")
            .and_then(Value::as_array);
        if signatures.is_none_or(|signatures| signatures.len() != 1) {
            return Err(malformed(
                "exactly one signature is expected in the envelope".to_owned(),
            ));
        }
        let payload = json::base64(&document, "/dsseEnvelope/payload")?;
        Ok(Self {
            material,
            signature: json::base64(&document, "/dsseEnvelope/signatures/0/sig")?,
            content: Content::Statement {
                statement: Statement::parse(&payload)?,
                payload,
            },
        })
    }

    /// Reads a simple-signing payload and its signature in base64. Such a signature
    /// does not name its key.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_simple_signing(payload: &[u8], signature: &str) -> Result<Self, SignatureError> {
        let document = json::parse(payload)?;
        let subject = json::text(&document, "/critical/image/docker-manifest-digest")?.to_owned();
        let signature = BASE64_STANDARD
            .decode(signature)
            .map_err(|_| malformed("the signature annotation is no base64".to_owned()))?;
        Ok(Self {
            material: Material::Key(None),
            signature,
            content: Content::SimpleSigning {
                payload: payload.to_vec(),
                subject,
            },
        })
    }

    /// What the signature is to be checked with.
    pub const fn material(&self) -> Material {
        self.material
    }

    /// The fingerprint of the key the signature says it is by; none if it does not say.
    pub const fn key(&self) -> Option<Fingerprint> {
        match self.material {
            Material::Key(key) => key,
            Material::Certificate => None,
        }
    }

    /// What is stated, where it is a statement.
    pub const fn statement(&self) -> Option<&Statement> {
        match &self.content {
            Content::Statement { statement, .. } => Some(statement),
            _ => None,
        }
    }

    /// Whether it states something of its subject, instead of just signing it.
    pub fn is_attestation(&self) -> bool {
        self.statement()
            .is_some_and(|statement| statement.predicate_type != SIGN_PREDICATE)
    }

    /// Checks that `key` signed exactly `subject`.
    ///
    /// # Errors
    /// As [`Self::fits`] and [`Self::claims`].
    pub fn verify(&self, key: &PublicKey, subject: &Digest) -> Result<(), SignatureError> {
        self.fits(key, subject.into())?;
        self.claims(subject, Purpose::Signature)
    }

    /// Checks that `key` made this signature, whatever is said in what was signed.
    ///
    /// # Errors
    /// [`SignatureError::OtherKey`] if the signature names another key,
    /// [`SignatureError::Invalid`] if it does not fit `key`,
    /// [`SignatureError::NeedsContent`] if it is over bytes that are not at hand.
    pub fn fits(&self, key: &PublicKey, subject: Subject<'_>) -> Result<(), SignatureError> {
        let expected = key.fingerprint();
        let actual = match self.material {
            Material::Key(Some(named)) if named != expected => named.to_string(),
            Material::Certificate => "of a certificate".to_owned(),
            Material::Key(_) => {
                return match &self.content {
                    Content::Statement { payload, .. } => key.verify(
                        &pre_authentication_encoding(IN_TOTO, payload),
                        &self.signature,
                    ),
                    Content::SimpleSigning { payload, .. } => key.verify(payload, &self.signature),
                    Content::Message(_) => match (subject.content, sha256_of(subject.digest)) {
                        (Some(bytes), _) => key.verify(bytes, &self.signature),
                        (None, Some(digest)) => key.verify_prehashed(&digest, &self.signature),
                        (None, None) => Err(SignatureError::NeedsContent),
                    },
                };
            }
        };
        Err(SignatureError::OtherKey { expected, actual })
    }

    /// Checks that what was signed is about `subject` and serves this purpose. Says
    /// nothing about who signed it.
    ///
    /// # Errors
    /// [`SignatureError::PredicateType`] or [`SignatureError::NoStatement`] if it serves
    /// another purpose, [`SignatureError::OtherSubject`] if it is for another digest.
    pub fn claims(&self, subject: &Digest, purpose: Purpose) -> Result<(), SignatureError> {
        let other = |actual: &str| SignatureError::OtherSubject {
            expected: subject.clone(),
            actual: shorten(actual),
        };
        match (&self.content, purpose) {
            (Content::Statement { statement, .. }, _) => {
                if (purpose == Purpose::Attestation) != self.is_attestation() {
                    let actual = shorten(&statement.predicate_type);
                    return Err(SignatureError::PredicateType { actual });
                }
                statement.check_subject(subject)
            }
            (_, Purpose::Attestation) => Err(SignatureError::NoStatement),
            (Content::Message(Some(digest)), _) if digest != subject => Err(other(digest.as_str())),
            (Content::Message(_), _) => Ok(()),
            (Content::SimpleSigning { subject: found, .. }, _) => (found == subject.as_str())
                .then_some(())
                .ok_or_else(|| other(found)),
        }
    }
}

fn sha256_of(digest: &Digest) -> Option<Vec<u8>> {
    (digest.algorithm() == Algorithm::Sha256)
        .then(|| hex::decode(digest.hex()).ok())
        .flatten()
}

/// What a bundle is to be checked with: exactly one of the three forms.
fn material(document: &Value) -> Result<Material, SignatureError> {
    let has = |name: &str| {
        document
            .pointer(&format!("/verificationMaterial/{name}"))
            .is_some()
    };
    match (
        has("publicKey"),
        has("certificate") || has("x509CertificateChain"),
    ) {
        (true, false) => {
            let hint = json::text(document, "/verificationMaterial/publicKey/hint")?;
            let key = Fingerprint::from_hint(hint).map_err(|_| {
                let hint = shorten(hint);
                malformed(format!("`{hint}` is no base64 of a key's sha256"))
            })?;
            Ok(Material::Key(Some(key)))
        }
        (false, true) => Ok(Material::Certificate),
        (true, true) => Err(malformed("it has both a key and a certificate".to_owned())),
        (false, false) => Err(malformed(
            "it has neither a key nor a certificate".to_owned(),
        )),
    }
}

/// The digest that a signature over bytes carries for looking them up.
fn message_digest(document: &Value) -> Result<Option<Digest>, SignatureError> {
    let Some(found) = document.pointer("/messageSignature/messageDigest") else {
        return Ok(None);
    };
    if found.is_null() {
        return Ok(None);
    }
    let algorithm = json::text(found, "/algorithm")?;
    if algorithm != "SHA2_256" {
        let algorithm = shorten(algorithm);
        return Err(malformed(format!(
            "the message's digest is {algorithm}, not SHA2_256"
        )));
    }
    let hex = hex::encode(json::base64(found, "/digest")?);
    format!("sha256:{hex}")
        .parse()
        .map(Some)
        .map_err(|error| malformed(format!("the message's digest: {error}")))
}
