// SPDX-License-Identifier: Apache-2.0
//! The inspector: an object's bytes in, its profile out.

use std::collections::{BTreeMap, BTreeSet};

use registry_schema::profile::{
    GlobalProfile, KernelFloor, MapProfile, ObjectProfile, ProgramProfile,
};

use crate::btf::{core, layout};
use crate::elf::{SHF_ALLOC, SHF_EXECINSTR, SymbolKind, SymbolSection};
use crate::error::ObjectError;
use crate::map::{self, Map, Places};
use crate::object::{Function, Object};
use crate::reach::{self, Uses};
use crate::{effect, helpers, kernel_floor, licence, limits, privilege, section};

/// Derives the profile of an object from nothing but its bytes.
///
/// # Errors
/// [`ObjectError`] names the first value that makes the file no eBPF object, or
/// the budget that it exceeds.
pub fn inspect(bytes: &[u8]) -> Result<ObjectProfile, ObjectError> {
    let object = Object::read(bytes)?;
    let maps = map::read(&object)?;
    let mut inspection = Inspection {
        object: &object,
        uses: object.uses(),
        places: Places::new(&maps),
        visited: 0,
        steps: 0,
        listed: maps.iter().map(|map| map.name.len()).sum(),
    };
    let mut positions: Vec<usize> = (0..object.functions.len())
        .filter(|position| {
            object
                .functions
                .get(*position)
                .is_some_and(|function| function.is_program)
        })
        .collect();
    positions.sort_by_key(|position| {
        object
            .functions
            .get(*position)
            .map(|function| function.symbol)
    });
    let programs = positions
        .into_iter()
        .filter_map(|position| Some((position, object.functions.get(position)?)))
        .map(|(position, function)| inspection.program(position, function))
        .collect::<Result<Vec<ProgramProfile>, ObjectError>>()?;
    if programs.is_empty() {
        return Err(ObjectError::NoProgram {
            sections: object.elf.sections.len(),
        });
    }
    let licence = object
        .elf
        .section("license")
        .map(|(_, section)| licence::read(&section.data));
    let privileges: BTreeSet<_> = programs
        .iter()
        .flat_map(|program| program.privileges.iter().copied())
        .collect();
    Ok(ObjectProfile {
        size: bytes.len() as u64,
        little_endian: object.elf.is_little_endian(),
        gpl_compatible: licence.as_deref().is_some_and(licence::is_gpl_compatible),
        license: licence,
        btf: object.btf.is_some(),
        core_fields: core_fields(&object),
        kernel_floor: highest(&programs),
        map_memory: maps
            .iter()
            .fold(0_u64, |sum, map| sum.saturating_add(map.memory())),
        maps: maps.iter().map(|map| profile_map(&object, map)).collect(),
        programs,
        globals: globals(&object)?,
        privileges: privileges.into_iter().collect(),
    })
}

/// An object under inspection, and what that has cost so far.
struct Inspection<'a> {
    object: &'a Object,
    uses: Vec<Uses>,
    places: Places<'a>,
    visited: usize,
    steps: usize,
    listed: usize,
}

