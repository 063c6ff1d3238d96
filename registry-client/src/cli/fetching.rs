// SPDX-License-Identifier: Apache-2.0
//! What `pull`, `verify`, `weave` and `inspect` share: fetch, then decide.

use std::path::PathBuf;

use clap::ValueHint;
use registry_schema::Reference;

use super::{
    clock,
    failure::Failure,
    namespace::read_public_key,
    session::{Session, memory},
};
use crate::{
    layout::Layout,
    log::{self, LogError},
    memory::MemoryStore,
    pull::{FetchedPackage, Target, fetch},
    registry::Registry,
    source::Source,
    trust::{TrustStore, TrustedKey, TrustedRoot, refresh_from},
    verify::{Asked, Basis, Report, VerifiedPackage, VerifyError, examine},
};

/// Which package, and whom to believe
#[derive(Debug, clap::Args)]
pub(super) struct PackageArgs {
    /// The package, `[host/]namespace/name[:version][@sha256:…]`
    pub(super) reference: Reference,
    /// Which object: `bpfel`, `bpfeb` or `os/arch`; by default what this machine runs
    #[arg(long, value_name = "TARGET")]
    pub(super) target: Option<Target>,
    /// Believe this public key for this once, instead of the trusted keys
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) key: Option<PathBuf>,
    /// Read from this archive or layout folder instead of a registry; no network is used
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(super) from: Option<PathBuf>,
}

/// Where a package was read.
pub(super) enum Origin {
    Registry(Box<Registry>),
    Layout(Layout),
}

impl Origin {
    pub(super) fn source(&self) -> Source<'_> {
        match self {
            Self::Registry(registry) => Source::Registry(registry),
            Self::Layout(layout) => Source::Layout(layout),
        }
    }
}

/// A package, and how far its chain holds.
pub(super) struct Examined {
    asked: Asked,
    origin: Origin,
    raw: FetchedPackage,
    pub(super) report: Report,
    result: Result<VerifiedPackage, VerifyError>,
    log_size: Option<u64>,
}

impl Examined {
    /// Demands that the whole chain holds, and remembers it.
    pub(super) fn accept(self) -> Result<Fetched, Failure> {
        let verified = self.result?;
        memory()?.remember(
            &self.asked,
            verified.version(),
            &verified.digest,
            self.log_size,
        )?;
        Ok(Fetched {
            origin: self.origin,
            raw: self.raw,
            verified,
        })
    }
}

/// Demands that the log is the one that was seen before, and gives how many entries it has.
/// Silence is how a fork is hidden: only for what was accepted before it is merely said.
async fn confirm_log(
    registry: &Registry,
    basis: &Basis,
    memory: &MemoryStore,
    raw: &FetchedPackage,
    verified: &VerifiedPackage,
    session: &Session,
) -> Result<Option<u64>, Failure> {
    let root = basis.trust.root_of(registry.host());
    let trust = root.and_then(|root| root.signed().root().log.as_ref());
    let (Some(trust), Some(_)) = (trust, &verified.logged) else {
        return Ok(None);
    };
    let kept = memory.checkpoints();
    match log::confirm(registry, trust, &kept, raw.proofs()).await {
        Err(LogError::Registry(error)) => {
            let seen = basis.memory.seen.get(verified.version());
            if seen.is_none_or(|seen| seen.digest != verified.digest) {
                return Err(LogError::Silent(error).into());
            }
            session.say(format!(
                "warning: whether the log continues what was seen is not known: {error}"
            ));
            Ok(None)
        }
        other => Ok(other?),
    }
}

/// What a user should know of a package that may be used.
fn warnings(verified: &VerifiedPackage) -> Vec<String> {
    let unsigned = verified.signers.is_empty().then(|| {
        format!(
            "{}:{} is UNSIGNED: nobody who counts has signed it, and the policy lets it pass",
            verified.package(),
            verified.version()
        )
    });
    unsigned.into_iter().chain(verified.stale.clone()).collect()
}

/// A package with a chain that holds, and what it was found in.
pub(super) struct Fetched {
    pub(super) origin: Origin,
    pub(super) raw: FetchedPackage,
    pub(super) verified: VerifiedPackage,
}

impl PackageArgs {
    /// The target that is asked for.
    pub(super) fn target(&self) -> Target {
        self.target.clone().unwrap_or_else(Target::native)
    }

    /// Fetches the package and follows its chain as far as it holds.
    pub(super) async fn fetch_examined(&self, session: &Session) -> Result<Examined, Failure> {
        let host = session.registry_of(&self.reference)?;
        // A damaged file is said before anything is fetched.
        let mut trust = self.trust(session, &host)?;
        let (policy, memory) = (session.policy()?, memory()?);
        let origin = match &self.from {
            Some(path) => Origin::Layout(Layout::open(path)?),
            None => Origin::Registry(Box::new(session.connect(&host)?)),
        };
        let mut raw = fetch(origin.source(), &self.reference, self.target()).await?;
        if let Origin::Registry(registry) = &origin {
            for warning in registry.take_warnings() {
                session.say(format!("warning: {warning}"));
            }
        }
        let asked = Asked::new(&host, &self.reference, self.target());
        // Who names a key for this once asks for nothing else.
        match &origin {
            _ if self.key.is_some() => {}
            Origin::Registry(registry) => {
                session.refresh(registry, &mut trust, &memory).await?;
            }
            Origin::Layout(layout) => {
                let now = clock::now();
                let refreshed = refresh_from(layout, &host, &mut trust, &memory, now);
                session.take_over(&host, &refreshed, &trust)?;
            }
        }
        let root = trust.root_of(&host).map(TrustedRoot::signed);
        let basis = Basis {
            memory: memory.recall(&host, &self.reference.package, root)?,
            trust,
            policy,
            now: clock::now(),
        };
        let (mut report, mut result) = examine(&raw, &asked, &basis);
        let mut log_size = None;
        if let Origin::Registry(registry) = &origin {
            if let Err(VerifyError::Rollback { actual, .. }) = &result {
                let above = basis.memory.above(&asked, actual);
                raw.withdrawals = registry.withdrawals(&asked.package, above).await?;
                (report, result) = examine(&raw, &asked, &basis);
            }
            if let Ok(verified) = &result {
                log_size = confirm_log(registry, &basis, &memory, &raw, verified, session).await?;
            }
        }
        Ok(Examined {
            asked,
            origin,
            raw,
            report,
            result,
            log_size,
        })
    }

    /// Fetches the package, and demands that its whole chain holds.
    pub(super) async fn fetch_verified(&self, session: &Session) -> Result<Fetched, Failure> {
        let fetched = self.fetch_examined(session).await?.accept()?;
        for warning in warnings(&fetched.verified) {
            session.say(format!("warning: {warning}"));
        }
        Ok(fetched)
    }

    fn trust(&self, session: &Session, host: &str) -> Result<TrustStore, Failure> {
        let Some(path) = &self.key else {
            return session.trust();
        };
        let pem = read_public_key(path)?.to_pem();
        let key = TrustedKey::new(host, self.reference.package.namespace().clone(), &pem, None)?;
        Ok(TrustStore::from_iter([key]))
    }
}
