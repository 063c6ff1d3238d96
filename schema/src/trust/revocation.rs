// SPDX-License-Identifier: Apache-2.0
//! The revocation feed of a registry: which keys, digests and versions count no more.
//!
//! The feed is signed, its version only grows, what is in it stays in it, and it expires,
//! so that a mirror can neither drop an entry nor hold back news unnoticed.

use std::{collections::BTreeMap, fmt, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::envelope::{Envelope, EnvelopeError};
use crate::{
    Digest, Identity, PackageName, Version, canonical, digest::shorten, signature::PublicKey,
};

/// Payload type of the envelope.
pub const REVOCATION_TYPE: &str = "application/vnd.bpfpkg.revocation.v1+json";
/// Largest signed feed, in bytes.
pub const MAX_FEED: usize = 8 << 20;
/// Most entries.
pub const MAX_REVOKED: usize = 50_000;
/// Longest note, in bytes.
pub const MAX_NOTE: usize = 1000;
/// How far the clock of whoever issued a feed may be ahead.
const MAX_SKEW: TimeDelta = TimeDelta::minutes(10);

/// Why a feed is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum FeedError {
    /// The envelope is none, or too few have signed it.
    #[error("revocation feed: {0}")]
    Envelope(#[from] EnvelopeError),
    /// The document breaks a rule.
    #[error("revocation feed: {0}")]
    Malformed(String),
    /// It is another registry's.
    #[error("revocation feed is for registry `{actual}`, not for `{expected}`")]
    OtherRegistry { actual: String, expected: String },
    /// It is older than one that was seen.
    #[error("revocation feed has version {actual}, and version {seen} was seen before")]
    Rollback { actual: u64, seen: u64 },
    /// There are two documents of one version.
    #[error("there are two different revocation feeds of version {0}")]
    Forked(u64),
    /// An entry that was there is gone.
    #[error("revocation feed version {version} has lost the entry for {subject}")]
    Dropped { version: u64, subject: String },
    /// An entry says less than it did.
    #[error("revocation feed version {version} takes back a part of what was said of {subject}")]
    Weakened { version: u64, subject: String },
    /// Its time is over.
    #[error("revocation feed version {version} expired at {at}")]
    Expired { version: u64, at: DateTime<Utc> },
    /// It is from the future: of two clocks one is wrong, and nothing would ever expire by one
    /// that is behind.
    #[error(
        "revocation feed version {version} was issued at {at}, and here it is {now}: one of the clocks is wrong"
    )]
    Future {
        version: u64,
        at: DateTime<Utc>,
        now: DateTime<Utc>,
    },
    /// It was issued longer ago than the policy allows.
    #[error(
        "revocation feed version {version} was issued at {at}, longer ago than the {limit} seconds that the policy allows"
    )]
    TooOld {
        version: u64,
        at: DateTime<Utc>,
        limit: u64,
    },
}

/// What is revoked. Written as an identity (`key:…`, `oidc:…`), a digest (`sha256:…`), or
/// `version:namespace/name:1.2.3`.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Subject {
    /// What this signer signs.
    Identity(Identity),
    /// The index, or the object, with this digest, under whatever name.
    Digest(Digest),
    /// This version of a package.
    Version(PackageName, Version),
}

/// The text names nothing that can be revoked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names nothing that can be revoked; write `key:SHA256:…`, `oidc:issuer#subject`, `sha256:…`, or `version:namespace/name:1.2.3`"
)]
pub struct SubjectError(String);

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity(identity) => identity.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
            Self::Version(package, version) => write!(f, "version:{package}:{version}"),
        }
    }
}

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        let wrong = || SubjectError(shorten(text));
        if let Some(rest) = text.strip_prefix("version:") {
            let (package, version) = rest.split_once(':').ok_or_else(wrong)?;
            let package = package.parse().map_err(|_| wrong())?;
            return Ok(Self::Version(
                package,
                version.parse().map_err(|_| wrong())?,
            ));
        }
        if text.starts_with("key:") || text.starts_with("oidc:") {
            return text.parse().map(Self::Identity).map_err(|_| wrong());
        }
        text.parse().map(Self::Digest).map_err(|_| wrong())
    }
}

impl TryFrom<String> for Subject {
    type Error = SubjectError;

