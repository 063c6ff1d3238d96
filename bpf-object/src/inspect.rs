// SPDX-License-Identifier: Apache-2.0
//! The inspector: an object's bytes in, its profile out.

use std::collections::BTreeSet;

use registry_schema::profile::{
    GlobalProfile, KernelFloor, MapProfile, ObjectProfile, ProgramProfile,
};

use crate::btf::{core, layout};
use crate::elf::{SHF_ALLOC, SHF_EXECINSTR, SymbolKind};
use crate::error::ObjectError;
use crate::kernel_floor;
use crate::licence;
use crate::map::{self, Map};
use crate::object::Object;
use crate::privilege;
use crate::reach::{self, Uses};
use crate::section;
use crate::{helpers, limits};

/// Derives the profile of an object from nothing but its bytes.
///
/// # Errors
/// [`ObjectError`] names the first value that makes the file no eBPF object, or
/// the budget that it exceeds.
pub fn inspect(bytes: &[u8]) -> Result<ObjectProfile, ObjectError> {
    let object = Object::read(bytes)?;
    let maps = map::read(&object)?;
    let uses = object.uses();
    let mut visited = 0;
    let mut programs = Vec::new();
    for (position, function) in object
        .functions
        .iter()
        .enumerate()
        .filter(|(_, function)| function.is_program)
    {
        let (all, callees) = reach::join(&uses, &object.functions, position, &mut visited)?;
        let mut subprograms: Vec<String> = callees
            .iter()
            .filter_map(|callee| object.functions.get(*callee))
            .map(|callee| callee.name.clone())
            .collect();
        subprograms.sort();
        let instructions = callees
            .iter()
            .filter_map(|callee| object.functions.get(*callee))
            .map(|callee| callee.range.len())
            .sum::<usize>();
        let mut program = profile_program(
            &object,
            position,
            &all,
            &maps,
            instructions + function.range.len(),
        );
        program.subprograms = subprograms;
        programs.push((function.symbol, program));
    }
    if programs.is_empty() {
        return Err(ObjectError::NoProgram {
            sections: object.elf.sections.len(),
        });
    }
    programs.sort_by_key(|(symbol, _)| *symbol);
    let programs: Vec<ProgramProfile> = programs.into_iter().map(|(_, program)| program).collect();
    let licence = object
        .elf
        .section("license")
        .map(|(_, section)| licence::read(&section.data));
    let privileges: BTreeSet<_> = programs
        .iter()
        .flat_map(|program| program.privileges.iter().copied())
        .collect();
    let globals = globals(&object)?;
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
        globals,
        privileges: privileges.into_iter().collect(),
    })
}

fn profile_program(
    object: &Object,
    position: usize,
    uses: &Uses,
    maps: &[Map],
    instructions: usize,
) -> ProgramProfile {
    let Some(function) = object.functions.get(position) else {
        return empty_program();
    };
    let section = object.section_name(function.section);
    let suggestion = section::suggest(section);
    let own: Vec<&Map> = maps
        .iter()
        .filter(|map| {
            uses.data
                .iter()
                .any(|(section, offset)| map.holds(*section, *offset))
        })
        .collect();
    let kfuncs: Vec<String> = {
        let names: BTreeSet<&str> = uses
            .externals
            .iter()
            .filter_map(|symbol| object.external_name(*symbol))
            .collect();
        names.into_iter().map(str::to_owned).collect()
    };
    let mut names: Vec<String> = uses
        .helpers
        .iter()
        .map(|number| {
            helpers::by_number(*number).map_or_else(
                || format!("helper {number}"),
                |helper| helper.name.to_owned(),
            )
        })
        .collect();
    names.sort();
    let mut map_names: Vec<String> = own.iter().map(|map| map.name.clone()).collect();
    map_names.sort();
    let globals = uses
        .data
        .iter()
        .any(|(section, _)| is_global_section(object.section_name(*section)));
    let effects = crate::effect::of(object, position, suggestion.program_type);
    ProgramProfile {
        function: function.name.clone(),
        section: section.to_owned(),
        instructions: u32::try_from(function.range.len()).unwrap_or(u32::MAX),
        privileges: privilege::of(&privilege::Evidence {
            section,
            program_type: suggestion.program_type,
            helpers: &uses.helpers,
            kfuncs: &kfuncs,
            uses_maps: !own.is_empty(),
            may_drop: effects.may_drop,
            may_write_packet: effects.may_write_packet,
        }),
        kernel_floor: kernel_floor::of(&kernel_floor::Evidence {
            section,
            program_type: suggestion.program_type,
            uses,
            maps: &own,
            instructions,
            globals,
            kfuncs: !kfuncs.is_empty(),
        }),
        suggested_type: suggestion.program_type,
        suggested_attach: suggestion.attach,
        helpers: names,
        kfuncs,
        maps: map_names,
        subprograms: Vec::new(),
    }
}

fn empty_program() -> ProgramProfile {
    ProgramProfile {
        function: String::new(),
        section: String::new(),
        suggested_type: None,
        suggested_attach: None,
        instructions: 0,
        helpers: Vec::new(),
        kfuncs: Vec::new(),
        maps: Vec::new(),
        subprograms: Vec::new(),
        privileges: Vec::new(),
        kernel_floor: None,
    }
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
        let crate::elf::SymbolSection::Index(index) = symbol.section else {
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
