// SPDX-License-Identifier: Apache-2.0
//! One user's machine: an empty home, and the command as this user runs it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// The password of everybody's keys.
pub(crate) const PASSWORD: &str = "correct horse";

/// A user with an empty home directory.
pub(crate) struct Home {
    folder: TempDir,
    registry: Option<String>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Fails the test unless the exit code is `code`.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout: {}\nstderr: {}",
            self.stdout, self.stderr
        );
        self
    }

    /// Fails the test unless stderr says all of `words`, in one paragraph with code
    /// and help, and nothing panicked.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(
                self.stderr.contains(word),
                "`{word}` is not in: {}",
                self.stderr
            );
        }
        assert!(self.stderr.contains("help:"), "no help in: {}", self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        assert!(
            self.stdout.is_empty(),
            "an error has no data: {}",
            self.stdout
        );
        self
    }

    /// The answer as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

impl Home {
    /// A user who has named no registry.
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            registry: None,
        }
    }

    /// A user for whom `host` is the registry.
    pub(crate) fn with_registry(host: &str) -> Self {
        Self {
            registry: Some(host.to_owned()),
            ..Self::new()
        }
    }

    /// A path in the home directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the command in the home directory.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        self.run_with(args, "", &[])
    }

    /// Runs the command with text on stdin and more environment.
    pub(crate) fn run_with(
        &self,
        args: &[&str],
        stdin: &str,
        environment: &[(&str, &str)],
    ) -> Ended {
        let mut command = self.command(args);
        command.envs(environment.iter().copied());
        let mut child = command.spawn().expect("the command starts");
        let mut pipe = child.stdin.take().expect("stdin is a pipe");
        // A command that does not read its stdin may have ended already.
        let _ = std::io::Write::write_all(&mut pipe, stdin.as_bytes());
        drop(pipe);
        let output = child.wait_with_output().expect("the command ends");
        Ended {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
        }
    }

    /// The command, ready to start.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bpfpkg"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("BPFPKG_PASSWORD", PASSWORD)
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(registry) = &self.registry {
            command.env("BPFPKG_REGISTRY", registry);
        }
        command
    }

    /// Starts the package `demo/NAME` in a folder of the same name, and builds it.
    pub(crate) fn package(&self, name: &str) -> PathBuf {
        self.run(&["init", &format!("demo/{name}")]).exits(0);
        self.run(&["build", name]).exits(0);
        self.path(name)
    }

    /// Makes the key pair `NAME.key` and `NAME.pub`.
    pub(crate) fn keygen(&self, name: &str) -> PathBuf {
        self.run(&["keygen", "--output", name]).exits(0);
        self.path(&format!("{name}.key"))
    }

    /// Trusts `NAME.pub` for namespace `demo` of `host`.
    pub(crate) fn trusts(&self, host: &str, name: &str) {
        let whom = format!("{host}/demo");
        let file = format!("{name}.pub");
        self.run(&["trust", "add", &whom, "--key", &file, "--yes"])
            .exits(0);
    }
}

/// Replaces text in a file; fails the test if it is not there.
#[track_caller]
pub(crate) fn edit(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).expect("the file is text");
    assert!(text.contains(from), "`{from}` is not in {}", path.display());
    std::fs::write(path, text.replace(from, to)).expect("the file is written");
}
