// SPDX-License-Identifier: Apache-2.0
//! Changes to an object that touch several of its parts at once, and its bytes again.

use crate::bytes::Order;
use crate::object::Object;

impl Object {
    /// Renames a code section, also where `.BTF.ext` names it.
    pub(crate) fn rename_section(&mut self, index: usize, name: &str) {
        let Some(section) = self.elf.sections.get_mut(index) else {
            return;
        };
        let old = std::mem::replace(&mut section.name, name.to_owned());
        if let (Some(btf), Some(ext)) = (&mut self.btf, &mut self.ext) {
            let offset = btf.add_string(name);
            ext.rename(|section| btf.string(section) == old, offset);
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
            // Its offsets speak of the records as they were, and loaders never read it.
            if let Some(relocations) = self.elf.section(".rel.BTF.ext").map(|(at, _)| at) {
                self.elf.drop_section(relocations);
            }
            if let Some((at, _)) = self.elf.section(".BTF.ext")
                && let Some(section) = self.elf.sections.get_mut(at)
            {
                section.relocations.clear();
            }
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
