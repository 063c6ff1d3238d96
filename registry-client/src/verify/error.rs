// SPDX-License-Identifier: Apache-2.0
//! Which link of the chain broke.

use registry_schema::{
    Digest, PackageName, TrustLevel, Version,
    digest::DigestMismatch,
    exit,
    manifest::ManifestError,
    trust::{
        revocation::{FeedError, Revoked},
        root::RootError,
    },
    version::VersionRange,
};

use super::{LogRefusal, signature::SignatureFault};
use crate::{Explain, trust::TrustError};

/// Which link of the chain broke.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum VerifyError {
    /// The index is not the one asked for.
    #[error("`{package}` is not what was asked for: its index {mismatch}")]
    Index {
        package: PackageName,
        mismatch: Box<DigestMismatch>,
    },
    /// Nobody signed.
    #[error("`{package}` ({digest}) is unsigned")]
    Unsigned {
        package: PackageName,
        digest: Digest,
    },
    /// No key is trusted for the namespace.
    #[error(
        "`{package}` is signed by {signers}, and no key is trusted for namespace `{namespace}` of registry `{registry}`"
    )]
    NobodyTrusted {
        package: PackageName,
        namespace: String,
        registry: String,
        signers: String,
    },
    /// Somebody signed who is not trusted.
    #[error(
        "`{package}` is signed by {signers}, not by a key trusted for its namespace ({trusted})"
    )]
    UntrustedSigner {
        package: PackageName,
        signers: String,
        trusted: String,
    },
    /// A signature names a trusted key, and does not fit.
    #[error("the signature of `{package}` is damaged or forged: {reason}")]
    Signature {
        package: PackageName,
        reason: Box<SignatureFault>,
    },
    /// Too few of those who count have signed.
    #[error(
        "`{package}` is signed by {found} of the signers that count ({signers}); the policy demands {needed}"
    )]
    Threshold {
        package: PackageName,
        found: usize,
        needed: u32,
        signers: String,
    },
    /// The package, or who signed it, counts no more.
    #[error("`{package}` is not to be used: {revoked}")]
    Revoked {
        package: PackageName,
        revoked: Box<Revoked>,
    },
    /// The revocation feed is not usable, so that nobody knows what is revoked.
    #[error("what registry `{registry}` has revoked is not known: {reason}")]
    Feed {
        registry: String,
        reason: Box<FeedError>,
    },
    /// There is no revocation feed.
    #[error(
        "what registry `{registry}` has revoked is not known: there is no revocation feed at hand"
    )]
    NoFeed { registry: String },
    /// The registry's pinned trust root counts no more.
    #[error("the trust root that is pinned for registry `{registry}` counts no more: {reason}")]
    Root {
        registry: String,
        reason: Box<RootError>,
    },
    /// What is trusted cannot be used.
    #[error(transparent)]
    Trust(Box<TrustError>),
    /// The policy demands a log, and nobody said whose.
    #[error(
        "the policy demands that `{package}` is in the publish log, and no trust root is pinned for registry `{registry}` that names one"
    )]
    NoLog {
        package: PackageName,
        registry: String,
    },
    /// There is no proof that the version is in the log.
    #[error("`{package}` came without proof that it is in the publish log")]
    NotLogged { package: PackageName },
    /// The proof does not hold.
    #[error("the proof that `{package}` is in the publish log does not hold: {reason}")]
    Log {
        package: PackageName,
        reason: Box<LogRefusal>,
    },
    /// A higher version was seen.
    #[error(
        "{actual} of `{package}` is older than {seen}, which was seen before: the registry goes back"
    )]
    Rollback {
        package: PackageName,
        actual: Box<Version>,
        seen: Box<Version>,
    },
    /// The version was seen with another content.
    #[error(
        "{version} of `{package}` was seen as {seen}, and is {actual} now: a version never changes"
    )]
    Rewritten {
        package: PackageName,
        version: Box<Version>,
        seen: Box<Digest>,
        actual: Box<Digest>,
    },
    /// It is not trusted enough.
    #[error("`{package}` reaches trust level {actual}; the policy demands {needed}")]
    Level {
        package: PackageName,
        actual: TrustLevel,
        needed: TrustLevel,
    },
    /// A document that was signed for is no package of the known form.
    #[error("the {which} of `{package}` is signed, but cannot be used: {reason}")]
    Form {
        package: PackageName,
        which: &'static str,
        reason: String,
    },
    /// A document is not the one that the document before it names.
    #[error("the {which} of `{package}` is not the signed one: {mismatch}")]
    Changed {
        package: PackageName,
        which: &'static str,
        mismatch: Box<DigestMismatch>,
    },
    /// The config breaks the rules of manifests.
    #[error("the config of `{package}` is signed, but cannot be used: {reason}")]
    Config {
        package: PackageName,
        reason: Box<ManifestError>,
    },
    /// The signed bytes are another package.
    #[error("the signature is for `{actual}`, not for `{asked}`")]
    OtherPackage {
        asked: PackageName,
        actual: PackageName,
    },
    /// The signed bytes are another version.
    #[error("the signature is for version {actual} of `{package}`, not for {asked}")]
    OtherVersion {
        package: PackageName,
        asked: Box<Version>,
        actual: Box<Version>,
    },
    /// The signed bytes are a version outside of the range.
    #[error("the signature is for version {actual} of `{package}`, which is not in {asked}")]
    OutOfRange {
        package: PackageName,
        asked: VersionRange,
        actual: Box<Version>,
    },
}

