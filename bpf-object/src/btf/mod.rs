// SPDX-License-Identifier: Apache-2.0
//! BTF: the types of an object, read from its `.BTF` section and checked.

pub(crate) mod core;
pub(crate) mod ext;
pub(crate) mod layout;
mod read;

use object::Endianness;

use crate::bytes::Order;
use crate::error::ObjectError;
use crate::limits;

/// How deeply types may be nested before a question about them is given up.
const DEPTH: u32 = 32;

/// All types of one object. Type 0 is `void`.
#[derive(Clone, Debug)]
pub(crate) struct Btf {
    types: Vec<Type>,
    strings: Vec<u8>,
    /// The types as they were read; strings are only ever added.
    raw_types: Vec<u8>,
}

/// One type.
#[derive(Clone, Debug)]
pub(crate) struct Type {
    name: u32,
    pub(crate) kind: Kind,
}

/// What a type is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Void,
    Int {
        size: u32,
        signed: bool,
    },
    Float {
        size: u32,
    },
    Pointer {
        to: u32,
    },
    Array {
        element: u32,
        length: u32,
    },
    Struct {
        size: u32,
        members: Vec<Member>,
        union: bool,
    },
    Enum {
        size: u32,
        signed: bool,
        names: Vec<u32>,
    },
    Forward,
    /// `typedef`, `const`, `volatile`, `restrict`, type tags: another name for `of`.
    Alias {
        of: u32,
        typedef: bool,
    },
    /// A function or its prototype.
    Function,
    Variable {
        of: u32,
    },
    DataSection {
        variables: Vec<SectionVariable>,
    },
    Tag,
}

/// A member of a structure or union.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) name: u32,
    pub(crate) type_id: u32,
    /// Distance from the start, in bits.
    pub(crate) offset: u32,
    pub(crate) bit_field: bool,
}

/// A variable of a data section.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SectionVariable {
    pub(crate) variable: u32,
}

impl Btf {
    /// Reads a `.BTF` section.
    ///
    /// # Errors
    /// [`ObjectError`] names the first value that is wrong.
    pub(crate) fn read(bytes: &[u8], endian: Endianness) -> Result<Self, ObjectError> {
        read::read(bytes, Order(endian))
    }

    /// Adds a string and returns its offset.
    pub(crate) fn add_string(&mut self, text: &str) -> u32 {
        let offset = u32::try_from(self.strings.len()).unwrap_or(0);
        self.strings.extend_from_slice(text.as_bytes());
        self.strings.push(0);
        offset
    }

    /// The `.BTF` section: header, types, strings.
    pub(crate) fn into_bytes(self, order: Order) -> Vec<u8> {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let mut out = Vec::with_capacity(24 + self.raw_types.len() + self.strings.len());
        out.extend(order.u16(read::MAGIC));
        out.extend([1, 0]);
        let types = length(&self.raw_types);
        for word in [read::HEADER_BYTES, 0, types, types, length(&self.strings)] {
            out.extend(order.u32(word));
        }
        out.extend(self.raw_types);
        out.extend(self.strings);
        out
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Type> {
        self.types.get(id as usize)
    }

    /// Whether a string begins at `offset`.
    pub(crate) fn has_string(&self, offset: u32) -> bool {
        (offset as usize) < self.strings.len()
    }

    /// The string at `offset`, or nothing where it is broken or too long.
    pub(crate) fn string(&self, offset: u32) -> &str {
        let bytes = self.strings.get(offset as usize..).unwrap_or_default();
        let bytes = bytes.get(..limits::BTF_STRING_BYTES).unwrap_or(bytes);
        let end = bytes.iter().position(|byte| *byte == 0);
        let bytes = end.and_then(|end| bytes.get(..end)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// The type's own name; empty for anonymous ones.
    pub(crate) fn name(&self, kind: &Type) -> &str {
        self.string(kind.name)
    }

    /// Follows names and qualifiers to the type they stand for.
    pub(crate) fn resolve(&self, mut id: u32) -> Option<(u32, &Type)> {
        for _ in 0..DEPTH {
            let found = self.get(id)?;
            match found.kind {
                Kind::Alias { of, .. } | Kind::Variable { of } => id = of,
                _ => return Some((id, found)),
            }
        }
        None
    }

    /// Follows qualifiers only: a `typedef` is asked for by its own name.
    pub(crate) fn unqualified(&self, mut id: u32) -> Option<&Type> {
        for _ in 0..DEPTH {
            let found = self.get(id)?;
            match found.kind {
                Kind::Alias { of, typedef: false } => id = of,
                _ => return Some(found),
            }
        }
        None
    }

    /// Size of a value of this type, in bytes.
    pub(crate) fn size(&self, id: u32) -> Option<u64> {
        let (mut id, mut count) = (id, 1_u64);
        for _ in 0..DEPTH {
            let (_, found) = self.resolve(id)?;
            let size = match found.kind {
                Kind::Int { size, .. }
                | Kind::Float { size }
                | Kind::Struct { size, .. }
                | Kind::Enum { size, .. } => u64::from(size),
                Kind::Pointer { .. } => 8,
                Kind::Array { element, length } => {
                    count = count.checked_mul(u64::from(length))?;
                    id = element;
                    continue;
                }
                _ => return None,
            };
            return count.checked_mul(size);
        }
        None
    }

    /// The type written as in C, for people: `__u64`, `struct key`, `__u8[16]`.
    pub(crate) fn describe(&self, id: u32) -> String {
        self.describe_within(id, DEPTH)
    }

    fn describe_within(&self, id: u32, depth: u32) -> String {
        let (Some(found), Some(depth)) = (self.get(id), depth.checked_sub(1)) else {
            return "?".to_owned();
        };
        let name = self.name(found);
        match &found.kind {
            Kind::Void => "void".to_owned(),
            Kind::Struct { union, .. } => {
                let word = if *union { "union" } else { "struct" };
                if name.is_empty() {
                    format!("{word} {{…}}")
                } else {
                    format!("{word} {name}")
                }
            }
            Kind::Enum { .. } if name.is_empty() => "enum {…}".to_owned(),
            Kind::Enum { .. } => format!("enum {name}"),
            Kind::Pointer { to } => format!("{} *", self.describe_within(*to, depth)),
            Kind::Array { element, length } => {
                format!("{}[{length}]", self.describe_within(*element, depth))
            }
            Kind::Alias { typedef: true, .. } | Kind::Int { .. } | Kind::Float { .. } => {
                name.to_owned()
            }
            Kind::Alias { of, .. } | Kind::Variable { of } => self.describe_within(*of, depth),
            Kind::Forward => format!("struct {name}"),
            Kind::Function => "function".to_owned(),
            Kind::DataSection { .. } | Kind::Tag => "?".to_owned(),
        }
    }

    /// The data section of this name.
    pub(crate) fn data_section(&self, name: &str) -> Option<&[SectionVariable]> {
        self.types.iter().find_map(|found| match &found.kind {
            Kind::DataSection { variables } if self.name(found) == name => {
                Some(variables.as_slice())
            }
            _ => None,
        })
    }
}
