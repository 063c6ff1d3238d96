// SPDX-License-Identifier: Apache-2.0
//! Names of namespaces, packages, repositories and tags.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::shorten;

/// Longest namespace, and longest name within one, in bytes.
pub const MAX_COMPONENT: usize = 64;
/// Longest repository name with all its components, in bytes.
pub const MAX_REPOSITORY: usize = 255;
/// Longest tag, in bytes.
pub const MAX_TAG: usize = 128;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum NameError {
    /// A part has a character or an order of characters that names may not have.
    #[error(
        "`{0}` is no valid name; use lower-case letters and digits, single `.`, `_` or `-` between them"
    )]
    Form(String),
    /// A part is longer than the limit.
    #[error("name `{name}` is {actual} bytes long; the limit is {limit}")]
    TooLong {
        name: String,
        actual: usize,
        limit: usize,
    },
    /// A package name has not exactly two parts.
    #[error("`{0}` is no package name; write `namespace/name`")]
    NotTwoParts(String),
    /// A tag has a character that tags may not have.
    #[error(
        "`{0}` is no valid tag; use letters, digits, `.`, `_` and `-`, and begin with no `.` or `-`"
    )]
    Tag(String),
}

/// Checks one path component by the grammar of the OCI distribution
/// specification: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn check_component(text: &str) -> Result<(), NameError> {
    let bytes = text.as_bytes();
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends_fit =
        bytes.first().is_some_and(|b| alnum(*b)) && bytes.last().is_some_and(|b| alnum(*b));
    let separators_fit = bytes.split(|b| alnum(*b)).all(|run| match run {
        [] | b"." | b"_" | b"__" => true,
        run => run.iter().all(|b| *b == b'-'),
    });
    if ends_fit && separators_fit {
        Ok(())
    } else {
        Err(NameError::Form(shorten(text)))
    }
}

fn check_length(text: &str, limit: usize) -> Result<(), NameError> {
    if text.len() > limit {
        return Err(NameError::TooLong {
            name: shorten(text),
            actual: text.len(),
            limit,
        });
    }
    Ok(())
}

macro_rules! text_type {
    ($name:ident, $error:ty) => {
        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

/// The first half of a package name: who publishes.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Namespace(String);

text_type!(Namespace, NameError);

impl FromStr for Namespace {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_length(text, MAX_COMPONENT)?;
        check_component(text)?;
        Ok(Self(text.to_owned()))
    }
}

/// A package, `namespace/name`.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct PackageName {
    namespace: Namespace,
    name: String,
}

impl PackageName {
    /// Puts a package name together from its halves.
    ///
    /// # Errors
    /// [`NameError::Form`] or [`NameError::TooLong`] if `name` is no component.
    pub fn new(namespace: Namespace, name: &str) -> Result<Self, NameError> {
        check_length(name, MAX_COMPONENT)?;
        check_component(name)?;
        Ok(Self {
            namespace,
            name: name.to_owned(),
        })
    }

    /// Who publishes.
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The name within the namespace.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for PackageName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (namespace, name) = text
            .split_once('/')
            .ok_or_else(|| NameError::NotTwoParts(shorten(text)))?;
        if name.contains('/') {
            return Err(NameError::NotTwoParts(shorten(text)));
        }
        Self::new(namespace.parse()?, name)
    }
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl TryFrom<String> for PackageName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<PackageName> for String {
    fn from(name: PackageName) -> Self {
        name.to_string()
    }
}

/// Any OCI repository name: one or more components. A package is a repository
/// with exactly two.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct RepositoryName(String);

text_type!(RepositoryName, NameError);

impl RepositoryName {
    /// The first component, which is the namespace that rights are kept for.
    pub fn namespace(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// The package of this repository, if its name can be a package's.
    pub fn package(&self) -> Option<PackageName> {
        self.0.parse().ok()
    }
}

impl FromStr for RepositoryName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_length(text, MAX_REPOSITORY)?;
        text.split('/').try_for_each(check_component)?;
        Ok(Self(text.to_owned()))
    }
}

impl From<&PackageName> for RepositoryName {
    fn from(name: &PackageName) -> Self {
        Self(name.to_string())
    }
}

/// An OCI tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Tag(String);

text_type!(Tag, NameError);

impl FromStr for Tag {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_length(text, MAX_TAG)?;
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let starts = text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
        if starts && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Tag(shorten(text)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_exist() {
        for text in [
            "netops/ratelimiting",
            "a/b",
            "a-b/c_d",
            "a--b/c.d",
            "x9/a__b",
        ] {
            assert_eq!(text.parse::<PackageName>().expect(text).to_string(), text);
        }
        let repository: RepositoryName = "blobs/manifests/tags".parse().expect("legal components");
        assert_eq!(repository.namespace(), "blobs");
        assert!(repository.package().is_none());
    }

    #[test]
    fn names_that_cannot_exist() {
        let long = format!("a/{}", "b".repeat(65));
        for text in [
            "", "a", "a/", "/a", "A/b", "a//b", "a/b/c", "a/-b", "a/b-", "a/b..c", "a/b._c",
            "a/..", "a/b\0", "é/a", &long,
        ] {
            assert!(text.parse::<PackageName>().is_err(), "{text}");
        }
        for text in ["", ".a", "-a", "a b", "a/b", &"t".repeat(129)] {
            assert!(text.parse::<Tag>().is_err(), "{text}");
        }
    }
}
