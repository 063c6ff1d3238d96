// SPDX-License-Identifier: Apache-2.0
//! `.BTF.ext`: which instruction belongs to which function, line and CO-RE relocation.
//!
//! Moving code and renaming a section change records in place, so that
//! [`Ext`] keeps the bytes and an index of where the records lie. Only taking a
//! section out, or joining two, writes the section anew.

use std::ops::Range;

use crate::bytes::Order;
use crate::error::ObjectError;
use crate::limits;

const MAGIC: u16 = 0xeb9f;

/// What a record of `.BTF.ext` describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Functions,
    Lines,
    Core,
}

const PARTS: [(Part, &str, u32); 3] = [
    (Part::Functions, "the function records of .BTF.ext", 8),
    (Part::Lines, "the line records of .BTF.ext", 16),
    (Part::Core, "the CO-RE records of .BTF.ext", 16),
];

/// A checked `.BTF.ext` section.
#[derive(Clone, Debug)]
pub(crate) struct Ext {
    pub(crate) bytes: Vec<u8>,
    pub(crate) groups: Vec<Group>,
    order: Order,
}

/// The records of one part that belong to one section.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) part: Part,
    /// Where the offset of the section's name is stored.
    pub(crate) name_at: usize,
    /// The section's name, as an offset into the strings of `.BTF`.
    pub(crate) name: u32,
    records: Range<usize>,
    record_bytes: usize,
}

/// One CO-RE relocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CoreRecord {
    /// The type whose shape is asked for, in the object's own BTF.
    pub(crate) type_id: u32,
    /// The path through its members, as an offset into the strings of `.BTF`.
    pub(crate) access: u32,
    /// Which question is asked (`BPF_CORE_…`).
    pub(crate) kind: u32,
}

impl Ext {
    /// Reads a `.BTF.ext` section.
    ///
    /// # Errors
    /// [`ObjectError`] names the first value that is wrong.
    pub(crate) fn read(bytes: &[u8], order: Order) -> Result<Self, ObjectError> {
        let short = || ObjectError::truncated("the header of .BTF.ext", 0, 24, bytes.len());
        let magic = order.read_u16(bytes, 0).ok_or_else(short)?;
        if magic != MAGIC {
            return Err(ObjectError::malformed(
                "the magic of .BTF.ext",
                format!("{magic:#x}"),
                "it must be 0xeb9f",
            ));
        }
        let header = order.read_u32(bytes, 4).ok_or_else(short)?;
        // Older compilers write no CO-RE. A loader reads what lies before the end of the header,
        // be it a whole part or not.
        if header < 32 && header != 24 {
            return Err(ObjectError::malformed(
                "the header length of .BTF.ext",
                header,
                "it must be 24, or 32 and more",
            ));
        }
        let mut ext = Self {
            bytes: bytes.to_vec(),
            groups: Vec::new(),
            order,
        };
        for (index, (part, what, least)) in PARTS.into_iter().enumerate() {
            let at = 8 + index * 8;
            if at + 8 > header as usize {
                break;
            }
            let (offset, length) = order
                .read_u32(bytes, at)
                .zip(order.read_u32(bytes, at + 4))
                .ok_or_else(short)?;
            let start = header as usize + offset as usize;
            let end = start + length as usize;
            if end > bytes.len() {
                return Err(ObjectError::truncated(
                    what,
                    start as u64,
                    u64::from(length),
                    bytes.len(),
                ));
            }
            ext.read_part(part, what, least, start..end)?;
        }
        Ok(ext)
    }

    fn read_part(
        &mut self,
        part: Part,
        what: &str,
        least: u32,
        range: Range<usize>,
    ) -> Result<(), ObjectError> {
        if range.is_empty() {
            return Ok(());
        }
        let short =
            |at: usize, length: u64| ObjectError::truncated(what, at as u64, length, range.end);
        let bytes = self.bytes.get(..range.end).unwrap_or_default();
        let record = self
            .order
            .read_u32(bytes, range.start)
            .ok_or_else(|| short(range.start, 4))?;
        if record < least || record > 256 || record % 4 != 0 {
            return Err(ObjectError::malformed(
                format!("the record size in {what}"),
                record,
                "it must be a multiple of 4, no smaller than the format's",
            ));
        }
        let mut at = range.start + 4;
        let (mut groups, mut records) = (Vec::new(), 0);
        while at < range.end {
            let name = self.order.read_u32(bytes, at).ok_or_else(|| short(at, 8))?;
            let count = self
                .order
                .read_u32(bytes, at + 4)
                .ok_or_else(|| short(at, 8))? as usize;
            let length = count.saturating_mul(record as usize);
            let start = at + 8;
            let end = start
                .checked_add(length)
                .filter(|&end| end <= range.end)
                .ok_or_else(|| short(start, length as u64))?;
            if count == 0 {
                return Err(ObjectError::malformed(
                    format!("a record count in {what}"),
                    0,
                    "it must not be 0",
                ));
            }
            records += count;
            groups.push(Group {
                part,
                name_at: at,
                name,
                records: start..end,
                record_bytes: record as usize,
            });
            at = end;
        }
        if part == Part::Lines {
            self.check_lines(&groups)?;
        }
        if part == Part::Core {
            ObjectError::check_count("CO-RE relocations", records, limits::CORE_RELOCATIONS)?;
        }
        self.groups.extend(groups);
        Ok(())
    }

