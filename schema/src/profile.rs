// SPDX-License-Identifier: Apache-2.0
//! The profile of an eBPF object: what every reader derives from its bytes.
//!
//! A profile is never taken from a package's own claims.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hook::ProgramType;
use crate::kernel::KernelVersion;

/// What one object contains and can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectProfile {
    /// Size of the object in bytes.
    pub size: u64,
    /// Whether the object is little-endian.
    pub little_endian: bool,
    /// The licence section's text; none if there is no such section.
    pub license: Option<String>,
    /// Whether the kernel lets programs with this licence use GPL-only helpers.
    pub gpl_compatible: bool,
    /// Whether it carries BTF.
    pub btf: bool,
    /// Kernel fields that are relocated at load, `struct.field`, sorted.
    pub core_fields: Vec<String>,
    /// Programs in the order of the symbol table.
    pub programs: Vec<ProgramProfile>,
    /// Maps in the order of the object.
    pub maps: Vec<MapProfile>,
    /// Global variables.
    pub globals: Vec<GlobalProfile>,
    /// Upper bound of memory for all maps with one CPU, in bytes.
    pub map_memory: u64,
    /// What the object can do, over all programs, sorted.
    pub privileges: Vec<Privilege>,
    /// Lower bound of the kernel version, over all programs.
    pub kernel_floor: Option<KernelFloor>,
}

/// What one program of an object contains and can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProgramProfile {
    /// Name of the function.
    pub function: String,
    /// ELF section it lies in.
    pub section: String,
    /// The type that the section's name suggests; a manifest's declaration wins.
    pub suggested_type: Option<ProgramType>,
    /// The attach point that the section's name suggests, such as `sched/sched_process_exec`.
    pub suggested_attach: Option<String>,
    /// Instructions, counting a 64-bit load as two, without called functions.
    pub instructions: u32,
    /// Helpers it calls, by name, with those of called functions; sorted.
    pub helpers: Vec<String>,
    /// Kernel functions it calls by name; sorted.
    pub kfuncs: Vec<String>,
    /// Maps it refers to, with those of called functions; sorted.
    pub maps: Vec<String>,
    /// Functions it calls, directly or not; sorted.
    pub subprograms: Vec<String>,
    /// What it can do; sorted.
    pub privileges: Vec<Privilege>,
    /// Lower bound of the kernel version.
    pub kernel_floor: Option<KernelFloor>,
}

/// A map an object declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MapProfile {
    /// Name in the object.
    pub name: String,
    /// Kernel's word for the type, such as `percpu_array`; a number if unknown.
    #[serde(rename = "type")]
    pub map_type: String,
    /// Bytes of a key; 0 for types without keys.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Numbers within a value that is a structure, by BTF; empty for plain values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub value_fields: Vec<FieldProfile>,
    /// Number of entries; 0 if the object leaves it to the loader.
    pub max_entries: u32,
    /// `BPF_F_*` flags.
    pub flags: u32,
    /// Whether the object asks for it to be pinned by name.
    pub pinned: bool,
    /// Upper bound of memory with one CPU, in bytes.
    pub memory: u64,
}

/// A number within a structure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldProfile {
    /// Names of the members that lead to it, joined with dots.
    pub path: String,
    /// Distance from the start of the structure, in bytes.
    pub offset: u32,
    /// Width in bytes: 1, 2, 4 or 8.
    pub size: u32,
    /// Whether it is signed.
    pub signed: bool,
}

impl MapProfile {
    /// Whether each CPU has its own values.
    pub fn per_cpu(&self) -> bool {
        self.map_type.contains("percpu")
    }
}

/// A global variable of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GlobalProfile {
    /// Name of the variable.
    pub name: String,
    /// Section: `.rodata`, `.data` or `.bss`, with a suffix if any.
    pub section: String,
    /// Size in bytes.
    pub size: u32,
}

/// A static lower bound of the kernel version and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KernelFloor {
    /// No older kernel can load it.
    pub version: KernelVersion,
    /// What needs that version, such as "helper `ringbuf_output`".
    pub reason: String,
}

/// A class of things a program can do, from least to most intrusive.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Privilege {
    /// Counts and reports, and reads the task and the clock.
    Observe,
    /// Reads kernel memory.
    ReadKernel,
    /// Reads memory of user processes.
    ReadUser,
    /// Sends packet contents to user space.
    PayloadOut,
    /// Changes packets.
    ModifyPacket,
    /// Drops packets or denies an operation.
    Drop,
    /// Sends packets elsewhere.
    Redirect,
    /// Copies packets elsewhere.
    Mirror,
    /// Changes what processes or the kernel do.
    Interfere,
    /// Writes memory of user processes.
    WriteUser,
    /// Acts on eBPF itself, or on other programs.
    Meta,
}

impl Privilege {
    /// The word for it in output and policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::ReadKernel => "read-kernel",
            Self::ReadUser => "read-user",
            Self::PayloadOut => "payload-out",
            Self::ModifyPacket => "modify-packet",
            Self::Drop => "drop",
            Self::Redirect => "redirect",
            Self::Mirror => "mirror",
            Self::Interfere => "interfere",
            Self::WriteUser => "write-user",
            Self::Meta => "meta",
        }
    }

    /// What it means, as the end of "This package can …".
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Observe => "count and report events",
            Self::ReadKernel => "read kernel memory",
            Self::ReadUser => "read memory of user processes",
            Self::PayloadOut => "send packet contents to user space",
            Self::ModifyPacket => "change packets",
            Self::Drop => "drop packets",
            Self::Redirect => "send packets to another interface",
            Self::Mirror => "copy packets to another interface",
            Self::Interfere => "change what processes or the kernel do",
            Self::WriteUser => "write memory of user processes",
            Self::Meta => "act on other eBPF programs",
        }
    }

    /// Whether it deserves a warning colour and a second look.
    pub const fn is_red(self) -> bool {
        matches!(
            self,
            Self::Mirror | Self::Interfere | Self::WriteUser | Self::Meta
        )
    }
}

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How grave a finding is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Worth mending.
    Warning,
    /// The package is refused.
    Error,
}

/// Something that was found when an object was compared with its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Stable code, `EBPFnnn`.
    pub code: String,
    /// How grave it is.
    pub severity: Severity,
    /// What was found, with the values concerned.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}
