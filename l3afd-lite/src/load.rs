// SPDX-License-Identifier: Apache-2.0
//! The last step before the kernel: takes bytes that were verified, hashes them once
//! more, and gives them to the loader. Reads no file and no socket.

use std::path::PathBuf;

use aya::programs::{Program, ProgramError};
use aya::{Ebpf, EbpfError, EbpfLoader};
use registry_schema::Digest;
use registry_schema::hook::ProgramType;
use serde::{Deserialize, Serialize};

use crate::kernel::{KernelError, LoadedProgram};
use crate::place::Place;

/// The order to load one generation of a chain.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadGeneration {
    /// Where it will run.
    pub place: Place,
    /// Its number; no pins of it exist yet.
    pub number: u64,
    /// Its programs, head first.
    pub members: Vec<LoadMember>,
}

/// The order to load one probe.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadProbe {
    /// The probe's name among the node's probes.
    pub name: String,
    /// The generation; no pins of it exist yet.
    pub number: u64,
    /// What it attaches to, for a tracepoint `group/name`.
    pub attach: String,
    /// The program.
    pub member: LoadMember,
    /// Entries to write before it attaches, by map.
    pub entries: Vec<MapEntries>,
}

/// Entries for one map of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapEntries {
    /// The map's name in the object.
    pub map: String,
    /// Keys and values, in any width that fits.
    pub entries: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether keys that are not among them are removed.
    pub only: bool,
}

/// One program to load, with the digest its bytes must have.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadMember {
    /// Package and version, for messages.
    pub package: String,
    /// Which of the owner's map directories is its own.
    pub instance: String,
    /// The function to load.
    pub function: String,
    /// Its type, as declared and checked.
    pub program_type: ProgramType,
    /// The object, normalised and woven.
    pub bytes: Vec<u8>,
    /// Digest of `bytes`.
    pub digest: Digest,
    /// Read-only globals to set, by name.
    pub globals: Vec<(String, Vec<u8>)>,
    /// All its maps.
    pub maps: Vec<MapShape>,
    /// Maps of the weave that the whole generation shares: name in the object, and pin.
    #[serde(default)]
    pub woven_maps: WovenMaps,
}

/// Names of the two maps that the weaver adds; none for a program that runs alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WovenMaps {
    /// The program array.
    pub array: Option<String>,
    /// The counter of chain ends.
    pub ends: Option<String>,
}

/// A map as the object declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapShape {
    /// Its name in the object.
    pub name: String,
    /// The kernel's word for its type, such as `percpu_array`.
    pub kind: String,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Most entries; 0 leaves it to the loader.
    pub max_entries: u32,
    /// Whether the next generation takes it over.
    pub shared: bool,
}

/// Loads one member: checks the digest, creates or takes over its maps, and has the
/// kernel verify the program. `pins` are the maps to share, by name.
///
/// # Errors
/// [`KernelError::Hash`], [`KernelError::Object`], [`KernelError::Refused`].
pub(crate) fn load<'a>(
    loader: &mut EbpfLoader<'a>,
    member: &'a LoadMember,
    pins: &'a [(String, PathBuf)],
) -> Result<Ebpf, KernelError> {
    let actual = Digest::sha256(&member.bytes);
    if actual != member.digest {
        let (package, expected) = (member.package.clone(), member.digest.clone());
        return Err(KernelError::Hash {
            package,
            expected,
            actual,
        });
    }
    for (name, path) in pins {
        loader.map_pin_path(name, path.as_path());
    }
    for (name, value) in &member.globals {
        loader.override_global(name, value.as_slice(), true);
    }
    for map in member.maps.iter().filter(|map| map.max_entries > 0) {
        loader.map_max_entries(&map.name, map.max_entries);
    }
    let mut object = loader
        .load(&member.bytes)
        .map_err(|error| unloadable(member, &error))?;
    check_maps(member, pins, &object)?;
    let program = object
        .program_mut(&member.function)
        .ok_or_else(|| KernelError::Object {
            package: member.package.clone(),
            reason: format!("it has no program `{}`", member.function),
        })?;
    let verified = match program {
        Program::Xdp(program) => program.load(),
        Program::SchedClassifier(program) => program.load(),
        Program::TracePoint(program) => program.load(),
        _ => {
            let reason = format!(
                "this node does not run programs of type {}",
                member.program_type
            );
            return Err(KernelError::Object {
                package: member.package.clone(),
                reason,
            });
        }
    };
    verified.map_err(|error| refused(member, &error))?;
    Ok(object)
}

/// Checks that the loader found no map but those it was told of: a loader that serves
/// several objects would give a map it was not told of to the wrong one.
fn check_maps(
    member: &LoadMember,
    pins: &[(String, PathBuf)],
    object: &Ebpf,
) -> Result<(), KernelError> {
    let told = |name: &str| name.starts_with('.') || pins.iter().any(|(known, _)| known == name);
    match object.maps().find(|(name, _)| !told(name)) {
        None => Ok(()),
        Some((name, _)) => {
            let reason = format!("its map `{name}` is not among those that were inspected");
            Err(KernelError::Object {
                package: member.package.clone(),
                reason,
            })
        }
    }
}

/// What status shows of a program that was just loaded.
pub(crate) fn loaded_program(program: &Program) -> Result<LoadedProgram, ProgramError> {
    let info = program.info()?;
    Ok(LoadedProgram {
        id: info.id(),
        tag: format!("{:016x}", info.tag()),
    })
}

fn unloadable(member: &LoadMember, error: &EbpfError) -> KernelError {
    KernelError::Object {
        package: member.package.clone(),
        reason: causes(error),
    }
}

fn refused(member: &LoadMember, error: &ProgramError) -> KernelError {
    let (reason, log) = match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => {
            let log = verifier_log.to_string();
            let lines = crate::kernel::decisive_lines(&log);
            let reason = if lines.is_empty() {
                format!("{io_error}, without a verifier log")
            } else {
                format!("{io_error}; the verifier says, at the end of its log:")
            };
            (reason, lines)
        }
        error => (causes(error), String::new()),
    };
    KernelError::Refused {
        package: member.package.clone(),
        function: member.function.clone(),
        reason,
        log,
    }
}

/// An error with its causes, in one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
