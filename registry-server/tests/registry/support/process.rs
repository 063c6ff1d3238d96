// SPDX-License-Identifier: Apache-2.0
//! The real program as a child process.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_bpfpkg-registry");

/// A registry that runs.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    /// Where it listens.
    pub(crate) origin: String,
}

impl Process {
    /// Starts it on `data` and waits until it listens.
    pub(crate) fn start(data: &Path, options: &[&str]) -> Self {
        Self::spawn(data, options).listening()
    }

    /// Starts it; [`Process::listening`] waits.
    pub(crate) fn spawn(data: &Path, options: &[&str]) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["--log", "error", "serve", "--listen", "127.0.0.1:0"])
            .arg("--data")
            .arg(data)
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                drop(sender.send(line));
            }
        });
        let origin = String::new();
        Self {
            child,
            lines,
            origin,
        }
    }

    pub(crate) fn listening(mut self) -> Self {
        let first = self.lines.recv().expect("a first line");
        let origin = first.strip_prefix("listening on ").expect("an address");
        origin.clone_into(&mut self.origin);
        self
    }

    /// The administrator's token, if this was the first start on its database.
    pub(crate) fn token(&self) -> Option<String> {
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(1)) {
            if line.trim().starts_with("bpfpkg_") {
                return Some(line.trim().to_owned());
            }
        }
        None
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("SIGKILL");
        self.child.wait().expect("an end");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs a verb of the program on `data` to its end.
pub(crate) fn run(data: &Path, arguments: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(arguments)
        .arg("--data")
        .arg(data)
        .output()
        .expect("the program runs")
}

/// Demands that `fsck` finds nothing, and that the publish log is whole.
pub(crate) fn demand_clean(data: &Path, options: &[&str]) {
    for verb in [&["fsck", "--json"], &["log", "verify"]] {
        let output = run(data, &[&verb[..], options].concat());
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
