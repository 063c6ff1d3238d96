// SPDX-License-Identifier: Apache-2.0
//! How far a version can be trusted: one of five levels, always computed.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::shorten;

/// The text is no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no trust level; the levels are L0, L1, L2, L3 and L4")]
pub struct TrustLevelError(String);

/// A level of trust. Each includes those before it.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum TrustLevel {
    /// Nobody whose signature counts has signed.
    #[default]
    L0,
    /// Signed.
    L1,
    /// Signed by an identity that was verified, and in the log.
    L2,
    /// Established: time, kernels and reports speak for it. Needs the evidence ledger.
    L3,
    /// Vetted: a named person reviewed this digest. Needs the evidence ledger.
    L4,
}

impl TrustLevel {
    /// All levels, from the lowest.
    pub const ALL: [Self; 5] = [Self::L0, Self::L1, Self::L2, Self::L3, Self::L4];

    /// The highest level that can be computed from signatures, identities and the log.
    pub const HIGHEST_WITHOUT_LEDGER: Self = Self::L2;

    /// `L0` to `L4`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::L0 => "L0",
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::L3 => "L3",
            Self::L4 => "L4",
        }
    }

    /// The level in one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::L0 => "unsigned",
            Self::L1 => "signed",
            Self::L2 => "verified",
            Self::L3 => "established",
            Self::L4 => "vetted",
        }
    }
}

impl fmt::Display for TrustLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TrustLevel {
    type Err = TrustLevelError;

    fn from_str(text: &str) -> Result<Self, TrustLevelError> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or_else(|| TrustLevelError(shorten(text)))
    }
}
