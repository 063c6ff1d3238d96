// SPDX-License-Identifier: Apache-2.0
//! No bytes make the reader of manifests panic, and none are two things at once.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry_server::service::document::Document;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(document) = Document::parse(bytes, None) {
        assert_eq!(document.is_index, document.config.is_none());
    }
});
