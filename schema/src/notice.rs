// SPDX-License-Identifier: Apache-2.0
//! What a publisher tells those who use a package: one line of text.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest notice, in bytes: it must fit in a header, more than once.
pub const MAX_NOTICE: usize = 500;

/// Why a version was yanked, or what to do instead of using it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Notice(String);

/// Why a text is no notice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoticeError {
    /// There is no text.
    #[error("the text is empty; say in one line what users should know")]
    Empty,
    /// The text is too long.
    #[error("the text is {0} bytes long; the limit is {MAX_NOTICE}")]
    TooLong(usize),
    /// The text has line breaks or other control characters.
    #[error("the text has control characters; write one line")]
    Control,
}

impl Notice {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Notice {
    type Err = NoticeError;

    fn from_str(text: &str) -> Result<Self, NoticeError> {
        let text = text.trim();
        if text.is_empty() {
            Err(NoticeError::Empty)
        } else if text.len() > MAX_NOTICE {
            Err(NoticeError::TooLong(text.len()))
        } else if text.chars().any(char::is_control) {
            Err(NoticeError::Control)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Notice {
    type Error = NoticeError;

    fn try_from(text: String) -> Result<Self, NoticeError> {
        text.parse()
    }
}

impl From<Notice> for String {
    fn from(notice: Notice) -> Self {
        notice.0
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line() {
        let notice = |text: &str| text.parse::<Notice>();
        assert_eq!(notice("  drops IPv6 ").expect("one").as_str(), "drops IPv6");
        assert!(notice(&"x".repeat(MAX_NOTICE)).is_ok());
        assert_eq!(notice(" \n"), Err(NoticeError::Empty));
        assert_eq!(notice(&"x".repeat(501)), Err(NoticeError::TooLong(501)));
        for text in ["two\nlines", "a\u{7}bell", "a\u{1b}[2Jscreen"] {
            assert_eq!(notice(text), Err(NoticeError::Control));
        }
    }
}
