// SPDX-License-Identifier: Apache-2.0
//! The weave of a place in a chain, the same wherever it is made: a node loads it,
//! and anybody can make it again to compare.

use registry_schema::hook::Hook;

use super::{Counter, Weave};

/// Name of a chain's program array in every member.
pub const CHAIN_ARRAY: &str = "chain_programs";
/// Name of the counter of chain ends in every member.
pub const CHAIN_ENDS: &str = "chain_ends";

impl Weave {
    /// Describes place `slot` (from 0) of a chain of `length` programs on `hook`.
    /// Words in `proceed_on` that are no verdicts of the hook are left out.
    pub fn in_chain<'a>(
        function: &str,
        hook: Hook,
        slot: u32,
        length: u32,
        proceed_on: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        // On TCX, -1 lets the programs of other owners run after ours; a plain "ok"
        // would stop them.
        let last = slot + 1 == length;
        Self {
            function: function.to_owned(),
            next_index: slot + 1,
            proceed_on: proceed_on
                .into_iter()
                .filter_map(|word| hook.verdict(word))
                .collect(),
            fallthrough: (last && hook != Hook::Xdp).then_some(-1),
            array_name: CHAIN_ARRAY.to_owned(),
            array_entries: length,
            counter: Some(Counter {
                name: CHAIN_ENDS.to_owned(),
                slot,
            }),
        }
    }
}
