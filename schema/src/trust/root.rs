// SPDX-License-Identifier: Apache-2.0
//! The trust root of a registry: the one document that is pinned by hand.
//!
//! It names the keys that may change it, the key of the publish log, the keys of the
//! revocation feed, and the issuers and certificate authorities of keyless signatures.
//! The next version is signed by the threshold of the old keys and of the new.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::envelope::{Envelope, EnvelopeError};
use crate::{
    canonical,
    digest::{Digest, shorten},
    reference::check_host,
    signature::{Fingerprint, PublicKey},
};

/// Payload type of the envelope.
pub const ROOT_TYPE: &str = "application/vnd.bpfpkg.root.v1+json";
/// Largest signed root, in bytes.
pub const MAX_ROOT: usize = 1 << 20;
/// Most keys of one kind.
pub const MAX_KEYS: usize = 16;

/// Why a root is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum RootError {
    /// The envelope is none, or too few have signed it.
    #[error("trust root: {0}")]
    Envelope(#[from] EnvelopeError),
    /// The document breaks a rule.
    #[error("trust root: {0}")]
    Malformed(String),
    /// It is another registry's.
    #[error("trust root is for registry `{actual}`, not for `{expected}`")]
    OtherRegistry { actual: String, expected: String },
    /// It does not follow the one that is pinned.
    #[error("trust root has version {actual}; version {expected} must come next")]
    OutOfOrder { actual: u64, expected: u64 },
    /// There are two documents of one version.
    #[error(
        "there are two different trust roots of version {version}: {pinned} is pinned, and {served} is served"
    )]
    Forked {
        version: u64,
        pinned: Box<Digest>,
        served: Box<Digest>,
    },
    /// The keys of the root before it have not agreed.
    #[error(
        "trust root version {version} is signed by {found} keys of version {before}; {needed} are needed"
    )]
    NotContinued {
        version: u64,
        before: u64,
        found: usize,
        needed: usize,
    },
    /// Its time is over.
    #[error("trust root version {version} expired at {at}")]
    Expired { version: u64, at: DateTime<Utc> },
}

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// The form of this document: 1.
    pub format: u32,
    /// Host, and port if it is not the usual one, of the registry.
    pub registry: String,
    /// Counts from 1; each version follows the one before it.
    pub version: u64,
    /// When it was made.
    pub issued_at: DateTime<Utc>,
    /// When it counts no more.
    pub expires_at: DateTime<Utc>,
    /// Public keys in PEM that may make the next version.
    pub keys: Vec<String>,
    /// How many of them must sign.
    pub threshold: u32,
    /// The publish log; absent if the registry keeps none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogTrust>,
    /// Who may revoke; absent if the registry has no feed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<RevocationTrust>,
    /// Issuers whose identities may be believed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issuers: Vec<String>,
    /// Certificate authorities, logs and time-stampers of keyless signatures: each a
    /// Sigstore `trusted_root.json`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sigstore: Vec<serde_json::Value>,
}

/// The publish log of a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogTrust {
    /// The first line of its checkpoints.
    pub origin: String,
    /// Its verifier keys, `name+hash+base64`.
    pub keys: Vec<String>,
    /// Verifier keys of witnesses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub witnesses: Vec<String>,
    /// How many witnesses must have signed a checkpoint.
    #[serde(default)]
    pub witness_threshold: u32,
}

/// Who signs the revocation feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevocationTrust {
    /// Public keys in PEM.
    pub keys: Vec<String>,
    /// How many of them must sign.
    pub threshold: u32,
}

fn keys_of(which: &str, pems: &[String], threshold: u32) -> Result<Vec<PublicKey>, RootError> {
    if !(1..=MAX_KEYS).contains(&pems.len()) {
        return Err(RootError::Malformed(format!(
            "`{which}` has {} keys; it must have 1 to {MAX_KEYS}",
            pems.len()
        )));
    }
    if threshold == 0 || threshold as usize > pems.len() {
        return Err(RootError::Malformed(format!(
            "`{which}` has {} keys and threshold {threshold}; the threshold must be 1 to the number of keys",
            pems.len()
        )));
    }
    let mut keys = Vec::<PublicKey>::new();
    for pem in pems {
        let key = PublicKey::from_pem(pem)
            .map_err(|error| RootError::Malformed(format!("`{which}`: {error}")))?;
        if keys.contains(&key) {
            return Err(RootError::Malformed(format!(
                "`{which}` has key {} twice",
                key.fingerprint()
            )));
        }
        keys.push(key);
    }
    Ok(keys)
}

impl Root {
    fn check(&self) -> Result<(), RootError> {
        let wrong = |reason: String| Err(RootError::Malformed(reason));
        if self.format != 1 {
            return wrong(format!("`format` is {}; only 1 is known", self.format));
        }
        if let Err(error) = check_host(&self.registry) {
            return wrong(error.to_string());
        }
        if self.version == 0 {
            return wrong("`version` is 0; versions count from 1".to_owned());
        }
        if self.expires_at <= self.issued_at {
            return wrong(format!(
                "it expires at {}, which is not after it was issued, {}",
                self.expires_at, self.issued_at
            ));
        }
        keys_of("keys", &self.keys, self.threshold)?;
        if let Some(revocation) = &self.revocation {
            keys_of("revocation.keys", &revocation.keys, revocation.threshold)?;
        }
        if let Some(log) = &self.log {
            if !(1..=MAX_KEYS).contains(&log.keys.len()) || log.witnesses.len() > MAX_KEYS {
                return wrong(format!(
                    "`log` has {} keys and {} witnesses; it must have 1 to {MAX_KEYS} keys and at most {MAX_KEYS} witnesses",
                    log.keys.len(),
                    log.witnesses.len()
                ));
            }
            if log.witness_threshold as usize > log.witnesses.len() {
                return wrong(format!(
                    "`log.witness_threshold` is {}, but there are {} witnesses",
                    log.witness_threshold,
                    log.witnesses.len()
                ));
            }
        }
        Ok(())
    }

