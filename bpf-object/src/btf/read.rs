// SPDX-License-Identifier: Apache-2.0
//! Reads the `.BTF` section.

use super::{Btf, Kind, Member, SectionVariable, Type};
use crate::bytes::Order;
use crate::error::ObjectError;
use crate::limits;

pub(super) const MAGIC: u16 = 0xeb9f;
pub(super) const HEADER_BYTES: u32 = 24;

/// A position in a section that never runs past its end.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    order: Order,
    /// Length of the string table that names point into.
    strings: usize,
}

impl Cursor<'_> {
    fn u32(&mut self) -> Result<u32, ObjectError> {
        let value = self.order.read_u32(self.bytes, self.at).ok_or_else(|| {
            ObjectError::truncated("a type in .BTF", self.at as u64, 4, self.bytes.len())
        })?;
        self.at += 4;
        Ok(value)
    }

    /// Reads the offset of a name and checks that it is in the string table.
    fn name(&mut self) -> Result<u32, ObjectError> {
        let name = self.u32()?;
        if name as usize >= self.strings {
            return Err(ObjectError::malformed(
                "a name in .BTF",
                format!("at byte {name}"),
                "the string table of .BTF ends before",
            ));
        }
        Ok(name)
    }

    /// Reads `count` records of `words` integers each.
    fn records<T>(
        &mut self,
        count: usize,
        words: usize,
        mut make: impl FnMut(&mut Self) -> Result<T, ObjectError>,
    ) -> Result<Vec<T>, ObjectError> {
        let (length, left) = (count.saturating_mul(words * 4), self.bytes.len() - self.at);
        if length > left {
            return Err(ObjectError::truncated(
                "a type in .BTF",
                self.at as u64,
                length as u64,
                self.bytes.len(),
            ));
        }
        (0..count).map(|_| make(self)).collect()
    }

    fn skip(&mut self, count: usize, words: usize) -> Result<(), ObjectError> {
        self.records(count, words, |cursor| {
            cursor.at += words * 4;
            Ok(())
        })?;
        Ok(())
    }
}

pub(super) fn read(bytes: &[u8], order: Order) -> Result<Btf, ObjectError> {
    let short = || {
        ObjectError::truncated(
            "the header of .BTF",
            0,
            u64::from(HEADER_BYTES),
            bytes.len(),
        )
    };
    let magic = order.read_u16(bytes, 0).ok_or_else(short)?;
    if magic != MAGIC {
        return Err(ObjectError::malformed(
            "the magic of .BTF",
            format!("{magic:#x}"),
            "it must be 0xeb9f",
        ));
    }
    let field = |offset| order.read_u32(bytes, offset).ok_or_else(short);
    let header = field(4)?;
    if header < HEADER_BYTES {
        return Err(ObjectError::malformed(
            "the header length of .BTF",
            header,
            "it must be at least 24",
        ));
    }
    let part = |what: &str, offset: u32, length: u32| {
        let start = u64::from(header) + u64::from(offset);
        let end = start + u64::from(length);
        let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        range
            .and_then(|(start, end)| bytes.get(start..end))
            .ok_or_else(|| ObjectError::truncated(what, start, u64::from(length), bytes.len()))
    };
    let types = part("the types of .BTF", field(8)?, field(12)?)?;
    let strings = part("the strings of .BTF", field(16)?, field(20)?)?;
    if strings.first() != Some(&0) || strings.last() != Some(&0) {
        return Err(ObjectError::malformed(
            "the string table of .BTF",
            format!("{} bytes", strings.len()),
            "it must begin and end with a NUL byte",
        ));
    }
    let mut cursor = Cursor {
        bytes: types,
        at: 0,
        order,
        strings: strings.len(),
    };
    let mut out = vec![Type {
        name: 0,
        kind: Kind::Void,
    }];
    while cursor.at < types.len() {
        ObjectError::check_count("types", out.len(), limits::BTF_TYPES)?;
        out.push(read_type(&mut cursor)?);
    }
    Ok(Btf {
        types: out,
        strings: strings.to_vec(),
        raw_types: types.to_vec(),
    })
}

fn read_type(cursor: &mut Cursor<'_>) -> Result<Type, ObjectError> {
    let (name, info, size) = (cursor.name()?, cursor.u32()?, cursor.u32()?);
    let (count, flag) = ((info & 0xffff) as usize, info >> 31 == 1);
    let kind = match info >> 24 & 0x1f {
        1 => Kind::Int {
            size,
            signed: cursor.u32()? >> 24 & 1 != 0,
        },
        2 => Kind::Pointer { to: size },
        3 => read_array(cursor)?,
        kind @ (4 | 5) => Kind::Struct {
            size,
            members: read_members(cursor, count, flag)?,
            union: kind == 5,
        },
        6 => Kind::Enum {
            size,
            signed: flag,
            names: read_names(cursor, count, 2)?,
        },
        7 => Kind::Forward,
        8 => Kind::Alias {
            of: size,
            typedef: true,
        },
        9..=11 | 18 => Kind::Alias {
            of: size,
            typedef: false,
        },
        12 => Kind::Function,
        13 => {
            read_names(cursor, count, 2)?; // of the parameters
            Kind::Function
        }
        14 => {
            cursor.skip(1, 1)?;
            Kind::Variable { of: size }
        }
        15 => Kind::DataSection {
            variables: read_variables(cursor, count)?,
        },
        16 => Kind::Float { size },
        17 => {
            cursor.skip(1, 1)?;
            Kind::Tag
        }
        19 => Kind::Enum {
            size,
            signed: flag,
            names: read_names(cursor, count, 3)?,
        },
        other => {
            return Err(ObjectError::malformed(
                "the kind of a type in .BTF",
                other,
                "kinds 1 to 19 are known",
            ));
        }
    };
    Ok(Type { name, kind })
}

fn read_array(cursor: &mut Cursor<'_>) -> Result<Kind, ObjectError> {
    let (element, _index, length) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
    Ok(Kind::Array { element, length })
}

/// With `flag` set, the upper byte of an offset is the width of a bit field.
fn read_members(
    cursor: &mut Cursor<'_>,
    count: usize,
    flag: bool,
) -> Result<Vec<Member>, ObjectError> {
    cursor.records(count, 3, |cursor| {
        let (name, type_id, offset) = (cursor.name()?, cursor.u32()?, cursor.u32()?);
        Ok(Member {
            name,
            type_id,
            offset: if flag { offset & 0x00ff_ffff } else { offset },
            bit_field: flag && offset >> 24 != 0,
        })
    })
}

/// The names of an enumeration, whose values take the other words.
fn read_names(
    cursor: &mut Cursor<'_>,
    count: usize,
    words: usize,
) -> Result<Vec<u32>, ObjectError> {
    cursor.records(count, words, |cursor| {
        let name = cursor.name()?;
        cursor.at += (words - 1) * 4;
        Ok(name)
    })
}

fn read_variables(
    cursor: &mut Cursor<'_>,
    count: usize,
) -> Result<Vec<SectionVariable>, ObjectError> {
    cursor.records(count, 3, |cursor| {
        let variable = cursor.u32()?;
        cursor.at += 8;
        Ok(SectionVariable { variable })
    })
}
