// SPDX-License-Identifier: Apache-2.0
//! A trust file of anything: no panic, and what is read is written and read the same.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use registry_client::trust::TrustStore;

fuzz_target!(|data: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(data).expect("written");
    if let Ok(store) = TrustStore::load(file.path()) {
        store.save(file.path()).expect("what was read can be written");
        assert_eq!(TrustStore::load(file.path()).expect("and read"), store);
    }
});
