// SPDX-License-Identifier: Apache-2.0
//! Fetching one target of one version, as bytes that nobody has believed yet.

mod folder;
mod signatures;

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use registry_schema::{
    Digest, PackageName, Reference, exit, manifest::MAX_MANIFEST, media_type, name::RepositoryName,
    reference::Selector,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::{
    folder::{WriteError, write_to_dir},
    signatures::{
        FetchedSignature, SimpleSigning, fetch_attestations, fetch_log_proofs, fetch_signatures,
    },
};
use crate::{
    Explain,
    layout::LayoutError,
    oci::{Descriptor, Index, Manifest},
    registry::{MAX_OBJECT_BYTES, RegistryError},
    source::{Source, SourceError},
};

/// Most signatures of one version that are read.
pub const MAX_SIGNATURES: usize = 64;
/// Largest README, in bytes.
pub const MAX_README_BYTES: u64 = 1 << 20;

/// Which object of a version is wanted: `bpfel`, `bpfeb`, or `os/arch`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Target(String);

impl Target {
    /// eBPF in this machine's byte order.
    pub fn native() -> Self {
        Self(
            if cfg!(target_endian = "big") {
                "bpfeb"
            } else {
                "bpfel"
            }
            .to_owned(),
        )
    }

    /// The word for it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Target {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bytes, written as base64 in text formats.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Blob(pub Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD
            .decode(text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

/// Everything that is needed to decide about one target of one version, unbelieved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedPackage {
    /// Host and port of the registry it came from.
    pub registry: String,
    /// The package that was asked for.
    pub package: PackageName,
    /// The target that was asked for.
    pub target: Target,
    /// The index of the version.
    pub index: Blob,
    /// The package manifest of the target.
    pub manifest: Blob,
    /// The config that the manifest names.
    pub config: Blob,
    /// The object that the manifest names.
    pub object: Blob,
    /// Signatures of the index.
    pub signatures: Vec<FetchedSignature>,
    /// Proofs that the version is in the publish log, as they came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_proofs: Vec<Blob>,
    /// Proofs that higher versions were withdrawn, as they came; asked for only where a
    /// higher one was seen before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withdrawals: Vec<Blob>,
}

impl FetchedPackage {
    /// The digest of the index: the identity of the version.
    pub fn digest(&self) -> Digest {
        Digest::sha256(&self.index.0)
    }

    /// All proofs of the publish log that came with it.
    pub fn proofs(&self) -> impl Iterator<Item = &Blob> {
        self.log_proofs.iter().chain(&self.withdrawals)
    }
}

/// Why a version could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The registry did not give it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The layout does not have it.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A document is no JSON, or a member is missing or wrong.
    #[error("{which} of `{reference}` cannot be read: {reason}")]
    Malformed {
        /// Index, package manifest, …
        which: &'static str,
        /// What was asked for.
        reference: String,
        /// Where and why.
        reason: String,
    },
    /// It is an image of another kind.
    #[error(
        "`{reference}` is no package: its artifact type is {found}, not `{}`",
        media_type::PACKAGE
    )]
    NotAPackage {
        /// What was asked for.
        reference: String,
        /// The type it has, quoted, or `absent`.
        found: String,
    },
    /// No version fits the range.
    #[error("`{reference}` names no version; there is {available}")]
    NoVersion {
        /// What was asked for.
        reference: String,
        /// The versions that may be chosen.
        available: String,
    },
    /// There is no object for the target.
    #[error("`{reference}` has no object for target `{target}`; it has {available}")]
    NoTarget {
        /// What was asked for.
        reference: String,
        /// The target.
        target: String,
        /// What there is.
        available: String,
    },
}