    fn try_from(text: String) -> Result<Self, SubjectError> {
        text.parse()
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.to_string()
    }
}

/// Why something was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// Somebody else may have the key: a signature counts only with proof that it was
    /// made before.
    Compromised,
    /// Another took its place: signatures made before count, those proven later do not.
    Superseded,
    /// It does harm on purpose.
    Malicious,
    /// It does harm by mistake.
    Defective,
}

impl Reason {
    /// The word in the feed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Compromised => "compromised",
            Self::Superseded => "superseded",
            Self::Malicious => "malicious",
            Self::Defective => "defective",
        }
    }
}

/// The text is no reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no reason; write `compromised`, `superseded`, `malicious` or `defective`")]
pub struct ReasonError(String);

impl FromStr for Reason {
    type Err = ReasonError;

    fn from_str(text: &str) -> Result<Self, ReasonError> {
        [
            Self::Compromised,
            Self::Superseded,
            Self::Malicious,
            Self::Defective,
        ]
        .into_iter()
        .find(|reason| reason.as_str() == text)
        .ok_or_else(|| ReasonError(shorten(text)))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// What.
    pub subject: Subject,
    /// From when on.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: Reason,
    /// What the publisher or the registry says about it, at most [`MAX_NOTE`] bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// What a publisher or administrator asks to revoke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRevocation {
    /// What.
    pub subject: Subject,
    /// From when on; now if absent. May lie in the past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<DateTime<Utc>>,
    /// Why.
    pub reason: Reason,
    /// What there is to say about it, at most [`MAX_NOTE`] bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Revoked {
    /// Whether it refuses all that `older` did.
    fn covers(&self, older: &Self) -> bool {
        let weaker = self.reason == Reason::Superseded && older.reason != Reason::Superseded;
        self.at <= older.at && !weaker
    }
}

impl fmt::Display for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} was revoked on {} ({}",
            self.subject,
            self.at.format("%Y-%m-%d"),
            self.reason
        )?;
        if !self.note.is_empty() {
            let printable = |c: &char| !c.is_control();
            write!(
                f,
                ": {}",
                self.note.chars().filter(printable).collect::<String>()
            )?;
        }
        f.write_str(")")
    }
}

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Feed {
    /// The form of this document: 1.
    pub format: u32,
    /// Host, and port if it is not the usual one, of the registry.
    pub registry: String,
    /// Grows with each document.
    pub version: u64,
    /// When it was made.
    pub issued_at: DateTime<Utc>,
    /// When it counts no more.
    pub expires_at: DateTime<Utc>,
    /// What is revoked.
    pub revoked: Vec<Revoked>,
}

impl Feed {
    /// Reads a feed that at least `needed` of `keys` have signed.
    ///
    /// # Errors
    /// [`FeedError::Envelope`], [`FeedError::Malformed`].
    pub fn open(bytes: &[u8], keys: &[PublicKey], needed: usize) -> Result<Self, FeedError> {
        let envelope = Envelope::parse(bytes, REVOCATION_TYPE, MAX_FEED)?;
        envelope.verify(keys, needed)?;
        let feed: Self = serde_json::from_slice(envelope.payload())
            .map_err(|error| FeedError::Malformed(shorten(&error.to_string())))?;
        feed.check()?;
        Ok(feed)
    }

    /// Puts the document in an envelope that nobody has signed yet.
    ///
    /// # Errors
    /// [`FeedError::Malformed`] if it breaks a rule.
    pub fn to_envelope(&self) -> Result<Envelope, FeedError> {
        self.check()?;
        let payload =
            canonical::to_vec(self).map_err(|error| FeedError::Malformed(error.to_string()))?;
        Ok(Envelope::new(REVOCATION_TYPE, payload))
    }

    fn check(&self) -> Result<(), FeedError> {
        let wrong = |reason: String| Err(FeedError::Malformed(reason));
        if self.format != 1 {
            return wrong(format!("`format` is {}; only 1 is known", self.format));
        }
        if self.expires_at <= self.issued_at {
            return wrong(format!(
                "it expires at {}, which is not after it was issued, {}",
                self.expires_at, self.issued_at
            ));
        }
        if self.revoked.len() > MAX_REVOKED {
            let count = self.revoked.len();
            return wrong(format!(
                "it has {count} entries; the limit is {MAX_REVOKED}"
            ));
        }
        match self.revoked.iter().find(|one| one.note.len() > MAX_NOTE) {
            Some(long) => wrong(format!(
                "the note of {} is {} bytes; the limit is {MAX_NOTE}",
                long.subject,
                long.note.len()
            )),
            None => Ok(()),
        }
    }

