// SPDX-License-Identifier: Apache-2.0
//! An archive of anything: no panic, and whatever it is said to hold is what its digest
//! says.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use registry_client::layout::Layout;

fuzz_target!(|data: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(data).expect("written");
    let Ok(layout) = Layout::open(file.path()) else {
        return;
    };
    for root in layout.roots() {
        if let Ok(bytes) = layout.bytes(&root.entry.digest, 1 << 20) {
            root.entry.digest.check(&bytes).expect("checked");
        }
        layout.referrers(&root.entry.digest);
    }
});
