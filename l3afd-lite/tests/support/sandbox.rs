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
pub struct Sandbox {
    dir: tempfile::TempDir,
}

impl Sandbox {
    /// Takes the calling thread, and all that it starts, into new namespaces.
    pub fn new() -> Self {
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
        let sandbox = Self { dir };
        sandbox.ip("netns add near");
        sandbox.ip("netns add far");
        sandbox.add_veth();
        sandbox
    }

    /// `v0` in `near` and `v1` in `far`, up, without addresses.
    pub fn add_veth(&self) {
        self.ip("-n near link add v0 type veth peer name v1 netns far");
        for (netns, link) in [("near", "v0"), ("far", "v1")] {
            self.run(&[
                "nsenter",
                &format!("--net=/run/netns/{netns}"),
                "sysctl",
                "-qw",
                "net.ipv6.conf.all.disable_ipv6=1",
            ]);
            self.ip(&format!("-n {netns} link set {link} up"));
        }
    }

    pub fn ip(&self, args: &str) {
        let mut command = vec!["ip"];
        command.extend(args.split_whitespace());
        self.run(&command);
    }

    pub fn run(&self, command: &[&str]) {
        let status = Command::new(command[0])
            .args(&command[1..])
            .status()
            .unwrap();
        assert!(status.success(), "{command:?}: {status}");
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The daemon's directory on the bpffs.
    pub fn bpffs(&self) -> PathBuf {
        self.dir.path().join("bpf/l3afd-lite")
    }

    /// Where packets from `near` arrive.
    pub fn place(&self, hook: Hook) -> Place {
        Place::new(Some("far".to_owned()), "v1", hook).unwrap()
    }

    /// A counter of an interface.
    pub fn statistic(&self, netns: &str, link: &str, name: &str) -> u64 {
        let path = format!("/sys/class/net/{link}/statistics/{name}");
        // sysfs shows the namespace of who mounted it: mount one for the namespace.
        let script = format!("mount -t sysfs sysfs /sys && cat {path}");
        let output = Command::new("nsenter")
            .args([
                &format!("--net=/run/netns/{netns}"),
                "unshare",
                "-m",
                "sh",
                "-c",
                &script,
            ])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout)
            .trim()
            .parse()
            .unwrap()
    }
}

/// Waits until `true`; the limit is there to fail, not to measure.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < limit, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
