// SPDX-License-Identifier: Apache-2.0
//! Versions of packages: SemVer 2.0 without build metadata.

use std::{cmp::Ordering, fmt, str::FromStr};

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

    /// Whether this version fits a range. Pre-releases fit only a range that names one of
    /// the same three numbers.
    pub fn matches(&self, range: &VersionRange) -> bool {
        range.0.matches(&self.0)
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

/// A range of versions, such as `^1.2` or `>=1.2, <1.9`, as Cargo understands it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VersionRange(semver::VersionReq);

/// Why a text is no range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no range of versions ({reason}); write for instance `^1.2` or `>=1.2, <1.9`")]
#[expect(missing_docs, reason = "the message says what the fields are")]
pub struct RangeError {
    pub text: String,
    pub reason: String,
}

impl VersionRange {
    /// Whether a text is meant as a range: no tag and no version begins like one.
    pub fn begins(text: &str) -> bool {
        text.starts_with(['^', '~', '>', '<', '=', '*'])
    }
}

impl FromStr for VersionRange {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let error = |reason: String| RangeError {
            text: shorten(text),
            reason,
        };
        if text.len() > MAX_TAG {
            return Err(error(format!("it is longer than {MAX_TAG} bytes")));
        }
        semver::VersionReq::parse(text)
            .map(Self)
            .map_err(|reason| error(reason.to_string()))
    }
}

impl TryFrom<String> for VersionRange {
    type Error = RangeError;

    fn try_from(text: String) -> Result<Self, RangeError> {
        text.parse()
    }
}

impl From<VersionRange> for String {
    fn from(range: VersionRange) -> Self {
        range.to_string()
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialOrd for VersionRange {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for VersionRange {
    fn cmp(&self, other: &Self) -> Ordering {
        self.to_string().cmp(&other.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let fits = |version: &str, range: &str| {
            let range = range.parse().expect("range");
            version.parse::<Version>().expect("version").matches(&range)
        };
        assert!(fits("1.9.0", "^1.2") && fits("1.2.0", "~1.2") && fits("3.0.0", "*"));
        assert!(!fits("2.0.0", "^1.2") && !fits("1.9.0", ">=1.2, <1.9"));
        assert!(!fits("1.3.0-rc.1", "^1.2") && fits("1.3.0-rc.2", "^1.3.0-rc.1"));
        let long = format!("^1.{}", "0".repeat(200));
        for text in ["^", "^x", ">=1,,", "=1.0.0+a+b", &long] {
            assert!(text.parse::<VersionRange>().is_err(), "{text}");
        }
    }

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
