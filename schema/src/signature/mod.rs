// SPDX-License-Identifier: Apache-2.0
//! Signatures: public keys, what is signed, and the forms a signature is stored in.
//!
//! Formats: a Sigstore bundle (v0.1 to v0.3) whose `dsseEnvelope` carries an in-toto
//! statement, signed over the DSSE pre-authentication encoding, or whose
//! `messageSignature` is over the bytes themselves; and the "simple signing" payload
//! under a `sha256-<hex>.sig` tag. They are what cosign writes and reads. What a
//! certificate proves needs a trusted root and is judged by the client's library.

mod badge;
mod envelope;
mod json;
mod key;
mod statement;

pub use self::{
    badge::{BADGE_PREDICATE, Badge},
    envelope::{
        Bundle, Material, Purpose, Subject, bundle, bundle_of, message_bundle,
        pre_authentication_encoding, simple_signing,
    },
    key::{Fingerprint, KeyType, PublicKey},
    statement::{Statement, attestation, statement},
};

use crate::Digest;

/// Payload type of the DSSE envelope.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";
/// Type of the statement in the envelope.
pub const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// Type of the statement in the envelope, as older signers write it.
pub const STATEMENT_V01: &str = "https://in-toto.io/Statement/v0.1";
/// Predicate type of a plain signature.
pub const SIGN_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";
/// Largest bundle or simple-signing payload, in bytes.
pub const MAX_BUNDLE: usize = 256 * 1024;

/// Why a key or a signature is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum SignatureError {
    /// The text is no public key that signatures can be checked with.
    #[error("not a PEM public key of type ECDSA P-256 or Ed25519: {0}")]
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
    /// The envelope holds something else than a statement.
    #[error("signed payload is of type `{actual}`, not `{IN_TOTO}`")]
    PayloadType { actual: String },
    /// The statement is of an unknown version.
    #[error("signed statement is of type `{actual}`, not `{STATEMENT}`")]
    StatementType { actual: String },
    /// The statement says something else than a signature does.
    #[error("signed statement has predicate type `{actual}`, not `{SIGN_PREDICATE}`")]
    PredicateType { actual: String },
    /// The signature states nothing, where a statement was asked for.
    #[error("this is a plain signature, not an attestation")]
    NoStatement,
    /// The statement is about more or less than one thing.
    #[error("signed statement is about {actual} subjects; it must be about exactly one")]
    Subjects { actual: usize },
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
    /// A signature over a file, which an Ed25519 key makes over all of its bytes.
    #[error(
        "an Ed25519 signature over a file can be checked with the file only, not with its digest"
    )]
    NeedsContent,
}

const fn malformed(reason: String) -> SignatureError {
    SignatureError::Malformed(reason)
}
