// SPDX-License-Identifier: Apache-2.0
//! What an operator relies on: configuration, TLS, limits, numbers, and a clean stop.

mod admin;
mod config;
mod limits;
mod log;
mod memory;
mod metrics;
mod mutual;
mod slow;
mod stop;
mod tls;

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread::JoinHandle,
};

/// The binary with these arguments and nothing of the environment.
fn binary(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bpfpkg-registry"));
    command.args(arguments).env_clear();
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The binary, serving.
struct Server {
    child: Child,
    origin: String,
    token: String,
    /// Read while it runs: a full pipe would stop the server at its next word.
    log: Option<JoinHandle<String>>,
}

impl Server {
    fn start(data: &Path, more: &[&str]) -> Self {
        Self::start_with_notice(data, more, 0)
    }

    fn start_with_notice(data: &Path, more: &[&str], seconds: u32) -> Self {
        let mut child = binary(more)
            .args(["--config", "/dev/null", "serve"])
            .args(["--notice-seconds", &seconds.to_string()])
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut stderr = child.stderr.take().expect("a pipe");
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            stderr.read_to_string(&mut log).expect("UTF-8");
            log
        });
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe"))
            .lines()
            .map_while(Result::ok);
        let first = lines.next().expect("a first line");
        let origin = first
            .strip_prefix("listening on ")
            .expect("an address")
            .to_owned();
        let token = lines
            .map(|line| line.trim().to_owned())
            .find(|line| line.starts_with("bpfpkg_"))
            .expect("a first token");
        Self {
            child,
            origin,
            token,
            log: Some(log),
        }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.child.id()).expect("an id");
        let id = rustix::process::Pid::from_raw(id).expect("a process");
        rustix::process::kill_process(id, signal).expect("it is ours");
    }

    /// Tells it to stop; gives its exit code and its log.
    fn stop(mut self) -> (Option<i32>, String) {
        self.signal(rustix::process::Signal::TERM);
        self.ended()
    }

    /// Waits for its end; gives its exit code and its log.
    fn ended(&mut self) -> (Option<i32>, String) {
        let log = self.log.take().expect("asked once");
        let log = log.join().expect("a log");
        (self.child.wait().expect("an end").code(), log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
