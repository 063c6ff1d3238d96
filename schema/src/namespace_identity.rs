// SPDX-License-Identifier: Apache-2.0
//! Who may sign for a namespace, and how that changes: bodies of the REST API.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Digest, Identity, continuity::Continuity, trust::policy::SignerPattern};

/// Why an identity signs no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IdentityEnd {
    /// Another took its place: what it signed before counts.
    Superseded,
    /// Somebody else may have it: what arrived since a date does not count.
    Compromised,
}

impl IdentityEnd {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Superseded => "superseded",
            Self::Compromised => "compromised",
        }
    }
}

/// That an identity was revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdentityRevocation {
    /// Why.
    pub end: IdentityEnd,
    /// Signatures that arrived from then on do not count.
    pub since: DateTime<Utc>,
    /// What was said about it.
    pub note: String,
}

/// Revokes an identity of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIdentityRevocation {
    /// The key, or the issuer and the pattern of its subjects.
    pub identity: SignerPattern,
    /// Why.
    pub end: IdentityEnd,
    /// From when on, for a compromised one; now if absent. It may not lie ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// One line for those who look it up.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// Lets people or jobs sign for a namespace on an issuer's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNamespaceIdentity {
    /// `oidc:<issuer>#<pattern>`; `*` stands for any characters but `/`, `**` for any.
    pub identity: SignerPattern,
}

/// Who may sign for a namespace on an issuer's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamespaceIdentity {
    /// Issuer and pattern.
    pub identity: SignerPattern,
    /// Since when.
    pub added_at: DateTime<Utc>,
    /// Who added it.
    pub added_by: String,
    /// That it signs no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<IdentityRevocation>,
}

/// Hands in a continuity statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewContinuity {
    /// The signed statement: a Sigstore bundle.
    pub bundle: Value,
}

/// A continuity statement that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AcceptedContinuity {
    /// What it says.
    #[serde(flatten)]
    pub says: Continuity,
    /// When it was accepted.
    pub accepted_at: DateTime<Utc>,
    /// The signed statement.
    pub bundle: Value,
    /// Digest of the bundle.
    pub digest: Digest,
    /// Whether it counts no more, because who signed it was compromised then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub void: bool,
}

/// Why a package has a new signer epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EpochCause {
    /// It was published for the first time.
    First,
    /// Others sign it than before, whom those had not named.
    Signer,
    /// Its namespace was handed over.
    Transfer,
}

/// A stretch of a package's life that the same identities, or those they named, vouch for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Epoch {
    /// From 1.
    pub number: u32,
    /// Why it began.
    pub cause: EpochCause,
    /// When.
    pub began_at: DateTime<Utc>,
    /// Who signed then; none as long as nobody has.
    pub signers: Vec<Identity>,
    /// The version that it began with, if it began with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<crate::Version>,
}

/// Offers a namespace to another account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTransfer {
    /// The account.
    pub to: String,
}

/// A namespace that is being handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Transfer {
    /// The owner who offered it.
    pub from: String,
    /// The account that gets it.
    pub to: String,
    /// When it was offered.
    pub offered_at: DateTime<Utc>,
    /// When it was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<DateTime<Utc>>,
    /// When it is handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<DateTime<Utc>>,
}

/// Says who stands behind a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NewProof {
    /// A domain, which carries a line under `/.well-known/bpfpkg.txt`.
    Domain(String),
    /// An account at a forge, whose jobs publish here: `oidc:<issuer>#<pattern>`.
    Forge(SignerPattern),
}

/// What shows who stands behind a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProofKind {
    /// A domain.
    Domain,
    /// An account at a forge.
    Forge,
}

impl ProofKind {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Forge => "forge",
        }
    }
}

/// A domain or account that a namespace says is its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proof {
    /// Which of the two.
    pub kind: ProofKind,
    /// The domain, or `oidc:<issuer>#<pattern>`.
    pub subject: String,
    /// Whether it counts today.
    pub valid: bool,
    /// When it was last seen to hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proved_at: Option<DateTime<Utc>>,
    /// When it counts no more, unless it is seen again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lapses_at: Option<DateTime<Utc>>,
    /// When it was last looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<DateTime<Utc>>,
    /// Why it did not hold then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The line that the domain is to carry, for maintainers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
}
