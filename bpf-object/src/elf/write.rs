// SPDX-License-Identifier: Apache-2.0
//! Writes an ELF file: header, sections in order, section header table.

use std::collections::BTreeMap;

use super::{
    Elf, Relocation, SHT_NOBITS, SHT_NULL, SHT_REL, SHT_STRTAB, Section, Symbol, SymbolKind,
    SymbolSection,
};
use crate::bytes::Order;

const HEADER_BYTES: usize = 64;

impl Elf {
    /// Appends a section and returns its index.
    pub(crate) fn add_section(&mut self, section: Section) -> usize {
        self.sections.push(section);
        self.sections.len() - 1
    }

    /// Appends a global symbol and returns its index.
    pub(crate) fn add_symbol(&mut self, symbol: Symbol) -> usize {
        self.symbols.push(symbol);
        self.symbols.len() - 1
    }

    /// Empties a section without moving the others. Its relocations and the
    /// names of what lay in it go with it.
    pub(crate) fn drop_section(&mut self, index: usize) {
        for symbol in self.symbols.iter_mut().filter(|symbol| symbol.is_in(index)) {
            *symbol = Symbol {
                binding: symbol.binding,
                ..Symbol::null()
            };
        }
        if let Some(section) = self.sections.get_mut(index) {
            *section = Section::null();
        }
    }

    /// Writes the object. The same value always gives the same bytes.
    pub(crate) fn write(mut self) -> Vec<u8> {
        let order = Order(self.endian);
        self.write_relocations(order);
        let names = self.write_symbols(order);
        let mut out = vec![0; HEADER_BYTES];
        let mut headers = Vec::with_capacity(self.sections.len() * 64);
        for section in &self.sections {
            let align = usize::try_from(section.align.max(1)).unwrap_or(1);
            if section.kind != SHT_NULL {
                out.resize(out.len().next_multiple_of(align), 0);
            }
            let offset = if section.kind == SHT_NULL {
                0
            } else {
                out.len() as u64
            };
            out.extend_from_slice(&section.data);
            let size = if section.kind == SHT_NOBITS {
                section.size
            } else {
                section.data.len() as u64
            };
            headers.extend(order.u32(names.section(&section.name)));
            headers.extend(order.u32(section.kind));
            for value in [section.flags, 0, offset, size] {
                headers.extend(order.u64(value));
            }
            headers.extend(order.u32(section.link));
            headers.extend(order.u32(section.info));
            headers.extend(order.u64(section.align));
            headers.extend(order.u64(section.entry_size));
        }
        out.resize(out.len().next_multiple_of(8), 0);
        let header = self.header(order, out.len() as u64, names.index);
        out[..HEADER_BYTES].copy_from_slice(&header);
        out.extend(headers);
        out
    }

    fn header(&self, order: Order, sections_at: u64, names: usize) -> [u8; HEADER_BYTES] {
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(b"\x7fELF");
        header.extend_from_slice(&[2, if self.is_little_endian() { 1 } else { 2 }, 1, 0]);
        header.extend_from_slice(&[0; 8]);
        header.extend(order.u16(1)); // relocatable
        header.extend(order.u16(247)); // eBPF
        header.extend(order.u32(1));
        header.extend(order.u64(0));
        header.extend(order.u64(0));
        header.extend(order.u64(sections_at));
        header.extend(order.u32(self.flags));
        for value in [64, 0, 0, 64, index16(self.sections.len()), index16(names)] {
            header.extend(order.u16(value));
        }
        let mut out = [0; HEADER_BYTES];
        out.copy_from_slice(&header);
        out
    }

    /// Puts each section's relocations back into its `.rel` section, made if absent.
    fn write_relocations(&mut self, order: Order) {
        let table = self.symbol_table;
        for index in 1..self.sections.len() {
            let list = std::mem::take(&mut self.sections[index].relocations);
            let existing: Vec<usize> = self
                .sections
                .iter()
                .enumerate()
                .filter(|(_, s)| {
                    s.kind == SHT_REL && s.info as usize == index && s.link as usize == table
                })
                .map(|(at, _)| at)
                .collect();
            for extra in existing.iter().skip(1) {
                self.drop_section(*extra);
            }
            if list.is_empty() {
                if let Some(&only) = existing.first() {
                    self.sections[only].data.clear();
                }
                continue;
            }
            let data: Vec<u8> = list
                .iter()
                .flat_map(|relocation| encode(*relocation, order))
                .collect();
            let name = format!(".rel{}", self.sections[index].name);
            let at = existing
                .first()
                .copied()
                .unwrap_or_else(|| self.add_section(Section::null()));
            let section = &mut self.sections[at];
            *section = Section {
                name,
                kind: SHT_REL,
                link: u32::from(index16(table)),
                info: u32::from(index16(index)),
                align: 8,
                entry_size: 16,
                size: data.len() as u64,
                data,
                ..Section::null()
            };
        }
    }

