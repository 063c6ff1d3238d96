// SPDX-License-Identifier: Apache-2.0
//! The trust root of a registry, as it was pinned.

use std::sync::OnceLock;

use chrono::{DateTime, Utc};
use registry_schema::trust::root::SignedRoot;
use serde::{Deserialize, Serialize};

use super::TrustError;
use crate::verify::signature::Roots;

/// A pinned trust root.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Entry", into = "Entry")]
pub struct TrustedRoot {
    signed: SignedRoot,
    added_at: Option<DateTime<Utc>>,
    parsed: OnceLock<Roots>,
}

/// How a root is written in a file. Registry and version stand there for people.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    registry: String,
    version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    added_at: Option<DateTime<Utc>>,
    /// The signed envelope, as text.
    document: String,
}

impl PartialEq for TrustedRoot {
    fn eq(&self, other: &Self) -> bool {
        self.signed == other.signed
    }
}

impl Eq for TrustedRoot {}

impl TrustedRoot {
    /// Pins a root that somebody decided to believe.
    ///
    /// # Errors
    /// [`TrustError::Root`] if a Sigstore root in it cannot be used.
    pub fn new(signed: SignedRoot, added_at: Option<DateTime<Utc>>) -> Result<Self, TrustError> {
        let root = Self {
            signed,
            added_at,
            parsed: OnceLock::new(),
        };
        root.sigstore()?;
        Ok(root)
    }

    /// The registry that it is for.
    pub fn registry(&self) -> &str {
        &self.signed.root().registry
    }

    /// The root.
    pub const fn signed(&self) -> &SignedRoot {
        &self.signed
    }

    /// When it was pinned.
    pub const fn added_at(&self) -> Option<DateTime<Utc>> {
        self.added_at
    }

    /// The Sigstore roots that it names.
    ///
    /// # Errors
    /// [`TrustError::Root`] if one cannot be used.
    pub fn sigstore(&self) -> Result<Roots, TrustError> {
        let documents = self.signed.root().sigstore.iter().map(ToString::to_string);
        parse_once(&self.parsed, self.registry(), documents)
    }
}

/// Parses Sigstore roots the first time they are asked for.
pub(super) fn parse_once(
    parsed: &OnceLock<Roots>,
    registry: &str,
    documents: impl IntoIterator<Item: AsRef<[u8]>>,
) -> Result<Roots, TrustError> {
    if let Some(roots) = parsed.get() {
        return Ok(roots.clone());
    }
    let roots = Roots::parse(documents).map_err(|error| TrustError::Root {
        registry: registry.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(parsed.get_or_init(|| roots).clone())
}

impl TryFrom<Entry> for TrustedRoot {
    type Error = TrustError;

    fn try_from(entry: Entry) -> Result<Self, TrustError> {
        let failed = |reason: String| TrustError::Root {
            registry: entry.registry.clone(),
            reason,
        };
        let signed = SignedRoot::open(entry.document.as_bytes())
            .map_err(|error| failed(error.to_string()))?;
        let root = signed.root();
        if root.registry != entry.registry || root.version != entry.version {
            return Err(failed(format!(
                "version {} for `{}` is written beside version {} for `{}`",
                entry.version, entry.registry, root.version, root.registry
            )));
        }
        Self::new(signed, entry.added_at)
    }
}

impl From<TrustedRoot> for Entry {
    fn from(root: TrustedRoot) -> Self {
        Self {
            registry: root.registry().to_owned(),
            version: root.signed.root().version,
            added_at: root.added_at,
            document: String::from_utf8_lossy(&root.signed.to_json()).into_owned(),
        }
    }
}
