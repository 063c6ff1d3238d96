// SPDX-License-Identifier: Apache-2.0
//! Whether what runs may still run: every few minutes the revocation feeds of its registries
//! are asked for, and every package is judged again by what is known now.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use registry_client::verify as signature;
use registry_schema::{Digest, Reference};

use super::{Agent, lock};
use crate::config::OnRevoked;
use crate::desired::ChainSpec;
use crate::fetch::Origin;
use crate::kernel::Kernel;
use crate::verify::VerifyError;

/// How often everything is judged again.
const EVERY: Duration = Duration::from_mins(5);

/// What is known of packages that were accepted.
#[derive(Debug, Default)]
pub(super) struct Watch {
    looked: Option<Instant>,
    /// Indexes that may no longer run, and why.
    revoked: BTreeMap<Digest, String>,
    /// Indexes that would not be accepted now because something is out of date, and what.
    stale: BTreeMap<Digest, String>,
}

/// Why an error means that a package may no longer run; none for every other error.
fn revocation(error: &signature::VerifyError) -> Option<String> {
    matches!(error, signature::VerifyError::Revoked { .. }).then(|| error.to_string())
}

impl<K: Kernel> Agent<K> {
    /// Judges everything that runs again, if it is time.
    pub async fn watch(&self) {
        let due = lock(&self.watch)
            .looked
            .is_none_or(|looked| looked.elapsed() >= EVERY);
        if due {
            self.judge_again().await;
        }
    }

    /// Judges everything that runs again, now.
    pub(crate) async fn judge_again(&self) {
        lock(&self.watch).looked = Some(Instant::now());
        let packages: Vec<_> = lock(&self.packages).values().cloned().collect();
        let mut trusted = BTreeMap::new();
        for package in packages {
            let (fetched, asked) = (&package.request.fetched, &package.request.asked);
            let registry = &asked.registry;
            if !trusted.contains_key(registry) {
                let trust = self.refresh(registry, &Origin::Registry).await;
                trusted.insert(registry.clone(), trust);
            }
            let digest = package.verified.digest.clone();
            let basis = match &trusted[registry] {
                Ok(trust) => self.basis(asked, &digest, trust.clone()),
                Err(error) => {
                    tracing::warn!(registry, "{error}");
                    continue;
                }
            };
            match basis {
                Ok(basis) => match signature::verify(fetched, asked, &basis) {
                    Err(error) => self.note_revocation(&digest, revocation(&error)),
                    Ok(package) => {
                        self.note_revocation(&digest, None);
                        self.note_stale(&digest, &package.stale);
                    }
                },
                Err(error) => tracing::warn!("{error}"),
            }
        }
    }

    /// Remembers why a package was refused, if that is because it was revoked.
    pub(super) fn note_refusal(&self, digest: &Digest, error: &VerifyError) {
        if let VerifyError::Signature(error) = error {
            self.note_revocation(digest, revocation(error));
        }
    }

    fn note_revocation(&self, digest: &Digest, reason: Option<String>) {
        let mut watch = lock(&self.watch);
        let Some(reason) = reason else {
            watch.revoked.remove(digest);
            return;
        };
        if !watch.revoked.contains_key(digest) {
            tracing::error!(target: "revoked", %digest, "{reason}");
            watch.revoked.insert(digest.clone(), reason);
        }
    }

    /// Remembers what is out of date of a package that goes on.
    pub(super) fn note_stale(&self, digest: &Digest, stale: &[String]) {
        let mut watch = lock(&self.watch);
        if stale.is_empty() {
            watch.stale.remove(digest);
            return;
        }
        let stale = stale.join("; ");
        if watch.stale.get(digest) != Some(&stale) {
            tracing::warn!(target: "stale", %digest, "{stale}");
            watch.stale.insert(digest.clone(), stale);
        }
    }

    /// What is out of date, and would keep the package with this index from being accepted
    /// now; none if nothing is.
    pub(super) fn stale(&self, digest: &Digest) -> Option<String> {
        lock(&self.watch).stale.get(digest).cloned()
    }

    /// Why the package with this index may no longer run; none if it may.
    pub(super) fn revoked(&self, digest: &Digest) -> Option<String> {
        lock(&self.watch).revoked.get(digest).cloned()
    }

    /// Whether a wish is not carried out because what it led to was revoked.
    pub(super) fn withdrawn(&self, package: &Reference) -> bool {
        if self.config.on_revoked == OnRevoked::Flag {
            return false;
        }
        let Ok(key) = self.key(package) else {
            return false;
        };
        let journal = lock(&self.journal);
        let digest = package.digest.as_ref().or(journal.resolved.get(&key));
        digest.is_some_and(|digest| lock(&self.watch).revoked.contains_key(digest))
    }

    /// A chain without the programs that were withdrawn; none if nothing is left of it.
    pub(super) fn standing(&self, spec: &ChainSpec) -> Option<ChainSpec> {
        let mut standing = spec.clone();
        standing
            .programs
            .retain(|program| !self.withdrawn(&program.package));
        (!standing.programs.is_empty()).then_some(standing)
    }
}
