// SPDX-License-Identifier: Apache-2.0
//! No path and query make the registry panic, fail, or show what nobody may see.
#![no_main]

mod registry;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let status = registry::ask(&format!("/{text}"), None);
    assert!((200..500).contains(&status), "{status}");
});
