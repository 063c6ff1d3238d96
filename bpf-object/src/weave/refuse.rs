// SPDX-License-Identifier: Apache-2.0
//! What is not woven, and why.

use std::collections::BTreeSet;

use super::{CHAIN_LIMIT, Weave, WeaveError};
use crate::elf::SymbolSection;
use crate::map::{self, Map};
use crate::object::{Function, Object, Reference};

const TAIL_CALL: u32 = 12;
/// Most verdicts that one program compares.
const VERDICTS: usize = 16;

/// Checks what the caller asked for, before the object is looked at.
pub(super) fn check_parameters(weave: &Weave) -> Result<(), WeaveError> {
    let name = |what, name: &str| {
        let fits = (1..=15).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if fits {
            Ok(())
        } else {
            Err(WeaveError::Parameter {
                what,
                value: format!("`{name}`"),
                expected: "1 to 15 letters, digits and underscores",
            })
        }
    };
    name("the name of the program array", &weave.array_name)?;
    if !(1..=CHAIN_LIMIT).contains(&weave.array_entries) {
        return Err(WeaveError::Parameter {
            what: "the size of the program array",
            value: weave.array_entries.to_string(),
            expected: "1 to 34",
        });
    }
    if weave.next_index > weave.array_entries {
        return Err(WeaveError::Parameter {
            what: "the next program's slot",
            value: weave.next_index.to_string(),
            expected: "at most the size of the program array",
        });
    }
    if weave.proceed_on.len() > VERDICTS {
        return Err(WeaveError::Parameter {
            what: "the number of verdicts to proceed on",
            value: weave.proceed_on.len().to_string(),
            expected: "at most 16",
        });
    }
    if let Some(counter) = &weave.counter {
        name("the name of the counters", &counter.name)?;
        if counter.name == weave.array_name {
            return Err(WeaveError::Parameter {
                what: "the name of the counters",
                value: format!("`{}`", counter.name),
                expected: "another name than the program array's",
            });
        }
        if counter.slot >= weave.array_entries {
            return Err(WeaveError::Parameter {
                what: "the counters' slot",
                value: counter.slot.to_string(),
                expected: "below the size of the program array",
            });
        }
    }
    Ok(())
}

/// Finds the program's position among the object's functions.
pub(super) fn find_program(object: &Object, function: &str) -> Result<usize, WeaveError> {
    object
        .functions
        .iter()
        .position(|found| found.is_program && found.name == function)
        .ok_or_else(|| {
            let names: Vec<&str> = object
                .programs()
                .map(|found| found.name.as_str())
                .take(20)
                .collect();
            let programs = if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            };
            WeaveError::NoSuchProgram {
                function: function.to_owned(),
                programs,
            }
        })
}

/// Refuses what the weave would break; returns what is worth knowing.
pub(super) fn check_program(
    object: &Object,
    position: usize,
    weave: &Weave,
) -> Result<Vec<String>, WeaveError> {
    for name in [
        Some(&weave.array_name),
        weave.counter.as_ref().map(|counter| &counter.name),
    ]
    .into_iter()
    .flatten()
    {
        if object.elf.symbols.iter().any(|symbol| symbol.name == *name) {
            return Err(WeaveError::NameTaken { name: name.clone() });
        }
    }
    let Some(entry) = object.functions.get(position) else {
        return Ok(Vec::new());
    };
    let maps = map::read(object)?;
    let mut exits = false;
    for (slot, insn) in object.instructions(entry.section, entry.range.clone()) {
        exits |= insn.is_exit();
        if insn.is_packet_load() {
            return Err(WeaveError::PacketLoad {
                function: entry.name.clone(),
                at: slot - entry.range.start,
            });
        }
    }
    if !exits {
        return Err(WeaveError::NoExit {
            function: entry.name.clone(),
        });
    }
    for (&section, code) in &object.code {
        for (slot, insn) in object.instructions(section, 0..code.len()) {
            if object.reference(section, slot, insn)
                == Some(Reference::Code {
                    section: entry.section,
                    slot: entry.range.start,
                })
            {
                let caller = object
                    .functions
                    .iter()
                    .find(|f| f.section == section && f.range.contains(&slot));
                let caller = caller
                    .map_or("code without a name", |caller| caller.name.as_str())
                    .to_owned();
                return Err(WeaveError::CalledAsSubprogram {
                    function: entry.name.clone(),
                    caller,
                });
            }
        }
    }
    check_tail_calls(object, position, entry, maps)
}

/// A tail call of the program's own is harmless while its array stays empty.
fn check_tail_calls(
    object: &Object,
    position: usize,
    entry: &Function,
    maps: Vec<Map>,
) -> Result<Vec<String>, WeaveError> {
    let reached = object.reachable(position);
    let calls = reached
        .iter()
        .filter_map(|at| object.functions.get(*at))
        .any(|function| {
            object
                .instructions(function.section, function.range.clone())
                .any(|(_, insn)| insn.helper() == Some(TAIL_CALL))
        });
    if !calls {
        return Ok(Vec::new());
    }
    let mut arrays = BTreeSet::new();
    for map in maps.into_iter().filter(|map| map.kind == map::PROG_ARRAY) {
        if map.pinned {
            return Err(WeaveError::OwnTailCall {
                function: entry.name.clone(),
                map: map.name,
                reason: "which is pinned by name, so that others may fill it",
            });
        }
        let filled = object.elf.sections.get(map.section).is_some_and(|section| {
            section.relocations.iter().any(|relocation| {
                let inside = (map.offset..map.offset.saturating_add(map.bytes)).contains(&relocation.offset);
                let code = object.elf.symbols.get(relocation.symbol).is_some_and(|symbol| {
                    matches!(symbol.section, SymbolSection::Index(index) if object.code.contains_key(&index))
                });
                inside && code
            })
        });
        if filled {
            return Err(WeaveError::OwnTailCall {
                function: entry.name.clone(),
                map: map.name,
                reason: "which the object itself fills",
            });
        }
        arrays.insert(map.name);
    }
    let arrays: Vec<String> = arrays.into_iter().collect();
    Ok(vec![format!(
        "`{}` has a tail call of its own through {}: while that array is empty the call does nothing; each that succeeds would leave the chain",
        entry.name,
        if arrays.is_empty() {
            "an unknown array".to_owned()
        } else {
            format!("`{}`", arrays.join("`, `"))
        }
    )])
}
