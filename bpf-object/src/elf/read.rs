// SPDX-License-Identifier: Apache-2.0
//! Reads and checks an ELF file.

use object::Endianness;
use object::elf::{EM_BPF, ET_REL, FileHeader64, Rel64, SectionHeader64, Sym64};
use object::pod::slice_from_all_bytes;
use object::read::elf::{FileHeader as _, Rel as _, SectionHeader as _, Sym as _};
use object::read::{ReadRef as _, StringTable};

use super::{
    Elf, Relocation, SHT_NOBITS, SHT_NULL, SHT_REL, SHT_STRTAB, SHT_SYMTAB, Section, Symbol,
    SymbolKind, SymbolSection,
};
use crate::error::ObjectError;
use crate::limits;

type Header = FileHeader64<Endianness>;
type SectionHeader = SectionHeader64<Endianness>;

const SHN_LORESERVE: u16 = 0xff00;
/// Names of the machines that people most often compile for by mistake.
const MACHINES: [(u16, &str); 8] = [
    (3, "x86"),
    (8, "MIPS"),
    (20, "PowerPC"),
    (21, "PowerPC 64"),
    (40, "ARM"),
    (62, "x86-64"),
    (183, "AArch64"),
    (243, "RISC-V"),
];

impl Elf {
    /// Reads a whole object and checks every index, offset and count in it.
    ///
    /// # Errors
    /// [`ObjectError`] names the first value that is wrong.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, ObjectError> {
        let header = read_header(bytes)?;
        let endian = if bytes.get(5) == Some(&1) {
            Endianness::Little
        } else {
            Endianness::Big
        };
        let headers = read_section_headers(bytes, header, endian)?;
        let sections = read_sections(bytes, header, headers, endian)?;
        let mut elf = Self {
            endian,
            flags: header.e_flags(endian).0,
            sections,
            symbols: Vec::new(),
            symbol_table: 0,
        };
        elf.read_symbols()?;
        elf.read_relocations()?;
        Ok(elf)
    }

    fn read_symbols(&mut self) -> Result<(), ObjectError> {
        let mut tables = self
            .sections
            .iter()
            .enumerate()
            .filter(|(_, s)| s.kind == SHT_SYMTAB);
        let Some((index, table)) = tables.next() else {
            return Err(ObjectError::malformed(
                "the number of symbol tables",
                0,
                "there must be one; do not strip the object with `-s`",
            ));
        };
        if tables.next().is_some() {
            return Err(ObjectError::malformed(
                "the number of symbol tables",
                "more than one",
                "there must be one",
            ));
        }
        let strings = self
            .sections
            .get(table.link as usize)
            .filter(|s| s.kind == SHT_STRTAB)
            .ok_or_else(|| {
                ObjectError::malformed(
                    "the symbol table's string section",
                    table.link,
                    "it must be a string table",
                )
            })?;
        let entries = slice_from_all_bytes::<Sym64<Endianness>>(&table.data).map_err(|()| {
            ObjectError::malformed(
                "the size of the symbol table",
                table.data.len(),
                "it must be a multiple of 24",
            )
        })?;
        ObjectError::check_count("symbols", entries.len(), limits::SYMBOLS)?;
        let mut names = Names::new(&strings.data, "symbol");
        let symbols = entries
            .iter()
            .map(|entry| read_symbol(entry, self.endian, &self.sections, &mut names))
            .collect::<Result<_, _>>()?;
        self.symbols = symbols;
        self.symbol_table = index;
        Ok(())
    }

    fn read_relocations(&mut self) -> Result<(), ObjectError> {
        let mut found: Vec<(usize, Vec<Relocation>)> = Vec::new();
        for section in self
            .sections
            .iter()
            .filter(|s| s.kind == SHT_REL && s.link as usize == self.symbol_table)
        {
            let entries =
                slice_from_all_bytes::<Rel64<Endianness>>(&section.data).map_err(|()| {
                    ObjectError::malformed(
                        format!("the size of section `{}`", section.name),
                        section.data.len(),
                        "it must be a multiple of 16",
                    )
                })?;
            let target = section.info as usize;
            let Some(patched) = self.sections.get(target).filter(|_| target != 0) else {
                return Err(ObjectError::malformed(
                    format!("the target of section `{}`", section.name),
                    target,
                    "there is no such section",
                ));
            };
            let mut list = Vec::with_capacity(entries.len());
            for entry in entries {
                let relocation = Relocation {
                    offset: entry.r_offset(self.endian),
                    symbol: entry.r_sym(self.endian) as usize,
                    kind: entry.r_type(self.endian).0,
                };
                if relocation.offset >= patched.size || relocation.symbol >= self.symbols.len() {
                    return Err(ObjectError::malformed(
                        format!("a relocation in `{}`", section.name),
                        format!("offset {}, symbol {}", relocation.offset, relocation.symbol),
                        "it must point into its section and at a symbol",
                    ));
                }
                list.push(relocation);
            }
            found.push((target, list));
        }
        for (target, list) in found {
            if let Some(section) = self.sections.get_mut(target) {
                section.relocations.extend(list);
                section
                    .relocations
                    .sort_by_key(|relocation| relocation.offset);
            }
        }
        Ok(())
    }
}

