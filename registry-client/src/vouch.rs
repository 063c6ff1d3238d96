// SPDX-License-Identifier: Apache-2.0
//! Continuity statements: the holder of a key says who may go on, and everybody can check it.

use chrono::{DateTime, Utc};
use registry_schema::{
    Identity, Namespace,
    continuity::Continuity,
    namespace_identity::{AcceptedContinuity, NewContinuity},
    signature::{Fingerprint, IN_TOTO, PublicKey, bundle, pre_authentication_encoding},
};

use crate::{
    sign::{KeyPair, SignError},
    verify::signature::{Roots, judge_attestation},
};

/// Has the holder of `old` say that `successor`, with its key if it is one, may go on.
///
/// # Errors
/// [`SignError::Crypto`] if signing fails.
pub fn vouch(
    old: &KeyPair,
    registry: &str,
    namespace: &Namespace,
    successor: (Identity, Option<String>),
    retires: bool,
    now: DateTime<Utc>,
) -> Result<NewContinuity, SignError> {
    let (successor, successor_key) = successor;
    let says = Continuity {
        registry: registry.to_owned(),
        namespace: namespace.clone(),
        signer: old.fingerprint().into(),
        successor,
        successor_key,
        retires,
        at: now,
    };
    let statement = says.statement();
    let signature = old.sign(&pre_authentication_encoding(IN_TOTO, &statement))?;
    let bytes = bundle(&old.fingerprint(), &statement, &signature);
    let bundle = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| unreachable!("it was just written as JSON"));
    Ok(NewContinuity { bundle })
}

/// Which of `keys` has named `successor` in the statements of a namespace. What the registry
/// says of a statement can make it count less, never more.
pub fn vouched_by(
    statements: &[AcceptedContinuity],
    keys: &[PublicKey],
    registry: &str,
    namespace: &Namespace,
    successor: &Identity,
) -> Option<Fingerprint> {
    let subject = Continuity::subject(successor);
    statements.iter().find_map(|accepted| {
        let bundle = accepted.bundle.to_string();
        let stated =
            judge_attestation(bundle.as_bytes(), &subject, keys, &Roots::default()).ok()?;
        let says = Continuity::read(&stated.statement).ok()?;
        let signer = stated.signer.identity;
        // It counted for some days, and was handed in then.
        says.check(registry, namespace, &signer, says.at).ok()?;
        match signer {
            Identity::Key(key) if !accepted.void && says.successor == *successor => Some(key),
            _ => None,
        }
    })
}
