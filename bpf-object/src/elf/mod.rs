// SPDX-License-Identifier: Apache-2.0
//! An eBPF object's ELF container: sections, symbols, relocations.
//!
//! [`Elf::read`] checks everything once; what it returns can be indexed without
//! fear. [`Elf::write`] is its inverse and deterministic.

mod read;
mod write;

use object::Endianness;

/// `R_BPF_64_64`: the 64-bit immediate of an `ld_imm64`.
pub(crate) const R_BPF_64_64: u32 = 1;
/// `R_BPF_64_32`: the 32-bit immediate of a call.
pub(crate) const R_BPF_64_32: u32 = 10;

pub(crate) const SHT_NULL: u32 = 0;
pub(crate) const SHT_PROGBITS: u32 = 1;
pub(crate) const SHT_SYMTAB: u32 = 2;
pub(crate) const SHT_STRTAB: u32 = 3;
pub(crate) const SHT_NOBITS: u32 = 8;
pub(crate) const SHT_REL: u32 = 9;
pub(crate) const SHF_WRITE: u64 = 1;
pub(crate) const SHF_ALLOC: u64 = 2;
pub(crate) const SHF_EXECINSTR: u64 = 4;

/// A relocatable eBPF ELF file, read whole and checked.
#[derive(Clone, Debug)]
pub(crate) struct Elf {
    pub(crate) endian: Endianness,
    pub(crate) flags: u32,
    /// Section 0 is the null section, so positions are ELF's section indices.
    pub(crate) sections: Vec<Section>,
    /// Symbol 0 is the null symbol, so positions are ELF's symbol indices.
    pub(crate) symbols: Vec<Symbol>,
    /// Index of the symbol table's section.
    pub(crate) symbol_table: usize,
}

/// One section.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) kind: u32,
    pub(crate) flags: u64,
    pub(crate) link: u32,
    pub(crate) info: u32,
    pub(crate) align: u64,
    pub(crate) entry_size: u64,
    /// Size in memory; differs from `data.len()` only where the file has no bytes.
    pub(crate) size: u64,
    pub(crate) data: Vec<u8>,
    /// The relocations that apply to this section, by offset.
    pub(crate) relocations: Vec<Relocation>,
}

/// One symbol.
#[derive(Clone, Debug)]
pub(crate) struct Symbol {
    pub(crate) name: String,
    pub(crate) value: u64,
    pub(crate) size: u64,
    pub(crate) section: SymbolSection,
    pub(crate) kind: SymbolKind,
    pub(crate) binding: u8,
    pub(crate) other: u8,
}

/// Where a symbol is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SymbolSection {
    Undefined,
    Index(usize),
    /// Absolute, common and other reserved indices.
    Reserved(u16),
}

/// What a symbol stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SymbolKind {
    NoType,
    Object,
    Function,
    Section,
    Other(u8),
}

/// One relocation: "put the address of `symbol` at `offset`".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Relocation {
    pub(crate) offset: u64,
    pub(crate) symbol: usize,
    pub(crate) kind: u32,
}

impl Elf {
    /// Finds the first section of this name.
    pub(crate) fn section(&self, name: &str) -> Option<(usize, &Section)> {
        self.sections
            .iter()
            .enumerate()
            .find(|(_, section)| section.name == name)
    }

    /// Whether integers are stored with their least significant byte first.
    pub(crate) fn is_little_endian(&self) -> bool {
        self.endian == Endianness::Little
    }
}

impl Section {
    /// Whether the section holds instructions.
    pub(crate) fn is_code(&self) -> bool {
        self.kind == SHT_PROGBITS && self.flags & SHF_EXECINSTR != 0 && !self.data.is_empty()
    }

    /// The relocation at exactly `offset`.
    pub(crate) fn relocation_at(&self, offset: u64) -> Option<&Relocation> {
        let at = self
            .relocations
            .binary_search_by_key(&offset, |relocation| relocation.offset)
            .ok()?;
        self.relocations.get(at)
    }
}

impl Symbol {
    /// Whether the symbol is defined in section `index`.
    pub(crate) fn is_in(&self, index: usize) -> bool {
        self.section == SymbolSection::Index(index)
    }

    /// Whether other objects see the symbol (global or weak).
    pub(crate) fn is_global(&self) -> bool {
        self.binding != 0
    }
}