    /// Checks that it is `registry`'s.
    ///
    /// # Errors
    /// [`FeedError::OtherRegistry`].
    pub fn check_registry(&self, registry: &str) -> Result<(), FeedError> {
        if self.registry == registry {
            return Ok(());
        }
        Err(FeedError::OtherRegistry {
            actual: self.registry.clone(),
            expected: registry.to_owned(),
        })
    }

    /// Checks that it may take the place of `older`: its version is not lower, and
    /// everything that was revoked still is, from no later on and for no lesser reason.
    ///
    /// # Errors
    /// [`FeedError::Rollback`], [`FeedError::Forked`], [`FeedError::Dropped`],
    /// [`FeedError::Weakened`].
    pub fn check_follows(&self, older: &Self) -> Result<(), FeedError> {
        if self.version < older.version {
            let (actual, seen) = (self.version, older.version);
            return Err(FeedError::Rollback { actual, seen });
        }
        // The same version may be signed anew, with a later expiry.
        let own: BTreeMap<_, _> = self.revoked.iter().map(|one| (&one.subject, one)).collect();
        if self.version == older.version && self.revoked != older.revoked {
            return Err(FeedError::Forked(self.version));
        }
        let version = self.version;
        for old in &older.revoked {
            let subject = || old.subject.to_string();
            match own.get(&old.subject) {
                None => {
                    let subject = subject();
                    return Err(FeedError::Dropped { version, subject });
                }
                Some(own) if !own.covers(old) => {
                    let subject = subject();
                    return Err(FeedError::Weakened { version, subject });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Checks that it counts at `now`: not expired, and issued at most `max_age` seconds
    /// ago, if that is given.
    ///
    /// # Errors
    /// [`FeedError::Expired`], [`FeedError::Future`], [`FeedError::TooOld`].
    pub fn check_current(&self, now: DateTime<Utc>, max_age: Option<u64>) -> Result<(), FeedError> {
        let version = self.version;
        if now >= self.expires_at {
            let at = self.expires_at;
            return Err(FeedError::Expired { version, at });
        }
        if self.issued_at > now + MAX_SKEW {
            let at = self.issued_at;
            return Err(FeedError::Future { version, at, now });
        }
        let age = u64::try_from((now - self.issued_at).num_seconds()).unwrap_or(0);
        match max_age {
            Some(limit) if age > limit => Err(FeedError::TooOld {
                version,
                at: self.issued_at,
                limit,
            }),
            _ => Ok(()),
        }
    }

    /// What revokes a digest, if anything does.
    pub fn find_digest(&self, digest: &Digest) -> Option<&Revoked> {
        self.revoked
            .iter()
            .find(|one| matches!(&one.subject, Subject::Digest(revoked) if revoked == digest))
    }

    /// What revokes a version, if anything does.
    pub fn find_version(&self, package: &PackageName, version: &Version) -> Option<&Revoked> {
        self.revoked.iter().find(
            |one| matches!(&one.subject, Subject::Version(p, v) if p == package && v == version),
        )
    }

    /// What revokes a signature of `identity`, if anything does. `proven` is the time
    /// before which it was certainly made, if a log or a time-stamper says so; `logged` is
    /// when the log took up what it signs, with or without it.
    pub fn find_signer(
        &self,
        identity: &Identity,
        proven: Option<DateTime<Utc>>,
        logged: Option<DateTime<Utc>>,
    ) -> Option<&Revoked> {
        self.revoked.iter().find(|one| {
            let Subject::Identity(revoked) = &one.subject else {
                return false;
            };
            revoked == identity
                && match one.reason {
                    // A log names only those who counted then.
                    Reason::Superseded => proven.or(logged).is_some_and(|time| time >= one.at),
                    _ => proven.is_none_or(|time| time >= one.at),
                }
        })
    }
}
