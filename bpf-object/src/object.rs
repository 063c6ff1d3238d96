// SPDX-License-Identifier: Apache-2.0
//! An eBPF object taken apart: ELF, BTF, code and the functions in it.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::btf::Btf;
use crate::btf::ext::Ext;
use crate::bytes::Order;
use crate::elf::{Elf, SymbolKind, SymbolSection};
use crate::error::ObjectError;
use crate::insn::{self, Insn};
use crate::limits;
use crate::sound;

/// A readable object.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) elf: Elf,
    pub(crate) btf: Option<Btf>,
    pub(crate) ext: Option<Ext>,
    /// Decoded instructions of each code section.
    pub(crate) code: BTreeMap<usize, Vec<Option<Insn>>>,
    /// By section, then by start.
    pub(crate) functions: Vec<Function>,
}

/// A function: a program, or a subprogram that programs call.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) symbol: usize,
    pub(crate) section: usize,
    /// Instruction slots within the section.
    pub(crate) range: Range<usize>,
    /// Whether the kernel may be asked to load it: it lies outside `.text`.
    pub(crate) is_program: bool,
}

/// What a call or a 64-bit load refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// The instruction at this slot of this section.
    Code { section: usize, slot: usize },
    /// A symbol that another side provides (a kernel function, a kernel variable).
    External { symbol: usize },
    /// Data or a map: this byte of this section.
    Data { section: usize, offset: u64 },
}

impl Object {
    /// Takes an object apart and checks it.
    ///
    /// # Errors
    /// [`ObjectError`] names the first value that is wrong.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, ObjectError> {
        let elf = Elf::read(bytes)?;
        let order = Order(elf.endian);
        let btf = elf
            .section(".BTF")
            .map(|(_, section)| Btf::read(&section.data, elf.endian))
            .transpose()?;
        let ext = match (&btf, elf.section(".BTF.ext")) {
            (Some(_), Some((_, section))) => Some(Ext::read(&section.data, order)?),
            _ => None,
        };
        let mut code = BTreeMap::new();
        let mut slots = 0;
        for (index, section) in elf
            .sections
            .iter()
            .enumerate()
            .filter(|(_, section)| section.is_code())
        {
            slots += section.data.len() / insn::BYTES;
            ObjectError::check_count("instructions", slots, limits::INSTRUCTIONS)?;
            code.insert(index, insn::decode(&section.data, elf.endian));
        }
        let functions = functions(&elf, &code)?;
        let object = Self {
            elf,
            btf,
            ext,
            code,
            functions,
        };
        sound::check(&object)?;
        Ok(object)
    }

    /// The functions that the kernel may be asked to load.
    pub(crate) fn programs(&self) -> impl Iterator<Item = &Function> {
        self.functions.iter().filter(|function| function.is_program)
    }

    /// The name of a function's section.
    pub(crate) fn section_name(&self, index: usize) -> &str {
        self.elf
            .sections
            .get(index)
            .map_or("", |section| section.name.as_str())
    }

    /// The instructions of a section from `range`, with their slots.
    pub(crate) fn instructions(
        &self,
        section: usize,
        range: Range<usize>,
    ) -> impl Iterator<Item = (usize, Insn)> + '_ {
        let start = range.start;
        let slice = self
            .code
            .get(&section)
            .and_then(|code| code.get(range))
            .unwrap_or_default();
        slice
            .iter()
            .enumerate()
            .filter_map(move |(at, insn)| Some((start + at, (*insn)?)))
    }

    /// The position in `functions` of the function that begins at this slot.
    pub(crate) fn function_at(&self, section: usize, slot: usize) -> Option<usize> {
        self.functions
            .binary_search_by_key(&(section, slot), |function| {
                (function.section, function.range.start)
            })
            .ok()
    }

    /// What the instruction at `slot` refers to, if it is a call or a 64-bit load.
    pub(crate) fn reference(&self, section: usize, slot: usize, insn: Insn) -> Option<Reference> {
        let call = insn.code == insn::CALL;
        if !call && !insn.is_wide() {
            return None;
        }
        let relocation = self
            .elf
            .sections
            .get(section)?
            .relocation_at((slot * insn::BYTES) as u64);
        let Some(relocation) = relocation else {
            let slot = insn::target(slot, i64::from(insn.imm));
            return slot
                .filter(|_| insn.is_local_call())
                .map(|slot| Reference::Code { section, slot });
        };
        let symbol = self.elf.symbols.get(relocation.symbol)?;
        let SymbolSection::Index(target) = symbol.section else {
            return Some(Reference::External {
                symbol: relocation.symbol,
            });
        };
        let whole = symbol.kind == SymbolKind::Section;
        if !self.code.contains_key(&target) {
            let addend = if whole {
                u64::try_from(insn.imm).unwrap_or(0)
            } else {
                0
            };
            return Some(Reference::Data {
                section: target,
                offset: symbol.value + addend,
            });
        }
        // A section symbol's instruction carries the place: in slots for a call
        // (less one), in bytes for a load. A function's own symbol needs none.
        let addend = match (whole, call) {
            (false, _) => 0,
            (true, true) => i64::from(insn.imm) + 1,
            (true, false) => i64::from(insn.imm) / 8,
        };
        let start = i64::try_from(symbol.value / 8).ok()?;
        Some(Reference::Code {
            section: target,
            slot: usize::try_from(start + addend).ok()?,
        })
    }
}

