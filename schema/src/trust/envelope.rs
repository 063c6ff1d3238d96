// SPDX-License-Identifier: Apache-2.0
//! A document with the signatures of several keys.
//!
//! Format: a DSSE envelope in JSON (protocol version 1), each signature over the
//! pre-authentication encoding. `keyid` is the fingerprint of the key, and only a hint.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use crate::{
    digest::shorten,
    signature::{Fingerprint, PublicKey, pre_authentication_encoding},
};

/// Most signatures of an envelope.
pub const MAX_SIGNATURES: usize = 32;

/// Why an envelope is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum EnvelopeError {
    /// The bytes are larger than the limit.
    #[error("document is {actual} bytes; the limit is {limit}")]
    TooLarge { actual: usize, limit: usize },
    /// The bytes are no envelope.
    #[error("document is no signed envelope: {0}")]
    Malformed(String),
    /// It has more signatures than anyone needs.
    #[error("document has {0} signatures; the limit is {MAX_SIGNATURES}")]
    TooManySignatures(usize),
    /// It holds another kind of document.
    #[error("document is of type `{actual}`, not `{expected}`")]
    OtherType { actual: String, expected: String },
    /// Too few of the keys that count have signed it.
    #[error("document is signed by {found} of the keys that count; {needed} are needed")]
    Threshold { found: usize, needed: usize },
}

/// A document and its signatures. Nothing is believed until [`Envelope::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    payload_type: String,
    payload: Vec<u8>,
    signatures: Vec<(Option<Fingerprint>, Vec<u8>)>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    payload: String,
    payload_type: String,
    signatures: Vec<WrittenSignature>,
}

#[derive(Serialize, Deserialize)]
struct WrittenSignature {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    keyid: String,
    sig: String,
}

impl Envelope {
    /// A document that nobody has signed yet.
    pub fn new(payload_type: &str, payload: Vec<u8>) -> Self {
        Self {
            payload_type: payload_type.to_owned(),
            payload,
            signatures: Vec::new(),
        }
    }

    /// Reads an envelope of at most `limit` bytes that holds `payload_type`.
    ///
    /// # Errors
    /// All variants of [`EnvelopeError`] but `Threshold`.
    pub fn parse(bytes: &[u8], payload_type: &str, limit: usize) -> Result<Self, EnvelopeError> {
        if bytes.len() > limit {
            let actual = bytes.len();
            return Err(EnvelopeError::TooLarge { actual, limit });
        }
        let malformed = |reason: String| EnvelopeError::Malformed(shorten(&reason));
        let written: Written =
            serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        if written.payload_type != payload_type {
            return Err(EnvelopeError::OtherType {
                actual: shorten(&written.payload_type),
                expected: payload_type.to_owned(),
            });
        }
        if written.signatures.len() > MAX_SIGNATURES {
            return Err(EnvelopeError::TooManySignatures(written.signatures.len()));
        }
        let decode = |what: &str, text: &str| {
            BASE64_STANDARD
                .decode(text)
                .map_err(|error| malformed(format!("{what} is no base64: {error}")))
        };
        let signatures = written
            .signatures
            .iter()
            .map(|one| Ok((one.keyid.parse().ok(), decode("a signature", &one.sig)?)))
            .collect::<Result<_, EnvelopeError>>()?;
        Ok(Self {
            payload: decode("the payload", &written.payload)?,
            payload_type: written.payload_type,
            signatures,
        })
    }

    /// Writes the envelope as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let written = Written {
            payload: BASE64_STANDARD.encode(&self.payload),
            payload_type: self.payload_type.clone(),
            signatures: self
                .signatures
                .iter()
                .map(|(key, signature)| WrittenSignature {
                    keyid: key.map(|key| key.to_string()).unwrap_or_default(),
                    sig: BASE64_STANDARD.encode(signature),
                })
                .collect(),
        };
        serde_json::to_vec(&written).unwrap_or_else(|_| unreachable!("text has a JSON form"))
    }

    /// The document.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// What each key signs: the pre-authentication encoding.
    pub fn signing_input(&self) -> Vec<u8> {
        pre_authentication_encoding(&self.payload_type, &self.payload)
    }

    /// Adds the signature of a key, in the place of an earlier one.
    pub fn add(&mut self, key: Fingerprint, signature: Vec<u8>) {
        self.signatures.retain(|(other, _)| *other != Some(key));
        self.signatures.push((Some(key), signature));
    }

    /// The keys that the signatures claim, believed or not.
    pub fn claimed(&self) -> impl Iterator<Item = Fingerprint> {
        self.signatures.iter().filter_map(|(key, _)| *key)
    }

    /// Which of `keys` have signed. One key counts once.
    pub fn signers(&self, keys: &[PublicKey]) -> BTreeSet<Fingerprint> {
        let message = self.signing_input();
        let mut signers = BTreeSet::new();
        for (claimed, signature) in &self.signatures {
            let signer = keys
                .iter()
                .filter(|key| claimed.is_none_or(|claimed| claimed == key.fingerprint()))
                .find(|key| key.verify(&message, signature).is_ok());
            signers.extend(signer.map(PublicKey::fingerprint));
        }
        signers
    }

    /// Checks that at least `needed` of `keys` have signed, and says which.
    ///
    /// # Errors
    /// [`EnvelopeError::Threshold`] if fewer have, or if `needed` is 0: then nobody would
    /// have to sign.
    pub fn verify(
        &self,
        keys: &[PublicKey],
        needed: usize,
    ) -> Result<BTreeSet<Fingerprint>, EnvelopeError> {
        let signers = self.signers(keys);
        let found = signers.len();
        if needed == 0 || found < needed {
            return Err(EnvelopeError::Threshold { found, needed });
        }
        Ok(signers)
    }
}
