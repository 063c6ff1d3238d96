// SPDX-License-Identifier: Apache-2.0
//! The weaver: makes a program that knows nothing of chains continue one.
//!
//! Before a program is loaded its entry function is rewritten on the object's
//! bytes: the context is kept on the stack, and every exit leads to an epilogue
//! that tail-calls the next program of the chain unless the verdict ends it.
//! The kernel verifies the result like any program, so a wrong weave is
//! refused, never run. The same input always gives the same bytes.

mod chain;
mod epilogue;
mod place;
mod refuse;
mod shift;

use registry_schema::digest::Digest;
use thiserror::Error;

use crate::bytes::Order;
use crate::elf::{
    R_BPF_64_64, Relocation, SHF_ALLOC, SHF_WRITE, SHT_PROGBITS, Section, Symbol, SymbolKind,
    SymbolSection,
};
use crate::error::ObjectError;
use crate::object::Object;
use epilogue::{Epilogue, MapUse};
use shift::Shift;

pub use chain::{CHAIN_ARRAY, CHAIN_ENDS};

/// Changes whenever the same input would give other bytes.
pub const WEAVER_VERSION: u32 = 1;

/// Name of the section that holds the maps of a chain. aya takes any section
/// whose name begins with `maps`, also beside `.maps`.
const SECTION: &str = "maps.weave";
/// Most programs of one chain: the first is attached, 33 are tail-called.
pub const CHAIN_LIMIT: u32 = 34;
/// Verdicts that a chain's counters tell apart; higher ones count as the last.
pub const COUNTED_VERDICTS: u32 = 16;

/// How one program takes its place in a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weave {
    /// The program's function.
    pub function: String,
    /// Slot of the program array that holds the next program.
    pub next_index: u32,
    /// Verdicts after which the chain goes on. Empty: it always ends here.
    pub proceed_on: Vec<i32>,
    /// Verdict to return when the chain should go on but no program follows.
    /// `None` returns the program's own.
    pub fallthrough: Option<i32>,
    /// Name of the chain's program array, 1 to 15 characters.
    pub array_name: String,
    /// Slots of the program array, 1 to [`CHAIN_LIMIT`].
    pub array_entries: u32,
    /// Counts where chains end, if wanted.
    pub counter: Option<Counter>,
}

/// Counts chain ends per slot and verdict in a per-CPU array of 64-bit values.
///
/// The key is `slot * COUNTED_VERDICTS + min(verdict, COUNTED_VERDICTS - 1)`,
/// the array has `array_entries * COUNTED_VERDICTS` entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Name of the array, 1 to 15 characters.
    pub name: String,
    /// Slot of the program that is woven.
    pub slot: u32,
}

/// A woven object and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Woven {
    /// The object to load.
    pub bytes: Vec<u8>,
    /// Digest of the object that went in.
    pub original: Digest,
    /// Digest of `bytes`.
    pub digest: Digest,
    /// [`WEAVER_VERSION`].
    pub weaver: u32,
    /// What an operator may want to know, as sentences.
    pub notes: Vec<String>,
}

/// Why a program cannot be woven.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeaveError {
    /// The object cannot be read.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The function does not exist.
    #[error("the object has no program `{function}`; it has {programs}")]
    NoSuchProgram {
        /// The function that was asked for.
        function: String,
        /// The programs that exist, as a list.
        programs: String,
    },
    /// A parameter of the weave is out of range.
    #[error("{what} is {value}: it must be {expected}")]
    Parameter {
        /// Which parameter.
        what: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// The object already uses a name that the weave adds.
    #[error("the object defines `{name}`, which the chain adds itself; rename it in the program")]
    NameTaken {
        /// The symbol's name.
        name: String,
    },
    /// The function leaves in a way that cannot be redirected.
    #[error(
        "`{function}` reads packets with LD_ABS or LD_IND at instruction {at}, which may end the program unseen; use direct packet access or bpf_skb_load_bytes, or run it alone on its hook"
    )]
    PacketLoad {
        /// The function.
        function: String,
        /// Instruction slot within the function.
        at: usize,
    },
    /// The function never returns.
    #[error(
        "`{function}` has no exit instruction, so nothing can follow it; run it alone on its hook"
    )]
    NoExit {
        /// The function.
        function: String,
    },
    /// Another function calls the entry.
    #[error(
        "`{function}` is also called by `{caller}`: its exits return to the caller; give the program an entry function of its own"
    )]
    CalledAsSubprogram {
        /// The function.
        function: String,
        /// Who calls it.
        caller: String,
    },
    /// No stack is left.
    #[error(
        "`{function}` uses {used} bytes of stack of 512 and the chain needs 8 more; use less stack, or run it alone on its hook"
    )]
    StackFull {
        /// The function.
        function: String,
        /// Bytes used.
        used: i64,
    },
    /// A jump to the epilogue would be too far.
    #[error(
        "`{function}` has {count} instructions, and jumps reach {limit}; split it, or run it alone on its hook"
    )]
    TooLong {
        /// The function.
        function: String,
        /// Its instruction slots.
        count: usize,
        /// Largest size that is woven.
        limit: usize,
    },
    /// A tail call of its own may succeed.
    #[error(
        "`{function}` tail-calls through `{map}`, {reason}: the program it reaches would not continue the chain; run it alone on its hook"
    )]
    OwnTailCall {
        /// The function.
        function: String,
        /// The program array.
        map: String,
        /// Why the call may succeed.
        reason: &'static str,
    },
}

