// SPDX-License-Identifier: Apache-2.0
//! The decision whether fetched bytes are what was asked for, by someone trusted.
//!
//! Pure: no file, no socket, no clock. Every digest is computed again here, so it
//! does not matter who fetched the bytes or what they passed through. The chain:
//! trusted key → signature → index → package manifest → config (name and version)
//! and object.

pub mod signature;

use registry_schema::{
    Digest, PackageManifest, PackageName, Reference, Version,
    digest::DigestMismatch,
    exit,
    manifest::ManifestError,
    media_type,
    signature::{Bundle, Fingerprint, SignatureError},
    version::VersionRange,
};
use serde::{Deserialize, Serialize};

use crate::{
    Explain,
    oci::{Descriptor, Index, Manifest},
    pull::{Blob, FetchedPackage, FetchedSignature, Target, entry_for, object_of},
    trust::{TrustStore, TrustedKey},
};

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Host and port of the registry.
    pub registry: String,
    /// The package.
    pub package: PackageName,
    /// The version; none if any will do, such as the latest.
    pub version: Option<Version>,
    /// The range that the version must fit; none if any will do.
    #[serde(default)]
    pub range: Option<VersionRange>,
    /// The exact index; none if any will do.
    pub digest: Option<Digest>,
    /// The target.
    pub target: Target,
}

impl Asked {
    /// What `reference` asks for, where `registry` is the one in use.
    pub fn new(registry: &str, reference: &Reference, target: Target) -> Self {
        Self {
            registry: registry.to_owned(),
            package: reference.package.clone(),
            version: reference.version().cloned(),
            range: reference.range().cloned(),
            digest: reference.digest.clone(),
            target,
        }
    }
}

/// A package whose whole chain holds. Only [`verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VerifiedPackage {
    /// Host and port of the registry it came from.
    pub registry: String,
    /// What the package declares.
    pub manifest: PackageManifest,
    /// The target of the object.
    pub target: Target,
    /// The digest of the index: the identity of the version.
    pub digest: Digest,
    /// The digest of the object.
    pub object_digest: Digest,
    /// The object.
    pub object: Blob,
    /// The trusted key that signed.
    pub signer: Fingerprint,
}

impl VerifiedPackage {
    /// `namespace/name`.
    pub const fn package(&self) -> &PackageName {
        &self.manifest.package.name
    }

    /// The version.
    pub const fn version(&self) -> &Version {
        &self.manifest.package.version
    }
}

/// Which link of the chain broke.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum VerifyError {
    /// The index is not the one asked for.
    #[error("`{package}` is not what was asked for: its index {mismatch}")]
    Index {
        package: PackageName,
        mismatch: Box<DigestMismatch>,
    },
    /// Nobody signed.
    #[error("`{package}` ({digest}) is unsigned")]
    Unsigned {
        package: PackageName,
        digest: Digest,
    },
    /// No key is trusted for the namespace.
    #[error(
        "`{package}` is signed by {signers}, and no key is trusted for namespace `{namespace}` of registry `{registry}`"
    )]
    NobodyTrusted {
        package: PackageName,
        namespace: String,
        registry: String,
        signers: String,
    },
    /// Somebody signed who is not trusted.
    #[error(
        "`{package}` is signed by {signers}, not by a key trusted for its namespace ({trusted})"
    )]
    UntrustedSigner {
        package: PackageName,
        signers: String,
        trusted: String,
    },
    /// A signature names a trusted key, and does not fit.
    #[error("the signature of `{package}` is damaged or forged: {reason}")]
    Signature {
        package: PackageName,
        reason: SignatureError,
    },
    /// A document that was signed for is no package of the known form.
    #[error("the {which} of `{package}` is signed, but cannot be used: {reason}")]
    Form {
        package: PackageName,
        which: &'static str,
        reason: String,
    },
    /// A document is not the one that the document before it names.
    #[error("the {which} of `{package}` is not the signed one: {mismatch}")]
    Changed {
        package: PackageName,
        which: &'static str,
        mismatch: Box<DigestMismatch>,
    },
    /// The config breaks the rules of manifests.
    #[error("the config of `{package}` is signed, but cannot be used: {reason}")]
    Config {
        package: PackageName,
        reason: Box<ManifestError>,
    },
    /// The signed bytes are another package.
    #[error("the signature is for `{actual}`, not for `{asked}`")]
    OtherPackage {
        asked: PackageName,
        actual: PackageName,
    },
    /// The signed bytes are another version.
    #[error("the signature is for version {actual} of `{package}`, not for {asked}")]
    OtherVersion {
        package: PackageName,
        asked: Box<Version>,
        actual: Box<Version>,
    },
    /// The signed bytes are a version outside of the range.
    #[error("the signature is for version {actual} of `{package}`, which is not in {asked}")]
    OutOfRange {
        package: PackageName,
        asked: VersionRange,
        actual: Box<Version>,
    },
}

