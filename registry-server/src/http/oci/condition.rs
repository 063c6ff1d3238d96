// SPDX-License-Identifier: Apache-2.0
//! `If-Match` and `If-None-Match`.

use axum::http::{HeaderMap, HeaderName, header};
use registry_schema::Digest;

use crate::service::tag::{Condition, Expected};

/// What the headers of a write demand of the tag it changes. Entity tags are digests in
/// quotes; any other tag is one that nothing has.
pub fn of_write(headers: &HeaderMap) -> Condition {
    Condition {
        only_if: expected(headers, &header::IF_MATCH, false),
        unless: expected(headers, &header::IF_NONE_MATCH, true),
    }
}

/// Whether the reader has this digest already.
pub(super) fn is_known(headers: &HeaderMap, digest: &Digest) -> bool {
    match expected(headers, &header::IF_NONE_MATCH, true) {
        Some(Expected::Anything) => true,
        Some(Expected::OneOf(known)) => known.contains(digest),
        None => false,
    }
}

fn expected(headers: &HeaderMap, name: &HeaderName, weak: bool) -> Option<Expected> {
    let mut values = headers.get_all(name).iter().peekable();
    values.peek()?;
    let mut digests = Vec::new();
    for value in values.filter_map(|value| value.to_str().ok()) {
        for tag in value.split(',').map(str::trim) {
            if tag == "*" {
                return Some(Expected::Anything);
            }
            let tag = tag.strip_prefix("W/").filter(|_| weak).unwrap_or(tag);
            let text = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            digests.extend(text.and_then(|text| text.parse::<Digest>().ok()));
        }
    }
    Some(Expected::OneOf(digests))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_tags() {
        let digest = Digest::sha256(b"{}");
        let headers = |value: String| {
            let value = value.parse().expect("a header");
            HeaderMap::from_iter([(header::IF_NONE_MATCH, value)])
        };
        for known in [
            "*".to_owned(),
            format!("\"{digest}\""),
            format!("W/\"{digest}\""),
            format!("\"other\", \"{digest}\" "),
        ] {
            assert!(is_known(&headers(known.clone()), &digest), "{known}");
        }
        for unknown in [
            digest.to_string(),
            String::new(),
            "\"\"".to_owned(),
            ",,".to_owned(),
            format!("\"{digest}x\""),
        ] {
            assert!(!is_known(&headers(unknown.clone()), &digest), "{unknown}");
        }
        assert!(!is_known(&HeaderMap::new(), &digest));
        let strong = HeaderMap::from_iter([(
            header::IF_MATCH,
            format!("W/\"{digest}\"").parse().expect("a header"),
        )]);
        assert_eq!(
            of_write(&strong).only_if,
            Some(Expected::OneOf(Vec::new())),
            "a weak tag names no bytes"
        );
    }
}
