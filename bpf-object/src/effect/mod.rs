// SPDX-License-Identifier: Apache-2.0
//! What a program may do without a helper: drop by its verdict, write to a packet.
//!
//! All paths are followed at once over sets of possibilities, through calls and
//! callbacks, until nothing new appears. What is not understood counts as
//! possible, so a class may be named that the program never uses, and none is
//! missed that it can use.

mod step;
mod value;

use std::collections::{BTreeMap, BTreeSet};

use registry_schema::hook::ProgramType;

use crate::insn::{self, Insn};
use crate::limits;
use crate::object::{Function, Object, Reference};
use step::{Memory, Registers};
use value::{Kind, Value};

/// Most instruction slots that are followed; beyond, everything is possible.
const SLOTS: usize = 1 << 16;

/// What may happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    pub(crate) may_drop: bool,
    pub(crate) may_write_packet: bool,
}

/// Finds what the program at `entry` may do.
///
/// `steps` counts what following the object's programs has taken so far.
pub(crate) fn of(
    object: &Object,
    entry: usize,
    kind: Option<ProgramType>,
    steps: &mut usize,
) -> Effects {
    use ProgramType::{CgroupSkb, CgroupSock, CgroupSockAddr, Lsm, Tc, Xdp};
    if !matches!(
        kind,
        None | Some(Xdp | Tc | CgroupSkb | CgroupSock | CgroupSockAddr | Lsm)
    ) {
        return Effects::default();
    }
    let packets = matches!(kind, None | Some(Xdp | Tc | CgroupSkb));
    match Flow::new(object, entry, kind, steps).and_then(Flow::settle) {
        Some((verdicts, memory)) => Effects {
            may_drop: drops(kind, &verdicts),
            may_write_packet: packets && memory.packet_written,
        },
        None => Effects {
            may_drop: true,
            may_write_packet: packets,
        },
    }
}

fn drops(kind: Option<ProgramType>, verdicts: &Value) -> bool {
    let Some(numbers) = verdicts.numbers() else {
        return true;
    };
    match kind {
        Some(ProgramType::Xdp) => numbers.iter().any(|verdict| !(2..=4).contains(verdict)),
        Some(ProgramType::Tc) => numbers
            .iter()
            .any(|verdict| ![-1, 0, 1, 3, 7].contains(verdict)),
        Some(ProgramType::Lsm) => numbers.iter().any(|verdict| *verdict != 0),
        Some(_) => numbers.contains(&0),
        None => true,
    }
}

/// The state of the search.
struct Flow<'a> {
    object: &'a Object,
    entry: usize,
    kind: Option<ProgramType>,
    /// What is known before each function's first instruction.
    starts: BTreeMap<usize, Registers>,
    returns: BTreeMap<usize, Value>,
    memory: Memory,
    steps: &'a mut usize,
}

impl<'a> Flow<'a> {
    fn new(
        object: &'a Object,
        entry: usize,
        kind: Option<ProgramType>,
        steps: &'a mut usize,
    ) -> Option<Self> {
        let slots: usize = object
            .reachable(entry)
            .iter()
            .filter_map(|at| object.functions.get(*at))
            .map(|f| f.range.len())
            .sum();
        (slots <= SLOTS).then(|| Self {
            object,
            entry,
            kind,
            starts: BTreeMap::from([(entry, Registers::start())]),
            returns: BTreeMap::new(),
            memory: Memory {
                stack: Value::none(),
                packet_written: false,
            },
            steps,
        })
    }

    /// Follows all functions until nothing changes. `None` if that takes too long.
    fn settle(mut self) -> Option<(Value, Memory)> {
        loop {
            let before = (
                self.starts.clone(),
                self.returns.clone(),
                self.memory.stack.clone(),
            );
            let known: Vec<usize> = self.starts.keys().copied().collect();
            for position in known {
                self.follow(position)?;
            }
            if before
                == (
                    self.starts.clone(),
                    self.returns.clone(),
                    self.memory.stack.clone(),
                )
            {
                let verdicts = self.returns.remove(&self.entry).unwrap_or_else(Value::none);
                return Some((verdicts, self.memory));
            }
        }
    }

