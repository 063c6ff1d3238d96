// SPDX-License-Identifier: Apache-2.0
//! What a program reaches: the functions it calls, and what those use.

use std::collections::BTreeSet;

use crate::elf::SymbolSection;
use crate::error::ObjectError;
use crate::insn;
use crate::object::{Function, Object, Reference};

/// Most instructions looked at over all programs; subprograms count once per program.
const VISITED: usize = 1 << 24;
/// Numbers up to here are kept one by one; helpers are far fewer.
const HELPERS: u32 = 1 << 10;

/// What one function uses, without the functions it calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uses {
    /// Helpers by number.
    pub(crate) helpers: BTreeSet<u32>,
    /// Symbols that the kernel provides.
    pub(crate) externals: BTreeSet<usize>,
    /// Places in data and map sections.
    pub(crate) data: BTreeSet<(usize, u64)>,
    /// Positions of functions called, or passed to a helper as callback.
    pub(crate) calls: BTreeSet<usize>,
    /// Instructions of newer sets that it needs.
    pub(crate) features: BTreeSet<Feature>,
}

/// Something in the code that old kernels refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Feature {
    /// Calls between functions of the program.
    Subprograms,
    /// 32-bit jumps.
    Jump32,
    /// Atomic operations other than a plain add.
    Atomics,
    /// Sign-extending moves and loads, `gotol`, byte swaps without condition.
    Cpu4,
    /// A jump backwards.
    Loop,
    /// A function passed as a callback.
    Callback,
}

impl Object {
    /// What each function uses by itself, in the order of `functions`.
    pub(crate) fn uses(&self) -> Vec<Uses> {
        self.functions
            .iter()
            .map(|function| self.uses_of(function))
            .collect()
    }

    fn uses_of(&self, function: &Function) -> Uses {
        let mut uses = Uses::default();
        for (slot, insn) in self.instructions(function.section, function.range.clone()) {
            if let Some(number) = insn.helper().filter(|number| *number < HELPERS) {
                uses.helpers.insert(number);
            }
            if let Some(feature) = feature(insn) {
                uses.features.insert(feature);
            }
            match self.reference(function.section, slot, insn) {
                Some(Reference::External { symbol }) => {
                    // A call to a kernel function carries no helper number.
                    if insn.code == insn::CALL {
                        uses.helpers.remove(&insn.imm.cast_unsigned());
                    }
                    uses.externals.insert(symbol);
                }
                Some(Reference::Data { section, offset }) => {
                    uses.data.insert((section, offset));
                }
                Some(Reference::Code { section, slot }) => {
                    uses.features.insert(if insn.is_wide() {
                        Feature::Callback
                    } else {
                        Feature::Subprograms
                    });
                    uses.calls.extend(self.function_at(section, slot));
                }
                None => {}
            }
        }
        uses
    }

    /// Positions of the functions that run when `entry` runs, itself included.
    pub(crate) fn reachable(&self, entry: usize) -> BTreeSet<usize> {
        let mut seen = BTreeSet::from([entry]);
        let mut next = vec![entry];
        while let Some(position) = next.pop() {
            let Some(function) = self.functions.get(position) else {
                continue;
            };
            for (slot, insn) in self.instructions(function.section, function.range.clone()) {
                if let Some(Reference::Code { section, slot }) =
                    self.reference(function.section, slot, insn)
                    && let Some(callee) = self.function_at(section, slot)
                    && seen.insert(callee)
                {
                    next.push(callee);
                }
            }
        }
        seen
    }

    /// Name of a symbol that the kernel provides.
    pub(crate) fn external_name(&self, symbol: usize) -> Option<&str> {
        self.elf
            .symbols
            .get(symbol)
            .filter(|symbol| symbol.section == SymbolSection::Undefined)
            .map(|symbol| symbol.name.as_str())
    }
}

/// Joins what a program and all it calls use. `budget` is shared by all programs.
pub(crate) fn join(
    uses: &[Uses],
    functions: &[Function],
    entry: usize,
    budget: &mut usize,
) -> Result<(Uses, BTreeSet<usize>), ObjectError> {
    let mut seen = BTreeSet::from([entry]);
    let mut next = vec![entry];
    let mut all = Uses::default();
    while let Some(position) = next.pop() {
        let (Some(own), Some(function)) = (uses.get(position), functions.get(position)) else {
            continue;
        };
        *budget += function.range.len();
        ObjectError::check_count(
            "instructions over all programs and what they call",
            *budget,
            VISITED,
        )?;
        all.helpers.extend(&own.helpers);
        all.externals.extend(&own.externals);
        all.data.extend(&own.data);
        all.features.extend(&own.features);
        next.extend(own.calls.iter().filter(|callee| seen.insert(**callee)));
    }
    seen.remove(&entry);
    Ok((all, seen))
}

fn feature(insn: insn::Insn) -> Option<Feature> {
    let class = insn.code & 0x07;
    let atomic = matches!(insn.code, 0xc3 | 0xdb);
    match class {
        _ if atomic => (insn.imm != 0).then_some(Feature::Atomics),
        1 if insn.code & 0xe0 == 0x80 => Some(Feature::Cpu4),
        4 | 7 if insn.code & 0xf0 == 0xb0 && insn.off != 0 => Some(Feature::Cpu4),
        4 | 7 if matches!(insn.code & 0xf0, 0x30 | 0x90) && insn.off != 0 => Some(Feature::Cpu4),
        7 if insn.code & 0xf0 == 0xd0 => Some(Feature::Cpu4),
        6 if insn.is_long_jump() => Some(Feature::Cpu4),
        6 if insn.is_jump() => Some(Feature::Jump32),
        5 if insn.is_jump() && insn.off < 0 => Some(Feature::Loop),
        _ => None,
    }
}
