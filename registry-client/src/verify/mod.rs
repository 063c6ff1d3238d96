// SPDX-License-Identifier: Apache-2.0
//! The decision whether fetched bytes are what was asked for, by someone trusted.
//!
//! Pure: no file, no socket, no clock. Every digest is computed again here, so it
//! does not matter who fetched the bytes or what they passed through. The chain:
//! trust root → signers → index → package manifest → config (name and version) and
//! object → publish log → revocations → versions seen before.

mod basis;
mod contents;
mod error;
mod log;
mod report;
pub mod signature;
mod signers;

use registry_schema::{
    Digest, PackageManifest, PackageName, TrustLevel, Version,
    signature::{Bundle, SignatureError},
    trust::{
        policy::{Demands, Downgrade, Need},
        revocation::{Feed, Revoked},
    },
};
use serde::{Deserialize, Serialize};

pub use self::log::{LogRefusal, Logged};
pub use self::{
    basis::{Asked, Basis, Memory, Seen},
    contents::{Contents, contents},
    error::VerifyError,
    report::{Check, Link, Outcome, Report},
};
use self::{log::Log, signature::Signer};
use crate::{
    pull::{Blob, FetchedPackage, FetchedSignature, Target},
    trust::TrustedRoot,
};

/// A package whose whole chain holds. Only [`verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VerifiedPackage {
    /// Host and port of the registry it came from.
    pub registry: String,
    /// What the package declares.
    pub manifest: PackageManifest,
    /// The target of the object.
    pub target: Target,
    /// The digest of the index: the identity of the version.
    pub digest: Digest,
    /// The digest of the object.
    pub object_digest: Digest,
    /// The object.
    pub object: Blob,
    /// Who signed, of those who count; nobody only where the policy lets unsigned
    /// packages pass.
    pub signers: Vec<Signer>,
    /// How far it is trusted.
    pub level: TrustLevel,
    /// Where it is in the publish log; none if no log was asked.
    pub logged: Option<Logged>,
    /// What is out of date, and would keep it from being installed now.
    pub stale: Vec<String>,
}

impl VerifiedPackage {
    /// `namespace/name`.
    pub const fn package(&self) -> &PackageName {
        &self.manifest.package.name
    }

    /// The version.
    pub const fn version(&self) -> &Version {
        &self.manifest.package.version
    }

    /// Who signed, in words; `nobody` if it is unsigned.
    pub fn signed_by(&self) -> String {
        signers::in_words(&self.signers)
    }
}

/// Decides whether `fetched` is what was `asked` for, and all that is demanded of it holds.
///
/// # Errors
/// The first link of the chain that does not hold, as [`VerifyError`].
pub fn verify(
    fetched: &FetchedPackage,
    asked: &Asked,
    basis: &Basis,
) -> Result<VerifiedPackage, VerifyError> {
    examine(fetched, asked, basis).1
}

/// As [`verify`], with everything that was looked at up to the end or the first break.
pub fn examine(
    fetched: &FetchedPackage,
    asked: &Asked,
    basis: &Basis,
) -> (Report, Result<VerifiedPackage, VerifyError>) {
    let demands = basis.policy.demands(&asked.registry, &asked.package);
    let mut report = Report::new(asked, fetched.digest(), demands.mode.value, basis.now);
    let examination = Examination {
        fetched,
        asked,
        basis,
        demands: &demands,
        root: basis.trust.root_of(&asked.registry),
        installed: basis.memory.installed.as_ref() == Some(&fetched.digest()),
    };
    let result = examination.run(&mut report);
    match &result {
        Ok(package) => report.finish(package.level, &package.signers),
        Err(error) => report.break_with(error),
    }
    (report, result)
}

/// One run along the chain.
struct Examination<'a> {
    fetched: &'a FetchedPackage,
    asked: &'a Asked,
    basis: &'a Basis,
    demands: &'a Demands,
    root: Option<&'a TrustedRoot>,
    /// Whether exactly this was accepted before.
    installed: bool,
}

