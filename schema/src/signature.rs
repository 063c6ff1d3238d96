// SPDX-License-Identifier: Apache-2.0
//! Signatures by key pair: public keys, v0.3 bundles, simple signing.
//!
//! Formats: a Sigstore bundle v0.3 whose `dsseEnvelope` carries an in-toto statement
//! v1 with predicate type `https://sigstore.dev/cosign/sign/v1`, signed over the DSSE
//! pre-authentication encoding; and the "simple signing" payload under a
//! `sha256-<hex>.sig` tag. Both are what cosign writes and reads.

use std::{fmt, str::FromStr};

use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_STANDARD_NO_PAD};
use p256::ecdsa::{DerSignature, VerifyingKey, signature::Verifier as _};
use p256::pkcs8::{DecodePublicKey as _, EncodePublicKey as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Digest as _;

use crate::digest::{Algorithm, Digest, shorten};
use crate::media_type::SIGSTORE_BUNDLE;

/// Payload type of the DSSE envelope.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";
/// Type of the statement in the envelope.
pub const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// Predicate type of a plain signature.
pub const SIGN_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";
/// Largest bundle or simple-signing payload, in bytes.
pub const MAX_BUNDLE: usize = 256 * 1024;

/// Why a key or a signature is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum SignatureError {
    /// The text is no public key that signatures can be checked with.
    #[error("not a PEM public key of type ECDSA P-256: {0}")]
    Key(String),
    /// The text is no fingerprint.
    #[error("`{0}` is no key fingerprint; write `SHA256:` and 43 base64 characters")]
    Fingerprint(String),
    /// The bytes are larger than the limit.
    #[error("signature is {actual} bytes; the limit is {MAX_BUNDLE}")]
    TooLarge { actual: usize },
    /// The bytes are no bundle of this form.
    #[error("signature is malformed: {0}")]
    Malformed(String),
    /// The signature was made by another key than the one it is checked with.
    #[error("signature is by key {actual}, not by {expected}")]
    OtherKey {
        expected: Fingerprint,
        actual: String,
    },
    /// The bytes were signed by nobody with this key.
    #[error("signature does not fit its key {0}; signature or statement was changed")]
    Invalid(Fingerprint),
    /// The signature is for something else.
    #[error("signature is for {actual}, not for {expected}")]
    OtherSubject { expected: Digest, actual: String },
}

/// sha256 of a public key's SPKI DER, printed as `SHA256:` and unpadded base64.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The form that bundles carry in `publicKey.hint`: padded base64.
    pub fn hint(&self) -> String {
        BASE64_STANDARD.encode(self.0)
    }

    /// Reads the `publicKey.hint` of a bundle.
    ///
    /// # Errors
    /// [`SignatureError::Fingerprint`] if it is not the base64 of 32 bytes.
    pub fn from_hint(hint: &str) -> Result<Self, SignatureError> {
        let bytes = BASE64_STANDARD.decode(hint).ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(Self)
            .ok_or_else(|| SignatureError::Fingerprint(shorten(hint)))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA256:{}", BASE64_STANDARD_NO_PAD.encode(self.0))
    }
}

impl FromStr for Fingerprint {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        text.strip_prefix("SHA256:")
            .and_then(|base64| BASE64_STANDARD_NO_PAD.decode(base64).ok())
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| SignatureError::Fingerprint(shorten(text)))
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = SignatureError;

    fn try_from(text: String) -> Result<Self, SignatureError> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

/// A public key that signatures are checked with: ECDSA P-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    der: Vec<u8>,
}

impl PublicKey {
    /// Reads an SPKI PEM (`-----BEGIN PUBLIC KEY-----`).
    ///
    /// # Errors
    /// [`SignatureError::Key`] if it is no PEM, or no ECDSA P-256 key.
    pub fn from_pem(pem: &str) -> Result<Self, SignatureError> {
        if pem.len() > MAX_BUNDLE {
            return Err(SignatureError::TooLarge { actual: pem.len() });
        }
        let unix = pem.replace("\r\n", "\n");
        let key = VerifyingKey::from_public_key_pem(unix.trim())
            .map_err(|error| SignatureError::Key(error.to_string()))?;
        let der = key
            .to_public_key_der()
            .map_err(|error| SignatureError::Key(error.to_string()))?;
        Ok(Self {
            key,
            der: der.into_vec(),
        })
    }

