// SPDX-License-Identifier: Apache-2.0
//! Compiles the test programs.

pub(crate) mod kernel;

use std::path::Path;
use std::process::Command;

/// Compiles `tests/c/<name>.bpf.c` with further flags and returns the object.
pub(crate) fn compile(name: &str, flags: &[&str]) -> Vec<u8> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/c/{name}.bpf.c"));
    let folder = tempfile::tempdir().unwrap();
    let object = folder.path().join("out.o");
    let status = Command::new("clang")
        .args([
            "-O2",
            "-g",
            "-target",
            "bpf",
            "-mcpu=v2",
            "-Wall",
            "-Wno-unused-variable",
            "-c",
            "-o",
        ])
        .arg(&object)
        .args(flags)
        .arg(&source)
        .status()
        .unwrap();
    assert!(
        status.success(),
        "clang cannot compile {}",
        source.display()
    );
    std::fs::read(object).unwrap()
}
