// SPDX-License-Identifier: Apache-2.0
//! Exit codes of every command. They are stable: scripts depend on them.

/// The command did what was asked.
pub const OK: u8 = 0;
/// A failure that has no code of its own.
pub const FAILURE: u8 = 1;
/// The command line, a manifest or a configuration file is wrong.
pub const USAGE: u8 = 2;
/// The package, version, file or interface does not exist.
pub const NOT_FOUND: u8 = 3;
/// Who asks is unknown, or may not do this.
pub const AUTH: u8 = 4;
/// The thing exists already, or changed meanwhile.
pub const CONFLICT: u8 = 5;
/// A server cannot be reached, or asks to come back later. Worth a retry.
pub const UNAVAILABLE: u8 = 6;
/// The kernel refused a program or an attachment.
pub const KERNEL: u8 = 7;
/// A digest, a signature or a name does not match what was asked for.
pub const VERIFICATION: u8 = 20;
/// A policy forbids it, for instance an unsigned package.
pub const POLICY: u8 = 21;
/// The object was inspected and found wanting.
pub const FINDINGS: u8 = 22;
/// Interrupted from the keyboard.
pub const INTERRUPTED: u8 = 130;
