// SPDX-License-Identifier: Apache-2.0
//! Is the log in which a version was found the one that was seen before? Needs the network.

use registry_schema::{transparency::Proof, trust::root::LogTrust};

use super::{Checkpoints, LogError, LogFault, LogKeys, check_earlier};
use crate::{pull::Blob, registry::Registry};

/// Demands that the checkpoints of the proofs that came with a version, the one that the log
/// shows now, and the last one that was kept, continue each other; keeps the latest, and
/// gives how many entries the log has, if there was anything to ask for.
///
/// # Errors
/// [`LogFault::Forked`], with both checkpoints kept as evidence; [`LogFault::Shrunk`]; those
/// of [`super::advance`].
pub async fn confirm(
    registry: &Registry,
    trust: &LogTrust,
    kept: &Checkpoints,
    proofs: impl IntoIterator<Item = &Blob>,
) -> Result<Option<u64>, LogError> {
    let keys = LogKeys::try_from(trust).map_err(LogFault::Witness)?;
    let mut size = None;
    for proof in proofs {
        let Ok(proof) = Proof::parse(&proof.0) else {
            continue;
        };
        // What the log did not sign says nothing about it.
        if let Ok(came) = keys.open(proof.checkpoint.as_bytes()) {
            size = Some(check_earlier(registry, &keys, kept, &came).await?);
        }
    }
    Ok(size)
}
