// SPDX-License-Identifier: Apache-2.0
//! Signatures as the registry sees them: by which registered key, or why by none.
//!
//! A signature is judged when it arrives and again when the keys of its namespace
//! change. It belongs to a digest, not to a tag: it may arrive before the tag or after.

use registry_schema::{
    Digest, Namespace,
    signature::{Bundle, MAX_BUNDLE, PublicKey, SignatureError},
};

use super::ServiceError;
use crate::{
    app::App,
    store::{self, Tx, signatures::Signature},
};

/// A verdict over one signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// `verified`, `unknown_key` or `invalid`.
    pub state: &'static str,
    /// The key that verified it, or that it claims.
    pub fingerprint: Option<String>,
    /// Why it is not verified.
    pub reason: Option<String>,
}

/// Checks a signature that was read against the keys of a namespace.
pub fn judge(
    parsed: &Result<Bundle, SignatureError>,
    subject: &Digest,
    keys: &[PublicKey],
) -> Verdict {
    let bundle = match parsed {
        Ok(bundle) => bundle,
        Err(error) => {
            return Verdict {
                state: "invalid",
                fingerprint: None,
                reason: Some(error.to_string()),
            };
        }
    };
    let claimed = bundle.key();
    let mut invalid = None;
    for key in keys {
        match bundle.verify(key, subject) {
            Ok(()) => {
                let fingerprint = Some(key.fingerprint().to_string());
                return Verdict {
                    state: "verified",
                    fingerprint,
                    reason: None,
                };
            }
            Err(SignatureError::OtherKey { .. }) => {}
            // A signature that names no key may be by a key that is not registered.
            Err(SignatureError::Invalid(_)) if claimed.is_none() => {}
            Err(error) => invalid = Some(error),
        }
    }
    let fingerprint = claimed.map(|key| key.to_string());
    match invalid {
        Some(error) => Verdict {
            state: "invalid",
            fingerprint,
            reason: Some(error.to_string()),
        },
        None => Verdict {
            state: "unknown_key",
            fingerprint,
            reason: Some("the key is not registered for the namespace".to_owned()),
        },
    }
}

/// The keys of a namespace as they are in this transaction.
///
/// # Errors
/// [`ServiceError::Store`]; [`ServiceError::Signature`] if a stored key is unusable.
pub async fn keys(tx: &mut Tx, namespace: &str) -> Result<Vec<PublicKey>, ServiceError> {
    let rows = store::namespaces::keys_in(tx, namespace).await?;
    Ok(rows
        .iter()
        .map(|row| PublicKey::from_pem(&row.pem))
        .collect::<Result<_, _>>()?)
}

/// Reads a stored signature back. What cannot be read is an invalid signature, unless
/// the store itself failed.
async fn read(
    app: &App,
    signature: &Signature,
) -> Result<Result<Bundle, SignatureError>, ServiceError> {
    let bytes = app.blobs.read(&signature.layer, MAX_BUNDLE as u64).await?;
    Ok(match &signature.simple_signature {
        None => Bundle::parse(&bytes),
        Some(text) => Bundle::parse_simple_signing(&bytes, text),
    })
}

/// Judges all signatures of a namespace anew, after its keys changed.
///
/// # Errors
/// [`ServiceError::Store`], [`ServiceError::Blob`].
pub async fn review(app: &App, tx: &mut Tx, namespace: &Namespace) -> Result<(), ServiceError> {
    let keys = keys(tx, namespace.as_str()).await?;
    for mut signature in store::signatures::list_namespace(tx, namespace.as_str()).await? {
        let verdict = judge(&read(app, &signature).await?, &signature.subject, &keys);
        if verdict.state != signature.state || verdict.fingerprint != signature.fingerprint {
            signature.state = verdict.state.to_owned();
            signature.fingerprint = verdict.fingerprint;
            signature.reason = verdict.reason;
            store::signatures::upsert(tx, &signature).await?;
        }
    }
    for package in store::signatures::packages(tx, namespace.as_str()).await? {
        store::changes::append(tx, &package, app.clock.now()).await?;
    }
    Ok(())
}
