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
}

impl Cursor<'_> {
    fn u32(&mut self) -> Result<u32, ObjectError> {
        let value = self.order.read_u32(self.bytes, self.at).ok_or_else(|| {
            ObjectError::truncated("a type in .BTF", self.at as u64, 4, self.bytes.len())
        })?;
        self.at += 4;
        Ok(value)
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
    };
    let mut out = vec![Type {
        name: 0,
        kind: Kind::Void,
    }];
    while cursor.at < types.len() {
        ObjectError::check_count("types", out.len(), limits::BTF_TYPES)?;
        let found = read_type(&mut cursor)?;
        if found.name as usize >= strings.len() {
            return Err(ObjectError::malformed(
                format!("the name of type {}", out.len()),
                found.name,
                "the string table of .BTF ends before",
            ));
        }
        out.push(found);
    }
    Ok(Btf {
        types: out,
        strings: strings.to_vec(),
        raw_types: types.to_vec(),
    })
}

fn read_type(cursor: &mut Cursor<'_>) -> Result<Type, ObjectError> {
    let (name, info, size) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
    let (count, flag) = ((info & 0xffff) as usize, info >> 31 == 1);
    let kind = match info >> 24 & 0x1f {
        1 => {
            let encoding = cursor.u32()? >> 24 & 0xf;
            Kind::Int {
                size,
                signed: encoding & 1 != 0,
                boolean: encoding & 4 != 0,
            }
        }
        2 => Kind::Pointer { to: size },
        3 => {
            let (element, _index, length) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
            Kind::Array { element, length }
        }
        kind @ (4 | 5) => {
            let members = cursor.records(count, 3, |cursor| {
                let (name, type_id, offset) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
                // With the flag set, the upper byte is the width of a bit field.
                Ok(Member {
                    name,
                    type_id,
                    offset: if flag { offset & 0x00ff_ffff } else { offset },
                    bit_field: flag && offset >> 24 != 0,
                })
            })?;
            Kind::Struct {
                size,
                members,
                union: kind == 5,
            }
        }
        6 => {
            let names = cursor.records(count, 2, |cursor| {
                let name = cursor.u32()?;
                cursor.u32()?;
                Ok(name)
            })?;
            Kind::Enum {
                size,
                signed: flag,
                names,
            }
        }
        7 => Kind::Forward,
        8 => Kind::Alias {
            of: size,
            typedef: true,
        },
        9..=11 | 18 => Kind::Alias {
            of: size,
            typedef: false,
        },
        12 => Kind::Function { prototype: size },
        13 => {
            let parameters = cursor.records(count, 2, |cursor| {
                cursor.u32()?;
                cursor.u32()
            })?;
            Kind::Prototype { parameters }
        }
        14 => Kind::Variable {
            of: size,
            external: cursor.u32()? == 2,
        },
        15 => {
            let variables = cursor.records(count, 3, |cursor| {
                Ok(SectionVariable {
                    variable: cursor.u32()?,
                    offset: cursor.u32()?,
                    size: cursor.u32()?,
                })
            })?;
            Kind::DataSection { variables }
        }
        16 => Kind::Float { size },
        17 => {
            cursor.skip(1, 1)?;
            Kind::Tag
        }
        19 => {
            let names = cursor.records(count, 3, |cursor| {
                let name = cursor.u32()?;
                cursor.u32()?;
                cursor.u32()?;
                Ok(name)
            })?;
            Kind::Enum {
                size,
                signed: flag,
                names,
            }
        }
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
