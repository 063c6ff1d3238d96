// SPDX-License-Identifier: Apache-2.0
//! `Warning` headers: what the users of other clients are told, too.

use axum::{
    http::{HeaderValue, header},
    response::Response,
};

/// Most bytes of all warnings of one answer, by the specification.
const MAX_BYTES: usize = 4096;

/// Adds a sentence each. What does not fit is cut.
pub(super) fn add(response: &mut Response, sentences: &[String]) {
    let mut left = MAX_BYTES;
    for sentence in sentences {
        let value = warning(sentence, left);
        left -= value.len();
        // Above ASCII the bytes stay UTF-8, which quoted text may hold.
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
}

/// `299 - "<sentence>"` in at most `room` bytes; empty if there is no room for a word.
fn warning(sentence: &str, room: usize) -> String {
    const FRAME: usize = "299 - \"…\"".len();
    let Some(mut room) = room.checked_sub(FRAME).filter(|room| *room > 20) else {
        return String::new();
    };
    let mut text = String::from("299 - \"");
    for letter in sentence.chars() {
        let escape = matches!(letter, '"' | '\\');
        let Some(left) = room.checked_sub(letter.len_utf8() + usize::from(escape)) else {
            text.push('…');
            break;
        };
        room = left;
        if escape {
            text.push('\\');
        }
        text.push(letter);
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_and_within_the_limit() {
        assert_eq!(warning(r#"say "a\b""#, 100), r#"299 - "say \"a\\b\"""#);
        assert_eq!(warning("any", 20), "");
        let mut response = Response::default();
        let sentences = [
            "\"".repeat(1500),
            "é".repeat(1000),
            "x".to_owned(),
            "y".to_owned(),
        ];
        add(&mut response, &sentences);
        let values = response.headers().get_all(header::WARNING);
        let total: usize = values.iter().map(|value| value.as_bytes().len()).sum();
        assert!(total <= MAX_BYTES, "{total}");
        let first = values.iter().next().expect("one").as_bytes();
        assert!(first.starts_with(b"299 - \"\\\"\\\"") && first.ends_with(b"\\\"\""));
    }
}
