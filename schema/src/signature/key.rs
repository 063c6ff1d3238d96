// SPDX-License-Identifier: Apache-2.0
//! Public keys and their fingerprints.

use std::{fmt, str::FromStr};

use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_STANDARD_NO_PAD};
use p256::ecdsa::{
    DerSignature, VerifyingKey,
    signature::{Verifier as _, hazmat::PrehashVerifier as _},
};
use p256::pkcs8::{DecodePublicKey as _, EncodePublicKey as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use super::{MAX_BUNDLE, SignatureError};
use crate::digest::shorten;

/// What an Ed25519 key's SPKI DER begins with, before its 32 bytes (RFC 8410, section 4).
const ED25519_SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

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

/// A kind of key pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// ECDSA on the curve P-256 with sha256; signatures are DER.
    EcdsaP256,
    /// Ed25519 (RFC 8032, not prehashed); signatures are 64 bytes.
    Ed25519,
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EcdsaP256 => "ECDSA P-256",
            Self::Ed25519 => "Ed25519",
        })
    }
}

/// A public key that signatures are checked with: ECDSA P-256 or Ed25519.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: Key,
    der: Vec<u8>,
    fingerprint: Fingerprint,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    EcdsaP256(VerifyingKey),
    Ed25519(ed25519_dalek::VerifyingKey),
}

impl PublicKey {
    /// Reads an SPKI PEM (`-----BEGIN PUBLIC KEY-----`).
    ///
    /// # Errors
    /// [`SignatureError::Key`] if it is no PEM, or neither an ECDSA P-256 nor an Ed25519
    /// key.
    pub fn from_pem(pem: &str) -> Result<Self, SignatureError> {
        if pem.len() > MAX_BUNDLE {
            return Err(SignatureError::TooLarge { actual: pem.len() });
        }
        let body = pem
            .trim()
            .strip_prefix("-----BEGIN PUBLIC KEY-----")
            .and_then(|rest| rest.strip_suffix("-----END PUBLIC KEY-----"))
            .ok_or_else(|| {
                SignatureError::Key("no `-----BEGIN PUBLIC KEY-----` block".to_owned())
            })?;
        let base64: String = body.split_ascii_whitespace().collect();
        let der = BASE64_STANDARD
            .decode(base64)
            .map_err(|error| SignatureError::Key(format!("its body is no base64: {error}")))?;
        Self::from_der(&der)
    }

    /// Reads an SPKI DER (RFC 5280, section 4.1.2.7).
    ///
    /// # Errors
    /// [`SignatureError::Key`] if it is neither an ECDSA P-256 nor an Ed25519 key.
    pub fn from_der(der: &[u8]) -> Result<Self, SignatureError> {
        let unusable = |reason: String| SignatureError::Key(reason);
        let (key, der) = if let Some(point) = der.strip_prefix(&ED25519_SPKI) {
            let point = point.try_into();
            let point = point.map_err(|_| unusable("it is not 32 bytes long".to_owned()))?;
            let key = ed25519_dalek::VerifyingKey::from_bytes(point);
            let key = key.map_err(|error| unusable(error.to_string()))?;
            if key.is_weak() {
                return Err(unusable("anybody could sign for it".to_owned()));
            }
            (Key::Ed25519(key), der.to_vec())
        } else {
            let key = VerifyingKey::from_public_key_der(der)
                .map_err(|error| unusable(error.to_string()))?;
            // A point has more than one encoding; one key has one fingerprint.
            let der = key
                .to_public_key_der()
                .map_err(|error| unusable(error.to_string()))?;
            (Key::EcdsaP256(key), der.into_vec())
        };
        let fingerprint = Fingerprint(sha2::Sha256::digest(&der).into());
        Ok(Self {
            key,
            der,
            fingerprint,
        })
    }

    /// The SPKI DER.
    pub fn as_der(&self) -> &[u8] {
        &self.der
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

    /// What kind of key it is.
    pub const fn key_type(&self) -> KeyType {
        match self.key {
            Key::EcdsaP256(_) => KeyType::EcdsaP256,
            Key::Ed25519(_) => KeyType::Ed25519,
        }
    }

    /// The key's fingerprint.
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Checks a signature over `message`: DER over its sha256 for ECDSA, 64 bytes over the
    /// message itself for Ed25519.
    ///
    /// # Errors
    /// [`SignatureError::Invalid`] if the signature does not fit.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let fits = match &self.key {
            Key::EcdsaP256(key) => DerSignature::try_from(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Key::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
        };
        fits.then_some(())
            .ok_or(SignatureError::Invalid(self.fingerprint))
    }

    /// Checks a signature over a message that has this sha256.
    ///
    /// # Errors
    /// [`SignatureError::Invalid`] if the signature does not fit,
    /// [`SignatureError::NeedsContent`] for an Ed25519 key, which signs whole messages.
    pub fn verify_prehashed(&self, sha256: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        match &self.key {
            Key::EcdsaP256(key) => DerSignature::try_from(signature)
                .ok()
                .filter(|signature| key.verify_prehash(sha256, signature).is_ok())
                .map(|_| ())
                .ok_or(SignatureError::Invalid(self.fingerprint)),
            Key::Ed25519(_) => Err(SignatureError::NeedsContent),
        }
    }
}