impl Explain for PullError {
    fn code(&self) -> &'static str {
        match self {
            Self::Registry(error) => error.code(),
            Self::Layout(error) => error.code(),
            Self::Malformed { .. } => "pull::malformed",
            Self::NotAPackage { .. } => "pull::not_a_package",
            Self::NoVersion { .. } => "pull::no_version",
            Self::NoTarget { .. } => "pull::no_target",
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Registry(error) => error.exit_code(),
            Self::Layout(error) => error.exit_code(),
            Self::Malformed { .. } => exit::VERIFICATION,
            Self::NotAPackage { .. } | Self::NoVersion { .. } | Self::NoTarget { .. } => {
                exit::NOT_FOUND
            }
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Registry(error) => return error.help(),
            Self::Layout(error) => return error.help(),
            Self::Malformed { .. } => {
                "nothing was kept; ask the publisher to publish it again".to_owned()
            }
            Self::NotAPackage { .. } => "pull other images with a container tool".to_owned(),
            Self::NoVersion { .. } => {
                "name another range, or a version; a yanked version is never chosen, but can be named".to_owned()
            }
            Self::NoTarget { .. } => "name another with `--target`".to_owned(),
        })
    }
}

impl From<SourceError> for PullError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Registry(error) => Self::Registry(error),
            SourceError::Layout(error) => Self::Layout(error),
        }
    }
}

/// Turns a range into the highest version that fits it and is not yanked. What names
/// something else stays as it is.
///
/// # Errors
/// [`PullError::NoVersion`] if nothing fits, [`PullError::Registry`] for the rest.
pub async fn resolve(
    source: impl Into<Source<'_>>,
    reference: &Reference,
) -> Result<Reference, PullError> {
    let (Selector::Range(range), None) = (&reference.selector, &reference.digest) else {
        return Ok(reference.clone());
    };
    let mut versions = source.into().versions(&reference.package).await?;
    versions.sort_unstable();
    let Some(best) = versions.iter().rev().find(|version| version.matches(range)) else {
        let mut newest: Vec<_> = versions
            .iter()
            .rev()
            .take(5)
            .map(ToString::to_string)
            .collect();
        if newest.is_empty() {
            newest.push("none".to_owned());
        }
        return Err(PullError::NoVersion {
            reference: reference.to_string(),
            available: newest.join(", "),
        });
    };
    Ok(Reference {
        selector: Selector::Version(best.clone()),
        ..reference.clone()
    })
}

/// Reads the index of what `reference` names, and its entries.
///
/// # Errors
/// [`PullError::NotAPackage`] for an image of another kind, [`PullError::Malformed`]
/// if it cannot be read, [`PullError::Registry`] for the rest.
pub async fn fetch_index(
    source: impl Into<Source<'_>>,
    reference: &Reference,
) -> Result<(Vec<u8>, Index), PullError> {
    let repository = RepositoryName::from(&reference.package);
    let source = source.into();
    let reference = &resolve(source, reference).await?;
    let document = source
        .manifest(&repository, &reference.manifest_reference())
        .await?;
    let index = parse::<Index>("index", reference, &document.bytes);
    // An image manifest has no entries either way; its kind is the better answer.
    let kind = match &index {
        Ok(index) => index.artifact_type.clone(),
        Err(_) => parse::<Manifest>("manifest", reference, &document.bytes)
            .ok()
            .and_then(|m| m.artifact_type),
    };
    match (kind.as_deref(), index) {
        (Some(media_type::PACKAGE), index) => Ok((document.bytes.to_vec(), index?)),
        (found, _) => Err(PullError::NotAPackage {
            reference: reference.to_string(),
            found: found.map_or_else(
                || "absent".to_owned(),
                |found| format!("`{}`", crate::registry::clean(found)),
            ),
        }),
    }
}

/// Finds the package manifest for `target` among the entries of an index.
pub(crate) fn entry_for<'a>(index: &'a Index, target: &Target) -> Option<&'a Descriptor> {
    index.manifests.iter().find(|entry| {
        entry
            .annotations
            .get(media_type::ANNOTATION_TARGET)
            .is_some_and(|t| t == target.as_str())
    })
}

