// SPDX-License-Identifier: Apache-2.0
//! The judgement of one signature over one digest: whether it holds, and whose it is.
//!
//! Whether that signer may sign for a package is another question, asked elsewhere.
//! A signature is checked with a public key that the caller knows, or with a certificate
//! that leads to a Sigstore root the caller trusts. Nothing is fetched. Evidence beside
//! a signature (a log entry, a timestamp) must hold where a trusted root can judge it.

mod fault;
mod keyless;
mod roots;

use std::{borrow::Cow, collections::BTreeSet};

use chrono::{DateTime, Utc};
use registry_schema::{
    Digest, Identity,
    signature::{
        Bundle, Fingerprint, Material, PublicKey, Purpose, SignatureError, Statement, Subject,
    },
};
use serde::{Deserialize, Serialize};

pub use self::{
    fault::SignatureFault,
    roots::{MAX_ROOT_BYTES, RootError, Roots},
};
use crate::pull::FetchedSignature;

/// Whose signature it is, and what that was concluded from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    /// Who signed.
    pub identity: Identity,
    /// When it existed at the latest, where somebody else vouches for that.
    pub signed_at: Option<DateTime<Utc>>,
    /// What was checked.
    pub evidence: BTreeSet<Evidence>,
}

/// Something that was checked and held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// The signature fits a public key that the caller knows.
    Key,
    /// The signature fits a certificate that leads to a trusted root.
    Certificate,
    /// A log that a trusted root names includes the signature, or promised to.
    LogEntry,
    /// A timestamp authority that a trusted root names saw the signature.
    Timestamp,
}

/// What was stated about a digest, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// Who stated it.
    pub signer: Signer,
    /// What was stated.
    pub statement: Statement,
}

/// Judges a signature over exactly `subject`.
///
/// # Errors
/// [`SignatureFault`], one variant for each reason.
pub fn judge(
    signature: &FetchedSignature,
    subject: &Digest,
    keys: &[PublicKey],
    roots: &Roots,
) -> Result<Signer, SignatureFault> {
    let signed = Signed::read(signature)?;
    signed.judge(subject.into(), Purpose::Signature, keys, roots)
}

/// Judges a bundle that signs a file, of which `content` is the whole.
///
/// # Errors
/// As [`judge`].
pub fn judge_file(
    bundle: &[u8],
    content: &[u8],
    keys: &[PublicKey],
    roots: &Roots,
) -> Result<Signer, SignatureFault> {
    let digest = Digest::sha256(content);
    let subject = Subject {
        digest: &digest,
        content: Some(content),
    };
    Signed::bundle(bundle)?.judge(subject, Purpose::Signature, keys, roots)
}

/// Judges a bundle that states something of `subject`.
///
/// # Errors
/// As [`judge`].
pub fn judge_attestation(
    bundle: &[u8],
    subject: &Digest,
    keys: &[PublicKey],
    roots: &Roots,
) -> Result<Attestation, SignatureFault> {
    let signature = Signed::bundle(bundle)?;
    let signer = signature.judge(subject.into(), Purpose::Attestation, keys, roots)?;
    let statement = signature.parsed.statement().cloned();
    let statement = statement.ok_or(SignatureError::NoStatement)?;
    Ok(Attestation { signer, statement })
}

/// The key that a signature says it is by; none if it does not say, or cannot be read.
pub fn claimed_key(signature: &FetchedSignature) -> Option<Fingerprint> {
    match signature {
        FetchedSignature::Bundle(bytes) => Bundle::parse(&bytes.0).ok()?.key(),
        FetchedSignature::SimpleSigning(_) => None,
    }
}

/// Whether this states something of its subject, instead of signing it.
pub fn is_attestation(signature: &FetchedSignature) -> bool {
    match signature {
        FetchedSignature::Bundle(bytes) => {
            Bundle::parse(&bytes.0).is_ok_and(|bundle| bundle.is_attestation())
        }
        FetchedSignature::SimpleSigning(_) => false,
    }
}

/// A signature in one form, whatever it was stored as.
struct Signed<'a> {
    parsed: Bundle,
    /// Whether a certificate vouches for it.
    keyless: bool,
    /// The same as a Sigstore bundle; none if nothing but a key can vouch for it.
    bundle: Option<Cow<'a, [u8]>>,
    /// The bytes that it signs, unless they are the subject itself.
    payload: Option<&'a [u8]>,
}

impl<'a> Signed<'a> {
    fn bundle(bytes: &'a [u8]) -> Result<Self, SignatureFault> {
        let parsed = Bundle::parse(bytes)?;
        Ok(Self {
            keyless: parsed.material() == Material::Certificate,
            parsed,
            bundle: Some(Cow::Borrowed(bytes)),
            payload: None,
        })
    }

    fn read(signature: &'a FetchedSignature) -> Result<Self, SignatureFault> {
        match signature {
            FetchedSignature::Bundle(bytes) => Self::bundle(&bytes.0),
            FetchedSignature::SimpleSigning(simple) => Ok(Self {
                parsed: Bundle::parse_simple_signing(&simple.payload.0, &simple.signature)?,
                keyless: simple.certificate.is_some(),
                bundle: keyless::seal(simple)?.map(Cow::Owned),
                payload: Some(&simple.payload.0),
            }),
        }
    }

    fn judge(
        &self,
        subject: Subject<'_>,
        purpose: Purpose,
        keys: &[PublicKey],
        roots: &Roots,
    ) -> Result<Signer, SignatureFault> {
        let content = self.payload.or(subject.content).map_or(
            keyless::Content::Digest(subject.digest),
            keyless::Content::Bytes,
        );
        let signer = match &self.bundle {
            Some(bundle) if self.keyless => keyless::verify(bundle, content, roots)?,
            bundle => {
                let key = self.key(subject, keys)?;
                let mut signer = Signer {
                    identity: key.fingerprint().into(),
                    signed_at: None,
                    evidence: BTreeSet::from([Evidence::Key]),
                };
                if let Some(bundle) = bundle {
                    keyless::add_evidence(&mut signer, bundle, content, key, roots)?;
                }
                signer
            }
        };
        self.parsed.claims(subject.digest, purpose)?;
        Ok(signer)
    }

    /// The key that made it.
    fn key<'k>(
        &self,
        subject: Subject<'_>,
        keys: &'k [PublicKey],
    ) -> Result<&'k PublicKey, SignatureFault> {
        let Some(named) = self.parsed.key() else {
            return keys
                .iter()
                .find(|key| self.parsed.fits(key, subject).is_ok())
                .ok_or(SignatureFault::UnknownKey { named: None });
        };
        let key = keys.iter().find(|key| key.fingerprint() == named);
        let key = key.ok_or(SignatureFault::UnknownKey { named: Some(named) })?;
        self.parsed.fits(key, subject)?;
        Ok(key)
    }
}