fn read_header(bytes: &[u8]) -> Result<&Header, ObjectError> {
    if bytes.len() > limits::OBJECT_BYTES {
        return Err(ObjectError::TooLarge {
            size: bytes.len() as u64,
            limit: limits::OBJECT_BYTES as u64,
        });
    }
    if !bytes.starts_with(b"\x7fELF") {
        let found: Vec<String> = bytes
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let found = if found.is_empty() {
            "nothing".to_owned()
        } else {
            found.join(" ")
        };
        return Err(ObjectError::NotElf { found });
    }
    if let Some(&class) = bytes.get(4).filter(|&&class| class != 2) {
        return Err(ObjectError::NotElf64 { found: class });
    }
    let header = bytes
        .read_at::<Header>(0)
        .map_err(|()| ObjectError::truncated("the ELF header", 0, 64, bytes.len()))?;
    let order = bytes.get(5).copied().unwrap_or_default();
    let endian = match order {
        1 => Endianness::Little,
        2 => Endianness::Big,
        other => {
            return Err(ObjectError::malformed(
                "the ELF byte order",
                other,
                "it must be 1 (little) or 2 (big)",
            ));
        }
    };
    let machine = header.e_machine(endian);
    if machine != EM_BPF {
        let name = MACHINES
            .iter()
            .find(|(id, _)| *id == machine.0)
            .map_or("another one", |(_, name)| name);
        return Err(ObjectError::ForeignMachine {
            machine: machine.0,
            name,
        });
    }
    let kind = header.e_type(endian);
    if kind != ET_REL {
        return Err(ObjectError::NotRelocatable { found: kind.0 });
    }
    Ok(header)
}

fn read_section_headers<'a>(
    bytes: &'a [u8],
    header: &Header,
    endian: Endianness,
) -> Result<&'a [SectionHeader], ObjectError> {
    let (offset, count) = (header.e_shoff(endian), usize::from(header.e_shnum(endian)));
    let entry = header.e_shentsize(endian);
    if entry != 64 {
        return Err(ObjectError::malformed(
            "the size of a section header",
            entry,
            "it must be 64",
        ));
    }
    // A count of 0 means "too many for this field": far beyond the budget.
    ObjectError::check_count(
        "sections",
        if count == 0 {
            usize::from(u16::MAX)
        } else {
            count
        },
        limits::SECTIONS,
    )?;
    bytes
        .read_slice_at::<SectionHeader>(offset, count)
        .map_err(|()| {
            ObjectError::truncated(
                "the section header table",
                offset,
                count as u64 * 64,
                bytes.len(),
            )
        })
}

fn read_sections(
    bytes: &[u8],
    header: &Header,
    headers: &[SectionHeader],
    endian: Endianness,
) -> Result<Vec<Section>, ObjectError> {
    let strings_index = usize::from(header.e_shstrndx(endian).0);
    let strings = headers
        .get(strings_index)
        .filter(|h| h.sh_type(endian).0 == SHT_STRTAB)
        .ok_or_else(|| {
            ObjectError::malformed(
                "the section name table",
                strings_index,
                "it must be a string table",
            )
        })?;
    let strings = section_bytes(bytes, strings, endian, "the section name table")?;
    let mut names = Names::new(strings, "section");
    let mut sections = Vec::with_capacity(headers.len());
    let (mut stored, mut zeroed) = (0_u64, 0_u64);
    for header in headers {
        let name = names.get(header.sh_name(endian))?;
        let kind = header.sh_type(endian).0;
        let size = header.sh_size(endian);
        let data: &[u8] = match kind {
            SHT_NULL => &[],
            SHT_NOBITS => {
                zeroed = zeroed.saturating_add(size);
                if zeroed > limits::ZEROED_BYTES {
                    return Err(ObjectError::DataTooLarge {
                        section: name,
                        size,
                        limit: limits::ZEROED_BYTES,
                    });
                }
                &[]
            }
            _ => section_bytes(bytes, header, endian, &format!("section `{name}`"))?,
        };
        stored += data.len() as u64;
        if stored > bytes.len() as u64 {
            return Err(ObjectError::Overlap {
                total: stored,
                size: bytes.len() as u64,
            });
        }
        let flags = header.sh_flags(endian).0;
        check_section(&name, header, endian, data)?;
        sections.push(Section {
            name,
            kind,
            flags,
            link: header.sh_link(endian),
            info: header.sh_info(endian),
            align: header.sh_addralign(endian),
            entry_size: header.sh_entsize(endian),
            size: if kind == SHT_NULL { 0 } else { size },
            data: data.to_vec(),
            relocations: Vec::new(),
        });
    }
    Ok(sections)
}

