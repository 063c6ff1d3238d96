// SPDX-License-Identifier: Apache-2.0
//! Trust roots, revocation feeds and policies: no panic, and nothing that nobody signed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry_schema::trust::{
    envelope::Envelope,
    policy::Policy,
    revocation::{Feed, REVOCATION_TYPE},
    root::{MAX_ROOT, ROOT_TYPE, SignedRoot, read_unsigned},
};

fuzz_target!(|data: &[u8]| {
    assert!(SignedRoot::open(data).is_err(), "nobody holds a key here");
    assert!(Feed::open(data, &[], 1).is_err());
    // What an envelope could hold is reached without its base64.
    let _ = read_unsigned(&Envelope::new(ROOT_TYPE, data.to_vec()));
    let _ = Envelope::parse(data, REVOCATION_TYPE, MAX_ROOT);
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(policy) = Policy::parse(text)
    {
        let package = "a/b".parse().expect("a name");
        let _ = policy.demands("h", &package);
    }
});
