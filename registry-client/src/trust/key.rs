// SPDX-License-Identifier: Apache-2.0
//! A key that is trusted.

use chrono::{DateTime, Utc};
use registry_schema::{
    Namespace,
    reference::check_host,
    signature::{Fingerprint, PublicKey},
};
use serde::{Deserialize, Serialize};

use super::TrustError;

/// A key that is trusted to sign what one namespace of one registry publishes.
///
/// Its fields always agree: the fingerprint is that of the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Entry", into = "Entry")]
pub struct TrustedKey {
    registry: String,
    namespace: Namespace,
    key: PublicKey,
    added_at: Option<DateTime<Utc>>,
}

/// How a key is written in a file.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    registry: String,
    namespace: Namespace,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<Fingerprint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    added_at: Option<DateTime<Utc>>,
    pem: String,
}

impl TrustedKey {
    /// Trusts `pem` for what `namespace` of `registry` publishes.
    ///
    /// # Errors
    /// [`TrustError::Key`] if `pem` is no public key, or `registry` is
    /// no host.
    pub fn new(
        registry: &str,
        namespace: Namespace,
        pem: &str,
        added_at: Option<DateTime<Utc>>,
    ) -> Result<Self, TrustError> {
        check_host(registry).map_err(|error| TrustError::Key(error.to_string()))?;
        let key = PublicKey::from_pem(pem).map_err(|error| TrustError::Key(error.to_string()))?;
        Ok(Self {
            registry: registry.to_owned(),
            namespace,
            key,
            added_at,
        })
    }

    /// Host and port of the registry.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The namespace.
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The key.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The key's fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        self.key.fingerprint()
    }

    /// When it was pinned; none if the entry was written by hand without a time.
    pub const fn added_at(&self) -> Option<DateTime<Utc>> {
        self.added_at
    }
}

impl TryFrom<Entry> for TrustedKey {
    type Error = TrustError;

    fn try_from(entry: Entry) -> Result<Self, TrustError> {
        let key = Self::new(&entry.registry, entry.namespace, &entry.pem, entry.added_at)?;
        match entry.fingerprint {
            Some(written) if written != key.fingerprint() => Err(TrustError::OtherFingerprint {
                written,
                actual: key.fingerprint(),
            }),
            _ => Ok(key),
        }
    }
}

impl From<TrustedKey> for Entry {
    fn from(key: TrustedKey) -> Self {
        Self {
            fingerprint: Some(key.fingerprint()),
            pem: key.key.to_pem(),
            registry: key.registry,
            namespace: key.namespace,
            added_at: key.added_at,
        }
    }
}
