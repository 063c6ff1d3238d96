// SPDX-License-Identifier: Apache-2.0
//! Content digests in the OCI form `algorithm:hex`.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// A hash algorithm that digests may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, 64 hexadecimal digits.
    Sha256,
    /// SHA-512, 128 hexadecimal digits.
    Sha512,
}

impl Algorithm {
    /// The name before the colon of a digest.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// How many hexadecimal digits follow the colon.
    pub const fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        match text {
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            other => Err(DigestError::Algorithm(shorten(other))),
        }
    }
}

/// A digest whose text is well formed: a known algorithm, lower-case hexadecimal
/// digits, the right number of them.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Digest {
    text: String,
    algorithm: Algorithm,
}

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum DigestError {
    /// There is no colon.
    #[error("`{0}` is no digest; write `sha256:` and 64 lower-case hexadecimal digits")]
    Form(String),
    /// The algorithm is not known here.
    #[error("digest algorithm `{0}` is unknown; sha256 and sha512 are supported")]
    Algorithm(String),
    /// The digits are too many, too few, or not lower-case hexadecimal.
    #[error(
        "`{text}` has a malformed {algorithm} value; {wanted} lower-case hexadecimal digits are needed"
    )]
    Hex {
        text: String,
        algorithm: Algorithm,
        wanted: usize,
    },
}

/// Bytes that are not the bytes a digest names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("content is {actual}, not {expected} as promised; it was changed or damaged")]
pub struct DigestMismatch {
    /// The digest that was promised.
    pub expected: Digest,
    /// The digest of the bytes at hand.
    pub actual: Digest,
}

impl Digest {
    /// Computes the sha256 digest of `bytes`.
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::of(Algorithm::Sha256, bytes)
    }

    /// Computes the digest of `bytes` with `algorithm`.
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The algorithm before the colon.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hexadecimal digits after the colon.
    pub fn hex(&self) -> &str {
        &self.text[self.algorithm.as_str().len() + 1..]
    }

    /// The whole text, `algorithm:hex`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The tag under which clients without the referrers API look for a
    /// companion of this digest: `sha256-<hex>` and `suffix` (for instance `.sig`).
    pub fn tag(&self, suffix: &str) -> String {
        format!("{}-{}{suffix}", self.algorithm, self.hex())
    }

    /// Checks that `bytes` have this digest.
    ///
    /// # Errors
    /// [`DigestMismatch`] with both digests if they differ.
    pub fn check(&self, bytes: &[u8]) -> Result<(), DigestMismatch> {
        let actual = Self::of(self.algorithm, bytes);
        if actual == *self {
            Ok(())
        } else {
            Err(DigestMismatch {
                expected: self.clone(),
                actual,
            })
        }
    }

    fn from_raw(algorithm: Algorithm, raw: &[u8]) -> Self {
        Self {
            text: format!("{algorithm}:{}", hex::encode(raw)),
            algorithm,
        }
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (name, hex) = text
            .split_once(':')
            .ok_or_else(|| DigestError::Form(shorten(text)))?;
        let algorithm: Algorithm = name.parse()?;
        let digits = hex
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !digits || hex.len() != algorithm.hex_len() {
            return Err(DigestError::Hex {
                text: shorten(text),
                algorithm,
                wanted: algorithm.hex_len(),
            });
        }
        Ok(Self {
            text: text.to_owned(),
            algorithm,
        })
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.text
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Computes a digest of bytes that arrive in pieces.
#[derive(Debug, Clone)]
pub enum Hasher {
    /// A running sha256.
    Sha256(sha2::Sha256),
    /// A running sha512.
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// Starts a digest with `algorithm`.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(sha2::Sha512::new()),
        }
    }

    /// With which algorithm it was started.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Adds the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(state) => state.update(bytes),
            Self::Sha512(state) => state.update(bytes),
        }
    }

    /// Ends the digest.
    pub fn finish(self) -> Digest {
        match self {
            Self::Sha256(state) => Digest::from_raw(Algorithm::Sha256, &state.finalize()),
            Self::Sha512(state) => Digest::from_raw(Algorithm::Sha512, &state.finalize()),
        }
    }
}

/// Cuts text from outside to a length that fits an error message.
pub(crate) fn shorten(text: &str) -> String {
    const LIMIT: usize = 100;
    if text.chars().count() <= LIMIT {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(LIMIT).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_value_streams_and_prints() {
        let whole = Digest::sha256(b"{}");
        assert_eq!(
            whole.as_str(),
            "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(b"{");
        hasher.update(b"}");
        assert_eq!(hasher.finish(), whole);
        assert_eq!(whole.tag(".sig"), format!("sha256-{}.sig", whole.hex()));
        assert!(whole.check(b"{ }").is_err());
        assert_eq!(Digest::of(Algorithm::Sha512, b"").hex().len(), 128);
    }

    #[test]
    fn hostile_texts_are_refused() {
        let upper = format!("sha256:{}", "A".repeat(64));
        let short = format!("sha256:{}", "a".repeat(63));
        let long = format!("sha512:{}", "a".repeat(10_000_000));
        for text in [
            "",
            "sha256",
            "sha256:",
            "md5:00",
            "sha256:zz",
            ":",
            &upper,
            &short,
            &long,
        ] {
            let message = text.parse::<Digest>().expect_err(text).to_string();
            assert!(message.len() < 700, "{message}");
        }
    }
}
