// SPDX-License-Identifier: Apache-2.0
//! No `Authorization` header makes the registry panic, and none but a token that was
//! issued lets anybody in.
#![no_main]

mod registry;

use axum::http::{HeaderValue, header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // `basic`, `bearer` or whatever the bytes say themselves.
    let (scheme, rest): (&[u8], &[u8]) = match bytes.split_first() {
        Some((b'0', rest)) => (b"Basic ", rest),
        Some((b'1', rest)) => (b"Bearer ", rest),
        _ => (b"", bytes),
    };
    let Ok(value) = HeaderValue::from_bytes(&[scheme, rest].concat()) else {
        return;
    };
    let status = registry::ask("/v2/", Some((header::AUTHORIZATION, value)));
    assert!(status == 401, "{status}");
});
