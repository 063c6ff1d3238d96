// SPDX-License-Identifier: Apache-2.0
//! Who signs: a key pair, or an account of an OpenID Connect issuer to which a
//! certificate authority gave a short-lived certificate (keyless signing).

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{digest::shorten, signature::Fingerprint};

/// Longest issuer, and longest subject, in bytes.
pub const MAX_IDENTITY_PART: usize = 1024;

/// The text is no identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// It has neither form.
    #[error(
        "`{0}` is no identity; write `key:SHA256:…` for a key, or `oidc:https://issuer#subject`"
    )]
    Form(String),
    /// A part is empty, too long, or has characters that cannot be shown.
    #[error(
        "{part} `{text}` of the identity must be 1 to {MAX_IDENTITY_PART} printable characters without `#` in the issuer"
    )]
    Part {
        /// `issuer` or `subject`.
        part: &'static str,
        /// What it is, shortened.
        text: String,
    },
}

/// A signer. Written `key:SHA256:…` or `oidc:<issuer>#<subject>`.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Identity {
    /// Who holds this key.
    Key(Fingerprint),
    /// Whom an issuer knows under a name.
    Oidc(OidcIdentity),
}

/// An account of an issuer. Both parts are printable and not empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OidcIdentity {
    issuer: String,
    subject: String,
}

impl OidcIdentity {
    /// `issuer` is the issuer's URL as its tokens and certificates have it; `subject` is
    /// the certificate's subject alternative name: an e-mail address or a URI.
    ///
    /// # Errors
    /// [`IdentityError::Part`] if a part is empty, longer than [`MAX_IDENTITY_PART`], or
    /// has control characters or white space; or if the issuer has a `#`.
    pub fn new(issuer: &str, subject: &str) -> Result<Self, IdentityError> {
        let good = |text: &str| {
            let printable = |c: char| !c.is_control() && !c.is_whitespace();
            (1..=MAX_IDENTITY_PART).contains(&text.len()) && text.chars().all(printable)
        };
        for (part, text, fits) in [
            ("issuer", issuer, good(issuer) && !issuer.contains('#')),
            ("subject", subject, good(subject)),
        ] {
            if !fits {
                let text = shorten(text);
                return Err(IdentityError::Part { part, text });
            }
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
        })
    }

    /// The issuer's URL.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The e-mail address or URI.
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(fingerprint) => write!(f, "key:{fingerprint}"),
            Self::Oidc(oidc) => write!(f, "oidc:{}#{}", oidc.issuer, oidc.subject),
        }
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let form = || IdentityError::Form(shorten(text));
        if let Some(fingerprint) = text.strip_prefix("key:") {
            return fingerprint.parse().map(Self::Key).map_err(|_| form());
        }
        let rest = text.strip_prefix("oidc:").ok_or_else(form)?;
        let (issuer, subject) = rest.split_once('#').ok_or_else(form)?;
        OidcIdentity::new(issuer, subject).map(Self::Oidc)
    }
}

impl TryFrom<String> for Identity {
    type Error = IdentityError;

    fn try_from(text: String) -> Result<Self, IdentityError> {
        text.parse()
    }
}

impl From<Identity> for String {
    fn from(identity: Identity) -> Self {
        identity.to_string()
    }
}

impl From<Fingerprint> for Identity {
    fn from(fingerprint: Fingerprint) -> Self {
        Self::Key(fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_as_it_is_written() {
        let key = format!("key:SHA256:{}", "A".repeat(43));
        for text in [
            key.as_str(),
            "oidc:https://token.example#repo:a/b:ref:refs/heads/main",
            "oidc:https://accounts.example#jane@example.org",
            "oidc:https://token.example#https://forge.example/a/b/.wf/x.yml@refs/tags/v1#2",
        ] {
            let identity: Identity = text.parse().expect(text);
            assert_eq!(identity.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_identity_is_refused() {
        let long = format!("oidc:https://i#{}", "x".repeat(MAX_IDENTITY_PART + 1));
        for text in [
            "",
            "key:",
            "key:SHA256:AA",
            "SHA256:AAAA",
            "oidc:",
            "oidc:#",
            "oidc:https://i#",
            "oidc:#s",
            "oidc:https://i#a b",
            "oidc:https://i\n#a",
            "oidc:https://i#a\u{7f}",
            long.as_str(),
        ] {
            assert!(text.parse::<Identity>().is_err(), "{text}");
        }
    }
}
