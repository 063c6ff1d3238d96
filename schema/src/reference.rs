// SPDX-License-Identifier: Apache-2.0
//! How a user names a package, a version, or exact bytes.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, DigestError, shorten};
use crate::name::{NameError, PackageName, Tag};
use crate::version::{RangeError, Version, VersionRange};

/// What of a package is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    /// The highest stable version that is not yanked.
    Latest,
    /// One version.
    Version(Version),
    /// The highest version of a range that is not yanked.
    Range(VersionRange),
    /// A tag that is no version, for instance one another tool has set.
    Tag(Tag),
}

impl Selector {
    /// The tag to ask a registry for. A range has none: it must be resolved first.
    pub fn tag(&self) -> String {
        match self {
            Self::Latest => "latest".to_owned(),
            Self::Version(version) => version.to_string(),
            Self::Range(range) => range.to_string(),
            Self::Tag(tag) => tag.to_string(),
        }
    }
}

/// `[host[:port]/]namespace/name[:tag | @version | @range][@sha256:…]`.
///
/// With a digest the selector is what the user believes the digest to be; the
/// digest decides which bytes are meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    /// Host and optional port of the registry; none for the default registry.
    pub registry: Option<String>,
    /// The package.
    pub package: PackageName,
    /// Which version or tag.
    pub selector: Selector,
    /// The exact bytes.
    pub digest: Option<Digest>,
}

/// Why a text names no package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The parts do not fit the form.
    #[error("`{0}` names no package; write `[host/]namespace/name[:version][@sha256:…]`")]
    Form(String),
    /// The host has characters that hosts may not have, or the port is no number.
    #[error("`{0}` is no registry host; write a host name or address and an optional port")]
    Host(String),
    /// The package name is wrong.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The digest is wrong.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// The range is wrong.
    #[error(transparent)]
    Range(#[from] RangeError),
}

impl Reference {
    /// The version that is asked for by name, if one is.
    pub const fn version(&self) -> Option<&Version> {
        match &self.selector {
            Selector::Version(version) => Some(version),
            Selector::Latest | Selector::Range(_) | Selector::Tag(_) => None,
        }
    }

    /// The range of versions that is asked for, if one is.
    pub const fn range(&self) -> Option<&VersionRange> {
        match &self.selector {
            Selector::Range(range) => Some(range),
            Selector::Latest | Selector::Version(_) | Selector::Tag(_) => None,
        }
    }

    /// What to put behind `/manifests/`: the digest, else the tag.
    pub fn manifest_reference(&self) -> String {
        self.digest
            .as_ref()
            .map_or_else(|| self.selector.tag(), ToString::to_string)
    }
}

/// Checks a registry's host, with an optional port: a DNS name, an IPv4 address, or
/// an IPv6 address in brackets.
///
/// # Errors
/// [`ReferenceError::Host`] with the text.
pub fn check_host(text: &str) -> Result<(), ReferenceError> {
    let error = || ReferenceError::Host(shorten(text));
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or_else(error)?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| error())?;
            (
                "v6",
                if port.is_empty() {
                    None
                } else {
                    Some(port.strip_prefix(':').ok_or_else(error)?)
                },
            )
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    let host_fits = !host.is_empty()
        && host.len() <= 253
        && host.bytes().all(fits)
        && !host.starts_with(['.', '-'])
        && !host.ends_with(['.', '-']);
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number > 0));
    if host_fits && port_fits {
        Ok(())
    } else {
        Err(error())
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let form = || ReferenceError::Form(shorten(text));
        let (registry, path) = match text.matches('/').count() {
            1 => (None, text),
            2 => text
                .split_once('/')
                .map(|(host, path)| (Some(host), path))
                .ok_or_else(form)?,
            _ => return Err(form()),
        };
        registry.map_or(Ok(()), check_host)?;
        let mut parts = path.split('@');
        let head = parts.next().ok_or_else(form)?;
        let (package, mut selector) = match head.split_once(':') {
            Some((package, tag)) => (package, Some(parse_selector(tag)?)),
            None => (head, None),
        };
        let mut digest = None;
        for part in parts {
            if digest.is_some() {
                return Err(form());
            } else if part.contains(':') {
                digest = Some(part.parse::<Digest>()?);
            } else if selector.is_none() {
                selector = Some(parse_selector(part)?);
            } else {
                return Err(form());
            }
        }
        Ok(Self {
            registry: registry.map(str::to_owned),
            package: package.parse()?,
            selector: selector.unwrap_or(Selector::Latest),
            digest,
        })
    }
}

fn parse_selector(text: &str) -> Result<Selector, ReferenceError> {
    if text == "latest" {
        return Ok(Selector::Latest);
    }
    if VersionRange::begins(text) {
        return Ok(Selector::Range(text.parse()?));
    }
    match text.parse::<Version>() {
        Ok(version) => Ok(Selector::Version(version)),
        Err(_) => Ok(Selector::Tag(text.parse()?)),
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(registry) = &self.registry {
            write!(f, "{registry}/")?;
        }
        write!(f, "{}", self.package)?;
        match &self.selector {
            Selector::Latest => {}
            Selector::Version(version) => write!(f, ":{version}")?,
            Selector::Range(range) => write!(f, "@{range}")?,
            Selector::Tag(tag) => write!(f, ":{tag}")?,
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Reference {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Self, ReferenceError> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_round_trip() {
        let digest = Digest::sha256(b"x");
        for text in [
            "netops/ratelimiting".to_owned(),
            "netops/ratelimiting:1.0.0".to_owned(),
            "127.0.0.1:5000/netops/ratelimiting:1.0.0".to_owned(),
            format!("localhost/netops/ratelimiting@{digest}"),
            format!("[::1]:5000/netops/ratelimiting:edge@{digest}"),
        ] {
            assert_eq!(text.parse::<Reference>().expect(&text).to_string(), text);
        }
        let at: Reference = "a/b@1.2.3".parse().expect("version after @");
        assert_eq!(at.version().expect("version").to_string(), "1.2.3");
    }

    #[test]
    fn hostile_forms_are_refused() {
        for text in [
            "",
            "a",
            "a/b/c/d",
            "http://h/a/b",
            "h:0/a/b",
            "h:99999/a/b",
            "h_h/a/b",
            "a/b:",
            "a/b@",
            "a/b@sha256:00",
            "a/b:1@1.0.0@2",
            "../a/b",
            "[::1/a/b",
            "a/b@sha256:00@sha256:00",
            "-h/a/b",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }
}