impl Explain for VerifyError {
    fn code(&self) -> &'static str {
        match self {
            Self::Index { .. } => "verify::index",
            Self::Unsigned { .. } => "verify::unsigned",
            Self::NobodyTrusted { .. } => "verify::nobody_trusted",
            Self::UntrustedSigner { .. } => "verify::untrusted_signer",
            Self::Signature { .. } => "verify::signature",
            Self::Threshold { .. } => "verify::threshold",
            Self::Revoked { .. } => "verify::revoked",
            Self::Feed { .. } => "verify::feed",
            Self::NoFeed { .. } => "verify::no_feed",
            Self::Root { .. } => "verify::root",
            Self::Trust(error) => error.code(),
            Self::NoLog { .. } => "verify::no_log",
            Self::NotLogged { .. } => "verify::not_logged",
            Self::Log { .. } => "verify::log",
            Self::Rollback { .. } => "verify::rollback",
            Self::Rewritten { .. } => "verify::rewritten",
            Self::Level { .. } => "verify::level",
            Self::Form { .. } => "verify::form",
            Self::Changed { .. } => "verify::changed",
            Self::Config { .. } => "verify::config",
            Self::OtherPackage { .. } => "verify::other_package",
            Self::OtherVersion { .. } => "verify::other_version",
            Self::OutOfRange { .. } => "verify::out_of_range",
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Unsigned { .. }
            | Self::Threshold { .. }
            | Self::NoFeed { .. }
            | Self::NoLog { .. }
            | Self::NotLogged { .. }
            | Self::Rollback { .. }
            | Self::Level { .. } => exit::POLICY,
            Self::Trust(error) => error.exit_code(),
            _ => exit::VERIFICATION,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Unsigned { .. } => "ask the publisher to sign it, or sign it yourself with `cosign sign` and your own key".to_owned(),
            Self::NobodyTrusted { namespace, registry, .. } => format!(
                "if you trust this publisher, run `bpfpkg trust add {registry}/{namespace}`"
            ),
            Self::Threshold { .. } => {
                "ask the others who maintain it to sign this version".to_owned()
            }
            Self::Revoked { .. } => {
                "use another version; `bpfpkg info` shows which there are".to_owned()
            }
            Self::Feed { registry, .. } | Self::NoFeed { registry } => format!(
                "nothing new is installed until it is: check that `{registry}` can be reached and the clock is right, or bring a newer archive"
            ),
            Self::Root { registry, .. } => format!("run `bpfpkg trust rotate {registry}`"),
            Self::Trust(error) => return error.help(),
            Self::NoLog { registry, .. } => format!("run `bpfpkg trust add {registry}`"),
            Self::NotLogged { .. } => {
                "pull it from its own registry; a private namespace is in no log: write a rule with `log = \"optional\"` for it".to_owned()
            }
            Self::Log { .. } | Self::Rewritten { .. } => {
                "do not use it, and keep what you have: this is how a registry that shows different things to different people looks".to_owned()
            }
            Self::Rollback { .. } => {
                "the log does not say that the newer one was withdrawn. If you want this one, name the version; a rule with `downgrade = \"allow\"` lets it happen by itself".to_owned()
            }
            Self::Level { .. } => {
                "`bpfpkg verify --explain` shows what is missing".to_owned()
            }
            Self::UntrustedSigner { .. } => {
                "somebody else signed this, or the publisher has a new key: ask the publisher before you run `bpfpkg trust add`".to_owned()
            }
            Self::Index { .. } | Self::Changed { .. } | Self::Signature { .. } => {
                "do not use it: pull again, and if it stays so, tell the registry's operator".to_owned()
            }
            Self::Form { .. } | Self::Config { .. } => "ask the publisher to build and publish it again".to_owned(),
            Self::OtherPackage { .. } | Self::OtherVersion { .. } | Self::OutOfRange { .. } => {
                "do not use it: the registry serves one package under the name of another".to_owned()
            }
        })
    }
}

impl From<TrustError> for VerifyError {
    fn from(error: TrustError) -> Self {
        Self::Trust(Box::new(error))
    }
}
