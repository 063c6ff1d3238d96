// SPDX-License-Identifier: Apache-2.0
//! From text to a checked manifest, and back to canonical JSON.

use super::PackageManifest;
use crate::canonical::{self, CanonicalError};

/// Largest `package.toml` or config JSON, in bytes.
pub const MAX_MANIFEST: usize = 256 * 1024;

/// Why a manifest is refused.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ManifestError {
    /// The text is larger than the limit.
    #[error("package manifest is {actual} bytes; the limit is {MAX_MANIFEST}")]
    TooLarge { actual: usize },
    /// The text is no TOML, or a key or type is wrong.
    #[error("package.toml is wrong: {message}{hint}")]
    Toml { message: String, hint: String },
    /// The text is no JSON, or a key or type is wrong.
    #[error("package config is wrong: {message}{hint}")]
    Json { message: String, hint: String },
    /// A value contradicts another or breaks a limit.
    #[error("`{key}` = `{value}` {reason}")]
    Value {
        key: String,
        value: String,
        reason: String,
    },
    /// A parameter's value does not fit its declaration.
    #[error("parameter `{name}`: {value} {reason}")]
    Parameter {
        name: String,
        value: String,
        reason: String,
    },
    /// A number has no canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
}

impl PackageManifest {
    /// Reads and checks a `package.toml`.
    ///
    /// # Errors
    /// [`ManifestError::TooLarge`] beyond [`MAX_MANIFEST`], [`ManifestError::Toml`]
    /// with line and column for wrong syntax, keys and types,
    /// [`ManifestError::Value`] for contradictions.
    pub fn from_toml(text: &str) -> Result<Self, ManifestError> {
        check_size(text.len())?;
        let manifest: Self = toml::from_str(text).map_err(|error| ManifestError::Toml {
            message: error.to_string().trim_end().to_owned(),
            hint: suggest(error.message()),
        })?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Reads and checks the config JSON of a package manifest.
    ///
    /// # Errors
    /// As [`Self::from_toml`], with [`ManifestError::Json`] for wrong syntax.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ManifestError> {
        check_size(bytes.len())?;
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| {
            let message = error.to_string();
            let hint = suggest(&message);
            ManifestError::Json { message, hint }
        })?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Writes the config JSON: canonical, so that equal manifests are equal bytes.
    ///
    /// # Errors
    /// [`ManifestError::Canonical`] if a table under `[compat]` has a number that is
    /// no integer.
    pub fn to_json(&self) -> Result<Vec<u8>, ManifestError> {
        Ok(canonical::to_vec(self)?)
    }
}

const fn check_size(actual: usize) -> Result<(), ManifestError> {
    if actual > MAX_MANIFEST {
        Err(ManifestError::TooLarge { actual })
    } else {
        Ok(())
    }
}

/// Finds the known word nearest to the unknown one in serde's message
/// ``unknown field `nmae`, expected one of `name`, …``.
fn suggest(message: &str) -> String {
    if !message.contains("unknown field") && !message.contains("unknown variant") {
        return String::new();
    }
    let mut words = message.split('`').skip(1).step_by(2);
    let Some(unknown) = words.next() else {
        return String::new();
    };
    words
        .map(|known| (strsim::damerau_levenshtein(unknown, known), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len().div_ceil(2).min(3))
        .map_or_else(String::new, |(_, known)| {
            format!("\ndid you mean `{known}`?")
        })
}
