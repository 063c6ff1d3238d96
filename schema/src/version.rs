// SPDX-License-Identifier: Apache-2.0
//! Versions of packages: SemVer 2.0 without build metadata.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::shorten;
use crate::name::{MAX_TAG, Tag};

/// A version of a package. Ordered by SemVer precedence.
///
/// Build metadata (`+…`) is refused: OCI tags may not contain `+`, and two versions
/// that differ only in it would have the same precedence.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Version(semver::Version);

/// Why a text is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum VersionError {
    /// The text is not SemVer.
    #[error("`{text}` is no version ({reason}); write three numbers, for instance `1.0.0`")]
    Form { text: String, reason: String },
    /// The text has build metadata.
    #[error("version `{0}` has build metadata; leave out `+` and what follows it")]
    BuildMetadata(String),
    /// The text would not fit in a tag.
    #[error("version `{text}` is {actual} bytes long; the limit is {MAX_TAG}")]
    TooLong { text: String, actual: usize },
}

impl Version {
    /// Whether this is a pre-release such as `1.0.0-rc.1`.
    pub fn is_prerelease(&self) -> bool {
        !self.0.pre.is_empty()
    }

    /// Whether this version fits a SemVer range.
    pub fn matches(&self, range: &semver::VersionReq) -> bool {
        range.matches(&self.0)
    }

    /// The tag that carries this version.
    pub fn tag(&self) -> Tag {
        self.to_string()
            .parse()
            .unwrap_or_else(|_| unreachable!("SemVer without `+` is a tag"))
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        if text.len() > MAX_TAG {
            return Err(VersionError::TooLong {
                text: shorten(text),
                actual: text.len(),
            });
        }
        let parsed = semver::Version::parse(text).map_err(|error| VersionError::Form {
            text: shorten(text),
            reason: error.to_string(),
        })?;
        if parsed.build.is_empty() {
            Ok(Self(parsed))
        } else {
            Err(VersionError::BuildMetadata(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Version {
    type Error = VersionError;

    fn try_from(text: String) -> Result<Self, VersionError> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_refusals() {
        let parse = |text: &str| text.parse::<Version>();
        assert!(parse("1.10.0").ok() > parse("1.9.0").ok());
        assert!(parse("1.0.0-rc.1").ok() < parse("1.0.0").ok());
        assert_eq!(parse("1.0.0").expect("version").tag().as_str(), "1.0.0");
        for text in [
            "",
            "1",
            "1.0",
            "v1.0.0",
            "1.0.0+a",
            "01.0.0",
            "latest",
            "99999999999999999999.0.0",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