fn check_section(
    name: &str,
    header: &SectionHeader,
    endian: Endianness,
    data: &[u8],
) -> Result<(), ObjectError> {
    let address = header.sh_addr(endian);
    if address != 0 {
        return Err(ObjectError::malformed(
            format!("the address of section `{name}`"),
            address,
            "it must be 0 before linking",
        ));
    }
    let align = header.sh_addralign(endian);
    if align > 4096 || (align != 0 && !align.is_power_of_two()) {
        return Err(ObjectError::malformed(
            format!("the alignment of section `{name}`"),
            align,
            "it must be a power of two up to 4096",
        ));
    }
    let code = header.sh_flags(endian).0 & super::SHF_EXECINSTR != 0
        && header.sh_type(endian).0 == super::SHT_PROGBITS;
    if code && !data.len().is_multiple_of(8) {
        return Err(ObjectError::malformed(
            format!("the size of section `{name}`"),
            data.len(),
            "instructions are 8 bytes each",
        ));
    }
    Ok(())
}

fn section_bytes<'a>(
    bytes: &'a [u8],
    header: &SectionHeader,
    endian: Endianness,
    what: &str,
) -> Result<&'a [u8], ObjectError> {
    let (offset, size) = (header.sh_offset(endian), header.sh_size(endian));
    bytes
        .read_bytes_at(offset, size)
        .map_err(|()| ObjectError::truncated(what, offset, size, bytes.len()))
}

fn read_symbol(
    entry: &Sym64<Endianness>,
    endian: Endianness,
    sections: &[Section],
    names: &mut Names<'_>,
) -> Result<Symbol, ObjectError> {
    let name = names.get(entry.st_name(endian))?;
    let index = entry.st_shndx(endian).0;
    let section = match index {
        0 => SymbolSection::Undefined,
        SHN_LORESERVE.. => SymbolSection::Reserved(index),
        _ => SymbolSection::Index(usize::from(index)),
    };
    let (value, size) = (entry.st_value(endian), entry.st_size(endian));
    if let SymbolSection::Index(index) = section {
        let limit = sections.get(index).map(|s| s.size).ok_or_else(|| {
            ObjectError::malformed(
                format!("the section of symbol `{name}`"),
                index,
                "there is no such section",
            )
        })?;
        if value.checked_add(size).is_none_or(|end| end > limit) {
            return Err(ObjectError::truncated(
                format!("symbol `{name}`"),
                value,
                size,
                usize::try_from(limit).unwrap_or(usize::MAX),
            ));
        }
    }
    let kind = match entry.st_info().0 & 0xf {
        0 => SymbolKind::NoType,
        1 => SymbolKind::Object,
        2 => SymbolKind::Function,
        3 => SymbolKind::Section,
        other => SymbolKind::Other(other),
    };
    Ok(Symbol {
        name,
        value,
        size,
        section,
        kind,
        binding: entry.st_info().0 >> 4,
        other: entry.st_other().0,
    })
}

/// A string table with a budget: the same long string may be named a million times.
struct Names<'a> {
    table: StringTable<'a>,
    left: usize,
    what: &'static str,
}

impl<'a> Names<'a> {
    fn new(strings: &'a [u8], what: &'static str) -> Self {
        Self {
            table: StringTable::new(strings, 0, strings.len() as u64),
            left: limits::OBJECT_BYTES,
            what,
        }
    }

    fn get(&mut self, offset: u32) -> Result<String, ObjectError> {
        if offset == 0 {
            return Ok(String::new());
        }
        let bytes = self.table.get(offset).map_err(|()| {
            ObjectError::malformed(
                format!("the name of a {}", self.what),
                format!("at byte {offset}"),
                "the string table ends before",
            )
        })?;
        self.left = self
            .left
            .checked_sub(bytes.len())
            .filter(|_| bytes.len() <= limits::NAME_BYTES)
            .ok_or_else(|| {
                ObjectError::malformed(
                    format!("the name of a {}", self.what),
                    format!("{} bytes long", bytes.len()),
                    "names are at most 4096 bytes long",
                )
            })?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| {
            ObjectError::malformed(
                format!("the name of a {}", self.what),
                format!("{:?}", String::from_utf8_lossy(bytes)),
                "names are UTF-8",
            )
        })
    }
}
