// SPDX-License-Identifier: Apache-2.0
//! Whose signatures count.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Identity, digest::shorten, identity::OidcIdentity, signature::Fingerprint};

/// Which signers count: one key, or the subjects of an issuer. In a subject `*` stands for
/// any characters but `/`, and `**` for any.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum SignerPattern {
    /// This key.
    Key(Fingerprint),
    /// The subjects of this issuer that fit.
    Oidc(OidcIdentity),
}

impl SignerPattern {
    /// Whether `identity` fits.
    pub fn matches(&self, identity: &Identity) -> bool {
        match (self, identity) {
            (Self::Key(wanted), Identity::Key(key)) => wanted == key,
            (Self::Oidc(wanted), Identity::Oidc(oidc)) => {
                wanted.issuer() == oidc.issuer()
                    && fits(wanted.subject().as_bytes(), oidc.subject().as_bytes())
            }
            _ => false,
        }
    }
}

/// Whether `text` fits `pattern`. Takes time linear in the product of both lengths, which
/// are bounded, whatever the pattern is.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    // reached[i]: the pattern so far fits the first i bytes of the text.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    let mut rest = pattern;
    while let Some((&first, tail)) = rest.split_first() {
        let any = rest.starts_with(b"**");
        if first == b'*' {
            rest = if any { &rest[2..] } else { tail };
            for at in 0..text.len() {
                let crosses = any || text[at] != b'/';
                reached[at + 1] |= reached[at] && crosses;
            }
        } else {
            rest = tail;
            for at in (0..text.len()).rev() {
                reached[at + 1] = reached[at] && text[at] == first;
            }
            reached[0] = false;
        }
    }
    reached[text.len()]
}

impl fmt::Display for SignerPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => Identity::Key(*key).fmt(f),
            Self::Oidc(oidc) => Identity::Oidc(oidc.clone()).fmt(f),
        }
    }
}

impl FromStr for SignerPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text
            .parse::<Identity>()
            .map_err(|error| error.to_string())?
        {
            Identity::Key(key) => Ok(Self::Key(key)),
            Identity::Oidc(oidc) if oidc.issuer().contains('*') => Err(format!(
                "issuer `{}` has a `*`; an issuer is named in full",
                shorten(oidc.issuer())
            )),
            Identity::Oidc(oidc) => Ok(Self::Oidc(oidc)),
        }
    }
}

impl TryFrom<String> for SignerPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<SignerPattern> for String {
    fn from(pattern: SignerPattern) -> Self {
        pattern.to_string()
    }
}
