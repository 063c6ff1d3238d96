// SPDX-License-Identifier: Apache-2.0
//! Network and mount namespaces that last as long as the test that made them.

use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

/// A network namespace; it goes, with every interface in it, when this is dropped.
#[derive(Debug)]
pub struct Namespace(File);

impl Namespace {
    /// Makes an empty namespace with its loopback up.
    #[expect(
        clippy::new_without_default,
        reason = "making one reaches into the kernel"
    )]
    pub fn new() -> Self {
        let made = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)
                .unwrap_or_else(|error| panic!("no network namespace can be made: {error}"));
            ip("link set lo up");
            File::open("/proc/thread-self/ns/net").expect("/proc is mounted")
        });
        Self(made.join().expect("the namespace is made"))
    }

    /// Runs `work` inside, on a thread of its own; the caller's thread never moves.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        on_own_thread(|| {
            setns(&self.0, CloneFlags::CLONE_NEWNET).expect("the namespace is open");
            work()
        })
    }

    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }
}

/// Two namespaces and a veth pair between them. Both ends are called `veth0`;
/// they have 10.9.0.1 and fd09::1 on the left, 10.9.0.2 and fd09::2 on the right.
#[derive(Debug)]
pub struct Wire {
    /// Where traffic comes from.
    pub left: Namespace,
    /// Where it goes to, and programs are attached.
    pub right: Namespace,
}

impl Wire {
    /// Makes both ends and brings them up.
    #[expect(
        clippy::new_without_default,
        reason = "making one reaches into the kernel"
    )]
    pub fn new() -> Self {
        let (left, right) = (Namespace::new(), Namespace::new());
        let peer = right.path();
        left.run(|| {
            ip(&format!(
                "link add veth0 type veth peer name veth0 netns {peer}"
            ));
        });
        for (end, number) in [(&left, 1), (&right, 2)] {
            end.run(|| {
                // No neighbour discovery or router soliciting of the kernel's own.
                ip("link set veth0 addrgenmode none");
                ip(&format!("addr add 10.9.0.{number}/24 dev veth0"));
                ip(&format!("addr add fd09::{number}/64 dev veth0 nodad"));
                ip("link set veth0 up");
            });
        }
        let wire = Self { left, right };
        wire.warm_up("10.9.0.2:9");
        wire.warm_up("[fd09::2]:9");
        wire
    }

    /// Sends until something arrives: routes and neighbours take a moment to settle.
    fn warm_up(&self, to: &str) {
        let receiver = self
            .right
            .run(|| UdpSocket::bind(to))
            .expect("the address is there");
        let wait = Duration::from_millis(50);
        receiver
            .set_read_timeout(Some(wait))
            .expect("50 ms is a wait");
        let any = if to.starts_with('[') {
            "[::]:0"
        } else {
            "0.0.0.0:0"
        };
        let sender = self
            .left
            .run(|| UdpSocket::bind(any))
            .expect("a port is free");
        let arrives = (0..200).any(|_| {
            // Not yet routable is no failure; not within ten seconds is.
            let _ = sender.send_to(b"?", to);
            receiver.recv(&mut [0]).is_ok()
        });
        assert!(arrives, "nothing reaches {to} over the veth pair");
    }
}

/// Runs `ip` of iproute2 where the calling thread is; `arguments` are split at spaces.
pub fn ip(arguments: &str) {
    let output = Command::new("ip")
        .args(arguments.split(' '))
        .output()
        .unwrap_or_else(|error| panic!("`ip` of iproute2 does not start: {error}"));
    assert!(
        output.status.success(),
        "`ip {arguments}` fails: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Runs `work` on a thread that sees a tracefs of its own, as attaching to tracepoints needs.
pub fn with_tracefs<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    with_mount("tracefs", "/sys/kernel/tracing", work)
}

/// Runs `work` on a thread that sees an empty bpffs of its own at `/sys/fs/bpf`.
pub fn with_bpffs<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    with_mount("bpf", "/sys/fs/bpf", work)
}

fn with_mount<T: Send>(kind: &str, at: &str, work: impl FnOnce() -> T + Send) -> T {
    let none = None::<&str>;
    on_own_thread(|| {
        unshare(CloneFlags::CLONE_NEWNS)
            .unwrap_or_else(|error| panic!("no mount namespace can be made: {error}"));
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
            .unwrap_or_else(|error| panic!("the mounts cannot be made private: {error}"));
        mount(Some(kind), at, Some(kind), MsFlags::empty(), none)
            .unwrap_or_else(|error| panic!("{kind} cannot be mounted at {at}: {error}"));
        work()
    })
}

/// Runs `work` on a thread that ends with it, and panics if it does.
fn on_own_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
