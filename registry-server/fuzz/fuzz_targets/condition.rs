// SPDX-License-Identifier: Apache-2.0
//! No `If-Match` or `If-None-Match` makes the reader panic, and only a digest in quotes
//! counts as one.
#![no_main]

use axum::http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;
use registry_server::{http::oci::condition, service::tag::Expected};

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let headers = HeaderMap::from_iter([
        (header::IF_MATCH, value.clone()),
        (header::IF_NONE_MATCH, value),
    ]);
    let condition = condition::of_write(&headers);
    for expected in [condition.only_if, condition.unless] {
        if let Some(Expected::OneOf(digests)) = expected {
            let text = String::from_utf8_lossy(bytes);
            assert!(digests.iter().all(|one| text.contains(&format!("\"{one}\""))));
        }
    }
});