    /// Puts the document in an envelope that nobody has signed yet.
    ///
    /// # Errors
    /// [`RootError::Malformed`] if it breaks a rule.
    pub fn to_envelope(&self) -> Result<Envelope, RootError> {
        self.check()?;
        let payload =
            canonical::to_vec(self).map_err(|error| RootError::Malformed(error.to_string()))?;
        Ok(Envelope::new(ROOT_TYPE, payload))
    }
}

/// A root that the threshold of its own keys has signed, which by itself means only that
/// it is whole: who pins it decides whether to believe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRoot {
    root: Root,
    keys: Vec<PublicKey>,
    revocation_keys: Vec<PublicKey>,
    envelope: Envelope,
}

impl SignedRoot {
    /// Reads a signed root.
    ///
    /// # Errors
    /// [`RootError::Envelope`] if it is no envelope or too few of its own keys have
    /// signed, [`RootError::Malformed`] if it breaks a rule.
    pub fn open(bytes: &[u8]) -> Result<Self, RootError> {
        let envelope = Envelope::parse(bytes, ROOT_TYPE, MAX_ROOT)?;
        let root = read_unsigned(&envelope)?;
        let keys = keys_of("keys", &root.keys, root.threshold)?;
        envelope.verify(&keys, root.threshold as usize)?;
        let revocation_keys = match &root.revocation {
            Some(trust) => keys_of("revocation.keys", &trust.keys, trust.threshold)?,
            None => Vec::new(),
        };
        Ok(Self {
            root,
            keys,
            revocation_keys,
            envelope,
        })
    }

    /// The document.
    pub const fn root(&self) -> &Root {
        &self.root
    }

    /// The signed bytes.
    pub fn to_json(&self) -> Vec<u8> {
        self.envelope.to_json()
    }

    /// sha256 of the document: what two people compare.
    pub fn digest(&self) -> Digest {
        Digest::sha256(self.envelope.payload())
    }

    /// Fingerprints of the keys that may change it.
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        self.keys.iter().map(PublicKey::fingerprint).collect()
    }

    /// The keys that sign the revocation feed, and how many must; none if there is no feed.
    pub fn revocation_keys(&self) -> Option<(&[PublicKey], usize)> {
        let trust = self.root.revocation.as_ref()?;
        Some((&self.revocation_keys, trust.threshold as usize))
    }

    /// Checks that it is `registry`'s.
    ///
    /// # Errors
    /// [`RootError::OtherRegistry`].
    pub fn check_registry(&self, registry: &str) -> Result<(), RootError> {
        if self.root.registry == registry {
            return Ok(());
        }
        Err(RootError::OtherRegistry {
            actual: self.root.registry.clone(),
            expected: registry.to_owned(),
        })
    }

    /// Checks that its time is not over at `now`.
    ///
    /// # Errors
    /// [`RootError::Expired`].
    pub fn check_current(&self, now: DateTime<Utc>) -> Result<(), RootError> {
        if now < self.root.expires_at {
            return Ok(());
        }
        Err(RootError::Expired {
            version: self.root.version,
            at: self.root.expires_at,
        })
    }

    /// Checks that `next` may take the place of this one: it is the next version of the
    /// same registry's, and the threshold of this one's keys has signed it. Whether this
    /// one has expired does not matter, so that late comers can catch up.
    ///
    /// # Errors
    /// [`RootError::OtherRegistry`], [`RootError::OutOfOrder`], [`RootError::Forked`] if
    /// it is another document of the same version, [`RootError::NotContinued`].
    pub fn check_next(&self, next: &Self) -> Result<(), RootError> {
        next.check_registry(&self.root.registry)?;
        let (version, before) = (next.root.version, self.root.version);
        if version == before && next.digest() != self.digest() {
            return Err(RootError::Forked {
                version,
                pinned: Box::new(self.digest()),
                served: Box::new(next.digest()),
            });
        }
        if before.checked_add(1) != Some(version) {
            return Err(RootError::OutOfOrder {
                actual: version,
                expected: before.saturating_add(1),
            });
        }
        let needed = self.root.threshold as usize;
        match next.envelope.verify(&self.keys, needed) {
            Ok(_) => Ok(()),
            Err(EnvelopeError::Threshold { found, needed }) => Err(RootError::NotContinued {
                version,
                before,
                found,
                needed,
            }),
            Err(error) => Err(error.into()),
        }
    }
}

/// Reads the document of an envelope that may lack signatures: for those who sign it.
///
/// # Errors
/// [`RootError::Malformed`] if it breaks a rule.
pub fn read_unsigned(envelope: &Envelope) -> Result<Root, RootError> {
    let root: Root = serde_json::from_slice(envelope.payload())
        .map_err(|error| RootError::Malformed(shorten(&error.to_string())))?;
    root.check()?;
    Ok(root)
}
