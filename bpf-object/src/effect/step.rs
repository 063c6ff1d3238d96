// SPDX-License-Identifier: Apache-2.0
//! What one instruction does to the registers.

use registry_schema::hook::ProgramType;

use super::value::{Kind, Value};
use crate::insn::{CLASS, Insn, R10};
use crate::object::Reference;

/// r0 to r9; r10 always points at the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Registers(Vec<Value>);

impl Registers {
    /// Before any path arrives.
    pub(super) fn none() -> Self {
        Self(vec![Value::none(); 10])
    }

    /// At the start of a program.
    pub(super) fn start() -> Self {
        let mut registers = Self::none();
        registers.set(1, Value::pointer(Kind::Context));
        registers
    }

    /// At the start of a callback: what helpers pass to it.
    pub(super) fn callback() -> Self {
        let mut registers = Self::none();
        for register in 1..=5 {
            let mut value = Value::any();
            for kind in [Kind::Memory, Kind::Stack, Kind::Context] {
                value.join(&Value::pointer(kind));
            }
            registers.set(register, value);
        }
        registers
    }

    pub(super) fn get(&self, register: u8) -> Value {
        if register == R10 {
            return Value::pointer(Kind::Stack);
        }
        self.0
            .get(usize::from(register))
            .cloned()
            .unwrap_or_default()
    }

    pub(super) fn set(&mut self, register: u8, value: Value) {
        if let Some(slot) = self.0.get_mut(usize::from(register)) {
            *slot = value;
        }
    }

    /// Adds the other's possibilities; tells whether any are new.
    pub(super) fn join(&mut self, other: &Self) -> bool {
        self.0
            .iter_mut()
            .zip(&other.0)
            .fold(false, |new, (own, other)| own.join(other) | new)
    }

    /// The arguments, as the function that is called sees them.
    pub(super) fn arguments(&self) -> Self {
        let mut callee = Self::none();
        for register in 1..=5 {
            callee.set(register, self.get(register));
        }
        callee
    }

    /// After any call: r1 to r5 are gone.
    pub(super) fn called(&mut self, result: Value) {
        self.set(0, result);
        for register in 1..=5 {
            self.set(register, Value::any());
        }
    }
}

/// What the memory behind pointers may hold, and what was done to it.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    /// All stacks together, without regard to place and time.
    pub(super) stack: Value,
    pub(super) packet_written: bool,
}

/// Applies an instruction that neither calls nor jumps.
pub(super) fn apply(
    insn: Insn,
    reference: Option<Reference>,
    kind: Option<ProgramType>,
    registers: &mut Registers,
    memory: &mut Memory,
) {
    match insn.code & CLASS {
        0 if insn.is_wide() => {
            let data = matches!(
                reference,
                Some(Reference::Data { .. } | Reference::External { .. })
            );
            let value = match reference {
                _ if data => Value::pointer(Kind::Memory),
                // clang writes `return -1` so; a verdict is the lower half.
                None if insn.src == 0 => Value::number(insn.imm),
                _ => Value::any(),
            };
            registers.set(insn.dst, value);
        }
        0 => registers.called(Value::any()),
        1 => registers.set(insn.dst, load(insn, kind, registers, memory)),
        2 | 3 => store(insn, registers, memory),
        4 | 7 => {
            let value = arithmetic(insn, registers);
            registers.set(insn.dst, value);
        }
        _ => {}
    }
}

fn load(insn: Insn, kind: Option<ProgramType>, registers: &Registers, memory: &Memory) -> Value {
    let base = registers.get(insn.src);
    let mut value = Value::any();
    if base.may_be(Kind::Stack) {
        value.join(&memory.stack);
    }
    if base.may_be(Kind::Context) && is_packet_pointer(kind, insn.off) {
        value.join(&Value::pointer(Kind::Packet));
    }
    value
}

/// Where a context keeps pointers into the packet: `xdp_md` and `__sk_buff`.
fn is_packet_pointer(kind: Option<ProgramType>, offset: i16) -> bool {
    let xdp = matches!(offset, 0 | 4 | 8);
    let skb = matches!(offset, 76 | 80 | 140);
    match kind {
        Some(ProgramType::Xdp) => xdp,
        Some(ProgramType::Tc | ProgramType::CgroupSkb) => skb,
        None => xdp || skb,
        Some(_) => false,
    }
}

fn store(insn: Insn, registers: &mut Registers, memory: &mut Memory) {
    let base = registers.get(insn.dst);
    memory.packet_written |= base.may_be(Kind::Packet);
    let atomic = matches!(insn.code, 0xc3 | 0xdb);
    let stored = if insn.code & CLASS == 3 && !atomic {
        registers.get(insn.src)
    } else {
        Value::any()
    };
    if base.may_be(Kind::Stack) {
        memory.stack.join(&stored);
    }
    if atomic {
        const FETCH: i32 = 1;
        const COMPARE: i32 = 0xf1;
        if insn.imm == COMPARE {
            registers.set(0, Value::any());
        } else if insn.imm & FETCH != 0 {
            registers.set(insn.src, Value::any());
        }
    }
}

fn arithmetic(insn: Insn, registers: &Registers) -> Value {
    const REGISTER: u8 = 0x08;
    let wide = insn.code & CLASS == 7;
    let operation = insn.code & 0xf0;
    let own = registers.get(insn.dst);
    let result = match (operation, insn.code & REGISTER != 0) {
        (0xb0, true) => registers.get(insn.src),
        (0xb0, false) => Value::number(insn.imm),
        (0x80 | 0xd0, _) => Value::any(),
        (_, true) => own.combine(&registers.get(insn.src)),
        (_, false) => own.map(|number| fold(operation, number, insn.imm)),
    };
    // Half of a pointer is a number.
    if wide || result.is_number() {
        result
    } else {
        Value::any()
    }
}

/// Both widths agree on small numbers; others are given up.
fn fold(operation: u8, number: i32, imm: i32) -> Option<i32> {
    let small = (0..=0xffff).contains(&number) && (0..=0xffff).contains(&imm);
    match operation {
        _ if !small => None,
        0x00 => number.checked_add(imm),
        0x10 => number.checked_sub(imm).filter(|result| *result >= 0),
        0x20 => number.checked_mul(imm),
        0x40 => Some(number | imm),
        0x50 => Some(number & imm),
        0x60 if imm < 16 => Some(number << imm),
        0x70 | 0xc0 if imm < 32 => Some(number >> imm),
        0xa0 => Some(number ^ imm),
        _ => None,
    }
}
