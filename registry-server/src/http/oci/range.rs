// SPDX-License-Identifier: Apache-2.0
//! The two range headers: `Range` of a download, `Content-Range` of an upload's chunk.

use std::ops::Range;

/// What of a blob a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// All of it.
    Whole,
    /// These bytes, none of which lies behind the end.
    Part(Range<u64>),
    /// A range that no byte of the blob lies in.
    Nothing,
}

/// Reads a `Range` header for a blob of `size` bytes. What is no single byte range counts
/// as not there, as RFC 9110 wants; a range that ends before it begins asks for nothing.
pub fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some(text) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Wanted::Whole;
    };
    let Some((first, last)) = text.trim().split_once('-') else {
        return Wanted::Whole;
    };
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.is_empty() => first..size,
        (None, Some(length)) if first.is_empty() => size.saturating_sub(length)..size,
        _ => return Wanted::Whole,
    };
    if range.start < range.end {
        Wanted::Part(range)
    } else {
        Wanted::Nothing
    }
}

/// The bytes of a chunk that an upload's `Content-Range: <first>-<last>` names.
///
/// # Errors
/// The header's own text if it has another form.
pub fn chunk(header: &str) -> Result<Range<u64>, String> {
    let text = header.trim();
    // Some clients write the form of downloads.
    let text = text.strip_prefix("bytes ").unwrap_or(text);
    let text = text.split_once('/').map_or(text, |(range, _)| range);
    let parse = || {
        let (first, last) = text.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?.checked_add(1)?);
        (first < last).then_some(first..last)
    };
    parse().ok_or_else(|| header.chars().take(100).collect())
}

/// A number without sign and spaces.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downloads() {
        for (header, wants) in [
            ("bytes=500-1499", Wanted::Part(500..1000)),
            ("bytes=500-", Wanted::Part(500..1000)),
            ("bytes=-500", Wanted::Part(500..1000)),
            ("bytes=-5000", Wanted::Part(0..1000)),
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=999-18446744073709551615", Wanted::Part(999..1000)),
            ("bytes=500-0", Wanted::Nothing),
            ("bytes=1000-", Wanted::Nothing),
            ("bytes=5000-10000", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=1-2,4-5", Wanted::Whole),
            ("bytes=", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=99999999999999999999-", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
        ] {
            assert_eq!(wanted(Some(header), 1000), wants, "{header}");
        }
        assert_eq!(wanted(None, 1000), Wanted::Whole);
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Nothing);
    }

    #[test]
    fn chunks() {
        assert_eq!(chunk("0-1023"), Ok(0..1024));
        assert_eq!(chunk("bytes 5-5/10"), Ok(5..6));
        for header in [
            "",
            "5",
            "5-4",
            "-5",
            "5-",
            "a-b",
            "0-18446744073709551615",
            "+0-1",
            "0 - 1",
        ] {
            assert!(chunk(header).is_err(), "{header}");
        }
    }
}