impl Inspection<'_> {
    fn program(
        &mut self,
        position: usize,
        function: &Function,
    ) -> Result<ProgramProfile, ObjectError> {
        let object = self.object;
        let (uses, callees) =
            reach::join(&self.uses, &object.functions, position, &mut self.visited)?;
        let section = object.section_name(function.section);
        let suggestion = section::suggest(section);
        let callees: Vec<&Function> = callees
            .iter()
            .filter_map(|callee| object.functions.get(*callee))
            .collect();
        let maps: BTreeMap<&str, &Map> = uses
            .data
            .iter()
            .filter_map(|(section, offset)| self.places.find(*section, *offset))
            .map(|map| (map.name.as_str(), map))
            .collect();
        let helpers = sorted(uses.helpers.iter().map(|number| helper_name(*number)));
        let kfuncs = sorted(
            uses.externals
                .iter()
                .filter_map(|symbol| object.external_name(*symbol))
                .map(str::to_owned),
        );
        let subprograms = sorted(callees.iter().map(|callee| callee.name.clone()));
        let map_names = sorted(maps.keys().map(|name| (*name).to_owned()));
        let names = [&helpers, &kfuncs, &subprograms, &map_names]
            .into_iter()
            .flatten();
        self.listed += names.map(String::len).sum::<usize>() + function.name.len() + section.len();
        ObjectError::check_count("bytes of names to list", self.listed, limits::PROFILE_BYTES)?;

        let effects = effect::of(object, position, suggestion.program_type, &mut self.steps);
        let privileges = privilege::of(&privilege::Evidence {
            section,
            program_type: suggestion.program_type,
            helpers: &uses.helpers,
            kfuncs: &kfuncs,
            uses_maps: !maps.is_empty(),
            may_drop: effects.may_drop,
            may_write_packet: effects.may_write_packet,
        });
        let kernel_floor = kernel_floor::of(&kernel_floor::Evidence {
            section,
            program_type: suggestion.program_type,
            uses: &uses,
            maps: &maps.into_values().collect::<Vec<_>>(),
            instructions: callees
                .iter()
                .map(|callee| callee.range.len())
                .sum::<usize>()
                + function.range.len(),
            globals: uses
                .data
                .iter()
                .any(|(section, _)| is_global_section(object.section_name(*section))),
            kfuncs: !kfuncs.is_empty(),
        });
        Ok(ProgramProfile {
            function: function.name.clone(),
            section: section.to_owned(),
            suggested_type: suggestion.program_type,
            suggested_attach: suggestion.attach,
            instructions: u32::try_from(function.range.len()).unwrap_or(u32::MAX),
            helpers,
            kfuncs,
            maps: map_names,
            subprograms,
            privileges,
            kernel_floor,
        })
    }
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let names: BTreeSet<String> = names.collect();
    names.into_iter().collect()
}

fn helper_name(number: u32) -> String {
    helpers::by_number(number).map_or_else(
        || format!("helper {number}"),
        |helper| helper.name.to_owned(),
    )
}

fn profile_map(object: &Object, map: &Map) -> MapProfile {
    MapProfile {
        name: map.name.clone(),
        map_type: map.type_name(),
        key_size: map.key_size,
        value_size: map.value_size,
        value_fields: object
            .btf
            .as_ref()
            .map(|btf| layout::numbers(btf, map.value_type))
            .unwrap_or_default(),
        max_entries: map.max_entries,
        flags: map.flags,
        pinned: map.pinned,
        memory: map.memory(),
    }
}

fn highest(programs: &[ProgramProfile]) -> Option<KernelFloor> {
    let floors = programs
        .iter()
        .filter_map(|program| program.kernel_floor.as_ref());
    floors
        .reduce(|best, next| {
            if next.version > best.version {
                next
            } else {
                best
            }
        })
        .cloned()
}

fn core_fields(object: &Object) -> Vec<String> {
    let (Some(btf), Some(ext)) = (&object.btf, &object.ext) else {
        return Vec::new();
    };
    let fields: BTreeSet<String> = ext
        .groups
        .iter()
        .flat_map(|group| ext.core_records(group))
        .filter_map(|record| core::target(btf, record))
        .collect();
    fields.into_iter().collect()
}

fn is_global_section(name: &str) -> bool {
    [".rodata", ".data", ".bss"].iter().any(|known| {
        name == *known
            || name
                .strip_prefix(known)
                .is_some_and(|tail| tail.starts_with('.'))
    })
}

/// The variables of all data sections: what a loader may set by name.
fn globals(object: &Object) -> Result<Vec<GlobalProfile>, ObjectError> {
    let mut found = Vec::new();
    for symbol in &object.elf.symbols {
        let SymbolSection::Index(index) = symbol.section else {
            continue;
        };
        let Some(section) = object.elf.sections.get(index) else {
            continue;
        };
        let data = section.flags & SHF_ALLOC != 0
            && section.flags & SHF_EXECINSTR == 0
            && is_global_section(&section.name);
        // Compilers put constants such as format strings there, without a name or under one of theirs.
        let named = symbol.kind == SymbolKind::Object
            && !symbol.name.is_empty()
            && !symbol.name.starts_with('.');
        if data && named && symbol.size > 0 {
            let size = u32::try_from(symbol.size).unwrap_or(u32::MAX);
            found.push(GlobalProfile {
                name: symbol.name.clone(),
                section: section.name.clone(),
                size,
            });
            ObjectError::check_count("global variables", found.len(), limits::GLOBALS)?;
        }
    }
    found.sort_by(|a, b| (&a.section, &a.name).cmp(&(&b.section, &b.name)));
    Ok(found)
}
