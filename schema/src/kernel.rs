// SPDX-License-Identifier: Apache-2.0
//! Kernel versions as packages declare them.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::shorten;

/// A kernel version, `major.minor`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct KernelVersion {
    /// The number before the dot.
    pub major: u16,
    /// The number after the dot.
    pub minor: u16,
}

/// A text that is no kernel version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no kernel version; write two numbers, for instance `5.15`")]
pub struct KernelVersionError(String);

impl KernelVersion {
    /// Makes a version from its two numbers.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// Reads the version at the start of a kernel's release string, such as
    /// `6.12.41+deb13-cloud-amd64`.
    ///
    /// # Errors
    /// [`KernelVersionError`] if the text does not begin with two numbers.
    pub fn from_release(release: &str) -> Result<Self, KernelVersionError> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit());
        let mut next = || numbers.next().and_then(|number| number.parse().ok());
        match (next(), next()) {
            (Some(major), Some(minor)) => Ok(Self { major, minor }),
            _ => Err(KernelVersionError(shorten(release))),
        }
    }
}

impl FromStr for KernelVersion {
    type Err = KernelVersionError;

    fn from_str(text: &str) -> Result<Self, KernelVersionError> {
        let error = || KernelVersionError(shorten(text));
        let (major, minor) = text.split_once('.').ok_or_else(error)?;
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            digits
                .then(|| part.parse().ok())
                .flatten()
                .ok_or_else(error)
        };
        Ok(Self {
            major: number(major)?,
            minor: number(minor)?,
        })
    }
}

impl TryFrom<String> for KernelVersion {
    type Error = KernelVersionError;

    fn try_from(text: String) -> Result<Self, KernelVersionError> {
        text.parse()
    }
}

impl From<KernelVersion> for String {
    fn from(version: KernelVersion) -> Self {
        version.to_string()
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_release_and_refusals() {
        let parse = |text: &str| text.parse::<KernelVersion>();
        assert!(parse("5.15").ok() > parse("5.4").ok());
        assert_eq!(
            KernelVersion::from_release("6.12.41+deb13-cloud"),
            parse("6.12")
        );
        for text in ["", "5", "5.", ".5", "5.15.1", "5.x", "+5.1", "70000.1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
