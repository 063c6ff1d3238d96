// SPDX-License-Identifier: Apache-2.0
//! From the index to name, version and object, each step hashed again.

use registry_schema::{Digest, PackageManifest, media_type};
use serde::{Deserialize, Serialize};

use super::{Asked, VerifyError};
use crate::{
    oci::{Descriptor, Index, Manifest},
    pull::{Blob, FetchedPackage, entry_for, object_of},
};

/// What an index leads to. Says nothing about who made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// What the package declares.
    pub manifest: PackageManifest,
    /// The digest of the index.
    pub digest: Digest,
    /// The digest of the object.
    pub object_digest: Digest,
    /// The object.
    pub object: Blob,
}

/// Decides whether `fetched` is what was `asked` for, whoever published it: for those
/// who choose to take packages that nobody signed.
///
/// # Errors
/// The first link of the chain behind the signature that does not hold.
pub fn contents(fetched: &FetchedPackage, asked: &Asked) -> Result<Contents, VerifyError> {
    check_index(fetched, asked)?;
    let package = || asked.package.clone();
    let index: Index = parse(asked, "index", &fetched.index)?;
    if index.artifact_type.as_deref() != Some(media_type::PACKAGE) {
        let reason = format!("its artifact type is not `{}`", media_type::PACKAGE);
        return Err(VerifyError::Form {
            package: package(),
            which: "index",
            reason,
        });
    }
    let entry = entry_for(&index, &asked.target).ok_or_else(|| VerifyError::Form {
        package: package(),
        which: "index",
        reason: format!("it has no entry for target `{}`", asked.target),
    })?;
    check_link(asked, "package manifest", entry, &fetched.manifest)?;
    let layers: Manifest = parse(asked, "package manifest", &fetched.manifest)?;
    check_link(asked, "config", &layers.config, &fetched.config)?;

    let manifest =
        PackageManifest::from_json(&fetched.config.0).map_err(|reason| VerifyError::Config {
            package: package(),
            reason: Box::new(reason),
        })?;
    if manifest.package.name != asked.package {
        return Err(VerifyError::OtherPackage {
            asked: package(),
            actual: manifest.package.name,
        });
    }
    if let Some(version) = &asked.version
        && *version != manifest.package.version
    {
        return Err(VerifyError::OtherVersion {
            package: package(),
            asked: Box::new(version.clone()),
            actual: Box::new(manifest.package.version),
        });
    }
    if let Some(range) = &asked.range
        && !manifest.package.version.matches(range)
    {
        return Err(VerifyError::OutOfRange {
            package: package(),
            asked: range.clone(),
            actual: Box::new(manifest.package.version),
        });
    }
    if !manifest
        .objects
        .iter()
        .any(|object| object.target == asked.target.as_str())
    {
        let reason = format!("it declares no object for target `{}`", asked.target);
        return Err(VerifyError::Form {
            package: package(),
            which: "config",
            reason,
        });
    }
    let object = object_of(&layers).ok_or_else(|| VerifyError::Form {
        package: package(),
        which: "package manifest",
        reason: "no layer is an object".to_owned(),
    })?;
    check_link(asked, "object", object, &fetched.object)?;

    Ok(Contents {
        manifest,
        digest: fetched.digest(),
        object_digest: object.digest.clone(),
        object: fetched.object.clone(),
    })
}

/// Checks that the index is the one asked for, where a digest was asked for.
pub(super) fn check_index(fetched: &FetchedPackage, asked: &Asked) -> Result<(), VerifyError> {
    let check = |digest: &Digest| digest.check(&fetched.index.0);
    asked
        .digest
        .as_ref()
        .map_or(Ok(()), check)
        .map_err(|mismatch| VerifyError::Index {
            package: asked.package.clone(),
            mismatch: Box::new(mismatch),
        })
}

fn parse<T: serde::de::DeserializeOwned>(
    asked: &Asked,
    which: &'static str,
    bytes: &Blob,
) -> Result<T, VerifyError> {
    serde_json::from_slice(&bytes.0).map_err(|error| VerifyError::Form {
        package: asked.package.clone(),
        which,
        reason: error.to_string(),
    })
}

/// Checks that `bytes` are what `descriptor` promises.
fn check_link(
    asked: &Asked,
    which: &'static str,
    descriptor: &Descriptor,
    bytes: &Blob,
) -> Result<(), VerifyError> {
    let package = asked.package.clone();
    descriptor
        .digest
        .check(&bytes.0)
        .map_err(|mismatch| VerifyError::Changed {
            package: package.clone(),
            which,
            mismatch: Box::new(mismatch),
        })?;
    if descriptor.size == bytes.0.len() as u64 {
        return Ok(());
    }
    let reason = format!(
        "{} bytes are promised, and it has {}",
        descriptor.size,
        bytes.0.len()
    );
    Err(VerifyError::Form {
        package,
        which,
        reason,
    })
}
