// SPDX-License-Identifier: Apache-2.0
//! What was checked, what was not, by what and when.

use chrono::{DateTime, Utc};
use registry_schema::{Digest, PackageName, TrustLevel, trust::policy::Mode};
use serde::Serialize;

use super::{Asked, VerifyError, signature::Signer};
use crate::Explain;

/// A link of the chain, in the order in which they are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// The registry's trust root.
    Root,
    /// The signatures, and whose they are.
    Signers,
    /// Index, package manifest, config with name and version, object.
    Contents,
    /// The publish log.
    Log,
    /// The revocation feed.
    Revocation,
    /// Versions that were seen before.
    History,
    /// The level of trust.
    Level,
}

impl Link {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Signers => "signers",
            Self::Contents => "contents",
            Self::Log => "log",
            Self::Revocation => "revocation",
            Self::History => "history",
            Self::Level => "level",
        }
    }
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was checked and holds.
    Held,
    /// It was not checked: nothing demands it.
    NotChecked,
    /// It was checked and does not hold.
    Broke,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Of which link; none for what broke outside of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<Link>,
    /// What came of it.
    pub outcome: Outcome,
    /// What was found, or why it was not looked at.
    pub detail: String,
    /// The code of the error, if it broke.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
}

/// All checks of one package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Host and port of the registry.
    pub registry: String,
    /// The package that was asked for.
    pub package: PackageName,
    /// Digest of the index that came.
    pub digest: Digest,
    /// The mode of the policy.
    pub mode: Mode,
    /// By what program.
    pub checked_by: &'static str,
    /// When.
    pub checked_at: DateTime<Utc>,
    /// How far it is trusted; L0 until all checks hold.
    pub level: TrustLevel,
    /// Who signed, of those who count.
    pub signers: Vec<Signer>,
    /// The checks, in their order.
    pub checks: Vec<Check>,
}

impl Report {
    pub(super) fn new(asked: &Asked, digest: Digest, mode: Mode, now: DateTime<Utc>) -> Self {
        Self {
            registry: asked.registry.clone(),
            package: asked.package.clone(),
            digest,
            mode,
            checked_by: concat!("bpfpkg ", env!("CARGO_PKG_VERSION")),
            checked_at: now,
            level: TrustLevel::L0,
            signers: Vec::new(),
            checks: Vec::new(),
        }
    }

    pub(super) fn held(&mut self, link: Link, detail: String) {
        self.note(Some(link), Outcome::Held, detail, None);
    }

    pub(super) fn skipped(&mut self, link: Link, reason: &str) {
        self.note(Some(link), Outcome::NotChecked, reason.to_owned(), None);
    }

    pub(super) fn break_with(&mut self, error: &VerifyError) {
        let code = Some(error.code());
        self.note(error.link(), Outcome::Broke, error.to_string(), code);
    }

    pub(super) fn finish(&mut self, level: TrustLevel, signers: &[Signer]) {
        self.level = level;
        self.signers = signers.to_vec();
    }

    fn note(
        &mut self,
        link: Option<Link>,
        outcome: Outcome,
        detail: String,
        code: Option<&'static str>,
    ) {
        self.checks.push(Check {
            link,
            outcome,
            detail,
            code,
        });
    }
}

impl VerifyError {
    /// Which link of the chain broke; none if what is trusted cannot be read.
    pub const fn link(&self) -> Option<Link> {
        Some(match self {
            Self::Root { .. } => Link::Root,
            Self::Unsigned { .. }
            | Self::NobodyTrusted { .. }
            | Self::UntrustedSigner { .. }
            | Self::Signature { .. }
            | Self::Threshold { .. } => Link::Signers,
            Self::Index { .. }
            | Self::Form { .. }
            | Self::Changed { .. }
            | Self::Config { .. }
            | Self::OtherPackage { .. }
            | Self::OtherVersion { .. }
            | Self::OutOfRange { .. } => Link::Contents,
            Self::NoLog { .. } | Self::NotLogged { .. } | Self::Log { .. } => Link::Log,
            Self::Revoked { .. } | Self::Feed { .. } | Self::NoFeed { .. } => Link::Revocation,
            Self::Rollback { .. } | Self::Rewritten { .. } => Link::History,
            Self::Level { .. } => Link::Level,
            Self::Trust(_) => return None,
        })
    }
}
