// SPDX-License-Identifier: Apache-2.0
//! What a program may do without a helper: drop by its verdict, write to a packet.

use registry_schema::hook::ProgramType;

use crate::object::Object;

/// What may happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    pub(crate) may_drop: bool,
    pub(crate) may_write_packet: bool,
}

/// Finds what the program may do.
pub(crate) fn of(object: &Object, entry: usize, program_type: Option<ProgramType>) -> Effects {
    let _ = (object, entry, program_type);
    Effects::default()
}
