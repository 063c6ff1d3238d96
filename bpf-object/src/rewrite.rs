// SPDX-License-Identifier: Apache-2.0
//! Changes to an object that touch several of its parts at once, and its bytes again.

use std::collections::BTreeMap;

use crate::bytes::Order;
use crate::elf::{Relocation, Section, SymbolSection};
use crate::object::Object;

impl Object {
    /// Renames sections, also where `.BTF.ext` names them. All at once, since one
    /// may get the name that another gives away.
    pub(crate) fn rename_sections(&mut self, names: Vec<(usize, String)>) {
        let mut offsets: BTreeMap<String, u32> = BTreeMap::new();
        for (index, name) in names {
            let Some(section) = self.elf.sections.get_mut(index) else {
                continue;
            };
            if let Some(btf) = &mut self.btf {
                offsets.insert(section.name.clone(), btf.add_string(&name));
            }
            section.name = name;
        }
        if let (Some(btf), Some(ext)) = (&self.btf, &mut self.ext) {
            ext.rename(|section| offsets.get(btf.string(section)).copied());
        }
    }

    /// Takes a code section out, and everything that speaks of it.
    pub(crate) fn remove_section(&mut self, index: usize) {
        let old = self.section_name(index).to_owned();
        self.elf.drop_section(index);
        self.code.remove(&index);
        self.functions.retain(|function| function.section != index);
        if let (Some(btf), Some(ext)) = (&self.btf, &mut self.ext) {
            ext.remove(|section| btf.string(section) == old);
        }
        self.forget_ext_relocations();
    }

    /// Appends one code section to another, so that both have one name.
    pub(crate) fn join_sections(&mut self, into: usize, from: usize) {
        let (host, guest) = (
            self.section_name(into).to_owned(),
            self.section_name(from).to_owned(),
        );
        let Some(taken) = self
            .elf
            .sections
            .get_mut(from)
            .map(|section| std::mem::replace(section, Section::null()))
        else {
            return;
        };
        let Some(section) = self.elf.sections.get_mut(into) else {
            return;
        };
        let base = section.data.len() as u64;
        section.data.extend(taken.data);
        section.size = section.data.len() as u64;
        section
            .relocations
            .extend(taken.relocations.into_iter().map(|relocation| Relocation {
                offset: relocation.offset + base,
                ..relocation
            }));
        for symbol in self
            .elf
            .symbols
            .iter_mut()
            .filter(|symbol| symbol.section == SymbolSection::Index(from))
        {
            symbol.section = SymbolSection::Index(into);
            symbol.value += base;
        }
        if let (Some(btf), Some(ext)) = (&self.btf, &mut self.ext) {
            let moved =
                |offset: u32| offset.saturating_add(u32::try_from(base).unwrap_or(u32::MAX));
            ext.move_offsets(
                |section| btf.string(section) == guest,
                |_, offset| moved(offset),
            );
            ext.join(
                |section| btf.string(section) == host,
                |section| btf.string(section) == guest,
            );
        }
        self.forget_ext_relocations();
    }

    /// Offsets of `.rel.BTF.ext` speak of records as they lay before; loaders
    /// never read them.
    fn forget_ext_relocations(&mut self) {
        if let Some((at, _)) = self.elf.section(".rel.BTF.ext") {
            self.elf.drop_section(at);
        }
        if let Some((at, _)) = self.elf.section(".BTF.ext")
            && let Some(section) = self.elf.sections.get_mut(at)
        {
            section.relocations.clear();
        }
    }

    /// The object's bytes.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        let order = Order(self.elf.endian);
        let parts = [
            (".BTF", self.btf.take().map(|btf| btf.into_bytes(order))),
            (".BTF.ext", self.ext.take().map(|ext| ext.bytes)),
        ];
        for (name, bytes) in parts {
            let at = self.elf.section(name).map(|(at, _)| at);
            if let (Some(bytes), Some(section)) =
                (bytes, at.and_then(|at| self.elf.sections.get_mut(at)))
            {
                section.size = bytes.len() as u64;
                section.data = bytes;
            }
        }
        self.elf.write()
    }
}