/// Finds the object among the layers of a package manifest.
pub(crate) fn object_of(manifest: &Manifest) -> Option<&Descriptor> {
    manifest
        .layers
        .iter()
        .find(|layer| layer.media_type == media_type::OBJECT)
}

/// Fetches what is needed to verify and load one target of a version.
///
/// Sizes are bounded by what the documents promise and by the limits of
/// [`crate::registry`]; nothing is believed and nothing is written.
///
/// # Errors
/// [`PullError`], by what is missing or broken.
pub async fn fetch(
    source: impl Into<Source<'_>>,
    reference: &Reference,
    target: Target,
) -> Result<FetchedPackage, PullError> {
    let source = source.into();
    let repository = RepositoryName::from(&reference.package);
    let (index_bytes, index) = fetch_index(source, reference).await?;
    let entry = entry_for(&index, &target).ok_or_else(|| PullError::NoTarget {
        reference: reference.to_string(),
        target: target.to_string(),
        available: targets(&index),
    })?;
    let digest = Digest::sha256(&index_bytes);
    let contents = async {
        let manifest_bytes = source.manifest_of(&repository, entry).await?;
        let manifest: Manifest = parse("package manifest", reference, &manifest_bytes)?;
        let layer = object_of(&manifest).ok_or_else(|| PullError::Malformed {
            which: "package manifest",
            reference: reference.to_string(),
            reason: "no layer is an object".to_owned(),
        })?;
        let (config, object) = tokio::try_join!(
            source.blob(&repository, &manifest.config, MAX_MANIFEST as u64),
            source.blob(&repository, layer, MAX_OBJECT_BYTES),
        )?;
        Ok::<_, PullError>((manifest_bytes, config, object))
    };
    let signatures = fetch_signatures(source, &repository, &digest);
    let log_proofs = fetch_log_proofs(source, &repository, &digest);
    let ((manifest, config, object), signatures, log_proofs) =
        tokio::try_join!(contents, signatures, log_proofs)?;
    Ok(FetchedPackage {
        registry: source.name(),
        package: reference.package.clone(),
        target,
        index: Blob(index_bytes),
        manifest: Blob(manifest.to_vec()),
        config: Blob(config.to_vec()),
        object: Blob(object.to_vec()),
        signatures,
        log_proofs,
        withdrawals: Vec::new(),
    })
}

/// Fetches the README beside a fetched object, if the package has one.
///
/// # Errors
/// [`PullError::Registry`] if it is promised and does not come.
pub async fn fetch_readme(
    source: impl Into<Source<'_>>,
    fetched: &FetchedPackage,
) -> Result<Option<Vec<u8>>, PullError> {
    let Ok(manifest) = serde_json::from_slice::<Manifest>(&fetched.manifest.0) else {
        return Ok(None);
    };
    let Some(layer) = manifest
        .layers
        .iter()
        .find(|layer| layer.media_type == media_type::MARKDOWN)
    else {
        return Ok(None);
    };
    let repository = RepositoryName::from(&fetched.package);
    Ok(Some(
        source
            .into()
            .blob(&repository, layer, MAX_README_BYTES)
            .await?
            .to_vec(),
    ))
}

/// The targets of an index, for a sentence.
fn targets(index: &Index) -> String {
    let names: Vec<_> = index
        .manifests
        .iter()
        .filter_map(|entry| entry.annotations.get(media_type::ANNOTATION_TARGET))
        .map(|target| format!("`{}`", crate::registry::clean(target)))
        .collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

fn parse<T: serde::de::DeserializeOwned>(
    which: &'static str,
    reference: &Reference,
    bytes: &[u8],
) -> Result<T, PullError> {
    serde_json::from_slice(bytes).map_err(|error| PullError::Malformed {
        which,
        reference: reference.to_string(),
        reason: error.to_string(),
    })
}
