// SPDX-License-Identifier: Apache-2.0
//! From bytes that nobody has believed yet to bytes that may be loaded. Takes a
//! message and gives one; reads no file, no socket and no clock in between.
//!
//! Whoever fetched the bytes, everything is decided here: signature, names and
//! digests (`registry_client::verify`), what the object really contains, whether that
//! is what its manifest declares, and how it takes its place in a chain.

use bpf_object::weave::{CHAIN_ARRAY, CHAIN_ENDS};
use bpf_object::{ObjectError, Weave, WeaveError, check, inspect, normalise, weave};
use registry_client::pull::FetchedPackage;
use registry_client::verify::{self as signature, Asked, Basis};
use registry_schema::hook::{Hook, ProgramType};
use registry_schema::manifest::{PackageManifest, Weave as WeaveChoice};
use registry_schema::profile::{Finding, MapProfile, ObjectProfile, Severity};
use registry_schema::{Digest, PackageName, TrustLevel};
use serde::{Deserialize, Serialize};

use crate::load::{MapShape, WovenMaps};

/// What is to be verified, and against what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    /// The bytes.
    pub fetched: FetchedPackage,
    /// What was asked for.
    pub asked: Asked,
    /// What the decision rests on.
    pub basis: Basis,
}

/// A package that holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Verified {
    /// What it declares.
    pub manifest: PackageManifest,
    /// What its object contains.
    pub profile: ObjectProfile,
    /// Digest of the index: what was signed.
    pub digest: Digest,
    /// Digest of the object.
    pub object: Digest,
    /// Who signed, in words; none only where unsigned packages may pass.
    pub signer: Option<String>,
    /// How far it is trusted.
    pub level: TrustLevel,
    /// What is out of date, and would keep it from being installed now.
    pub stale: Vec<String>,
}

/// The place of a program in a chain.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Position {
    /// The hook of the chain.
    pub hook: Hook,
    /// From 0.
    pub slot: u32,
    /// Programs of the chain.
    pub length: u32,
    /// Verdicts after which the chain goes on.
    pub proceed_on: Vec<String>,
}

/// A program ready to be loaded, with both its digests.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Prepared {
    /// The object, normalised and woven.
    pub bytes: Vec<u8>,
    /// Digest of `bytes`.
    pub woven: Digest,
    /// Digest of the verified object it was made from.
    pub original: Digest,
    /// The type of the program.
    pub program_type: ProgramType,
    /// Its maps, for the loader to share or keep apart.
    pub maps: Vec<MapShape>,
    /// The weave's own maps.
    pub woven_maps: WovenMaps,
}

/// Why bytes may not be loaded.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum VerifyError {
    /// Signature, name or digest does not hold.
    #[error(transparent)]
    Signature(#[from] signature::VerifyError),
    /// The object cannot be read.
    #[error("the object of {package} is signed, but cannot be used: {reason}")]
    Object {
        package: PackageName,
        reason: ObjectError,
    },
    /// The object is not what the manifest declares.
    #[error("{package} declares what its object does not hold: {message} ({code}); {fix}")]
    Finding {
        package: PackageName,
        code: String,
        message: String,
        fix: String,
    },
    /// The object cannot be brought into the form that the loader reads.
    #[error("the object of {package} cannot be prepared for loading: {reason}")]
    Normalise {
        package: PackageName,
        reason: String,
    },
    /// There is no such program.
    #[error("{package} has no program `{function}`; it has {known}")]
    NoProgram {
        package: PackageName,
        function: String,
        known: String,
    },
    /// The program cannot take its place in a chain.
    #[error("{package}: {reason}")]
    Weave {
        package: PackageName,
        reason: WeaveError,
    },
    /// The program runs alone or not at all.
    #[error(
        "{package} does not let its programs be woven into a chain (`weave = \"deny\"`), so it must be the only program of its hook"
    )]
    Alone { package: PackageName },
}

/// Decides about a package as a whole.
///
/// # Errors
/// [`VerifyError`], by the first thing that does not hold.
pub fn verify(request: &Request) -> Result<Verified, VerifyError> {
    let (verified, _) = open(request)?;
    Ok(verified)
}

