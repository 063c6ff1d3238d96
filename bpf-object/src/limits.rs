// SPDX-License-Identifier: Apache-2.0
//! Budgets: how much of an object is read before it is refused.
//!
//! Real objects stay far below (the largest of some 500 public ones: 2 MiB,
//! 70 sections, 9,000 symbols, 60,000 instructions), hostile ones do not.

/// Largest object, in bytes.
pub const OBJECT_BYTES: usize = 16 << 20;
/// Most sections of one object.
pub const SECTIONS: usize = 4096;
/// Most symbols of one object.
pub const SYMBOLS: usize = 1 << 17;
/// Longest name of a section or a symbol, in bytes.
pub const NAME_BYTES: usize = 4096;
/// Most instructions of one object, over all functions.
pub const INSTRUCTIONS: usize = 1 << 20;
/// Most functions of one object.
pub const FUNCTIONS: usize = 2048;
/// Most maps of one object.
pub const MAPS: usize = 1024;
/// Most types of one object's BTF.
pub const BTF_TYPES: usize = 1 << 18;
/// Most CO-RE relocations of one object.
pub const CORE_RELOCATIONS: usize = 1 << 17;
/// Most bytes of memory for all data sections without bytes (`.bss`).
pub const ZEROED_BYTES: u64 = 64 << 20;
/// Most global variables of one object.
pub const GLOBALS: usize = 1 << 14;
/// Longest string that is read from an object's types, in bytes.
pub const BTF_STRING_BYTES: usize = 512;
/// Most bytes of names that one profile lists over all programs and maps.
pub const PROFILE_BYTES: usize = 4 << 20;
/// Most steps that following all programs of an object may take; beyond,
/// everything counts as possible.
pub const STEPS: usize = 1 << 21;