    /// The SPKI PEM, with `\n` line ends.
    pub fn to_pem(&self) -> String {
        let body = BASE64_STANDARD.encode(&self.der);
        let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
        let mut rest = body.as_str();
        while !rest.is_empty() {
            let (line, tail) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = tail;
        }
        pem.push_str("-----END PUBLIC KEY-----\n");
        pem
    }

    /// The key's fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(sha2::Sha256::digest(&self.der).into())
    }

    /// Checks a DER signature over sha256 of `message`.
    ///
    /// # Errors
    /// [`SignatureError::Invalid`] if the signature does not fit.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let invalid = || SignatureError::Invalid(self.fingerprint());
        let signature = DerSignature::try_from(signature).map_err(|_| invalid())?;
        self.key.verify(message, &signature).map_err(|_| invalid())
    }
}

/// The in-toto statement that says "this digest", exactly as it is signed.
pub fn statement(subject: &Digest) -> Vec<u8> {
    let name = subject.algorithm().as_str();
    let statement = json!({
        "_type": STATEMENT,
        "predicate": {},
        "predicateType": SIGN_PREDICATE,
        "subject": [{"annotations": {}, "digest": {name: subject.hex()}}],
    });
    statement.to_string().into_bytes()
}

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

/// Puts a bundle together from a statement and a DER signature over its encoding.
pub fn bundle(key: &Fingerprint, statement: &[u8], signature: &[u8]) -> Vec<u8> {
    let bundle = json!({
        "mediaType": SIGSTORE_BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": key.hint()}},
        "dsseEnvelope": {
            "payload": BASE64_STANDARD.encode(statement),
            "payloadType": IN_TOTO,
            "signatures": [{"sig": BASE64_STANDARD.encode(signature)}],
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

/// A signature that was read but not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    hint: String,
    payload: Vec<u8>,
    signature: Vec<u8>,
    subject: String,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Dsse,
    SimpleSigning,
}

impl Bundle {
    /// Reads a v0.3 bundle with a `publicKey` and a DSSE envelope.
    ///
    /// # Errors
    /// [`SignatureError::TooLarge`] beyond [`MAX_BUNDLE`], [`SignatureError::Malformed`]
    /// with what is missing or wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, SignatureError> {
        let document = parse_json(bytes)?;
        let kind = text(&document, "/mediaType")?;
        if kind != SIGSTORE_BUNDLE {
            return Err(malformed(format!(
                "media type `{}` is not `{SIGSTORE_BUNDLE}`",
                shorten(kind)
            )));
        }
        let payload_type = text(&document, "/dsseEnvelope/payloadType")?;
        if payload_type != IN_TOTO {
            return Err(malformed(format!(
                "payload type `{}` is not `{IN_TOTO}`",
                shorten(payload_type)
            )));
        }
        let signatures = document
            .pointer("/dsseEnvelope/signatures")
            .and_then(Value::as_array);
        if signatures.is_none_or(|signatures| signatures.len() != 1) {
            return Err(malformed(
                "exactly one signature is expected in the envelope".to_owned(),
            ));
        }
        let payload = base64(&document, "/dsseEnvelope/payload")?;
        Ok(Self {
            hint: text(&document, "/verificationMaterial/publicKey/hint")?.to_owned(),
            signature: base64(&document, "/dsseEnvelope/signatures/0/sig")?,
            subject: statement_subject(&payload)?,
            payload,
            form: Form::Dsse,
        })
    }

    /// Reads a simple-signing payload and its signature in base64. Such a signature
    /// does not name its key.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_simple_signing(payload: &[u8], signature: &str) -> Result<Self, SignatureError> {
        let document = parse_json(payload)?;
        let subject = text(&document, "/critical/image/docker-manifest-digest")?.to_owned();
        let signature = BASE64_STANDARD
            .decode(signature)
            .map_err(|_| malformed("the signature annotation is no base64".to_owned()))?;
        Ok(Self {
            hint: String::new(),
            payload: payload.to_vec(),
            signature,
            subject,
            form: Form::SimpleSigning,
        })
    }

    /// The fingerprint of the key the signature says it is by; none if it does not say.
    pub fn key(&self) -> Option<Fingerprint> {
        Fingerprint::from_hint(&self.hint).ok()
    }

    /// Checks that `key` signed exactly `subject`.
    ///
    /// # Errors
    /// [`SignatureError::OtherKey`] if the signature names another key,
    /// [`SignatureError::Invalid`] if it does not fit `key`,
    /// [`SignatureError::OtherSubject`] if it is for another digest.
    pub fn verify(&self, key: &PublicKey, subject: &Digest) -> Result<(), SignatureError> {
        let expected = key.fingerprint();
        if self.form == Form::Dsse && self.key() != Some(expected) {
            let actual = self
                .key()
                .map_or_else(|| shorten(&self.hint), |key| key.to_string());
            return Err(SignatureError::OtherKey { expected, actual });
        }
        match self.form {
            Form::Dsse => key.verify(
                &pre_authentication_encoding(IN_TOTO, &self.payload),
                &self.signature,
            )?,
            Form::SimpleSigning => key.verify(&self.payload, &self.signature)?,
        }
        if self.subject == subject.as_str() {
            Ok(())
        } else {
            Err(SignatureError::OtherSubject {
                expected: subject.clone(),
                actual: shorten(&self.subject),
            })
        }
    }
}

/// The digest a statement is about, `algorithm:hex`.
fn statement_subject(payload: &[u8]) -> Result<String, SignatureError> {
    let statement = parse_json(payload)?;
    for (pointer, wanted) in [("/_type", STATEMENT), ("/predicateType", SIGN_PREDICATE)] {
        let found = text(&statement, pointer)?;
        if found != wanted {
            return Err(malformed(format!(
                "statement has `{}` where `{wanted}` is expected",
                shorten(found)
            )));
        }
    }
    let subjects = statement.pointer("/subject").and_then(Value::as_array);
    if subjects.is_none_or(|subjects| subjects.len() != 1) {
        return Err(malformed(
            "exactly one subject is expected in the statement".to_owned(),
        ));
    }
    [Algorithm::Sha256, Algorithm::Sha512]
        .into_iter()
        .find_map(|algorithm| {
            let hex = statement
                .pointer(&format!("/subject/0/digest/{algorithm}"))?
                .as_str()?;
            Some(format!("{algorithm}:{hex}"))
        })
        .ok_or_else(|| malformed("the statement's subject has no sha256 digest".to_owned()))
}

fn parse_json(bytes: &[u8]) -> Result<Value, SignatureError> {
    if bytes.len() > MAX_BUNDLE {
        return Err(SignatureError::TooLarge {
            actual: bytes.len(),
        });
    }
    serde_json::from_slice(bytes).map_err(|error| malformed(format!("no JSON: {error}")))
}

fn text<'a>(document: &'a Value, pointer: &str) -> Result<&'a str, SignatureError> {
    let missing = || {
        malformed(format!(
            "`{}` is missing or no text",
            &pointer[1..].replace('/', ".")
        ))
    };
    document
        .pointer(pointer)
        .and_then(Value::as_str)
        .ok_or_else(missing)
}

fn base64(document: &Value, pointer: &str) -> Result<Vec<u8>, SignatureError> {
    BASE64_STANDARD
        .decode(text(document, pointer)?)
        .map_err(|_| {
            malformed(format!(
                "`{}` is no base64",
                &pointer[1..].replace('/', ".")
            ))
        })
}

const fn malformed(reason: String) -> SignatureError {
    SignatureError::Malformed(reason)
}
