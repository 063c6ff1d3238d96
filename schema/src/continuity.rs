// SPDX-License-Identifier: Apache-2.0
//! Continuity statements: one identity of a namespace says that another may go on in its
//! place, or beside it.
//!
//! The form is an in-toto statement v1 in a DSSE envelope, in a Sigstore bundle v0.3, by the
//! old identity; its subject is the new identity's text, by sha256, and its predicate is
//! [`Continuity`]. Whoever keeps the statement can check it without the registry.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Digest, Identity, Namespace,
    digest::shorten,
    signature::{PublicKey, SignatureError, Statement, attestation},
};

/// Type of the predicate.
pub const CONTINUITY_PREDICATE: &str = "https://bpfpkg.dev/continuity/v1";

/// Why a continuity statement is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ContinuityError {
    /// It says something else.
    #[error("the statement has predicate type `{0}`, not `{CONTINUITY_PREDICATE}`")]
    OtherType(String),
    /// The predicate cannot be read.
    #[error("the continuity statement cannot be read: {0}")]
    Malformed(String),
    /// It is for another registry or namespace.
    #[error("the continuity statement is for {what} `{actual}`, not for `{expected}`")]
    Elsewhere {
        what: &'static str,
        actual: String,
        expected: String,
    },
    /// It was signed by somebody else than it says.
    #[error("the continuity statement says it is by {stated}, and is signed by {signer}")]
    OtherSigner { stated: Identity, signer: Identity },
    /// It names the same identity twice.
    #[error("the continuity statement names {0} as its own successor")]
    Same(Identity),
    /// The key in it is none, or another one.
    #[error("the key in the continuity statement is not {successor}: {reason}")]
    Key { successor: Identity, reason: String },
    /// It was made too long ago, or is from the future.
    #[error("the continuity statement was made at {at}; sign it anew: it counts for 7 days")]
    Time { at: DateTime<Utc> },
}

/// What the old identity says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Continuity {
    /// The registry, `host` or `host:port`.
    pub registry: String,
    /// The namespace in it.
    pub namespace: Namespace,
    /// Who says so.
    pub signer: Identity,
    /// Who may go on.
    pub successor: Identity,
    /// The successor's key as SPKI PEM, if it is a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor_key: Option<String>,
    /// Whether the old identity signs no more.
    pub retires: bool,
    /// When it was said.
    pub at: DateTime<Utc>,
}

impl Continuity {
    /// For how many days a statement may be handed in.
    pub const DAYS: i64 = 7;
    /// How many minutes clocks may differ.
    const AHEAD_MINUTES: i64 = 5;

    /// What pins the successor in the statement: sha256 of its text.
    pub fn subject(successor: &Identity) -> Digest {
        Digest::sha256(successor.to_string().as_bytes())
    }

    /// The bytes to sign.
    pub fn statement(&self) -> Vec<u8> {
        attestation(
            &Self::subject(&self.successor),
            CONTINUITY_PREDICATE,
            &json!(self),
        )
    }

    /// Reads what a statement says, before its signature is judged.
    ///
    /// # Errors
    /// [`ContinuityError::OtherType`], [`ContinuityError::Malformed`].
    pub fn read(statement: &Statement) -> Result<Self, ContinuityError> {
        if statement.predicate_type != CONTINUITY_PREDICATE {
            return Err(ContinuityError::OtherType(shorten(
                &statement.predicate_type,
            )));
        }
        let predicate: Value = statement.predicate.clone();
        serde_json::from_value(predicate)
            .map_err(|error| ContinuityError::Malformed(shorten(&error.to_string())))
    }

    /// Checks that it is for this namespace of this registry, was said by who signed it, and
    /// lately. Gives the successor's key, if it is one.
    ///
    /// # Errors
    /// All variants of [`ContinuityError`] but the two of [`Self::read`].
    pub fn check(
        &self,
        registry: &str,
        namespace: &Namespace,
        signer: &Identity,
        now: DateTime<Utc>,
    ) -> Result<Option<PublicKey>, ContinuityError> {
        let elsewhere = |what, actual: &str, expected: &str| ContinuityError::Elsewhere {
            what,
            actual: shorten(actual),
            expected: expected.to_owned(),
        };
        if self.registry != registry {
            return Err(elsewhere("registry", &self.registry, registry));
        }
        if self.namespace != *namespace {
            let (actual, expected) = (self.namespace.as_str(), namespace.as_str());
            return Err(elsewhere("namespace", actual, expected));
        }
        if self.signer != *signer {
            let (stated, signer) = (self.signer.clone(), signer.clone());
            return Err(ContinuityError::OtherSigner { stated, signer });
        }
        if self.signer == self.successor {
            return Err(ContinuityError::Same(self.signer.clone()));
        }
        let age = now - self.at;
        if age.num_days() >= Self::DAYS || age.num_minutes() < -Self::AHEAD_MINUTES {
            return Err(ContinuityError::Time { at: self.at });
        }
        self.key()
    }

    /// The successor's key, which must be the one that is named.
    fn key(&self) -> Result<Option<PublicKey>, ContinuityError> {
        let wrong = |reason: String| ContinuityError::Key {
            successor: self.successor.clone(),
            reason,
        };
        match (&self.successor, &self.successor_key) {
            (Identity::Key(fingerprint), Some(pem)) => {
                let key = PublicKey::from_pem(pem)
                    .map_err(|error: SignatureError| wrong(error.to_string()))?;
                if key.fingerprint() == *fingerprint {
                    Ok(Some(key))
                } else {
                    Err(wrong(format!("it is {}", key.fingerprint())))
                }
            }
            (Identity::Key(_), None) => Err(wrong("it is missing".to_owned())),
            (Identity::Oidc(_), None) => Ok(None),
            (Identity::Oidc(_), Some(_)) => Err(wrong("no key belongs there".to_owned())),
        }
    }
}
