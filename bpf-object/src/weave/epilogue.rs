// SPDX-License-Identifier: Apache-2.0
//! The instructions that the weave adds behind a program.

use super::{COUNTED_VERDICTS, Weave};
use crate::insn::{
    ADD32_IMM, ADD64_IMM, CALL, EXIT, Insn, JEQ32_IMM, JEQ64_IMM, JLE32_IMM, JNE32_IMM, LD_IMM64,
    LDX_DW, MOV32_IMM, MOV32_REG, MOV64_IMM, MOV64_REG, R10, STX_DW,
};

const MAP_LOOKUP: i32 = 1;
const TAIL_CALL: i32 = 12;
/// r6 to r9 are free at an exit: nothing reads them any more.
const VERDICT: u8 = 6;
const RESULT: u8 = 7;

/// Which map a 64-bit load of the epilogue needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MapUse {
    Next,
    Counter,
}

/// The epilogue and where it loads maps.
#[derive(Clone, Debug, Default)]
pub(super) struct Epilogue {
    /// `None` stands for the second half of an `ld_imm64`.
    pub(super) insns: Vec<Option<Insn>>,
    /// Positions in `insns` of the loads that need a relocation.
    pub(super) loads: Vec<(MapUse, usize)>,
}

impl Epilogue {
    /// Builds the epilogue; `slot` is where the prologue kept the context.
    pub(super) fn build(weave: &Weave, slot: i16, little_endian: bool) -> Self {
        let mut epilogue = Self::default();
        epilogue.push(MOV64_REG, VERDICT, 0, 0, 0);
        let result = if weave.fallthrough.is_some() {
            RESULT
        } else {
            VERDICT
        };
        if result == RESULT {
            epilogue.push(MOV64_REG, RESULT, 0, 0, 0);
        }
        if !weave.proceed_on.is_empty() {
            epilogue.proceed(weave, slot);
        }
        if let Some(counter) = &weave.counter {
            epilogue.count(counter.slot, slot, little_endian);
        }
        epilogue.push(MOV64_REG, 0, result, 0, 0);
        epilogue.push(EXIT, 0, 0, 0, 0);
        epilogue
    }

    /// Compares the verdict and tail-calls the next program. A verdict of −1 may
    /// come as 32 or as 64 bits, so the comparison looks at 32.
    fn proceed(&mut self, weave: &Weave, slot: i16) {
        let over_the_call = 5 + i16::from(weave.fallthrough.is_some());
        if let Some((last, others)) = weave.proceed_on.split_last() {
            // Each match jumps over what is left of the comparisons.
            for (position, verdict) in (0_i16..).zip(others) {
                let left = others
                    .len()
                    .saturating_sub(usize::from(position.unsigned_abs()));
                self.push(
                    JEQ32_IMM,
                    VERDICT,
                    0,
                    i16::try_from(left).unwrap_or(i16::MAX),
                    *verdict,
                );
            }
            self.push(JNE32_IMM, VERDICT, 0, over_the_call, *last);
        }
        self.push(LDX_DW, 1, R10, slot, 0);
        self.load_map(2, MapUse::Next);
        self.push(MOV64_IMM, 3, 0, 0, weave.next_index.cast_signed());
        self.push(CALL, 0, 0, 0, TAIL_CALL);
        // Only a chain without a next program arrives here.
        if let Some(verdict) = weave.fallthrough {
            self.push(MOV64_IMM, RESULT, 0, 0, verdict);
        }
    }

    /// Adds one to this slot's and verdict's entry. The context is no longer
    /// needed, so the key takes its place on the stack.
    fn count(&mut self, own_slot: u32, slot: i16, little_endian: bool) {
        let base = own_slot.saturating_mul(COUNTED_VERDICTS).cast_signed();
        let key_at = i32::from(slot) + if little_endian { 0 } else { 4 };
        self.push(MOV32_REG, 1, VERDICT, 0, 0);
        self.push(JLE32_IMM, 1, 0, 1, COUNTED_VERDICTS.cast_signed() - 1);
        self.push(MOV32_IMM, 1, 0, 0, COUNTED_VERDICTS.cast_signed() - 1);
        self.push(ADD32_IMM, 1, 0, 0, base);
        self.push(STX_DW, R10, 1, slot, 0);
        self.push(MOV64_REG, 2, R10, 0, 0);
        self.push(ADD64_IMM, 2, 0, 0, key_at);
        self.load_map(1, MapUse::Counter);
        self.push(CALL, 0, 0, 0, MAP_LOOKUP);
        self.push(JEQ64_IMM, 0, 0, 3, 0);
        self.push(LDX_DW, 1, 0, 0, 0);
        self.push(ADD64_IMM, 1, 0, 0, 1);
        self.push(STX_DW, 0, 1, 0, 0);
    }

    fn push(&mut self, code: u8, dst: u8, src: u8, off: i16, imm: i32) {
        self.insns.push(Some(Insn::new(code, dst, src, off, imm)));
    }

    fn load_map(&mut self, register: u8, map: MapUse) {
        self.loads.push((map, self.insns.len()));
        self.push(LD_IMM64, register, 0, 0, 0);
        self.insns.push(None);
    }
}