/// Rewrites one program of an object so that it continues a chain.
///
/// `bytes` is an object whose section names the loader accepts (see
/// [`normalise`](crate::normalise::normalise)). Other programs of the object are left as they are.
///
/// # Errors
/// [`WeaveError`] says why the program must run alone instead. Whatever a
/// weave cannot see is left to the kernel's verifier.
pub fn weave(bytes: &[u8], weave: &Weave) -> Result<Woven, WeaveError> {
    refuse::check_parameters(weave)?;
    let mut object = Object::read(bytes)?;
    let position = refuse::find_program(&object, &weave.function)?;
    let notes = refuse::check_program(&object, position, weave)?;
    let place = place::find(&object, position)?;
    let epilogue = Epilogue::build(weave, place.slot, object.elf.is_little_endian());
    let shift = Shift::new(&object, position, epilogue.insns.len());

    let code = place::rewrite(&object, position, place, &epilogue, &shift);
    shift.repair(&mut object);
    let section = object
        .functions
        .get(position)
        .map(|function| (function.section, function.symbol));
    if let Some((section, symbol)) = section {
        if let Some(symbol) = object.elf.symbols.get_mut(symbol) {
            symbol.kind = SymbolKind::Function;
        }
        if let Some(section) = object.elf.sections.get_mut(section) {
            section.size = code.len() as u64;
            section.data = code;
        }
        add_maps(&mut object, weave, section, shift.epilogue(), &epilogue);
    }
    drop_debug(&mut object);
    let woven = object.into_bytes();
    Ok(Woven {
        original: Digest::sha256(bytes),
        digest: Digest::sha256(&woven),
        bytes: woven,
        weaver: WEAVER_VERSION,
        notes,
    })
}

/// Adds the program array and the counters, and points the epilogue at them.
fn add_maps(
    object: &mut Object,
    weave: &Weave,
    code: usize,
    epilogue_at: usize,
    epilogue: &Epilogue,
) {
    const PROG_ARRAY: u32 = 3;
    const PERCPU_ARRAY: u32 = 6;
    let order = Order(object.elf.endian);
    let mut maps = vec![(
        MapUse::Next,
        weave.array_name.as_str(),
        [PROG_ARRAY, 4, 4, weave.array_entries, 0],
    )];
    if let Some(counter) = &weave.counter {
        let entries = weave.array_entries * COUNTED_VERDICTS;
        maps.push((
            MapUse::Counter,
            counter.name.as_str(),
            [PERCPU_ARRAY, 4, 8, entries, 0],
        ));
    }
    let data: Vec<u8> = maps
        .iter()
        .flat_map(|(_, _, words)| words.iter().flat_map(|word| order.u32(*word)))
        .collect();
    let section = object.elf.add_section(Section {
        name: SECTION.to_owned(),
        kind: SHT_PROGBITS,
        flags: SHF_ALLOC | SHF_WRITE,
        align: 4,
        size: data.len() as u64,
        data,
        ..Section::null()
    });
    for (index, (wanted, name, _)) in maps.into_iter().enumerate() {
        // No section symbol: aya takes every symbol of such a section for a map.
        let symbol = object.elf.add_symbol(Symbol {
            name: name.to_owned(),
            value: index as u64 * 20,
            size: 20,
            section: SymbolSection::Index(section),
            kind: SymbolKind::Object,
            binding: 1,
            other: 0,
        });
        for at in epilogue
            .loads
            .iter()
            .filter(|(used, _)| *used == wanted)
            .map(|(_, at)| epilogue_at + at)
        {
            if let Some(section) = object.elf.sections.get_mut(code) {
                section.relocations.push(Relocation {
                    offset: at as u64 * 8,
                    symbol,
                    kind: R_BPF_64_64,
                });
                section
                    .relocations
                    .sort_by_key(|relocation| relocation.offset);
            }
        }
    }
}

/// Debug information speaks of the code as it was; the kernel never reads it.
fn drop_debug(object: &mut Object) {
    const LLVM_ADDRSIG: u32 = 0x6fff_4c03;
    for index in 1..object.elf.sections.len() {
        let Some(section) = object.elf.sections.get(index) else {
            continue;
        };
        let name = section.name.strip_prefix(".rel").unwrap_or(&section.name);
        if name.starts_with(".debug") || section.kind == LLVM_ADDRSIG {
            object.elf.drop_section(index);
        }
    }
}
