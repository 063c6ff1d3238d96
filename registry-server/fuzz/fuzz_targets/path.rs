// SPDX-License-Identifier: Apache-2.0
//! No path makes the parser panic, and what it reads never leaves its directory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry_server::http::oci::path::{self, Resource};

fuzz_target!(|text: &str| {
    let name = match path::parse(text) {
        Ok(
            Resource::Tags(name)
            | Resource::Manifest(name, _)
            | Resource::Blob(name, _)
            | Resource::Uploads(name)
            | Resource::Upload(name, _)
            | Resource::Referrers(name, _),
        ) => name,
        _ => return,
    };
    assert!(
        name.as_str()
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with('.'))
    );
});