    fn follow(&mut self, position: usize) -> Option<()> {
        let function = self.object.functions.get(position)?;
        let start = function.range.start;
        let mut states: BTreeMap<usize, Registers> =
            BTreeMap::from([(start, self.starts.get(&position)?.clone())]);
        let mut next = BTreeSet::from([start]);
        while let Some(slot) = next.pop_first() {
            *self.steps += 1;
            if *self.steps > limits::STEPS {
                return None;
            }
            let registers = states.get(&slot)?.clone();
            for (target, registers) in self.step(position, function, slot, registers) {
                if !function.range.contains(&target) {
                    continue; // the verifier refuses such jumps
                }
                if states
                    .entry(target)
                    .or_insert_with(Registers::none)
                    .join(&registers)
                {
                    next.insert(target);
                }
            }
        }
        Some(())
    }

    /// Where control goes from one instruction, and with what in the registers.
    fn step(
        &mut self,
        position: usize,
        function: &Function,
        slot: usize,
        mut registers: Registers,
    ) -> Vec<(usize, Registers)> {
        let code = self.object.code.get(&function.section);
        let Some(insn) = code.and_then(|code| *code.get(slot)?) else {
            return Vec::new();
        };
        let reference = self.object.reference(function.section, slot, insn);
        if insn.is_exit() {
            self.returns
                .entry(position)
                .or_insert_with(Value::none)
                .join(&registers.get(0));
            return Vec::new();
        }
        if let Some(distance) = insn.distance() {
            return branches(insn, slot, distance, &registers);
        }
        if insn.code == insn::CALL {
            self.call(insn, reference, &mut registers);
            return vec![(slot + 1, registers)];
        }
        if let Some(Reference::Code { section, slot }) = reference {
            let callback = self.object.function_at(section, slot);
            if let Some(callback) = callback {
                self.starts
                    .entry(callback)
                    .or_insert_with(Registers::none)
                    .join(&Registers::callback());
            }
        }
        step::apply(insn, reference, self.kind, &mut registers, &mut self.memory);
        vec![(slot + if insn.is_wide() { 2 } else { 1 }, registers)]
    }

    fn call(&mut self, insn: Insn, reference: Option<Reference>, registers: &mut Registers) {
        let result = match (reference, insn.helper()) {
            (Some(Reference::Code { section, slot }), _) => {
                match self.object.function_at(section, slot) {
                    Some(callee) => {
                        self.starts
                            .entry(callee)
                            .or_insert_with(Registers::none)
                            .join(&registers.arguments());
                        self.returns
                            .get(&callee)
                            .cloned()
                            .unwrap_or_else(Value::none)
                    }
                    None => Value::any(),
                }
            }
            (None, Some(helper)) => helper_result(helper, self.kind),
            _ => Value::any().combine(&Value::pointer(Kind::Memory)),
        };
        registers.called(result);
    }
}

fn helper_result(helper: u32, kind: Option<ProgramType>) -> Value {
    const REDIRECTS: [u32; 4] = [23, 51, 152, 155];
    match kind {
        // What they return is meant to be the verdict.
        Some(ProgramType::Xdp) if REDIRECTS.contains(&helper) => Value::number(4),
        Some(ProgramType::Tc) if REDIRECTS.contains(&helper) => Value::number(7),
        _ => Value::any().combine(&Value::pointer(Kind::Memory)),
    }
}

/// Both ways of a jump. On the way where a register equals a number, it is that number.
fn branches(
    insn: Insn,
    slot: usize,
    distance: i64,
    registers: &Registers,
) -> Vec<(usize, Registers)> {
    const ALWAYS: u8 = 0x00;
    const EQUAL: u8 = 0x10;
    const NOT_EQUAL: u8 = 0x50;
    let operation = insn.code & 0xf0;
    let equals = || {
        let mut known = registers.clone();
        known.set(insn.dst, Value::number(insn.imm));
        known
    };
    let immediate = insn.code & 0x08 == 0;
    let taken = if operation == EQUAL && immediate {
        equals()
    } else {
        registers.clone()
    };
    let passed = if operation == NOT_EQUAL && immediate {
        equals()
    } else {
        registers.clone()
    };
    let mut out: Vec<(usize, Registers)> = insn::target(slot, distance)
        .map(|target| (target, taken))
        .into_iter()
        .collect();
    if operation != ALWAYS {
        out.push((slot + 1, passed));
    }
    out
}
