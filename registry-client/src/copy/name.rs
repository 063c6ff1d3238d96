// SPDX-License-Identifier: Apache-2.0
//! What a person calls content to copy: any repository of any registry, not only a
//! package's.

use std::{fmt, str::FromStr};

use registry_schema::{
    Digest,
    digest::DigestError,
    name::{NameError, RepositoryName, Tag},
    reference::{ReferenceError, check_host},
};

/// `[host[:port]/]repository[:tag][@sha256:…]`.
///
/// The first component is a host if it has a `.` or `:`, is `localhost`, or if there are
/// three components: `namespace/name` is short for a package of the default registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentName {
    /// Host and optional port; none for the default registry.
    pub registry: Option<String>,
    /// The repository.
    pub repository: RepositoryName,
    /// The tag, if one is named.
    pub tag: Option<Tag>,
    /// The exact bytes, if they are named.
    pub digest: Option<Digest>,
}

/// `host[:port][/namespace[/…/name]][:tag]`: where copies go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Host and optional port.
    pub registry: String,
    /// Whose names the copies get; none to keep them.
    pub place: Place,
}

/// Where in a registry copies go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Under the names they have.
    Same,
    /// Into a namespace, keeping the last component of their names.
    Namespace(RepositoryName),
    /// Exactly here, and under this tag if one is named.
    Repository(RepositoryName, Option<Tag>),
}

/// Why a text names nothing that could be copied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentNameError {
    /// The host is none.
    #[error(transparent)]
    Host(#[from] ReferenceError),
    /// The repository or tag is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The digest is none.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl FromStr for ContentName {
    type Err = ContentNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (text, digest) = match text.split_once('@') {
            Some((text, digest)) => (text, Some(digest.parse()?)),
            None => (text, None),
        };
        let (host, path) = match text.split_once('/') {
            Some((first, rest)) if is_host(first) || text.matches('/').count() == 2 => {
                check_host(first)?;
                (Some(first.to_owned()), rest)
            }
            _ => (None, text),
        };
        let (repository, tag) = split_tag(path)?;
        Ok(Self {
            registry: host,
            repository: repository.parse()?,
            tag,
            digest,
        })
    }
}

impl FromStr for Destination {
    type Err = ContentNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        check_host(host)?;
        let place = if path.is_empty() {
            Place::Same
        } else {
            let (repository, tag) = split_tag(path)?;
            let repository: RepositoryName = repository.parse()?;
            if tag.is_none() && !repository.as_str().contains('/') {
                Place::Namespace(repository)
            } else {
                Place::Repository(repository, tag)
            }
        };
        Ok(Self {
            registry: host.to_owned(),
            place,
        })
    }
}

impl Destination {
    /// The repository that a copy of `source` becomes.
    ///
    /// # Errors
    /// [`NameError`] if namespace and name together are too long.
    pub fn repository(&self, source: &RepositoryName) -> Result<RepositoryName, NameError> {
        match &self.place {
            Place::Same => Ok(source.clone()),
            Place::Repository(repository, _) => Ok(repository.clone()),
            Place::Namespace(namespace) => {
                let name = source.as_str().rsplit('/').next().unwrap_or_default();
                format!("{namespace}/{name}").parse()
            }
        }
    }

    /// The tag that the copy gets, if one is named.
    pub fn tag(&self) -> Option<&Tag> {
        match &self.place {
            Place::Repository(_, tag) => tag.as_ref(),
            Place::Same | Place::Namespace(_) => None,
        }
    }
}

impl fmt::Display for ContentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(registry) = &self.registry {
            write!(f, "{registry}/")?;
        }
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

fn is_host(text: &str) -> bool {
    text == "localhost" || text.contains(['.', ':'])
}

fn split_tag(path: &str) -> Result<(&str, Option<Tag>), NameError> {
    match path.split_once(':') {
        Some((repository, tag)) => Ok((repository, Some(tag.parse()?))),
        None => Ok((path, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_what_to_copy() {
        for (text, host, repository, tag) in [
            ("demo/a:1.0.0", None, "demo/a", Some("1.0.0")),
            ("h:5000/a/b/c/d:e", Some("h:5000"), "a/b/c/d", Some("e")),
            ("registry/demo/a", Some("registry"), "demo/a", None),
            ("localhost/a", Some("localhost"), "a", None),
            ("example.org/a", Some("example.org"), "a", None),
        ] {
            let name: ContentName = text.parse().expect(text);
            assert_eq!(
                (
                    name.registry.as_deref(),
                    name.repository.as_str(),
                    name.tag.as_ref().map(Tag::as_str)
                ),
                (host, repository, tag)
            );
            assert_eq!(name.to_string(), text);
        }
        for text in ["", "A/b", "h:x/a/b", "a/b:", "a/b@sha256:1", "a/../b"] {
            assert!(text.parse::<ContentName>().is_err(), "{text}");
        }
    }

    #[test]
    fn where_copies_go() {
        let source: RepositoryName = "demo/a".parse().expect("a name");
        for (text, expected, tag) in [
            ("mirror", "demo/a", None),
            ("mirror:5000/copies", "copies/a", None),
            ("mirror/x/y/z", "x/y/z", None),
            ("mirror/x/y:edge", "x/y", Some("edge")),
        ] {
            let to: Destination = text.parse().expect(text);
            assert_eq!(to.repository(&source).expect("fits").as_str(), expected);
            assert_eq!(to.tag().map(Tag::as_str), tag);
        }
        for text in ["", "/x", "h:0", "mirror/X"] {
            assert!(text.parse::<Destination>().is_err(), "{text}");
        }
    }
}
