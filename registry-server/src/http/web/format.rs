// SPDX-License-Identifier: Apache-2.0
//! Values as people read them.

use chrono::{DateTime, SecondsFormat, Utc};
use registry_schema::api::SignatureState;
use registry_schema::profile::Severity;

/// A moment: for people by day, for machines exactly.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub(super) day: String,
    pub(super) stamp: String,
}

impl From<DateTime<Utc>> for Moment {
    fn from(moment: DateTime<Utc>) -> Self {
        Self {
            day: moment.format("%-d %b %Y").to_string(),
            stamp: moment.to_rfc3339_opts(SecondsFormat::Secs, true),
        }
    }
}

/// How a statement should be taken. The sign says it without colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Care,
    Bad,
    Plain,
}

impl Tone {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Care => "care",
            Self::Bad => "bad",
            Self::Plain => "plain",
        }
    }

    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Care => "!",
            Self::Bad => "✗",
            Self::Plain => "·",
        }
    }
}

/// A word with its tone.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub(super) tone: Tone,
    pub(super) word: String,
}

impl Mark {
    pub(super) fn new(tone: Tone, word: impl Into<String>) -> Self {
        Self {
            tone,
            word: word.into(),
        }
    }
}

impl From<SignatureState> for Mark {
    fn from(state: SignatureState) -> Self {
        match state {
            SignatureState::Signed => Self::new(Tone::Good, "signed"),
            SignatureState::Revoked => Self::new(Tone::Bad, "revoked signer"),
            SignatureState::UnknownKey => Self::new(Tone::Care, "unknown key"),
            SignatureState::Unsigned => Self::new(Tone::Bad, "unsigned"),
        }
    }
}

impl From<Severity> for Mark {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Note => Self::new(Tone::Plain, "note"),
            Severity::Warning => Self::new(Tone::Care, "warning"),
            Severity::Error => Self::new(Tone::Bad, "error"),
        }
    }
}

/// `1 pull`, `2 pulls`, `12,345 pulls`.
pub(super) fn count(number: u64, one: &str) -> String {
    format!(
        "{} {one}{}",
        thousands(number),
        if number == 1 { "" } else { "s" }
    )
}

/// Groups digits by three: `12,345`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Bytes in the unit that keeps the number below 1024: `512 B`, `20.4 KiB`.
pub(super) fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let mut tenths = u128::from(number) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([count(1, "pull"), count(0, "pull")], ["1 pull", "0 pulls"]);
        assert_eq!(
            [thousands(999), thousands(1_000), thousands(1_234_567)],
            ["999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [bytes(1023), bytes(1536), bytes(1 << 20)],
            ["1023 B", "1.5 KiB", "1.0 MiB"]
        );
        assert_eq!(bytes(u64::MAX), "16777215.9 TiB");
        let words = ["a", "b", "c"].map(String::from);
        assert_eq!(
            [list(&words[..1]), list(&words[..2]), list(&words)],
            ["a", "a and b", "a, b and c"]
        );
    }
}