impl Explain for VerifyError {
    fn code(&self) -> &'static str {
        match self {
            Self::Index { .. } => "verify::index",
            Self::Unsigned { .. } => "verify::unsigned",
            Self::NobodyTrusted { .. } => "verify::nobody_trusted",
            Self::UntrustedSigner { .. } => "verify::untrusted_signer",
            Self::Signature { .. } => "verify::signature",
            Self::Form { .. } => "verify::form",
            Self::Changed { .. } => "verify::changed",
            Self::Config { .. } => "verify::config",
            Self::OtherPackage { .. } => "verify::other_package",
            Self::OtherVersion { .. } => "verify::other_version",
            Self::OutOfRange { .. } => "verify::out_of_range",
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Unsigned { .. } => exit::POLICY,
            _ => exit::VERIFICATION,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Unsigned { .. } => "ask the publisher to sign it, or sign it yourself with `cosign sign` and your own key".to_owned(),
            Self::NobodyTrusted { namespace, registry, .. } => format!(
                "if you trust this publisher, run `bpfpkg trust add {registry}/{namespace}`"
            ),
            Self::UntrustedSigner { .. } => {
                "somebody else signed this, or the publisher has a new key: ask the publisher before you run `bpfpkg trust add`".to_owned()
            }
            Self::Index { .. } | Self::Changed { .. } | Self::Signature { .. } => {
                "do not use it: pull again, and if it stays so, tell the registry's operator".to_owned()
            }
            Self::Form { .. } | Self::Config { .. } => "ask the publisher to build and publish it again".to_owned(),
            Self::OtherPackage { .. } | Self::OtherVersion { .. } | Self::OutOfRange { .. } => {
                "do not use it: the registry serves one package under the name of another".to_owned()
            }
        })
    }
}

/// Decides whether `fetched` is what was `asked` for, signed by a key that `trust`
/// holds for its registry and namespace.
///
/// # Errors
/// The first link of the chain that does not hold, as [`VerifyError`].
pub fn verify(
    fetched: &FetchedPackage,
    asked: &Asked,
    trust: &TrustStore,
) -> Result<VerifiedPackage, VerifyError> {
    check_index(fetched, asked)?;
    let signer = check_signatures(&fetched.signatures, &fetched.digest(), asked, trust)?;
    let contents = contents(fetched, asked)?;
    Ok(VerifiedPackage {
        registry: asked.registry.clone(),
        manifest: contents.manifest,
        target: asked.target.clone(),
        digest: contents.digest,
        object_digest: contents.object_digest,
        object: contents.object,
        signer,
    })
}

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
fn check_index(fetched: &FetchedPackage, asked: &Asked) -> Result<(), VerifyError> {
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

/// Finds a signature of `digest` by a trusted key; says whose.
fn check_signatures(
    signatures: &[FetchedSignature],
    digest: &Digest,
    asked: &Asked,
    trust: &TrustStore,
) -> Result<Fingerprint, VerifyError> {
    let package = || asked.package.clone();
    if signatures.is_empty() {
        return Err(VerifyError::Unsigned {
            package: package(),
            digest: digest.clone(),
        });
    }
    let trusted: Vec<&TrustedKey> = trust
        .keys_for(&asked.registry, asked.package.namespace())
        .collect();
    let mut signers = Vec::new();
    let mut broken = None;
    for signature in signatures {
        let bundle = match read_signature(signature) {
            Ok(bundle) => bundle,
            Err(reason) => {
                broken = broken.or(Some(reason));
                continue;
            }
        };
        for key in &trusted {
            match bundle.verify(key.key(), digest) {
                Ok(()) => return Ok(key.fingerprint()),
                // Not a fault: it is simply somebody else's signature. A signature
                // that names no key cannot be told from a forged one.
                Err(SignatureError::OtherKey { .. }) => {}
                Err(SignatureError::Invalid(_)) if bundle.key().is_none() => {}
                Err(reason) => broken = broken.or(Some(reason)),
            }
        }
        signers.push(bundle.key().map_or_else(
            || "a key it does not name".to_owned(),
            |key| key.to_string(),
        ));
    }
    if let Some(reason) = broken {
        return Err(VerifyError::Signature {
            package: package(),
            reason,
        });
    }
    let signers = signers.join(", ");
    if trusted.is_empty() {
        return Err(VerifyError::NobodyTrusted {
            package: package(),
            namespace: asked.package.namespace().to_string(),
            registry: asked.registry.clone(),
            signers,
        });
    }
    let trusted: Vec<_> = trusted
        .iter()
        .map(|key| key.fingerprint().to_string())
        .collect();
    Err(VerifyError::UntrustedSigner {
        package: package(),
        signers,
        trusted: trusted.join(", "),
    })
}

/// Reads a signature without judging it.
///
/// # Errors
/// [`SignatureError`] if it has not the form.
pub fn read_signature(signature: &FetchedSignature) -> Result<Bundle, SignatureError> {
    match signature {
        FetchedSignature::Bundle(bytes) => Bundle::parse(&bytes.0),
        FetchedSignature::SimpleSigning(simple) => {
            Bundle::parse_simple_signing(&simple.payload.0, &simple.signature)
        }
    }
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
