// SPDX-License-Identifier: Apache-2.0
//! Where the context is kept, and the code with prologue and epilogue in place.

use super::WeaveError;
use super::epilogue::Epilogue;
use super::shift::Shift;
use crate::bytes::Order;
use crate::insn::{self, ADD64_IMM, Insn, JA, MOV64_REG, R10, STX_DW};
use crate::object::{Function, Object};

/// Stack of one function, in bytes.
const STACK: i64 = 512;
/// Longest function that is woven: its jumps must reach the epilogue.
const SLOTS: usize = 32_000;

/// What was found out about the entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Distance of the kept context from the frame pointer, in bytes.
    pub(super) slot: i16,
}

/// Finds room for the context below everything the entry keeps on its stack.
pub(super) fn find(object: &Object, position: usize) -> Result<Place, WeaveError> {
    let Some(function) = object.functions.get(position) else {
        return Err(WeaveError::NoExit {
            function: String::new(),
        });
    };
    let name = || function.name.clone();
    if function.range.len() > SLOTS {
        return Err(WeaveError::TooLong {
            function: name(),
            count: function.range.len(),
            limit: SLOTS,
        });
    }
    let lowest = lowest_use(object, function);
    let slot = lowest.div_euclid(8) * 8 - 8;
    match i16::try_from(slot) {
        Ok(slot) if i64::from(slot) >= -STACK => Ok(Place { slot }),
        _ => Err(WeaveError::StackFull {
            function: name(),
            used: -lowest,
        }),
    }
}

/// The lowest byte that the function addresses relative to its frame pointer.
///
/// One pass in the order of the code is only a hint. If it misses a use that
/// overwrites the context, the verifier refuses the tail call: it demands a
/// context there and would find something else.
fn lowest_use(object: &Object, function: &Function) -> i64 {
    let mut distance: [Option<i64>; 11] = [None; 11];
    distance[usize::from(R10)] = Some(0);
    let mut lowest = 0;
    for (_, insn) in object.instructions(function.section, function.range.clone()) {
        let of = |register: u8| distance.get(usize::from(register)).copied().flatten();
        let touched = match insn.code & 0x07 {
            1 => of(insn.src).map(|base| base + i64::from(insn.off)),
            2 | 3 => of(insn.dst).map(|base| base + i64::from(insn.off)),
            _ => None,
        };
        let moved = match insn.code {
            MOV64_REG => of(insn.src),
            ADD64_IMM => of(insn.dst).map(|base| base + i64::from(insn.imm)),
            _ => None,
        };
        lowest = [touched, moved]
            .into_iter()
            .flatten()
            .filter(|at| *at < 0)
            .fold(lowest, i64::min);
        let writes = matches!(insn.code & 0x07, 0 | 1 | 4 | 7) && insn.dst != R10;
        if let Some(register) = distance.get_mut(usize::from(insn.dst)).filter(|_| writes) {
            *register = moved;
        }
    }
    lowest
}

/// The code of the entry's section, with the prologue and the epilogue in it.
pub(super) fn rewrite(
    object: &Object,
    position: usize,
    place: Place,
    epilogue: &Epilogue,
    shift: &Shift,
) -> Vec<u8> {
    let order = Order(object.elf.endian);
    let Some(function) = object.functions.get(position) else {
        return Vec::new();
    };
    let Some(section) = object.elf.sections.get(function.section) else {
        return Vec::new();
    };
    let mut out = Vec::with_capacity(section.data.len() + (epilogue.insns.len() + 1) * insn::BYTES);
    let decoded = object
        .code
        .get(&function.section)
        .map(Vec::as_slice)
        .unwrap_or_default();
    for (slot, (raw, insn)) in section
        .data
        .as_chunks::<{ insn::BYTES }>()
        .0
        .iter()
        .zip(decoded)
        .enumerate()
    {
        if slot == function.range.start {
            out.extend(Insn::new(STX_DW, R10, 1, place.slot, 0).encode(order));
        }
        if slot == function.range.end {
            put_epilogue(&mut out, epilogue, order);
        }
        let inside = function.range.contains(&slot);
        match insn {
            Some(insn) if insn.is_exit() && inside => {
                let distance = insn::distance(shift.instruction(slot), shift.epilogue());
                let distance = i16::try_from(distance).unwrap_or(i16::MAX);
                out.extend(Insn::new(JA, 0, 0, distance, 0).encode(order));
            }
            Some(insn) if insn.is_jump() || insn.is_local_call() || insn.is_wide() => {
                out.extend(
                    shift
                        .repair_instruction(object, function.section, slot, *insn)
                        .encode(order),
                );
            }
            _ => out.extend(raw),
        }
    }
    if function.range.end >= decoded.len() {
        put_epilogue(&mut out, epilogue, order);
    }
    out
}

fn put_epilogue(out: &mut Vec<u8>, epilogue: &Epilogue, order: Order) {
    for insn in &epilogue.insns {
        out.extend(insn.map_or([0; insn::BYTES], |insn| insn.encode(order)));
    }
}
