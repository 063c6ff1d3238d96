// SPDX-License-Identifier: Apache-2.0
//! Paths under `/v2/`, read from the right: a repository may have any number of
//! components, and `blobs`, `manifests` and `tags` are legal ones.

use registry_schema::{
    Digest,
    digest::DigestError,
    name::{NameError, RepositoryName, Tag},
};

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// `/v2/`
    Ping,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/<name>/tags/list`
    Tags(RepositoryName),
    /// `/v2/<name>/manifests/<reference>`
    Manifest(RepositoryName, Reference),
    /// `/v2/<name>/blobs/<digest>`
    Blob(RepositoryName, Digest),
    /// `/v2/<name>/blobs/uploads/`
    Uploads(RepositoryName),
    /// `/v2/<name>/blobs/uploads/<id>`
    Upload(RepositoryName, String),
    /// `/v2/<name>/referrers/<digest>`
    Referrers(RepositoryName, Digest),
}

/// How a manifest is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// By tag.
    Tag(Tag),
    /// By digest.
    Digest(Digest),
}

/// Why a path names nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The path has none of the forms.
    #[error("the registry has no such path; see the OCI distribution specification")]
    Form,
    /// The escapes in the path are wrong, or hide bytes that are no UTF-8.
    #[error("the path has a wrong escape; write `%` and two hexadecimal digits")]
    Escape,
    /// The repository's name is malformed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The tag is malformed.
    #[error("{0}")]
    Tag(NameError),
    /// The digest is malformed.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

/// Reads the path of a request, escapes included.
///
/// # Errors
/// [`PathError`] with the part that is malformed.
pub fn parse(path: &str) -> Result<Resource, PathError> {
    let path = decode(path)?;
    let path = match path.strip_prefix("/v2") {
        Some("" | "/") => return Ok(Resource::Ping),
        Some(rest) => rest.strip_prefix('/').ok_or(PathError::Form)?,
        None => return Err(PathError::Form),
    };
    if path == "_catalog" {
        return Ok(Resource::Catalog);
    }
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        [name @ .., "tags", "list"] => Ok(Resource::Tags(repository(name)?)),
        [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""] => {
            Ok(Resource::Uploads(repository(name)?))
        }
        [name @ .., "blobs", "uploads", id] => {
            Ok(Resource::Upload(repository(name)?, (*id).to_owned()))
        }
        [name @ .., "blobs", digest] => Ok(Resource::Blob(repository(name)?, digest.parse()?)),
        [name @ .., "referrers", digest] => {
            Ok(Resource::Referrers(repository(name)?, digest.parse()?))
        }
        [name @ .., "manifests", reference] => Ok(Resource::Manifest(
            repository(name)?,
            parse_reference(reference)?,
        )),
        _ => Err(PathError::Form),
    }
}

fn repository(parts: &[&str]) -> Result<RepositoryName, PathError> {
    Ok(parts.join("/").parse()?)
}

fn parse_reference(text: &str) -> Result<Reference, PathError> {
    if text.contains(':') {
        Ok(Reference::Digest(text.parse()?))
    } else {
        Ok(Reference::Tag(text.parse().map_err(PathError::Tag)?))
    }
}

fn decode(path: &str) -> Result<String, PathError> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digit = |at: usize| {
            rest.get(at)
                .and_then(|byte| char::from(*byte).to_digit(16))
                .ok_or(PathError::Escape)
        };
        let byte = digit(0)? * 16 + digit(1)?;
        bytes.push(u8::try_from(byte).map_err(|_| PathError::Escape)?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| PathError::Escape)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    fn name(text: &str) -> RepositoryName {
        text.parse().expect(text)
    }

    #[test]
    fn paths_are_read_from_the_right() {
        let digest: Digest = format!("sha256:{HEX}").parse().expect("digest");
        let tag = |text: &str| Reference::Tag(text.parse().expect("tag"));
        for (path, resource) in [
            ("/v2".to_owned(), Resource::Ping),
            ("/v2/".to_owned(), Resource::Ping),
            ("/v2/_catalog".to_owned(), Resource::Catalog),
            (
                "/v2/a/b/c/tags/list".to_owned(),
                Resource::Tags(name("a/b/c")),
            ),
            (
                "/v2/tags/list/tags/list".to_owned(),
                Resource::Tags(name("tags/list")),
            ),
            (
                "/v2/a/blobs/uploads".to_owned(),
                Resource::Uploads(name("a")),
            ),
            (
                "/v2/a/blobs/uploads/".to_owned(),
                Resource::Uploads(name("a")),
            ),
            (
                "/v2/blobs/uploads/blobs/uploads/".to_owned(),
                Resource::Uploads(name("blobs/uploads")),
            ),
            (
                "/v2/a/blobs/uploads/x1".to_owned(),
                Resource::Upload(name("a"), "x1".to_owned()),
            ),
            (
                format!("/v2/a/blobs/{digest}"),
                Resource::Blob(name("a"), digest.clone()),
            ),
            (
                format!("/v2/a/blobs/sha256%3A{HEX}"),
                Resource::Blob(name("a"), digest.clone()),
            ),
            (
                format!("/v2/a%2Fb/referrers/{digest}"),
                Resource::Referrers(name("a/b"), digest.clone()),
            ),
            (
                "/v2/manifests/manifests/tags".to_owned(),
                Resource::Manifest(name("manifests"), tag("tags")),
            ),
            (
                format!("/v2/a/manifests/{digest}"),
                Resource::Manifest(name("a"), Reference::Digest(digest)),
            ),
        ] {
            assert_eq!(parse(&path), Ok(resource), "{path}");
        }
    }

    #[test]
    fn paths_that_name_nothing() {
        for path in [
            "/v2/a",
            "/v3/",
            "/v2x/a/tags/list",
            "/v2//tags/list",
            "/v2/tags/list",
            "/v2/a/../b/tags/list",
            "/v2/%2e%2e/b/tags/list",
            "/v2/A/tags/list",
            "/v2/a/blobs/sha256:00",
            "/v2/a/manifests/sha256:baddigest",
            "/v2/a/manifests/",
            "/v2/a/manifests/.x",
            "/v2/a%/tags/list",
            "/v2/a%zz/tags/list",
            "/v2/a%ff/tags/list",
            "/v2/a/tags/list/",
            "/v2/a%00/tags/list",
            "/v2/é/tags/list",
        ] {
            assert!(parse(path).is_err(), "{path}");
        }
    }
}