/// Finds the functions of all code sections.
fn functions(
    elf: &Elf,
    code: &BTreeMap<usize, Vec<Option<Insn>>>,
) -> Result<Vec<Function>, ObjectError> {
    let mut found: BTreeMap<(usize, usize), (usize, u64)> = BTreeMap::new();
    for (index, symbol) in elf.symbols.iter().enumerate() {
        let SymbolSection::Index(section) = symbol.section else {
            continue;
        };
        // Compilers before clang 5 leave functions without a type; labels are local.
        let function = symbol.kind == SymbolKind::Function
            || (symbol.kind == SymbolKind::NoType && symbol.is_global());
        if !function || symbol.name.is_empty() || !code.contains_key(&section) {
            continue;
        }
        if !symbol.value.is_multiple_of(8) || !symbol.size.is_multiple_of(8) {
            let value = format!("bytes {}+{}", symbol.value, symbol.size);
            return Err(ObjectError::malformed(
                format!("the place of function `{}`", symbol.name),
                value,
                "instructions are 8 bytes each",
            ));
        }
        let start = usize::try_from(symbol.value / 8).unwrap_or(usize::MAX);
        let best = found
            .entry((section, start))
            .or_insert((index, symbol.size));
        let better = |candidate: usize| {
            elf.symbols
                .get(candidate)
                .is_some_and(|s| s.kind == SymbolKind::Function && s.is_global())
        };
        if better(index) && !better(best.0) {
            *best = (index, symbol.size);
        }
    }
    ObjectError::check_count("functions", found.len(), limits::FUNCTIONS)?;
    let mut out = Vec::with_capacity(found.len());
    let places: Vec<_> = found.into_iter().collect();
    for (position, &((section, start), (index, size))) in places.iter().enumerate() {
        let Some(symbol) = elf.symbols.get(index) else {
            continue;
        };
        let next = places
            .get(position + 1)
            .filter(|((other, _), _)| *other == section)
            .map(|((_, start), _)| *start);
        let limit = next
            .or_else(|| code.get(&section).map(Vec::len))
            .unwrap_or(start);
        let end = if size == 0 {
            limit
        } else {
            start.saturating_add(usize::try_from(size / 8).unwrap_or(usize::MAX))
        };
        if end > limit || start >= end {
            let value = format!("slots {start}..{end}");
            return Err(ObjectError::malformed(
                format!("the place of function `{}`", symbol.name),
                value,
                "functions hold at least one instruction and do not overlap",
            ));
        }
        let is_program = elf
            .sections
            .get(section)
            .is_some_and(|s| !s.name.starts_with(".text"));
        out.push(Function {
            name: symbol.name.clone(),
            symbol: index,
            section,
            range: start..end,
            is_program,
        });
    }
    Ok(out)
}
