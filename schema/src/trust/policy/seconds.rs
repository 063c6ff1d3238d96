// SPDX-License-Identifier: Apache-2.0
//! Lengths of time.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::shorten;

/// A length of time in whole seconds, written `90s`, `15m`, `12h` or `7d`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Seconds(pub u64);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unit = |unit: char| match unit {
            's' => Some(1),
            'm' => Some(60),
            'h' => Some(3600),
            'd' => Some(86_400),
            _ => None,
        };
        let parsed = text.char_indices().last().and_then(|(at, last)| {
            let digits = text.get(..at)?;
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let number: u64 = plain.then(|| digits.parse().ok())??;
            number.checked_mul(unit(last)?)
        });
        parsed.map(Self).ok_or_else(|| {
            format!(
                "`{}` is no length of time; write a whole number and `s`, `m`, `h` or `d`",
                shorten(text)
            )
        })
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (length, unit) in [(86_400, 'd'), (3600, 'h'), (60, 'm')] {
            if self.0 > 0 && self.0.is_multiple_of(length) {
                return write!(f, "{}{unit}", self.0 / length);
            }
        }
        write!(f, "{}s", self.0)
    }
}

impl TryFrom<String> for Seconds {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Seconds> for String {
    fn from(seconds: Seconds) -> Self {
        seconds.to_string()
    }
}