    /// Lines must come in the order of the code; the kernel demands it too.
    fn check_lines(&self, groups: &[Group]) -> Result<(), ObjectError> {
        for group in groups {
            let mut before = 0;
            for at in group.records.clone().step_by(group.record_bytes) {
                let offset = self.order.read_u32(&self.bytes, at).unwrap_or(0);
                if offset < before {
                    return Err(ObjectError::malformed(
                        "the offset of a line record in .BTF.ext",
                        offset,
                        "it must not lie before the last",
                    ));
                }
                before = offset;
            }
        }
        Ok(())
    }

    /// The CO-RE relocations of one group; nothing for the other parts.
    pub(crate) fn core_records<'a>(
        &'a self,
        group: &'a Group,
    ) -> impl Iterator<Item = CoreRecord> + 'a {
        let wanted = group.part == Part::Core;
        group
            .records
            .clone()
            .step_by(group.record_bytes)
            .filter(move |_| wanted)
            .filter_map(|at| {
                let word = |index: usize| self.order.read_u32(&self.bytes, at + index * 4);
                Some(CoreRecord {
                    type_id: word(1)?,
                    access: word(2)?,
                    kind: word(3)?,
                })
            })
    }

    /// Moves every instruction offset of the groups that `belongs` picks.
    pub(crate) fn move_offsets(
        &mut self,
        belongs: impl Fn(u32) -> bool,
        moved: impl Fn(Part, u32) -> u32,
    ) {
        let groups: Vec<Group> = self
            .groups
            .iter()
            .filter(|group| belongs(group.name))
            .cloned()
            .collect();
        for group in groups {
            for at in group.records.clone().step_by(group.record_bytes) {
                if let Some(offset) = self.order.read_u32(&self.bytes, at) {
                    self.order
                        .set_u32(&mut self.bytes, at, moved(group.part, offset));
                }
            }
        }
    }

    /// Gives groups the section names that `renamed` has for theirs.
    pub(crate) fn rename(&mut self, renamed: impl Fn(u32) -> Option<u32>) {
        for group in &mut self.groups {
            if let Some(name) = renamed(group.name) {
                group.name = name;
                self.order.set_u32(&mut self.bytes, group.name_at, name);
            }
        }
    }

    /// Takes out the groups that `belongs` picks.
    pub(crate) fn remove(&mut self, belongs: impl Fn(u32) -> bool) {
        let kept = self.groups.iter().filter(|group| !belongs(group.name));
        let bytes = self.encode(&kept.map(|group| vec![group]).collect::<Vec<_>>());
        self.replace(&bytes);
    }

    /// Puts the groups that `belongs` picks behind those of the section `into`
    /// picks: both describe one section now. Offsets must fit it already.
    pub(crate) fn join(&mut self, into: impl Fn(u32) -> bool, belongs: impl Fn(u32) -> bool) {
        let (moved, kept): (Vec<&Group>, Vec<&Group>) =
            self.groups.iter().partition(|group| belongs(group.name));
        let mut groups: Vec<Vec<&Group>> = kept.into_iter().map(|group| vec![group]).collect();
        for group in moved {
            let host = groups.iter_mut().find(|host| {
                host.iter().all(|first| {
                    first.part == group.part && (into(first.name) || belongs(first.name))
                })
            });
            match host {
                Some(host) => host.push(group),
                None => groups.push(vec![group]),
            }
        }
        let bytes = self.encode(&groups);
        self.replace(&bytes);
    }

    /// The section with these groups; several in one list become one.
    fn encode(&self, groups: &[Vec<&Group>]) -> Vec<u8> {
        const HEADER: u32 = 32;
        let word = |value: usize| self.order.u32(u32::try_from(value).unwrap_or(0));
        let mut parts: Vec<u8> = Vec::new();
        let mut header = Vec::new();
        for (part, ..) in PARTS {
            let start = parts.len();
            let own = groups
                .iter()
                .filter_map(|list| Some((list.first()?, list)))
                .filter(|(first, _)| first.part == part);
            for (first, list) in own {
                if parts.len() == start {
                    parts.extend(word(first.record_bytes));
                }
                let count: usize = list
                    .iter()
                    .map(|group| group.records.len() / group.record_bytes)
                    .sum();
                parts.extend(self.order.u32(first.name));
                parts.extend(word(count));
                for group in list {
                    parts.extend(self.bytes.get(group.records.clone()).unwrap_or_default());
                }
            }
            header.extend(word(start));
            header.extend(word(parts.len() - start));
        }
        let mut bytes = Vec::with_capacity(parts.len() + 32);
        bytes.extend(self.order.u16(MAGIC));
        bytes.extend([1, 0]);
        bytes.extend(self.order.u32(HEADER));
        bytes.extend(header);
        bytes.extend(parts);
        bytes
    }

    fn replace(&mut self, bytes: &[u8]) {
        // What was just written can be read: the groups' places are found anew.
        if let Ok(ext) = Self::read(bytes, self.order) {
            *self = ext;
        }
    }
}
