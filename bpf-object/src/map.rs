// SPDX-License-Identifier: Apache-2.0
//! The maps that an object declares, in BTF (`.maps`) and in the older form (`maps`).

use std::collections::{BTreeMap, BTreeSet};

use crate::btf::{Btf, Kind, Member, SectionVariable};
use crate::bytes::Order;
use crate::elf::SymbolKind;
use crate::error::ObjectError;
use crate::limits;
use crate::object::Object;

/// `BPF_MAP_TYPE_PROG_ARRAY`
pub(crate) const PROG_ARRAY: u32 = 3;

/// Names of the map types by number, and the first kernel that knows them.
const TYPES: [(&str, u16, u16); 35] = [
    ("unspec", 3, 19),
    ("hash", 3, 19),
    ("array", 3, 19),
    ("prog_array", 4, 2),
    ("perf_event_array", 4, 3),
    ("percpu_hash", 4, 6),
    ("percpu_array", 4, 6),
    ("stack_trace", 4, 6),
    ("cgroup_array", 4, 8),
    ("lru_hash", 4, 10),
    ("lru_percpu_hash", 4, 10),
    ("lpm_trie", 4, 11),
    ("array_of_maps", 4, 12),
    ("hash_of_maps", 4, 12),
    ("devmap", 4, 14),
    ("sockmap", 4, 14),
    ("cpumap", 4, 15),
    ("xskmap", 4, 18),
    ("sockhash", 4, 18),
    ("cgroup_storage", 4, 19),
    ("reuseport_sockarray", 4, 19),
    ("percpu_cgroup_storage", 4, 20),
    ("queue", 4, 20),
    ("stack", 4, 20),
    ("sk_storage", 5, 2),
    ("devmap_hash", 5, 4),
    ("struct_ops", 5, 6),
    ("ringbuf", 5, 8),
    ("inode_storage", 5, 10),
    ("task_storage", 5, 11),
    ("bloom_filter", 5, 16),
    ("user_ringbuf", 6, 1),
    ("cgrp_storage", 6, 2),
    ("arena", 6, 9),
    ("insn_array", 6, 19),
];

/// A declared map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Map {
    pub(crate) name: String,
    /// Section and place of the declaration in it.
    pub(crate) section: usize,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    /// `BPF_MAP_TYPE_…`
    pub(crate) kind: u32,
    pub(crate) key_size: u32,
    pub(crate) value_size: u32,
    pub(crate) max_entries: u32,
    pub(crate) flags: u32,
    pub(crate) pinned: bool,
    /// The type of a value, in the object's BTF; 0 if unknown.
    pub(crate) value_type: u32,
}

impl Map {
    /// The kernel's word for the type; a number if unknown.
    pub(crate) fn type_name(&self) -> String {
        TYPES
            .get(self.kind as usize)
            .map_or_else(|| self.kind.to_string(), |(name, ..)| (*name).to_owned())
    }

    /// First kernel that knows the type.
    pub(crate) fn since(&self) -> Option<(u16, u16)> {
        TYPES
            .get(self.kind as usize)
            .map(|(_, major, minor)| (*major, *minor))
    }

    /// Whether the declaration covers this byte of its section.
    fn holds(&self, offset: u64) -> bool {
        (self.offset..self.offset.saturating_add(self.bytes.max(1))).contains(&offset)
    }

    /// Upper bound of its memory with one CPU, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let ring = matches!(
            self.type_name().as_str(),
            "ringbuf" | "user_ringbuf" | "arena"
        );
        let entry = if ring {
            1
        } else {
            u64::from(self.key_size) + u64::from(self.value_size).next_multiple_of(8)
        };
        entry.saturating_mul(u64::from(self.max_entries))
    }
}

/// Declared maps, found by the place that code refers to.
pub(crate) struct Places<'a>(BTreeMap<(usize, u64), &'a Map>);

impl<'a> Places<'a> {
    pub(crate) fn new(maps: &'a [Map]) -> Self {
        Self(
            maps.iter()
                .map(|map| ((map.section, map.offset), map))
                .collect(),
        )
    }

    /// The map that is declared at this byte of this section.
    pub(crate) fn find(&self, section: usize, offset: u64) -> Option<&'a Map> {
        let ((_, _), map) = self.0.range((section, 0)..=(section, offset)).next_back()?;
        map.holds(offset).then_some(*map)
    }
}

