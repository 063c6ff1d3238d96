// SPDX-License-Identifier: Apache-2.0
//! What loaders take for granted, checked once for all of them.
//!
//! A loader that meets a name beyond the string table or a call into nowhere
//! may crash instead of refusing. Nothing that was inspected makes it do so.

use std::collections::BTreeSet;

use crate::btf::Btf;
use crate::btf::ext::Ext;
use crate::elf::{R_BPF_64_32, R_BPF_64_64, SymbolKind, SymbolSection};
use crate::error::ObjectError;
use crate::insn;
use crate::object::{Object, Reference};

/// Checks an object's references and type information against one another.
pub(crate) fn check(object: &Object) -> Result<(), ObjectError> {
    if let (Some(btf), Some(ext)) = (&object.btf, &object.ext) {
        check_ext(object, btf, ext)?;
    }
    let functions: BTreeSet<usize> = object
        .functions
        .iter()
        .map(|function| function.symbol)
        .collect();
    for (&section, code) in &object.code {
        for (slot, insn) in object.instructions(section, 0..code.len()) {
            check_relocation(object, &functions, section, slot)?;
            if let Some(Reference::Code {
                section: target,
                slot: place,
            }) = object.reference(section, slot, insn)
                && object
                    .code
                    .get(&target)
                    .is_none_or(|code| place >= code.len())
            {
                return Err(wrong(object, section, slot, &format!("slot {place}")));
            }
        }
    }
    Ok(())
}

/// A relocation of code names a function, a section of code, or something
/// outside the code; and its place is where an instruction has one.
fn check_relocation(
    object: &Object,
    functions: &BTreeSet<usize>,
    section: usize,
    slot: usize,
) -> Result<(), ObjectError> {
    let relocation = object
        .elf
        .sections
        .get(section)
        .and_then(|s| s.relocation_at((slot * insn::BYTES) as u64));
    let Some((relocation, symbol)) =
        relocation.and_then(|found| Some((found, object.elf.symbols.get(found.symbol)?)))
    else {
        return Ok(());
    };
    if !matches!(relocation.kind, R_BPF_64_64 | R_BPF_64_32) {
        return Err(wrong(
            object,
            section,
            slot,
            &format!("a relocation of kind {}", relocation.kind),
        ));
    }
    let code = matches!(symbol.section, SymbolSection::Index(at) if object.code.contains_key(&at));
    let sound = match symbol.kind {
        SymbolKind::Function => code,
        SymbolKind::Section if code => object
            .code
            .get(&section)
            .and_then(|code| *code.get(slot)?)
            .and_then(|insn| object.reference(section, slot, insn))
            .is_some(),
        // Older compilers leave functions without a type; they get one.
        SymbolKind::NoType if code => functions.contains(&relocation.symbol),
        _ => !code,
    };
    if sound {
        Ok(())
    } else {
        Err(wrong(
            object,
            section,
            slot,
            &format!("symbol `{}`", symbol.name),
        ))
    }
}

fn wrong(object: &Object, section: usize, slot: usize, value: &str) -> ObjectError {
    ObjectError::malformed(
        format!(
            "the target of instruction {slot} in section `{}`",
            object.section_name(section)
        ),
        value,
        "it must be a function, a map or a variable",
    )
}

fn check_ext(object: &Object, btf: &Btf, ext: &Ext) -> Result<(), ObjectError> {
    for group in &ext.groups {
        let name = btf.string(group.name);
        if !btf.has_string(group.name) || object.elf.section(name).is_none() {
            return Err(ObjectError::malformed(
                "a section's name in .BTF.ext",
                format!("`{name}`"),
                "there is no such section",
            ));
        }
        if let Some(record) = ext
            .core_records(group)
            .find(|record| !btf.has_string(record.access))
        {
            return Err(ObjectError::malformed(
                "the path of a CO-RE relocation",
                record.access,
                "the string table of .BTF ends before",
            ));
        }
    }
    Ok(())
}
