// SPDX-License-Identifier: Apache-2.0
//! Sigstore roots: the authorities whose certificates, logs and timestamps are believed.

use std::{fmt, sync::Arc};

use sigstore_trust_root::TrustedRoot;
use sigstore_verify::{VerificationPolicy, Verifier, types::TransparencyLogEntry};

/// Largest `trusted_root.json` that is read, in bytes.
pub const MAX_ROOT_BYTES: usize = 1 << 20;

/// Why a root cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// It is larger than the limit.
    #[error("Sigstore root is {actual} bytes; the limit is {MAX_ROOT_BYTES}")]
    TooLarge {
        /// Its size.
        actual: usize,
    },
    /// It is no `trusted_root.json`.
    #[error("Sigstore root cannot be read: {0}")]
    Malformed(String),
    /// It names neither a certificate authority nor a log.
    #[error("Sigstore root names no authority and no log; it could not vouch for anything")]
    Empty,
    /// A key or certificate in it is unusable.
    #[error("Sigstore root cannot be used: {0}")]
    Unusable(#[from] Box<sigstore_verify::Error>),
}

/// The Sigstore roots that are trusted: none, unless some are given.
///
/// Each is parsed once; clones share them.
#[derive(Clone, Default)]
pub struct Roots(Arc<[Arc<Root>]>);

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roots({})", self.0.len())
    }
}

impl Roots {
    /// Reads roots, each the JSON of a `trusted_root.json` (sigstore protobuf-specs,
    /// `TrustedRoot`, v0.1 or v0.2).
    ///
    /// # Errors
    /// [`RootError`] for the first that cannot be used.
    pub fn parse<B: AsRef<[u8]>>(
        documents: impl IntoIterator<Item = B>,
    ) -> Result<Self, RootError> {
        documents
            .into_iter()
            .map(|document| Root::parse(document.as_ref()).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()
            .map(|roots| Self(roots.into()))
    }

    /// All of several, parsed no second time.
    pub fn join(all: impl IntoIterator<Item = Self>) -> Self {
        let roots = all.into_iter().flat_map(|roots| roots.0.to_vec());
        Self(roots.collect())
    }

    /// Whether nobody's certificates are trusted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Root> {
        self.0.iter().map(AsRef::as_ref)
    }
}

/// One root, ready to check with.
pub(super) struct Root {
    pub(super) verifier: Verifier,
    /// What a certificate's signature needs under this root.
    pub(super) policy: VerificationPolicy,
    logs: Vec<Vec<u8>>,
    pub(super) has_timestamps: bool,
}

impl Root {
    fn parse(bytes: &[u8]) -> Result<Self, RootError> {
        if bytes.len() > MAX_ROOT_BYTES {
            let actual = bytes.len();
            return Err(RootError::TooLarge { actual });
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|_| RootError::Malformed("it is no UTF-8".to_owned()))?;
        let root = TrustedRoot::from_json(text)
            .map_err(|error| RootError::Malformed(error.to_string()))?;
        if root.certificate_authorities.is_empty() && root.tlogs.is_empty() {
            return Err(RootError::Empty);
        }
        let mut policy = VerificationPolicy::any_identity();
        // A root that names no log belongs to an instance that keeps none; what it does
        // name must be proven.
        if root.ctlogs.is_empty() {
            policy = policy.skip_sct();
        }
        if root.tlogs.is_empty() {
            policy = policy.skip_tlog_unsafe();
        }
        Ok(Self {
            verifier: Verifier::new(&root).map_err(Box::new)?,
            policy,
            logs: root
                .tlogs
                .iter()
                .map(|log| log.log_id.key_id.as_bytes().to_vec())
                .collect(),
            has_timestamps: !root.timestamp_authorities.is_empty(),
        })
    }

    /// Whether it names the log that an entry is in.
    pub(super) fn names_log_of(&self, entry: &TransparencyLogEntry) -> bool {
        let id = entry.log_id.key_id.as_bytes();
        self.logs.iter().any(|log| log == id)
    }
}
