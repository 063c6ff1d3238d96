// SPDX-License-Identifier: Apache-2.0
//! A private machine: its own mount namespace with a bpffs, its own network
//! namespaces, joined by a veth pair. All of it ends with the thread that made it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use l3afd_lite::place::Place;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use registry_schema::hook::Hook;

/// The machine of one test.
pub(crate) struct Sandbox {
    dir: tempfile::TempDir,
}

impl Sandbox {
    /// Takes the calling thread, and all that it starts, into new namespaces.
    pub(crate) fn new() -> Self {
        let none = None::<&str>;
        let dir = tempfile::tempdir().unwrap();
        unshare(CloneFlags::CLONE_NEWNS).expect("these tests need root");
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        fs::create_dir(dir.path().join("bpf")).unwrap();
        mount(
            Some("bpf"),
            &dir.path().join("bpf"),
            Some("bpf"),
            MsFlags::empty(),
            none,
        )
        .unwrap();
        fs::create_dir_all("/run/netns").unwrap();
        mount(
            Some("tmpfs"),
            "/run/netns",
            Some("tmpfs"),
            MsFlags::empty(),
            none,
        )
        .unwrap();
        ip("netns add near");
        ip("netns add far");
        add_veth();
        Self { dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The daemon's directory on the bpffs.
    pub(crate) fn bpffs(&self) -> PathBuf {
        self.dir.path().join("bpf/l3afd-lite")
    }
}

/// Where packets from `near` arrive.
pub(crate) fn place(hook: Hook) -> Place {
    Place::new(Some("far".to_owned()), "v1", hook).unwrap()
}

/// `v0` in `near` and `v1` in `far`, up, without addresses.
pub(crate) fn add_veth() {
    ip("-n near link add v0 type veth peer name v1 netns far");
    for (netns, link) in [("near", "v0"), ("far", "v1")] {
        run(&[
            "nsenter",
            &format!("--net=/run/netns/{netns}"),
            "sysctl",
            "-qw",
            "net.ipv6.conf.all.disable_ipv6=1",
        ]);
        ip(&format!("-n {netns} link set {link} up"));
    }
}

pub(crate) fn ip(args: &str) {
    let mut command = vec!["ip"];
    command.extend(args.split_whitespace());
    run(&command);
}

pub(crate) fn run(command: &[&str]) {
    let status = Command::new(command[0])
        .args(&command[1..])
        .status()
        .unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

/// Where tracepoints are looked up.
pub(crate) fn mount_tracefs() {
    let target = "/sys/kernel/tracing";
    if !Path::new(target).join("events").exists() {
        mount(
            Some("tracefs"),
            target,
            Some("tracefs"),
            MsFlags::empty(),
            None::<&str>,
        )
        .unwrap();
    }
}

/// Waits until `true`; the limit is there to fail, not to measure.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < limit, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
