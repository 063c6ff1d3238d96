// SPDX-License-Identifier: Apache-2.0
//! Why a file cannot be read as an eBPF object.

use thiserror::Error;

/// The reason a file is not a readable eBPF object.
///
/// Every variant names the value that was found and what was expected, so that
/// its text can be shown to the person who built the object.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ObjectError {
    /// The file is larger than any object this crate reads.
    #[error(
        "the object is {size} bytes and at most {limit} are read; strip it with `llvm-strip -g`"
    )]
    TooLarge {
        /// Size of the file in bytes.
        size: u64,
        /// Largest size that is read.
        limit: u64,
    },
    /// The file is not ELF at all.
    #[error(
        "the file begins with {found}, not with the ELF magic 7f 45 4c 46; compile it with `clang -O2 -g -target bpf -c`"
    )]
    NotElf {
        /// The first bytes, in hexadecimal.
        found: String,
    },
    /// The file is ELF of another class.
    #[error(
        "the ELF class is {found}, an eBPF object is 64-bit (2); compile it with `clang -O2 -g -target bpf -c`"
    )]
    NotElf64 {
        /// Value of `EI_CLASS`.
        found: u8,
    },
    /// The file is ELF for another machine.
    #[error(
        "the machine is {name} ({machine}), an eBPF object is 247; compile it with `clang -O2 -g -target bpf -c`"
    )]
    ForeignMachine {
        /// Value of `e_machine`.
        machine: u16,
        /// Its common name.
        name: &'static str,
    },
    /// The file is ELF for eBPF but not relocatable.
    #[error(
        "the ELF type is {found}, an eBPF object is relocatable (1); compile with `-c` and do not link"
    )]
    NotRelocatable {
        /// Value of `e_type`.
        found: u16,
    },
    /// Something lies beyond the end of the file.
    #[error(
        "{what} spans bytes {offset}..{end}, but only {available} bytes are there: the object is truncated or damaged; build or download it again"
    )]
    Truncated {
        /// What was being read.
        what: String,
        /// First byte.
        offset: u64,
        /// One past the last byte (saturating).
        end: u64,
        /// Bytes that are there.
        available: u64,
    },
    /// A count exceeds its budget.
    #[error(
        "the object has {count} {what}, at most {limit} are read; split it into several objects"
    )]
    TooMany {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        count: u64,
        /// Largest count that is read.
        limit: u64,
    },
    /// A section without bytes in the file asks for too much memory.
    #[error(
        "section `{section}` asks for {size} bytes of memory, at most {limit} are given; use a map for large data"
    )]
    DataTooLarge {
        /// Name of the section.
        section: String,
        /// Its size in bytes.
        size: u64,
        /// Largest size that is allowed.
        limit: u64,
    },
    /// The sections together are larger than the file.
    #[error(
        "the sections hold {total} bytes in a file of {size}: they overlap, which no compiler does; build the object again"
    )]
    Overlap {
        /// Sum of the sections' sizes.
        total: u64,
        /// Size of the file.
        size: u64,
    },
    /// A value contradicts the format.
    #[error(
        "{what} is {value}: {expected}; build the object again with `clang -O2 -g -target bpf -c`"
    )]
    Malformed {
        /// What holds the value.
        what: String,
        /// The value, as text.
        value: String,
        /// What the format demands.
        expected: &'static str,
    },
    /// The object holds no program.
    #[error(
        "the object has no program: none of its {sections} sections holds a function outside `.text`; put programs in sections with SEC(\"…\")"
    )]
    NoProgram {
        /// How many sections there are.
        sections: usize,
    },
}

impl ObjectError {
    pub(crate) fn malformed(
        what: impl Into<String>,
        value: impl std::fmt::Display,
        expected: &'static str,
    ) -> Self {
        Self::Malformed {
            what: what.into(),
            value: format!("{value}"),
            expected,
        }
    }

    pub(crate) fn truncated(
        what: impl Into<String>,
        offset: u64,
        length: u64,
        available: usize,
    ) -> Self {
        Self::Truncated {
            what: what.into(),
            offset,
            end: offset.saturating_add(length),
            available: available as u64,
        }
    }

    pub(crate) fn check_count(what: &'static str, count: usize, limit: usize) -> Result<(), Self> {
        if count > limit {
            return Err(Self::TooMany {
                what,
                count: count as u64,
                limit: limit as u64,
            });
        }
        Ok(())
    }
}