/// Reads all declared maps, in the order of the object.
///
/// # Errors
/// [`ObjectError`] names the declaration that is wrong.
pub(crate) fn read(object: &Object) -> Result<Vec<Map>, ObjectError> {
    let mut maps = Vec::new();
    for (index, section) in object.elf.sections.iter().enumerate() {
        if section.name == ".maps" {
            let Some(btf) = &object.btf else {
                return Err(ObjectError::malformed(
                    "the section .BTF",
                    "absent",
                    "section `.maps` needs it; compile with -g",
                ));
            };
            for variable in btf.data_section(".maps").unwrap_or_default() {
                maps.push(read_btf(object, btf, index, *variable)?);
                ObjectError::check_count("maps", maps.len(), limits::MAPS)?;
            }
        } else if section.name == "maps"
            || section.name.starts_with("maps/")
            || section.name.starts_with("maps.")
        {
            read_legacy(object, index, &mut maps)?;
        }
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = maps.iter().find(|map| !names.insert(&map.name)) {
        return Err(ObjectError::malformed(
            "the name of a map",
            format!("`{}`", twice.name),
            "two maps have it",
        ));
    }
    Ok(maps)
}

fn read_btf(
    object: &Object,
    btf: &Btf,
    section: usize,
    place: SectionVariable,
) -> Result<Map, ObjectError> {
    let variable = btf.get(place.variable).ok_or_else(|| {
        ObjectError::malformed(
            "the type of a map",
            place.variable,
            "there is no such type in .BTF",
        )
    })?;
    let name = btf.name(variable).to_owned();
    let wrong = |what: &str, value: &dyn std::fmt::Display, expected| {
        ObjectError::malformed(format!("{what} of map `{name}`"), value, expected)
    };
    let definition = btf.resolve(place.variable).map(|(_, found)| &found.kind);
    let Some(Kind::Struct { members, .. }) = definition else {
        let value = btf.describe(place.variable);
        return Err(wrong("the type", &value, "it must be a structure"));
    };
    // Before linking, .BTF does not know where a variable lies; its symbol does.
    let symbol = object
        .elf
        .symbols
        .iter()
        .find(|symbol| symbol.is_in(section) && symbol.name == name);
    let Some(symbol) = symbol else {
        return Err(wrong("the symbol", &"absent", "maps are global variables"));
    };
    let mut map = Map {
        section,
        offset: symbol.value,
        bytes: symbol.size,
        ..Map::default()
    };
    for member in members {
        let field = btf.string(member.name);
        let number = || {
            number(btf, *member)
                .ok_or_else(|| wrong(field, &btf.describe(member.type_id), "write it with __uint"))
        };
        let size = || {
            pointee_size(btf, *member)
                .ok_or_else(|| wrong(field, &btf.describe(member.type_id), "write it with __type"))
        };
        match field {
            "type" => map.kind = number()?,
            "key_size" => map.key_size = number()?,
            "value_size" => map.value_size = number()?,
            "max_entries" => map.max_entries = number()?,
            "map_flags" => map.flags = number()?,
            "pinning" => map.pinned = number()? != 0,
            "key" => map.key_size = size()?,
            "value" => {
                map.value_size = size()?;
                map.value_type = pointee(btf, *member).unwrap_or(0);
            }
            // An array of programs or of maps: each value is a descriptor.
            "values" => map.value_size = 4,
            _ => {}
        }
    }
    map.name = name;
    Ok(map)
}

/// `__uint(field, 5)` declares a pointer to an array of five.
fn number(btf: &Btf, member: Member) -> Option<u32> {
    let Kind::Pointer { to } = btf.resolve(member.type_id)?.1.kind else {
        return None;
    };
    let Kind::Array { length, .. } = btf.resolve(to)?.1.kind else {
        return None;
    };
    Some(length)
}

fn pointee(btf: &Btf, member: Member) -> Option<u32> {
    match btf.resolve(member.type_id)?.1.kind {
        Kind::Pointer { to } => Some(to),
        _ => None,
    }
}

fn pointee_size(btf: &Btf, member: Member) -> Option<u32> {
    u32::try_from(btf.size(pointee(btf, member)?)?).ok()
}

fn read_legacy(object: &Object, index: usize, maps: &mut Vec<Map>) -> Result<(), ObjectError> {
    let order = Order(object.elf.endian);
    let Some(section) = object.elf.sections.get(index) else {
        return Ok(());
    };
    let mut symbols: Vec<_> = object
        .elf
        .symbols
        .iter()
        .filter(|symbol| {
            symbol.is_in(index) && symbol.kind != SymbolKind::Section && !symbol.name.is_empty()
        })
        .collect();
    symbols.sort_by_key(|symbol| symbol.value);
    for symbol in symbols {
        let word = |at: u64| {
            let place = usize::try_from(symbol.value + at * 4).ok();
            place
                .filter(|_| symbol.size >= at * 4 + 4)
                .and_then(|place| order.read_u32(&section.data, place))
        };
        let need = |at| {
            word(at).ok_or_else(|| {
                ObjectError::malformed(
                    format!("the size of map `{}`", symbol.name),
                    symbol.size,
                    "a map of section `maps` has at least 20 bytes",
                )
            })
        };
        maps.push(Map {
            name: symbol.name.clone(),
            section: index,
            offset: symbol.value,
            bytes: symbol.size,
            kind: need(0)?,
            key_size: need(1)?,
            value_size: need(2)?,
            max_entries: need(3)?,
            flags: need(4)?,
            pinned: word(6).is_some_and(|pinning| pinning != 0),
            value_type: 0,
        });
        ObjectError::check_count("maps", maps.len(), limits::MAPS)?;
    }
    Ok(())
}
