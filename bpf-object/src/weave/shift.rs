// SPDX-License-Identifier: Apache-2.0
//! What moves when a function grows, and where to.
//!
//! Two questions have two answers. A *label* names a place in the code: the
//! entry's stays on the prologue, so that whoever starts the function runs it.
//! An *instruction* moves with the code: a loop back to the entry's first
//! instruction must not run the prologue again.

use crate::btf::ext::Part;
use crate::elf::{SymbolKind, SymbolSection};
use crate::insn::{self, Insn};
use crate::object::{Object, Reference};

/// The move of all code of one section.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shift {
    section: usize,
    start: usize,
    end: usize,
    grown: usize,
    symbol: usize,
}

impl Shift {
    /// Describes the entry's growth by a prologue of one and an epilogue of
    /// `epilogue` instruction slots.
    pub(super) fn new(object: &Object, position: usize, epilogue: usize) -> Self {
        let (section, range, symbol) = object
            .functions
            .get(position)
            .map_or((0, 0..0, 0), |function| {
                (function.section, function.range.clone(), function.symbol)
            });
        Self {
            section,
            start: range.start,
            end: range.end,
            grown: epilogue + 1,
            symbol,
        }
    }

    /// The epilogue's slot in the new code.
    pub(super) fn epilogue(&self) -> usize {
        self.end + 1
    }

    /// Where the label at `slot` lies in the new code.
    pub(super) fn label(&self, slot: usize) -> usize {
        if slot == self.start {
            slot
        } else {
            self.instruction(slot)
        }
    }

    /// Where the instruction at `slot` lies in the new code.
    pub(super) fn instruction(&self, slot: usize) -> usize {
        if slot < self.start {
            slot
        } else if slot < self.end {
            slot + 1
        } else {
            slot + self.grown
        }
    }

    fn label_bytes(&self, offset: u64) -> u64 {
        bytes(offset, |slot| self.label(slot))
    }

    fn instruction_bytes(&self, offset: u64) -> u64 {
        bytes(offset, |slot| self.instruction(slot))
    }

    /// Repairs a jump, call or load of the moved section.
    pub(super) fn repair_instruction(
        &self,
        object: &Object,
        section: usize,
        slot: usize,
        insn: Insn,
    ) -> Insn {
        let Some(distance) = insn.distance() else {
            return self.repair_reference(object, section, slot, insn);
        };
        let Some(target) = insn::target(slot, distance) else {
            return insn;
        };
        let distance = insn::distance(self.instruction(slot), self.instruction(target));
        if insn.is_long_jump() {
            Insn {
                imm: i32::try_from(distance).unwrap_or(insn.imm),
                ..insn
            }
        } else {
            Insn {
                off: i16::try_from(distance).unwrap_or(insn.off),
                ..insn
            }
        }
    }

    /// Repairs a call or load, in any section, that refers to moved code by distance.
    fn repair_reference(&self, object: &Object, section: usize, slot: usize, insn: Insn) -> Insn {
        let Some(Reference::Code {
            section: target,
            slot: place,
        }) = object.reference(section, slot, insn)
        else {
            return insn;
        };
        if target != self.section {
            return insn;
        }
        let relocation = object
            .elf
            .sections
            .get(section)
            .and_then(|s| s.relocation_at((slot * insn::BYTES) as u64));
        let moved = self.label(place);
        let symbol = relocation.and_then(|relocation| object.elf.symbols.get(relocation.symbol));
        let imm = match symbol {
            None => insn::distance(self.instruction(slot), moved),
            Some(symbol) if symbol.kind != SymbolKind::Section => return insn,
            Some(_) if insn.is_wide() => insn::distance(0, moved * insn::BYTES + 1),
            Some(_) => insn::distance(0, moved),
        };
        Insn {
            imm: i32::try_from(imm).unwrap_or(insn.imm),
            ..insn
        }
    }

    /// Repairs everything outside the section's own code: relocations, symbols,
    /// other sections' references to it, `.BTF.ext`.
    pub(super) fn repair(&self, object: &mut Object) {
        self.repair_other_sections(object);
        if let Some(section) = object.elf.sections.get_mut(self.section) {
            for relocation in &mut section.relocations {
                relocation.offset = self.instruction_bytes(relocation.offset);
            }
        }
        let (start, end) = (
            (self.start * insn::BYTES) as u64,
            (self.end * insn::BYTES) as u64,
        );
        for (index, symbol) in object.elf.symbols.iter_mut().enumerate() {
            if symbol.section != SymbolSection::Index(self.section) {
                continue;
            }
            let entry =
                symbol.value == start && (index == self.symbol || symbol.size == end - start);
            symbol.value = self.label_bytes(symbol.value);
            if entry {
                symbol.size = end - start + (self.grown * insn::BYTES) as u64;
            }
        }
        self.repair_records(object);
    }

    fn repair_other_sections(&self, object: &mut Object) {
        let mut repaired = Vec::new();
        for (&section, code) in object
            .code
            .iter()
            .filter(|(section, _)| **section != self.section)
        {
            for (slot, insn) in code
                .iter()
                .enumerate()
                .filter_map(|(slot, insn)| Some((slot, (*insn)?)))
            {
                let changed = self.repair_reference(object, section, slot, insn);
                if changed != insn {
                    repaired.push((section, slot, changed));
                }
            }
        }
        let order = crate::bytes::Order(object.elf.endian);
        for (section, slot, insn) in repaired {
            let at = slot * insn::BYTES;
            let data = object
                .elf
                .sections
                .get_mut(section)
                .and_then(|s| s.data.get_mut(at..at + insn::BYTES));
            if let Some(data) = data {
                data.copy_from_slice(&insn.encode(order));
            }
        }
    }

    fn repair_records(&self, object: &mut Object) {
        let name = object.section_name(self.section).to_owned();
        let (Some(btf), Some(ext)) = (&object.btf, &mut object.ext) else {
            return;
        };
        ext.move_offsets(
            |section| btf.string(section) == name,
            |part, offset| {
                let moved = match part {
                    Part::Functions | Part::Lines => self.label_bytes(u64::from(offset)),
                    Part::Core => self.instruction_bytes(u64::from(offset)),
                };
                u32::try_from(moved).unwrap_or(offset)
            },
        );
    }
}

/// Moves a byte offset by moving the instruction slot that it lies in.
fn bytes(offset: u64, moved: impl Fn(usize) -> usize) -> u64 {
    let slot = usize::try_from(offset / insn::BYTES as u64).unwrap_or(usize::MAX / 16);
    (moved(slot) * insn::BYTES) as u64 + offset % insn::BYTES as u64
}
