// SPDX-License-Identifier: Apache-2.0
//! Section names for the loader.
//!
//! aya tells a program's type by its section's name and refuses a whole object
//! for one name it does not know. The manifest declares the types, so the names
//! are rewritten from it, in memory and after digest and signature are checked.

mod names;

use std::collections::BTreeSet;

use registry_schema::hook::ProgramType;
use thiserror::Error;

use crate::elf::SymbolKind;
use crate::error::ObjectError;
use crate::object::Object;
use names::Place;

/// Why an object's sections cannot be named for the loader.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum NormaliseError {
    /// The object cannot be read.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The function does not exist.
    #[error("the object has no program `{function}`; it has {programs}")]
    NoSuchProgram {
        /// The function that was asked for.
        function: String,
        /// The programs that exist, as a list.
        programs: String,
    },
    /// The type has no name that the loader knows.
    #[error(
        "`{function}` is of type `{program_type}` in section `{section}`, which the loader does not know; declare one of the types it loads, such as xdp or tc"
    )]
    NoName {
        /// The program's function.
        function: String,
        /// Its declared type.
        program_type: ProgramType,
        /// Its section.
        section: String,
    },
    /// One section holds programs of different types.
    #[error(
        "section `{section}` holds `{first}` and `{second}`, declared with different types; put them in sections of their own"
    )]
    Mixed {
        /// The section's name.
        section: String,
        /// One function.
        first: String,
        /// Another function.
        second: String,
    },
    /// Two code sections have the same name.
    #[error(
        "two sections with code are called `{name}`, so that their type information cannot be told apart; compile the object anew, or link it with `bpftool gen object`"
    )]
    SameName {
        /// The name.
        name: String,
    },
}

/// Names an object's sections so that the loader takes its programs for what
/// `types` declares, one entry per function that is to be loaded.
///
/// Programs that are not listed keep a name that the loader accepts, or are
/// taken out. The result is the same for the same input, and equals the input
/// where nothing needs a change.
///
/// # Errors
/// [`NormaliseError`] names the function or section that stands in the way.
pub fn normalise(bytes: &[u8], types: &[(&str, ProgramType)]) -> Result<Vec<u8>, NormaliseError> {
    let mut object = Object::read(bytes)?;
    let changes = plan(&object, types)?;
    let untyped: Vec<(usize, u64)> = object
        .functions
        .iter()
        .map(|function| {
            (
                function.symbol,
                (function.range.len() * crate::insn::BYTES) as u64,
            )
        })
        .filter(|(symbol, size)| {
            object
                .elf
                .symbols
                .get(*symbol)
                .is_some_and(|s| s.kind != SymbolKind::Function || s.size != *size)
        })
        .collect();
    if changes.is_empty() && untyped.is_empty() {
        return Ok(bytes.to_vec());
    }
    for (symbol, size) in untyped {
        if let Some(symbol) = object.elf.symbols.get_mut(symbol) {
            symbol.kind = SymbolKind::Function;
            symbol.size = size;
        }
    }
    // Renamed last: until then `.BTF.ext` knows every section by its old name.
    for change in &changes {
        match change {
            Change::Join { section, into } => object.join_sections(*into, *section),
            Change::Remove { section } => object.remove_section(*section),
            Change::Rename { .. } => {}
        }
    }
    let names = changes.into_iter().filter_map(|change| match change {
        Change::Rename { section, name } => Some((section, name)),
        _ => None,
    });
    object.rename_sections(names.collect());
    Ok(object.into_bytes())
}

/// What happens to one section.
enum Change {
    Rename {
        section: usize,
        name: String,
    },
    /// Its code moves behind another section's.
    Join {
        section: usize,
        into: usize,
    },
    Remove {
        section: usize,
    },
}

fn plan(object: &Object, types: &[(&str, ProgramType)]) -> Result<Vec<Change>, NormaliseError> {
    let wanted = sections(object, types)?;
    let mut changes = Vec::new();
    let mut taken: Vec<(String, usize)> = Vec::new();
    for (section, function, kind) in &wanted {
        let old = object.section_name(*section);
        let name = names::for_loader(old, *kind).ok_or_else(|| NormaliseError::NoName {
            function: (*function).to_owned(),
            program_type: *kind,
            section: old.to_owned(),
        })?;
        match names::place(name, function, &taken) {
            Place::Own(name) => {
                taken.push((name.clone(), *section));
                if name != old {
                    changes.push(Change::Rename {
                        section: *section,
                        name,
                    });
                }
            }
            Place::Within(into) => changes.push(Change::Join {
                section: *section,
                into,
            }),
        }
    }
    let mut others: Vec<usize> = object.programs().map(|found| found.section).collect();
    others.dedup();
    others.retain(|section| !wanted.iter().any(|(other, ..)| other == section));
    for section in others {
        let name = object.section_name(section);
        if names::accepted(name) && !taken.iter().any(|(other, _)| other == name) {
            taken.push((name.to_owned(), section));
        } else {
            changes.push(Change::Remove { section });
        }
    }
    Ok(changes)
}

/// The sections that hold declared programs, with one function of each and its type.
fn sections<'a>(
    object: &'a Object,
    types: &[(&str, ProgramType)],
) -> Result<Vec<(usize, &'a str, ProgramType)>, NormaliseError> {
    let absent = types
        .iter()
        .find(|(function, _)| !object.programs().any(|found| found.name == *function));
    if let Some((function, _)) = absent {
        let programs: Vec<&str> = object
            .programs()
            .map(|found| found.name.as_str())
            .take(20)
            .collect();
        return Err(NormaliseError::NoSuchProgram {
            function: (*function).to_owned(),
            programs: programs.join(", "),
        });
    }
    let mut names = BTreeSet::new();
    let twice = object
        .code
        .keys()
        .map(|section| object.section_name(*section))
        .find(|name| !names.insert(*name));
    if let Some(name) = twice {
        return Err(NormaliseError::SameName {
            name: name.to_owned(),
        });
    }
    let mut wanted: Vec<(usize, &str, ProgramType)> = Vec::new();
    for found in object.programs() {
        let Some((_, kind)) = types.iter().find(|(function, _)| *function == found.name) else {
            continue;
        };
        match wanted
            .iter()
            .find(|(section, ..)| *section == found.section)
        {
            Some((_, first, other)) if other != kind => {
                return Err(NormaliseError::Mixed {
                    section: object.section_name(found.section).to_owned(),
                    first: (*first).to_owned(),
                    second: found.name.clone(),
                });
            }
            Some(_) => {}
            None => wanted.push((found.section, &found.name, *kind)),
        }
    }
    Ok(wanted)
}
