// SPDX-License-Identifier: Apache-2.0
//! What an object holds and can do, in words.

use registry_schema::PackageManifest;
use registry_schema::profile::{MapProfile, ObjectProfile, Privilege, ProgramProfile};

use crate::http::web::format::{self, Mark, Tone};

/// Everything that a program can be able to do, from least to most intrusive.
const ALL: [Privilege; 11] = [
    Privilege::Observe,
    Privilege::ReadKernel,
    Privilege::ReadUser,
    Privilege::PayloadOut,
    Privilege::ModifyPacket,
    Privilege::Drop,
    Privilege::Redirect,
    Privilege::Mirror,
    Privilege::Interfere,
    Privilege::WriteUser,
    Privilege::Meta,
];
/// Helpers that a cell of the table names.
const NAMED: usize = 6;

/// What an object can and cannot do.
pub(super) struct Abilities {
    /// Most intrusive first.
    pub(super) can: Vec<Ability>,
    pub(super) cannot: Vec<&'static str>,
}

/// One thing it can do.
pub(super) struct Ability {
    pub(super) mark: Mark,
    pub(super) sentence: &'static str,
    /// The programs that can, where not all do.
    pub(super) programs: String,
}

impl Abilities {
    pub(super) fn new(profile: &ObjectProfile) -> Self {
        let has = |privilege: &Privilege| profile.privileges.contains(privilege);
        Self {
            can: ALL
                .iter()
                .rev()
                .filter(|one| has(one))
                .map(|one| ability(profile, *one))
                .collect(),
            cannot: ALL
                .iter()
                .filter(|one| !has(one))
                .map(|one| one.sentence())
                .collect(),
        }
    }
}

fn ability(profile: &ObjectProfile, privilege: Privilege) -> Ability {
    let able: Vec<&ProgramProfile> = profile
        .programs
        .iter()
        .filter(|program| program.privileges.contains(&privilege))
        .collect();
    let some = able.len() < profile.programs.len();
    let names: Vec<String> = able
        .iter()
        .filter(|_| some)
        .map(|program| program.function.clone())
        .collect();
    let tone = if privilege.is_red() {
        Tone::Bad
    } else if matches!(privilege, Privilege::Observe) {
        Tone::Plain
    } else {
        Tone::Care
    };
    Ability {
        mark: Mark::new(tone, privilege.as_str().replace('-', " ")),
        sentence: privilege.sentence(),
        programs: format::list(&names),
    }
}

/// A row of the table of programs.
pub(super) struct ProgramRow {
    pub(super) function: String,
    pub(super) hook: String,
    pub(super) required: bool,
    pub(super) proceed_on: String,
    pub(super) calls: String,
    pub(super) instructions: String,
}

/// The programs that the manifest declares, with what their object says of them.
pub(super) fn programs(
    manifest: &PackageManifest,
    profile: Option<&ObjectProfile>,
) -> Vec<ProgramRow> {
    let rows = manifest.programs.iter().map(|program| {
        let found = profile.and_then(|profile| {
            profile
                .programs
                .iter()
                .find(|found| found.function == program.function)
        });
        let attach = program
            .attach
            .clone()
            .or_else(|| found.and_then(|found| found.suggested_attach.clone()));
        ProgramRow {
            function: program.function.clone(),
            hook: match attach {
                Some(attach) => format!("{} {attach}", program.program_type),
                None => program.program_type.to_string(),
            },
            required: program.required,
            proceed_on: match (program.program_type.chains(), program.proceed_on.is_empty()) {
                (false, _) => "–".to_owned(),
                (true, true) => "the hook’s default".to_owned(),
                (true, false) => program.proceed_on.join(", "),
            },
            calls: found.map(calls).unwrap_or_default(),
            instructions: found
                .map(|found| format::thousands(found.instructions.into()))
                .unwrap_or_default(),
        }
    });
    rows.collect()
}

fn calls(program: &ProgramProfile) -> String {
    let all: Vec<&String> = program.helpers.iter().chain(&program.kfuncs).collect();
    let named: Vec<&str> = all.iter().take(NAMED).map(|name| name.as_str()).collect();
    match all.len() {
        0 => "none".to_owned(),
        number if number > NAMED => format!("{} and {} more", named.join(", "), number - NAMED),
        _ => named.join(", "),
    }
}

/// A row of the table of maps.
pub(super) struct MapRow {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) entries: String,
    pub(super) key: String,
    pub(super) value: String,
}

/// The maps of an object.
pub(super) fn maps(profile: &ObjectProfile) -> Vec<MapRow> {
    let row = |map: &MapProfile| MapRow {
        name: map.name.clone(),
        kind: map.map_type.clone(),
        entries: if map.max_entries == 0 {
            "set at load".to_owned()
        } else {
            format::thousands(map.max_entries.into())
        },
        key: if map.key_size == 0 {
            "–".to_owned()
        } else {
            format::bytes(map.key_size.into())
        },
        value: if map.value_size == 0 {
            "–".to_owned()
        } else {
            format::bytes(map.value_size.into())
        },
    };
    profile.maps.iter().map(row).collect()
}
