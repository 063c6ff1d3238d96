// SPDX-License-Identifier: Apache-2.0
//! The real `l3afd-lite`, in a sandbox, against a real registry.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::support::sandbox::{Sandbox, wait_until};

/// A configuration, and the processes that use it.
pub(crate) struct Node<'a> {
    sandbox: &'a Sandbox,
    config: PathBuf,
    seconds_ahead: u32,
}

/// A running daemon; killed, not asked, when it is dropped.
pub(crate) struct Daemon {
    child: Child,
}

impl<'a> Node<'a> {
    /// A node that trusts `key` (PEM) for namespace `test` of the registry at `host`.
    pub(crate) fn new(sandbox: &'a Sandbox, host: &str, key: &str, rest: &str) -> Self {
        let node = Self {
            sandbox,
            config: sandbox.path().join("config.toml"),
            seconds_ahead: 0,
        };
        node.configure(host, key, rest);
        node
    }

    /// Sets the clock of what is started from now on: to the true time, and days later.
    pub(crate) fn days_later(&mut self, days: u32) {
        self.seconds_ahead = days * 24 * 60 * 60;
    }

    /// Writes the configuration anew.
    pub(crate) fn configure(&self, host: &str, key: &str, rest: &str) {
        let dir = self.sandbox.path().display();
        let bpffs = self.sandbox.bpffs();
        let mut text = format!(
            "state_dir = \"{dir}/state\"\nbpffs = \"{}\"\ninterval_seconds = 1\ngrace_milliseconds = 100\n",
            bpffs.display()
        );
        // Keys of the file itself come before its tables.
        let (top, tables): (Vec<&str>, Vec<&str>) = rest
            .split_inclusive('\n')
            .partition(|line| line.starts_with("mode") || line.starts_with("on_stop"));
        let (registry, tables): (Vec<&str>, Vec<&str>) = tables
            .iter()
            .partition(|line| line.starts_with("layouts") || line.starts_with("timeout"));
        text.extend(top);
        let _ = write!(
            text,
            "[api]\nsocket = \"{dir}/l3afd-lite.sock\"\n[registry]\ndefault = \"{host}\"\n{}[trust]\nfile = \"{dir}/trust.toml\"\n",
            registry.concat()
        );
        let fingerprint: registry_schema::signature::PublicKey =
            registry_schema::signature::PublicKey::from_pem(key).unwrap();
        let _ = write!(
            text,
            "[[trust.key]]\nregistry = \"{host}\"\nnamespace = \"test\"\nfingerprint = \"{}\"\npem = '''\n{key}'''\n",
            fingerprint.fingerprint()
        );
        text.extend(tables);
        std::fs::write(&self.config, text).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_l3afd-lite"));
        command.arg("--config").arg(&self.config);
        if self.seconds_ahead > 0 {
            command.env("LD_PRELOAD", clock());
            command.env("FAKETIME", format!("+{}", self.seconds_ahead));
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        command
    }

    /// Starts the daemon and waits until it answers.
    pub(crate) fn start(&self) -> Daemon {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.sandbox.path().join("daemon.log"))
            .unwrap();
        let child = self
            .command()
            .arg("run")
            .stderr(log)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let daemon = Daemon { child };
        wait_until("the daemon answers", || self.socket_answers());
        self.ok(&["status"]);
        daemon
    }

    pub(crate) fn socket_answers(&self) -> bool {
        std::os::unix::net::UnixStream::connect(self.sandbox.path().join("l3afd-lite.sock")).is_ok()
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command().args(args).output().unwrap()
    }

    /// Runs a command that must succeed.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{args:?}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    /// Runs a command that must fail; gives its exit code and what it says.
    pub(crate) fn refused(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = self.run(args);
        assert!(
            !output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }

    /// Runs a command that must fail, with another configuration.
    pub(crate) fn refused_with(config: &str, args: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_l3afd-lite"));
        let output = command
            .args(["--config", config])
            .args(args)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }

    /// The page of measurements, through the socket.
    pub(crate) fn metrics(&self) -> String {
        let socket = self.sandbox.path().join("l3afd-lite.sock");
        let client = l3afd_lite::api::Client::new(&socket);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(client.text("/metrics")).unwrap()
    }

    /// How often something was refused for this reason since the daemon was started.
    pub(crate) fn refusals(&self, reason: &str) -> u32 {
        let counted = format!("l3afd_lite_refused_total{{reason=\"{reason}\"}} ");
        let page = self.metrics();
        let count = page.lines().find_map(|line| line.strip_prefix(&counted));
        count.map_or(0, |count| count.parse().unwrap())
    }

    /// The status of the chain of an interface, as JSON.
    pub(crate) fn chain(&self, hook: &str) -> Value {
        let chains: Value =
            serde_json::from_str(&self.ok(&["chain", "show", "--output", "json"])).unwrap();
        let found = chains
            .as_array()
            .unwrap()
            .iter()
            .find(|chain| chain["hook"] == hook)
            .cloned();
        found.unwrap_or(Value::Null)
    }

    /// Names of the packages that run at a hook, head first.
    pub(crate) fn packages(&self, hook: &str) -> Vec<String> {
        let chain = self.chain(hook);
        let programs = chain["programs"].as_array().cloned().unwrap_or_default();
        programs
            .iter()
            .map(|program| program["package"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Packets each program of a hook has seen.
    pub(crate) fn runs(&self, hook: &str) -> Vec<u64> {
        let chain = self.chain(hook);
        let programs = chain["programs"].as_array().cloned().unwrap_or_default();
        programs
            .iter()
            .map(|program| program["runs"].as_u64().unwrap())
            .collect()
    }
}

/// libfaketime, unpacked from its Debian package.
fn clock() -> &'static PathBuf {
    static CLOCK: OnceLock<PathBuf> = OnceLock::new();
    CLOCK.get_or_init(|| {
        let library = concat!(env!("CARGO_MANIFEST_DIR"), "/../.ci/lib.sh");
        let script = format!(
            ". '{library}'; ls \"$(unpack_deb bookworm libfaketime)\"/usr/lib/*/faketime/libfaketime.so.1"
        );
        let output = Command::new("bash").args(["-c", &script]).output().unwrap();
        assert!(output.status.success(), "libfaketime: {output:?}");
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    })
}

impl Daemon {
    /// Sends SIGKILL and waits until the process is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn terminate(mut self) -> bool {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.child.wait().unwrap().success()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
