// SPDX-License-Identifier: Apache-2.0
//! Accounts, tokens, members and trusted publishers: bodies of the REST API.

use std::{collections::BTreeMap, fmt, str::FromStr};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{name::Namespace, scope::Scope};

/// What a member may do in a namespace; each may also do what the ones below may.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Pull, also from a private namespace.
    Viewer,
    /// Push.
    Publisher,
    /// Yank, delete tags and manifests, change keys and trusted publishers.
    Maintainer,
    /// Change members and visibility, delete the namespace.
    Owner,
}

impl Role {
    /// All roles, from least to most.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Publisher, Self::Maintainer, Self::Owner];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Publisher => "publisher",
            Self::Maintainer => "maintainer",
            Self::Owner => "owner",
        }
    }
}

/// A text is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role; use owner, maintainer, publisher or viewer")]
pub struct RoleError(String);

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| RoleError(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The caller's own account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OwnAccount {
    /// What is known of the account.
    #[serde(flatten)]
    pub account: AccountDetail,
    /// Its namespaces, by name.
    pub memberships: Vec<Membership>,
    /// What the request was made with, as the audit log names it.
    pub credential: String,
    /// What that credential is limited to; none if it may do all that the account may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<Scope>>,
}

/// A person or robot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and a field of the JSON"
)]
pub struct AccountDetail {
    /// Its name.
    pub name: String,
    /// Whether it may do everything.
    pub administrator: bool,
    /// Whether it is a trusted publisher, which nobody can log in as.
    pub robot: bool,
    /// Whether it has a password.
    pub password: bool,
    /// Since when it may do nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Whether it decides about versions that wait for review, as administrators may.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reviewer: bool,
}

/// A role in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Membership {
    /// The namespace.
    pub namespace: Namespace,
    /// The role.
    pub role: Role,
}

/// Asks for an account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// 1 to 64 lower-case letters, digits, `.`, `_` or `-`.
    pub name: String,
    /// 12 to 256 characters; without one the account can only use tokens that an
    /// administrator makes for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Whether it may do everything.
    #[serde(default)]
    pub administrator: bool,
}

/// Changes an account; what is absent stays.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountChange {
    /// Whether it may do nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// Whether it may do everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub administrator: Option<bool>,
    /// Whether it decides about versions that wait for review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewer: Option<bool>,
    /// A new password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// Changes the caller's password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The old one; none if the account has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// The new one.
    pub new: String,
}

/// Asks for a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What its owner calls it, 1 to 100 characters.
    pub label: String,
    /// What it may do; without any, all that the account may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<Scope>,
    /// How long it lasts; as long as the registry allows if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// Whose it is; the caller's if absent. Only administrators make tokens for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenDetail {
    /// By which it is revoked.
    pub id: String,
    /// What its owner calls it.
    pub label: String,
    /// What it may do; none if all that the account may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<Scope>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to ten minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A new token with its secret, which is shown only now.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewTokenAnswer {
    /// The secret.
    pub token: String,
    /// What is kept of it.
    #[serde(flatten)]
    pub detail: TokenDetail,
}

/// A member of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// The account.
    pub account: String,
    /// Its role.
    pub role: Role,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// Gives an account a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    /// The role.
    pub role: Role,
}

/// A CI job, or whoever an OIDC provider vouches for, that may publish without a kept secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTrustedPublisher {
    /// What the namespace calls it: lower-case letters, digits, `.`, `_` or `-`.
    pub name: String,
    /// The provider, as in the `iss` claim.
    pub issuer: String,
    /// The `sub` claim; `*` stands for any characters.
    pub subject: String,
    /// Other claims that must be there; `*` stands for any characters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, String>,
    /// Which packages of the namespace: a name, or its beginning and `*`; all if absent.
    #[serde(default = "everything")]
    pub packages: String,
}

fn everything() -> String {
    "*".to_owned()
}

/// A trusted publisher of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrustedPublisher {
    /// What it was asked for with.
    #[serde(flatten)]
    pub rule: NewTrustedPublisher,
    /// The account that its packages are published by.
    pub account: String,
    /// Who added it.
    pub added_by: String,
    /// When.
    pub added_at: DateTime<Utc>,
}

/// Asks for a publish token in exchange for an ID token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// The ID token.
    pub token: String,
    /// The namespace to publish in; needed only if several trust this identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
}

/// Maps a client certificate to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCertificate {
    /// `uri`, `dns` or `email` for a subject alternative name, `spki` for the public key.
    pub kind: String,
    /// The name, or the lower-case hexadecimal SHA-256 of the public key.
    pub value: String,
    /// The account.
    pub account: String,
}

/// A client certificate that stands for an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CertificateDetail {
    /// What it was added with.
    #[serde(flatten)]
    pub rule: NewCertificate,
    /// Who added it.
    pub added_by: String,
    /// When.
    pub added_at: DateTime<Utc>,
}

/// Links an identity of the login provider to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIdentity {
    /// The provider, as in the `iss` claim.
    pub issuer: String,
    /// The `sub` claim.
    pub subject: String,
}

/// Changes a namespace; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamespaceChange {
    /// Who may read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<crate::api::Visibility>,
    /// How many of its identities must sign a version of a public registry, 1 to 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u64>,
}
