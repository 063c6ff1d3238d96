// SPDX-License-Identifier: Apache-2.0
//! Compiles a package's object, loads it, and runs packets through its programs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex};

use aya::programs::{ProgramError, SchedClassifier, TestRun, Xdp};
use aya::{Ebpf, EbpfLoader, TestRunOptions, TestRunResult};

/// XDP's verdict to throw the packet away.
pub const XDP_DROP: u32 = 1;
/// XDP's verdict to hand the packet on.
pub const XDP_PASS: u32 = 2;
/// TC's verdict "no opinion", −1 as the kernel reports it.
pub const TC_ACT_UNSPEC: u32 = u32::MAX;

/// The folder of all packages.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Fails the test, with the reason, unless it runs as root.
pub fn require_root() {
    assert!(
        nix::unistd::geteuid().is_root(),
        "this test loads eBPF programs into the kernel, so it must run as root: \
         sudo -E cargo test -p bpf-packages"
    );
}

/// Compiles `source`, a path below the packages' folder, into an object; once per process.
pub fn compile(source: &str) -> Vec<u8> {
    static DONE: LazyLock<Mutex<HashMap<String, Vec<u8>>>> = LazyLock::new(Mutex::default);
    let mut done = DONE.lock().expect("what was compiled before did compile");
    if let Some(object) = done.get(source) {
        return object.clone();
    }
    let object = clang(&root().join(source))
        .unwrap_or_else(|log| panic!("clang cannot compile {source}:\n{log}"));
    done.insert(source.to_owned(), object.clone());
    object
}

fn clang(source: &Path) -> Result<Vec<u8>, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let object: PathBuf = folder.path().join("object.o");
    let output = Command::new("clang")
        .args([
            "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-target", "bpf", "-mcpu=v2",
        ])
        .arg("-I")
        .arg(root().join("include"))
        .arg("-c")
        .arg(source)
        .arg("-o")
        .arg(&object)
        .output()
        .map_err(|error| format!("clang does not start: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    std::fs::read(&object).map_err(|error| error.to_string())
}

/// The object of the package in folder `name`.
pub fn compile_package(name: &str) -> Vec<u8> {
    compile(&format!("{name}/{name}.bpf.c"))
}

/// Loads the maps of an object; its programs are loaded one by one.
pub fn open(object: &[u8]) -> Ebpf {
    // Making a loader reads the kernel's types, which takes longer than all the rest.
    static LOADER: LazyLock<Mutex<EbpfLoader<'static>>> = LazyLock::new(Mutex::default);
    require_root();
    open_with(&mut LOADER.lock().expect("loading does not panic"), object)
        .unwrap_or_else(|error| panic!("the object does not load: {error}"))
}

fn open_with(loader: &mut EbpfLoader<'_>, object: &[u8]) -> Result<Ebpf, String> {
    loader.load(object).map_err(|error| format!("{error:?}"))
}

/// Loads the XDP program `function` into the kernel.
pub fn xdp<'a>(ebpf: &'a mut Ebpf, function: &str) -> &'a mut Xdp {
    let program: &mut Xdp = ebpf
        .program_mut(function)
        .unwrap_or_else(|| panic!("the object has no program {function}"))
        .try_into()
        .unwrap_or_else(|error| panic!("{function} is not XDP: {error}"));
    match program.load() {
        Ok(()) | Err(ProgramError::AlreadyLoaded) => program,
        Err(error) => panic!("the kernel refuses {function}: {error}"),
    }
}

/// Loads the TC program `function` into the kernel.
pub fn tc<'a>(ebpf: &'a mut Ebpf, function: &str) -> &'a mut SchedClassifier {
    let program: &mut SchedClassifier = ebpf
        .program_mut(function)
        .unwrap_or_else(|| panic!("the object has no program {function}"))
        .try_into()
        .unwrap_or_else(|error| panic!("{function} is not TC: {error}"));
    match program.load() {
        Ok(()) | Err(ProgramError::AlreadyLoaded) => program,
        Err(error) => panic!("the kernel refuses {function}: {error}"),
    }
}

/// Runs one packet through a program `times` times; at least 14 bytes, the kernel's own limit.
pub fn run<P>(program: &P, packet: &[u8], times: u32) -> TestRunResult
where
    P: for<'a> TestRun<Opts<'a> = TestRunOptions<'a>, Result = TestRunResult>,
{
    let options = TestRunOptions {
        data_in: Some(packet),
        repeat: times,
        ..TestRunOptions::default()
    };
    program
        .test_run(options)
        .unwrap_or_else(|error| panic!("the test run of {} bytes fails: {error}", packet.len()))
}

/// The program's verdict on one packet.
pub fn verdict<P>(program: &P, packet: &[u8]) -> u32
where
    P: for<'a> TestRun<Opts<'a> = TestRunOptions<'a>, Result = TestRunResult>,
{
    run(program, packet, 1).return_value
}
