// SPDX-License-Identifier: Apache-2.0
//! The trust level of a version: worked out each time it is asked for, never kept, never
//! claimed.

use chrono::TimeDelta;
use registry_schema::{PackageName, TrustLevel, api::SignatureState};

use super::ServiceError;
use crate::{
    app::App,
    store::{self, catalogue::ListedVersion},
};

/// The level of a version, and what it rests on or lacks, a sentence each.
///
/// # Errors
/// [`ServiceError::Store`].
pub(super) async fn of(
    app: &App,
    package: &PackageName,
    listed: &ListedVersion,
) -> Result<(TrustLevel, Vec<String>), ServiceError> {
    let namespace = package.namespace();
    let reason = match listed.signature {
        SignatureState::Signed => None,
        SignatureState::Revoked => Some("who signed it was revoked"),
        SignatureState::UnknownKey => Some("nobody of the namespace has signed it"),
        SignatureState::Unsigned => Some("nobody has signed it"),
    };
    if let Some(reason) = reason {
        return Ok((TrustLevel::L0, vec![reason.to_owned()]));
    }
    let mut reasons = vec![format!("signed by {namespace}")];
    let lapse = TimeDelta::days(app.config.policy.proof_days.into());
    let since = app.clock.now() - lapse;
    let proofs = store::proofs::list(&app.db, namespace.as_str()).await?;
    let proof = proofs
        .iter()
        .find(|proof| proof.proved_at.is_some_and(|at| at > since));
    match proof {
        Some(proof) => reasons.push(format!(
            "{namespace} has shown that {} is its own",
            proof.subject
        )),
        None if proofs.is_empty() => reasons.push(format!(
            "{namespace} has not shown who stands behind it (L2 needs that)"
        )),
        None => reasons.push(format!(
            "what {namespace} had shown of itself has lapsed (L2 needs it)"
        )),
    }
    let logged = store::log::publication(&app.db, package, &listed.version)
        .await?
        .is_some();
    reasons.push(if logged {
        "its publication is in the log".to_owned()
    } else {
        "its publication is not in the log (L2 needs that)".to_owned()
    });
    let level = if proof.is_some() && logged {
        TrustLevel::L2
    } else {
        TrustLevel::L1
    };
    Ok((level, reasons))
}