    /// Writes the symbol table and both string tables; returns where section names are.
    fn write_symbols(&mut self, order: Order) -> SectionNames {
        let strings_index = self.sections[self.symbol_table].link as usize;
        // One string section for symbols and sections alike, as clang writes it.
        let mut strings = Strings::default();
        let mut table = Vec::with_capacity(self.symbols.len() * 24);
        for symbol in &self.symbols {
            table.extend(order.u32(strings.add(&symbol.name)));
            table.extend([symbol.binding << 4 | symbol.kind.code(), symbol.other]);
            table.extend(order.u16(symbol.section.code()));
            table.extend(order.u64(symbol.value));
            table.extend(order.u64(symbol.size));
        }
        for section in &self.sections {
            strings.add(&section.name);
        }
        let first_global = self
            .symbols
            .iter()
            .position(Symbol::is_global)
            .unwrap_or(self.symbols.len());
        let symbols = &mut self.sections[self.symbol_table];
        symbols.info = u32::try_from(first_global).unwrap_or(u32::MAX);
        symbols.size = table.len() as u64;
        symbols.data = table;
        let section = &mut self.sections[strings_index];
        section.kind = SHT_STRTAB;
        section.size = strings.bytes.len() as u64;
        section.data.clone_from(&strings.bytes);
        SectionNames {
            strings,
            index: strings_index,
        }
    }
}

impl Section {
    /// The section that stands for "none".
    pub(crate) fn null() -> Self {
        Self {
            name: String::new(),
            kind: SHT_NULL,
            flags: 0,
            link: 0,
            info: 0,
            align: 0,
            entry_size: 0,
            size: 0,
            data: Vec::new(),
            relocations: Vec::new(),
        }
    }
}

impl Symbol {
    /// The symbol that stands for "none".
    fn null() -> Self {
        Self {
            name: String::new(),
            value: 0,
            size: 0,
            section: SymbolSection::Undefined,
            kind: SymbolKind::NoType,
            binding: 0,
            other: 0,
        }
    }
}

struct SectionNames {
    strings: Strings,
    index: usize,
}

impl SectionNames {
    fn section(&self, name: &str) -> u32 {
        self.strings.offsets.get(name).copied().unwrap_or(0)
    }
}

/// A string table under construction; equal strings are stored once.
#[derive(Default)]
struct Strings {
    bytes: Vec<u8>,
    offsets: BTreeMap<String, u32>,
}

impl Strings {
    fn add(&mut self, text: &str) -> u32 {
        if self.bytes.is_empty() {
            self.bytes.push(0);
        }
        if text.is_empty() {
            return 0;
        }
        if let Some(&offset) = self.offsets.get(text) {
            return offset;
        }
        let offset = u32::try_from(self.bytes.len()).unwrap_or(0);
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
        self.offsets.insert(text.to_owned(), offset);
        offset
    }
}

fn encode(relocation: Relocation, order: Order) -> Vec<u8> {
    let info = (relocation.symbol as u64) << 32 | u64::from(relocation.kind);
    [order.u64(relocation.offset), order.u64(info)].concat()
}

/// Section counts are bounded by [`crate::limits::SECTIONS`], so they fit.
fn index16(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}

impl SymbolKind {
    fn code(self) -> u8 {
        match self {
            Self::NoType => 0,
            Self::Object => 1,
            Self::Function => 2,
            Self::Section => 3,
            Self::Other(code) => code,
        }
    }
}

impl SymbolSection {
    fn code(self) -> u16 {
        match self {
            Self::Undefined => 0,
            Self::Index(index) => index16(index),
            Self::Reserved(code) => code,
        }
    }
}
