// SPDX-License-Identifier: Apache-2.0
//! Why a signature does not hold.

use registry_schema::{
    exit,
    identity::IdentityError,
    signature::{Fingerprint, SignatureError},
};
use sigstore_verify::{
    CertificateError, Error as SigstoreError, TimestampError, TransparencyLogError,
};

use crate::Explain;

/// The first thing about a signature that does not hold.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum SignatureFault {
    /// Its form, its subject, or how it fits its key.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It was made with a key that is not among those that were given.
    #[error("signature is by {}, which is not among the keys that it is checked with",
        named.map_or_else(|| "a key that it does not name".to_owned(), |key| format!("key {key}")))]
    UnknownKey { named: Option<Fingerprint> },
    /// A certificate vouches for it, and there is no root to check that with.
    #[error("signature is vouched for by a certificate, and no Sigstore root is trusted")]
    NoRoot,
    /// The bundle lacks a part, or has one that it may not have.
    #[error("signature is incomplete or of an unknown form: {0}")]
    Form(String),
    /// The signature was changed, or what was signed.
    #[error("signature does not fit its certificate: {0}")]
    Invalid(String),
    /// The signature is for other bytes.
    #[error("signature is for other content: {0}")]
    OtherContent(String),
    /// The certificate cannot be read.
    #[error("the signer's certificate cannot be read: {0}")]
    Certificate(String),
    /// Nobody who is trusted issued the certificate.
    #[error("the signer's certificate leads to no trusted root: {0}")]
    UntrustedCertificate(String),
    /// The certificate was not valid when the signature was made.
    #[error("the signer's certificate was not valid when the signature was made: {0}")]
    CertificateTime(String),
    /// The log of certificates did not see the certificate.
    #[error("the signer's certificate was not logged: {0}")]
    CertificateLog(String),
    /// The certificate does not say who it is for.
    #[error("the signer's certificate names no issuer, or no e-mail address or URI")]
    NoIdentity,
    /// The certificate says who it is for in words that cannot be shown.
    #[error("the signer's certificate names nobody: {0}")]
    Identity(#[from] IdentityError),
    /// The log entry is of a log that no root names.
    #[error("log {0} is not trusted")]
    UnknownLog(String),
    /// The proof does not lead to the log's root.
    #[error("the log does not include the signature: {0}")]
    LogProof(String),
    /// The log did not sign its root.
    #[error("the log's checkpoint does not hold: {0}")]
    Checkpoint(String),
    /// The log did not promise to include the entry.
    #[error("the log's promise does not hold: {0}")]
    LogPromise(String),
    /// The log entry is about another signature.
    #[error("the log entry is about another signature: {0}")]
    OtherLogEntry(String),
    /// The log entry's time cannot be.
    #[error("the log entry's time does not hold: {0}")]
    LogTime(String),
    /// The log entry cannot be read.
    #[error("the log entry cannot be read: {0}")]
    LogEntry(String),
    /// A timestamp is damaged, or of an authority that no root names.
    #[error("the timestamp does not hold: {0}")]
    Timestamp(String),
    /// A timestamp was made outside of its authority's validity.
    #[error("the timestamp's authority was not valid when it was made: {0}")]
    TimestampTime(String),
    /// Nobody who is trusted says when the signature was made.
    #[error("nobody who is trusted says when the signature was made: {0}")]
    NoTime(String),
}

impl From<SigstoreError> for SignatureFault {
    fn from(error: SigstoreError) -> Self {
        match error {
            SigstoreError::SignatureInvalid(reason) => Self::Invalid(reason),
            SigstoreError::ArtifactMismatch(reason) => Self::OtherContent(reason),
            SigstoreError::Certificate(error) => error.into(),
            SigstoreError::TransparencyLog(error) => error.into(),
            SigstoreError::Timestamp(error) => error.into(),
            other => Self::Form(other.to_string()),
        }
    }
}

impl From<CertificateError> for SignatureFault {
    fn from(error: CertificateError) -> Self {
        let reason = error.to_string();
        match error {
            CertificateError::ChainInvalid(reason) if reason.contains("CertExpired") => {
                Self::CertificateTime(reason)
            }
            CertificateError::ChainInvalid(reason) if reason.contains("CertNotValidYet") => {
                Self::CertificateTime(reason)
            }
            CertificateError::ChainInvalid(_) | CertificateError::NoValidAuthority { .. } => {
                Self::UntrustedCertificate(reason)
            }
            CertificateError::NotYetValid { .. } | CertificateError::Expired { .. } => {
                Self::CertificateTime(reason)
            }
            CertificateError::Sct(_) => Self::CertificateLog(reason),
            _ => Self::Certificate(reason),
        }
    }
}

impl From<TransparencyLogError> for SignatureFault {
    fn from(error: TransparencyLogError) -> Self {
        match error {
            TransparencyLogError::UnknownLog { log_id } => Self::UnknownLog(log_id),
            TransparencyLogError::InclusionProof(reason) => Self::LogProof(reason),
            TransparencyLogError::Checkpoint(reason) => Self::Checkpoint(reason),
            TransparencyLogError::InclusionPromise(reason) => Self::LogPromise(reason),
            TransparencyLogError::EntryMismatch(reason) => Self::OtherLogEntry(reason),
            TransparencyLogError::IntegratedTime(reason) => Self::LogTime(reason),
            other => Self::LogEntry(other.to_string()),
        }
    }
}

impl From<TimestampError> for SignatureFault {
    fn from(error: TimestampError) -> Self {
        let reason = error.to_string();
        match error {
            TimestampError::OutsideAuthorityValidity { .. } => Self::TimestampTime(reason),
            TimestampError::NoVerifiedTimestamp(reason) => Self::NoTime(reason),
            _ => Self::Timestamp(reason),
        }
    }
}

impl Explain for SignatureFault {
    fn code(&self) -> &'static str {
        match self {
            Self::Signature(_) | Self::Invalid(_) => "signature",
            Self::UnknownKey { .. } => "signature::unknown_key",
            Self::NoRoot => "signature::no_root",
            Self::Form(_) => "signature::form",
            Self::OtherContent(_) => "signature::content",
            Self::Certificate(_)
            | Self::UntrustedCertificate(_)
            | Self::CertificateTime(_)
            | Self::CertificateLog(_)
            | Self::NoIdentity
            | Self::Identity(_) => "signature::certificate",
            Self::UnknownLog(_)
            | Self::LogProof(_)
            | Self::Checkpoint(_)
            | Self::LogPromise(_)
            | Self::OtherLogEntry(_)
            | Self::LogTime(_)
            | Self::LogEntry(_) => "signature::log",
            Self::Timestamp(_) | Self::TimestampTime(_) | Self::NoTime(_) => "signature::time",
        }
    }

    fn exit_code(&self) -> u8 {
        exit::VERIFICATION
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::UnknownKey { .. } => {
                "name the signer's public key, if you have it from the signer".to_owned()
            }
            Self::NoRoot | Self::UntrustedCertificate(_) | Self::UnknownLog(_) => {
                "name the `trusted_root.json` of the Sigstore instance that was signed with, if you trust it".to_owned()
            }
            _ => "do not use it: ask the publisher to sign it again".to_owned(),
        })
    }
}
