// SPDX-License-Identifier: Apache-2.0
//! What `pull`, `verify`, `weave` and `inspect` share: fetch, then decide.

use std::path::PathBuf;

use clap::ValueHint;
use registry_schema::Reference;

use super::{failure::Failure, namespace::read_public_key, session::Session};
use crate::{
    layout::Layout,
    pull::{FetchedPackage, Target, fetch},
    registry::Registry,
    source::Source,
    trust::{TrustStore, TrustedKey},
    verify::{Asked, VerifiedPackage, verify},
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

    /// Fetches the package and checks its whole chain.
    pub(super) async fn fetch_verified(&self, session: &Session) -> Result<Fetched, Failure> {
        let host = session.registry_of(&self.reference)?;
        // A damaged trust file is said before anything is fetched.
        let trust = self.trust(session, &host)?;
        let origin = match &self.from {
            Some(path) => Origin::Layout(Layout::open(path)?),
            None => Origin::Registry(Box::new(session.connect(&host)?)),
        };
        let raw = fetch(origin.source(), &self.reference, self.target()).await?;
        if let Origin::Registry(registry) = &origin {
            for warning in registry.take_warnings() {
                session.say(format!("warning: {warning}"));
            }
        }
        let asked = Asked::new(&host, &self.reference, self.target());
        let verified = verify(&raw, &asked, &trust)?;
        Ok(Fetched {
            origin,
            raw,
            verified,
        })
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
