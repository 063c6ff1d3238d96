// SPDX-License-Identifier: Apache-2.0
//! Passwords: from the environment, a file, stdin or a prompt, never from the
//! command line, where every user of the machine could read them.

use std::{
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint};
use zeroize::Zeroizing;

use super::failure::Failure;
use crate::file;

/// Longest password, in bytes.
const MAX_BYTES: u64 = 16 << 10;

/// Where the password of a private key comes from
#[derive(Debug, Clone, Args)]
pub(super) struct PasswordArgs {
    /// File that holds the private key's password; else BPFPKG_PASSWORD,
    /// COSIGN_PASSWORD, or a prompt
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) password_file: Option<PathBuf>,
}

impl PasswordArgs {
    /// The password that opens a key.
    pub(super) fn existing(&self) -> Result<Zeroizing<String>, Failure> {
        match self.given()? {
            Some(password) => Ok(password),
            None => prompt("Password of the private key: "),
        }
    }

    /// The password for a new key, asked for twice.
    pub(super) fn new_password(&self) -> Result<Zeroizing<String>, Failure> {
        if let Some(password) = self.given()? {
            return Ok(password);
        }
        prompt_new("New password for the private key: ")
    }

    fn given(&self) -> Result<Option<Zeroizing<String>>, Failure> {
        if let Some(path) = &self.password_file {
            return from_file(path).map(Some);
        }
        for name in ["BPFPKG_PASSWORD", "COSIGN_PASSWORD"] {
            if let Ok(value) = std::env::var(name) {
                return Ok(Some(Zeroizing::new(value)));
            }
        }
        Ok(None)
    }
}

fn from_file(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let refuse = |reason: String| {
        Failure::usage(
            format!(
                "password file `{}` cannot be used: {reason}",
                path.display()
            ),
            "name a text file whose first line is the password",
        )
    };
    let bytes = file::read_bounded(path, MAX_BYTES)
        .map(Zeroizing::new)
        .map_err(|error| refuse(error.to_string()))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| refuse(error.to_string()))?;
    Ok(first_line(text))
}

/// Reads a password from stdin, up to the first line end.
pub(super) fn from_stdin() -> Result<Zeroizing<String>, Failure> {
    Ok(first_line(&all_of_stdin()?))
}

/// Everything on stdin, for a command that takes more than one password.
pub(super) fn all_of_stdin() -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    io::stdin()
        .lock()
        .take(MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| {
            Failure::usage(
                format!("stdin holds no password: {error}"),
                "write it to stdin as one line",
            )
        })?;
    Ok(text)
}

fn first_line(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.lines().next().unwrap_or_default().to_owned())
}

/// Asks at the terminal for a new password, twice.
pub(super) fn prompt_new(question: &str) -> Result<Zeroizing<String>, Failure> {
    let password = prompt(question)?;
    if *password == *prompt("The same again: ")? {
        Ok(password)
    } else {
        Err(Failure::usage("the two passwords differ", "try again"))
    }
}

/// Asks at the terminal.
pub(super) fn prompt(question: &str) -> Result<Zeroizing<String>, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(
            "a password is needed, and there is no terminal to ask at",
            "set BPFPKG_PASSWORD, or use `--password-file` or `--password-stdin` where it exists",
        ));
    }
    rpassword::prompt_password(question)
        .map(Zeroizing::new)
        .map_err(|error| {
            Failure::usage(
                format!("no password was read: {error}"),
                "try again at a terminal",
            )
        })
}