impl Examination<'_> {
    fn run(&self, report: &mut Report) -> Result<VerifiedPackage, VerifyError> {
        let mut stale = Vec::new();
        self.check_root(&mut stale, report)?;
        contents::check_index(self.fetched, self.asked)?;
        let signers = signers::judge(self, report)?;
        let contents = contents(self.fetched, self.asked)?;
        report.held(Link::Contents, format!("object {}", contents.object_digest));
        let log = self.log()?;
        let logged = self.check_log(log.as_ref(), &contents, report)?;
        let feed = self.open_feed(&mut stale, report)?;
        let mut signers = match &feed {
            Some(feed) => self.check_revoked(signers, &contents, logged.as_ref(), feed, report)?,
            None => signers,
        };
        // Where the policy lets unsigned packages pass, too few are as good as nobody.
        if signers.len() < self.threshold() {
            signers.clear();
        }
        self.check_memory(log.as_ref(), &contents, report)?;
        let level = self.check_level(&signers, logged.as_ref(), report)?;
        Ok(VerifiedPackage {
            registry: self.asked.registry.clone(),
            manifest: contents.manifest,
            target: self.asked.target.clone(),
            digest: contents.digest,
            object_digest: contents.object_digest,
            object: contents.object,
            signers,
            level,
            logged,
            stale,
        })
    }

    /// How many must have signed.
    const fn threshold(&self) -> usize {
        self.demands.threshold.value as usize
    }

    /// Lets what is installed go on although something is out of date.
    fn excuse(
        &self,
        link: Link,
        error: VerifyError,
        stale: &mut Vec<String>,
        report: &mut Report,
    ) -> Result<(), VerifyError> {
        if !self.installed {
            return Err(error);
        }
        report.skipped(
            link,
            &format!("{error}; it was installed before and goes on"),
        );
        stale.push(error.to_string());
        Ok(())
    }

    /// The pinned root must not have expired.
    fn check_root(&self, stale: &mut Vec<String>, report: &mut Report) -> Result<(), VerifyError> {
        let Some(root) = self.root else {
            report.skipped(Link::Root, "no trust root is pinned for the registry");
            return Ok(());
        };
        let signed = root.signed();
        if let Err(reason) = signed.check_current(self.basis.now) {
            let error = VerifyError::Root {
                registry: self.asked.registry.clone(),
                reason: Box::new(reason),
            };
            return self.excuse(Link::Root, error, stale, report);
        }
        let root = signed.root();
        let end = root.expires_at.format("%Y-%m-%d");
        report.held(Link::Root, format!("version {}, until {end}", root.version));
        Ok(())
    }

    /// The log that the registry's root names, if it names one.
    fn log(&self) -> Result<Option<Log>, VerifyError> {
        let trust = self.root.and_then(|root| root.signed().root().log.as_ref());
        let last = self.basis.memory.checkpoint.as_deref();
        let log = trust.map(|trust| Log::new(trust, self.demands.witnesses.value, last));
        log.transpose().map_err(|reason| self.log_refused(reason))
    }

    fn log_refused(&self, reason: LogRefusal) -> VerifyError {
        VerifyError::Log {
            package: self.asked.package.clone(),
            reason: Box::new(reason),
        }
    }

    /// A proof that is there must hold, and one must be there where it is demanded: by the
    /// policy, or by default where the registry's root names a log.
    fn check_log(
        &self,
        log: Option<&Log>,
        contents: &Contents,
        report: &mut Report,
    ) -> Result<Option<Logged>, VerifyError> {
        let package = || self.asked.package.clone();
        let demanded = self.demands.log.value;
        let Some(log) = log else {
            if demanded == Some(Need::Required) {
                return Err(VerifyError::NoLog {
                    package: package(),
                    registry: self.asked.registry.clone(),
                });
            }
            report.skipped(Link::Log, "no trust root names a log for the registry");
            return Ok(None);
        };
        if self.fetched.log_proofs.is_empty() {
            if demanded == Some(Need::Optional) {
                report.skipped(Link::Log, "it came without proof, and none is demanded");
                return Ok(None);
            }
            return Err(VerifyError::NotLogged { package: package() });
        }
        let included = log
            .check(&self.fetched.log_proofs, contents)
            .map_err(|reason| self.log_refused(reason))?;
        report.held(Link::Log, included.to_string());
        Ok(Some(included))
    }

    /// The revocation feed, if one is at hand; a current one where it is demanded: by the
    /// policy, or by default where the registry's root names who may revoke.
    fn open_feed(
        &self,
        stale: &mut Vec<String>,
        report: &mut Report,
    ) -> Result<Option<Feed>, VerifyError> {
        let registry = &self.asked.registry;
        let failed = |reason| VerifyError::Feed {
            registry: registry.clone(),
            reason: Box::new(reason),
        };
        let keys = self.root.and_then(|root| root.signed().revocation_keys());
        let demanded = self.demands.revocation.value;
        let (Some((keys, needed)), Some(bytes)) = (keys, &self.basis.memory.feed) else {
            if demanded == Some(Need::Required) || (keys.is_some() && demanded.is_none()) {
                let registry = registry.clone();
                let error = VerifyError::NoFeed { registry };
                return self
                    .excuse(Link::Revocation, error, stale, report)
                    .map(|()| None);
            }
            let reason = match keys {
                Some(_) => "no revocation feed is at hand, and none is demanded",
                None => "no trust root names who may revoke",
            };
            report.skipped(Link::Revocation, reason);
            return Ok(None);
        };
        let opened = Feed::open(&bytes.0, keys, needed)
            .and_then(|feed| feed.check_registry(registry).map(|()| feed));
        let feed = match opened {
            Ok(feed) => feed,
            // What was kept is of keys that the root no longer names, until a newer one comes.
            Err(reason) => {
                return self
                    .excuse(Link::Revocation, failed(reason), stale, report)
                    .map(|()| None);
            }
        };
        let age = self.demands.revocation_max_age.value;
        if let Err(reason) = feed.check_current(self.basis.now, age.map(|age| age.0)) {
            self.excuse(Link::Revocation, failed(reason), stale, report)?;
        }
        Ok(Some(feed))
    }

    /// Neither what was published nor who signed it may be revoked. Gives the signers that
    /// still count.
    fn check_revoked(
        &self,
        signers: Vec<Signer>,
        contents: &Contents,
        logged: Option<&Logged>,
        feed: &Feed,
        report: &mut Report,
    ) -> Result<Vec<Signer>, VerifyError> {
        let refuse = |revoked: &Revoked| VerifyError::Revoked {
            package: self.asked.package.clone(),
            revoked: Box::new(revoked.clone()),
        };
        let package = &contents.manifest.package;
        let content = feed
            .find_digest(&contents.digest)
            .or_else(|| feed.find_digest(&contents.object_digest))
            .or_else(|| feed.find_version(&package.name, &package.version));
        if let Some(revoked) = content {
            return Err(refuse(revoked));
        }
        let (mut counting, mut lost) = (Vec::new(), None);
        for signer in signers {
            let seen = logged.and_then(|logged| logged.saw(&signer.identity));
            let proven = [signer.signed_at, seen].into_iter().flatten().min();
            let taken_up = logged.map(|logged| logged.at);
            match feed.find_signer(&signer.identity, proven, taken_up) {
                Some(revoked) => lost = Some(revoked),
                None => counting.push(signer),
            }
        }
        match lost {
            Some(revoked) if counting.len() < self.threshold() => Err(refuse(revoked)),
            _ => {
                let issued = feed.issued_at.format("%Y-%m-%d %H:%M");
                let said = format!("not in feed {} of {issued} UTC", feed.version);
                report.held(Link::Revocation, said);
                Ok(counting)
            }
        }
    }

    /// No version may have changed, and what is chosen for a range, or as the latest, must
    /// not be older than what could have been chosen before and was not withdrawn since.
    fn check_memory(
        &self,
        log: Option<&Log>,
        contents: &Contents,
        report: &mut Report,
    ) -> Result<(), VerifyError> {
        let package = || self.asked.package.clone();
        let actual = &contents.manifest.package.version;
        let memory = &self.basis.memory;
        if let Some(Seen { digest, .. }) = memory.seen.get(actual)
            && *digest != contents.digest
        {
            return Err(VerifyError::Rewritten {
                package: package(),
                version: Box::new(actual.clone()),
                seen: Box::new(digest.clone()),
                actual: Box::new(contents.digest.clone()),
            });
        }
        let withdrawn =
            log.map(|log| log.withdrawn(&self.fetched.withdrawals, &self.asked.package));
        let withdrawn = withdrawn.transpose();
        let withdrawn = withdrawn
            .map_err(|reason| self.log_refused(reason))?
            .unwrap_or_default();
        let stands = |version: &Version, seen: &Seen| {
            let at = withdrawn.get(version).copied();
            at.is_none_or(|at| seen.chosen_at.is_some_and(|size| at < size))
        };
        let mut eligible = memory.eligible(self.asked, actual);
        let Some((highest, _)) = eligible.find(|(version, seen)| stands(version, seen)) else {
            report.skipped(
                Link::History,
                "no version of it was seen before that still counts",
            );
            return Ok(());
        };
        let allowed = self.asked.is_named() || self.demands.downgrade.value == Downgrade::Allow;
        if actual < highest && !allowed {
            return Err(VerifyError::Rollback {
                package: package(),
                actual: Box::new(actual.clone()),
                seen: Box::new(highest.clone()),
            });
        }
        report.held(Link::History, format!("highest version seen is {highest}"));
        Ok(())
    }

    fn check_level(
        &self,
        signers: &[Signer],
        logged: Option<&Logged>,
        report: &mut Report,
    ) -> Result<TrustLevel, VerifyError> {
        let actual = match (signers, logged) {
            ([], _) => TrustLevel::L0,
            (_, None) => TrustLevel::L1,
            (_, Some(_)) => TrustLevel::L2,
        };
        let unsigned_may = signers.is_empty() && self.demands.level.rule.is_none();
        let needed = self.demands.level.value;
        if actual < needed && !unsigned_may {
            return Err(VerifyError::Level {
                package: self.asked.package.clone(),
                actual,
                needed,
            });
        }
        report.held(Link::Level, format!("{actual}, {}", actual.word()));
        Ok(actual)
    }
}

/// Reads a signature without judging it.
///
/// # Errors
/// [`SignatureError`] if it has not the form.
pub fn read_signature(signature: &FetchedSignature) -> Result<Bundle, SignatureError> {
    match signature {
        FetchedSignature::Bundle(bytes) => Bundle::parse(&bytes.0),
        FetchedSignature::SimpleSigning(simple) => {
            Bundle::parse_simple_signing(&simple.payload.0, &simple.signature)
        }
    }
}
