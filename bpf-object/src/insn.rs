// SPDX-License-Identifier: Apache-2.0
//! eBPF instructions: decoding, encoding and the few questions asked of them.

use object::Endianness;

use crate::bytes::Order;

/// Bytes of one instruction slot.
pub(crate) const BYTES: usize = 8;

pub(crate) const LDX_DW: u8 = 0x79;
pub(crate) const STX_DW: u8 = 0x7b;
pub(crate) const LD_IMM64: u8 = 0x18;
pub(crate) const MOV64_IMM: u8 = 0xb7;
pub(crate) const MOV64_REG: u8 = 0xbf;
pub(crate) const MOV32_IMM: u8 = 0xb4;
pub(crate) const MOV32_REG: u8 = 0xbc;
pub(crate) const ADD64_IMM: u8 = 0x07;
pub(crate) const ADD32_IMM: u8 = 0x04;
pub(crate) const JA: u8 = 0x05;
pub(crate) const JEQ32_IMM: u8 = 0x16;
pub(crate) const JNE32_IMM: u8 = 0x56;
pub(crate) const JLE32_IMM: u8 = 0xb6;
pub(crate) const JEQ64_IMM: u8 = 0x15;
pub(crate) const CALL: u8 = 0x85;
pub(crate) const EXIT: u8 = 0x95;
/// The frame pointer.
pub(crate) const R10: u8 = 10;

/// Which bits of the code are the class.
pub(crate) const CLASS: u8 = 0x07;
const CLASS_LD: u8 = 0x00;
const CLASS_JMP: u8 = 0x05;
const CLASS_JMP32: u8 = 0x06;
const JA32: u8 = 0x06;

/// One instruction slot (an `ld_imm64` takes two).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Insn {
    pub(crate) code: u8,
    pub(crate) dst: u8,
    pub(crate) src: u8,
    pub(crate) off: i16,
    pub(crate) imm: i32,
}

impl Insn {
    pub(crate) const fn new(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Self {
        Self {
            code,
            dst,
            src,
            off,
            imm,
        }
    }

    fn decode(bytes: [u8; BYTES], endian: Endianness) -> Self {
        let [code, regs, o0, o1, i0, i1, i2, i3] = bytes;
        let (low, high) = (regs & 0xf, regs >> 4);
        match endian {
            Endianness::Little => Self::new(
                code,
                low,
                high,
                i16::from_le_bytes([o0, o1]),
                i32::from_le_bytes([i0, i1, i2, i3]),
            ),
            Endianness::Big => Self::new(
                code,
                high,
                low,
                i16::from_be_bytes([o0, o1]),
                i32::from_be_bytes([i0, i1, i2, i3]),
            ),
        }
    }

    /// The instruction's bytes.
    pub(crate) fn encode(self, order: Order) -> [u8; BYTES] {
        let regs = match order.0 {
            Endianness::Little => self.src << 4 | self.dst & 0xf,
            Endianness::Big => self.dst << 4 | self.src & 0xf,
        };
        let [o0, o1] = order.u16(self.off.cast_unsigned());
        let [i0, i1, i2, i3] = order.u32(self.imm.cast_unsigned());
        [self.code, regs, o0, o1, i0, i1, i2, i3]
    }

    /// Whether this is the first half of a 64-bit immediate load.
    pub(crate) fn is_wide(self) -> bool {
        self.code == LD_IMM64
    }

    /// Whether control leaves the function here.
    pub(crate) fn is_exit(self) -> bool {
        self.code == EXIT
    }

    /// The number of the helper that is called, if this calls a helper.
    pub(crate) fn helper(self) -> Option<u32> {
        (self.code == CALL && self.src == 0).then_some(self.imm.cast_unsigned())
    }

    /// Whether this calls a function relative to the program counter.
    pub(crate) fn is_local_call(self) -> bool {
        self.code == CALL && self.src == 1
    }

    /// Whether this is a packet load of classic BPF, which may end the program.
    pub(crate) fn is_packet_load(self) -> bool {
        self.code & CLASS == CLASS_LD && matches!(self.code & 0xe0, 0x20 | 0x40)
    }

    /// Whether a jump's distance lies in the 32-bit immediate (`gotol`).
    pub(crate) fn is_long_jump(self) -> bool {
        self.code == JA32
    }

    /// Whether this jumps, conditionally or not (calls and exits do not).
    pub(crate) fn is_jump(self) -> bool {
        matches!(self.code & 0x07, CLASS_JMP | CLASS_JMP32)
            && !matches!(self.code & 0xf0, 0x80 | 0x90)
    }

    /// How far this jumps, in slots after the next instruction.
    pub(crate) fn distance(self) -> Option<i64> {
        self.is_jump().then(|| {
            if self.is_long_jump() {
                i64::from(self.imm)
            } else {
                i64::from(self.off)
            }
        })
    }
}

/// The slot at which a jump of this distance arrives.
pub(crate) fn target(slot: usize, distance: i64) -> Option<usize> {
    let distance = isize::try_from(distance).ok()?;
    slot.checked_add(1)?.checked_add_signed(distance)
}

/// How far a jump at `slot` goes to arrive at `target`.
pub(crate) fn distance(slot: usize, target: usize) -> i64 {
    let signed = |slot: usize| i64::try_from(slot).unwrap_or(i64::MAX / 2);
    signed(target) - signed(slot) - 1
}

/// Decodes a code section. The second half of an `ld_imm64` is `None`.
pub(crate) fn decode(code: &[u8], endian: Endianness) -> Vec<Option<Insn>> {
    let mut out = Vec::with_capacity(code.len() / BYTES);
    let mut second_half = false;
    for bytes in code.as_chunks::<BYTES>().0 {
        if second_half {
            out.push(None);
            second_half = false;
        } else {
            let insn = Insn::decode(*bytes, endian);
            second_half = insn.is_wide();
            out.push(Some(insn));
        }
    }
    out
}