/// Decides again, and makes the bytes of one program: at its position in a chain, or
/// as it is for a program that attaches by itself.
///
/// # Errors
/// [`VerifyError`], by the first thing that does not hold.
pub fn prepare(
    request: &Request,
    function: &str,
    position: Option<&Position>,
) -> Result<Prepared, VerifyError> {
    let (verified, object) = open(request)?;
    let manifest = &verified.manifest;
    let package = || manifest.package.name.clone();
    let program = manifest
        .programs
        .iter()
        .find(|program| program.function == function);
    let program = program.ok_or_else(|| VerifyError::NoProgram {
        package: package(),
        function: function.to_owned(),
        known: functions(manifest),
    })?;
    let types: Vec<_> = manifest
        .programs
        .iter()
        .map(|program| (program.function.as_str(), program.program_type))
        .collect();
    let bytes = normalise(&object, &types).map_err(|error| VerifyError::Normalise {
        package: package(),
        reason: error.to_string(),
    })?;
    let woven = match position {
        Some(position) if manifest.weave == WeaveChoice::Allow => {
            let order = order(function, position);
            let woven = weave(&bytes, &order).map_err(|reason| VerifyError::Weave {
                package: package(),
                reason,
            })?;
            Some(woven.bytes)
        }
        Some(position) if position.length > 1 => {
            return Err(VerifyError::Alone { package: package() });
        }
        _ => None,
    };
    let woven_maps = match &woven {
        Some(_) => WovenMaps {
            array: Some(CHAIN_ARRAY.to_owned()),
            ends: Some(CHAIN_ENDS.to_owned()),
        },
        None => WovenMaps::default(),
    };
    let bytes = woven.unwrap_or(bytes);
    Ok(Prepared {
        woven: Digest::sha256(&bytes),
        bytes,
        original: verified.object,
        program_type: program.program_type,
        maps: verified
            .profile
            .maps
            .iter()
            .map(|map| shape(map, manifest))
            .collect(),
        woven_maps,
    })
}

/// Checks everything that does not depend on which program is wanted.
fn open(request: &Request) -> Result<(Verified, Vec<u8>), VerifyError> {
    let Request {
        fetched,
        asked,
        basis,
    } = request;
    let package = signature::verify(fetched, asked, basis)?;
    let signer = (!package.signers.is_empty()).then(|| package.signed_by());
    let name = || package.manifest.package.name.clone();
    let object = package.object.0;
    let profile = inspect(&object).map_err(|reason| VerifyError::Object {
        package: name(),
        reason,
    })?;
    let grave = |finding: &Finding| finding.severity == Severity::Error;
    if let Some(finding) = check(&package.manifest, &profile).into_iter().find(grave) {
        let Finding {
            code, message, fix, ..
        } = finding;
        return Err(VerifyError::Finding {
            package: name(),
            code,
            message,
            fix,
        });
    }
    let verified = Verified {
        manifest: package.manifest,
        profile,
        digest: package.digest,
        object: package.object_digest,
        signer,
        level: package.level,
        stale: package.stale,
    };
    Ok((verified, object))
}

/// What the weaver is told for a position.
fn order(function: &str, position: &Position) -> Weave {
    Weave::in_chain(
        function,
        position.hook,
        position.slot,
        position.length,
        position.proceed_on.iter().map(String::as_str),
    )
}

fn shape(map: &MapProfile, manifest: &PackageManifest) -> MapShape {
    let settings = manifest.maps.get(&map.name);
    let wanted = settings.and_then(|settings| settings.max_entries);
    MapShape {
        name: map.name.clone(),
        kind: map.map_type.clone(),
        key_size: map.key_size,
        value_size: map.value_size,
        max_entries: wanted.unwrap_or(map.max_entries),
        // What a program array holds lives as long as the one who filled it.
        shared: map.map_type != "prog_array",
    }
}

/// The functions a manifest declares, for a sentence.
pub(crate) fn functions(manifest: &PackageManifest) -> String {
    let names: Vec<_> = manifest
        .programs
        .iter()
        .map(|program| format!("`{}`", program.function))
        .collect();
    names.join(", ")
}
