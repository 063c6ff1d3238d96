// SPDX-License-Identifier: Apache-2.0
//! Continuity statements: the holder of a key says who may go on.

use chrono::{DateTime, Utc};
use registry_schema::{
    Identity, Namespace,
    continuity::Continuity,
    namespace_identity::NewContinuity,
    signature::{IN_TOTO, bundle, pre_authentication_encoding},
};

use crate::sign::{KeyPair, SignError};

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
