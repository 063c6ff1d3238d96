// SPDX-License-Identifier: Apache-2.0
//! No range header names a byte that is not there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry_server::http::oci::range::{Wanted, chunk, wanted};

fuzz_target!(|input: (&str, u64)| {
    let (header, size) = input;
    if let Wanted::Part(part) = wanted(Some(header), size) {
        assert!(part.start < part.end && part.end <= size);
    }
    if let Ok(range) = chunk(header) {
        assert!(range.start < range.end);
    }
});
