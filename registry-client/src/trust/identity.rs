// SPDX-License-Identifier: Apache-2.0
//! An OIDC identity that is trusted.

use std::sync::OnceLock;

use chrono::{DateTime, Utc};
use registry_schema::{Namespace, reference::check_host, trust::policy::SignerPattern};
use serde::{Deserialize, Serialize};

use super::TrustError;
use crate::verify::signature::Roots;

/// Subjects of an issuer that are trusted to sign what one namespace of one registry
/// publishes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Entry", into = "Entry")]
pub struct TrustedIdentity {
    registry: String,
    namespace: Namespace,
    signer: SignerPattern,
    sigstore_root: Option<String>,
    added_at: Option<DateTime<Utc>>,
    parsed: OnceLock<Roots>,
}

/// How an identity is written in a file.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    registry: String,
    namespace: Namespace,
    signer: SignerPattern,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    added_at: Option<DateTime<Utc>>,
    /// A `trusted_root.json`, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sigstore_root: Option<String>,
}

impl PartialEq for TrustedIdentity {
    fn eq(&self, other: &Self) -> bool {
        self.registry == other.registry
            && self.namespace == other.namespace
            && self.signer == other.signer
            && self.sigstore_root == other.sigstore_root
    }
}

impl Eq for TrustedIdentity {}

impl TrustedIdentity {
    /// Trusts `signer` for what `namespace` of `registry` publishes. `sigstore_root` is the
    /// `trusted_root.json` of the authorities that vouch for it; none if the registry's
    /// trust root names them.
    ///
    /// # Errors
    /// [`TrustError::Key`] if `registry` is no host or `signer` is a key,
    /// [`TrustError::Root`] if the Sigstore root cannot be used.
    pub fn new(
        registry: &str,
        namespace: Namespace,
        signer: SignerPattern,
        sigstore_root: Option<String>,
        added_at: Option<DateTime<Utc>>,
    ) -> Result<Self, TrustError> {
        check_host(registry).map_err(|error| TrustError::Key(error.to_string()))?;
        if let SignerPattern::Key(key) = signer {
            let reason = format!("{key} is a key; name an identity as `oidc:issuer#subject`");
            return Err(TrustError::Key(reason));
        }
        let identity = Self {
            registry: registry.to_owned(),
            namespace,
            signer,
            sigstore_root,
            added_at,
            parsed: OnceLock::new(),
        };
        identity.sigstore()?;
        Ok(identity)
    }

    /// Host and port of the registry.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The namespace.
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The issuer and its subjects.
    pub const fn signer(&self) -> &SignerPattern {
        &self.signer
    }

    /// When it was pinned; none if the entry was written by hand without a time.
    pub const fn added_at(&self) -> Option<DateTime<Utc>> {
        self.added_at
    }

    /// The Sigstore root that was named with it; empty if none was.
    ///
    /// # Errors
    /// [`TrustError::Root`] if it cannot be used.
    pub fn sigstore(&self) -> Result<Roots, TrustError> {
        super::root::parse_once(&self.parsed, &self.registry, &self.sigstore_root)
    }
}

impl TryFrom<Entry> for TrustedIdentity {
    type Error = TrustError;

    fn try_from(entry: Entry) -> Result<Self, TrustError> {
        Self::new(
            &entry.registry,
            entry.namespace,
            entry.signer,
            entry.sigstore_root,
            entry.added_at,
        )
    }
}

impl From<TrustedIdentity> for Entry {
    fn from(identity: TrustedIdentity) -> Self {
        Self {
            registry: identity.registry,
            namespace: identity.namespace,
            signer: identity.signer,
            added_at: identity.added_at,
            sigstore_root: identity.sigstore_root,
        }
    }
}
