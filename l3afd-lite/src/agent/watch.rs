// SPDX-License-Identifier: Apache-2.0
//! Whether what runs may still run: every few minutes the revocation feeds of its registries
//! are asked for, and every package is judged again by what is known now.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use registry_client::verify as signature;
use registry_schema::{Digest, Reference};

use super::{Agent, lock};
use crate::config::OnRevoked;
use crate::desired::ChainSpec;
use crate::fetch::Ask;
use crate::kernel::Kernel;
use crate::verify::VerifyError;

/// How often everything is judged again.
const EVERY: Duration = Duration::from_mins(5);

/// What is known of revocations.
#[derive(Debug, Default)]
pub(super) struct Watch {
    looked: Option<Instant>,
    /// Indexes that may no longer run, and why.
    revoked: BTreeMap<Digest, String>,
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
        let registries: BTreeSet<_> = packages
            .iter()
            .map(|package| package.request.asked.registry.clone())
            .collect();
        for registry in registries {
            if let Err(error) = self.refresh(&registry).await {
                tracing::warn!(registry, "{error}");
            }
        }
        for package in packages {
            let (fetched, asked) = (&package.request.fetched, &package.request.asked);
            let digest = package.verified.digest.clone();
            match self.basis(asked, Some(digest.clone()), Ask::Kept).await {
                Ok(basis) => match signature::verify(fetched, asked, &basis) {
                    Err(error) => self.note_revocation(&digest, revocation(&error)),
                    Ok(_) => self.note_revocation(&digest, None),
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

    /// Why the package with this index may no longer run; none if it may.
    pub(super) fn revoked(&self, digest: &Digest) -> Option<String> {
        lock(&self.watch).revoked.get(digest).cloned()
    }

    /// Whether a wish is not carried out because what it led to was revoked.
    pub(super) fn withdrawn(&self, package: &Reference) -> bool {
        if self.config.on_revoked == OnRevoked::Flag {
            return false;
        }
        let resolved = lock(&self.journal);
        let digest = resolved.resolved.get(&package.to_string());
        let digest = package.digest.as_ref().or(digest);
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
