// SPDX-License-Identifier: Apache-2.0
//! A credential file of anything, without credential programs: no panic.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use registry_client::auth::{CredentialStore, Credentials};

fuzz_target!(|data: &[u8]| {
    // Programs that the file names would be started.
    if data.windows(4).any(|window| window.eq_ignore_ascii_case(b"cred") || window.contains(&b'\\')) {
        return;
    }
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(data).expect("written");
    let store = CredentialStore::at(file.path());
    let _ = store.find("h");
    if store.store("h", &Credentials::new("user", "password")).is_ok() {
        let found = store.find("h").expect("readable").expect("there");
        assert_eq!(found.password.as_str(), "password");
    }
    let _ = store.erase("h");
});
