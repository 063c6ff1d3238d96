// SPDX-License-Identifier: Apache-2.0
//! File < environment < command line, and nothing misspelt goes unnoticed.

use tempfile::TempDir;

use super::{binary, stderr, stdout};

#[test]
fn the_environment_beats_the_file_and_the_command_line_beats_both() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("registry.toml");
    let text = "data = \"/srv/registry\"\nupload-seconds = 60\ndrain-seconds = 5\nlog = \"warn\"\n\
                max-blob-bytes = 1000\ntrusted-proxy = [\"10.0.0.0/8\", \"::1\"]\n";
    std::fs::write(&file, text).expect("a file");
    let path = file.to_str().expect("UTF-8");
    let arguments = [
        "--config",
        path,
        "config",
        "show",
        "--origin",
        "--drain-seconds",
        "7",
    ];
    let output = binary(&arguments)
        .env("BPFPKG_SERVER_UPLOAD_SECONDS", "61")
        .env("BPFPKG_SERVER_DRAIN_SECONDS", "6")
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", stderr(&output));
    let shown = stdout(&output);
    for (name, value, origin) in [
        ("data", "\"/srv/registry\"", path),
        ("max-blob-bytes", "1000", path),
        (
            "upload-seconds",
            "61",
            "environment BPFPKG_SERVER_UPLOAD_SECONDS",
        ),
        ("drain-seconds", "7", "command line"),
        ("listen", "\"127.0.0.1:5000\"", "default"),
        ("log", "\"warn\"", path),
        ("trusted-proxy", "[\"10.0.0.0/8\", \"::1\"]", path),
    ] {
        let begins = format!("{name} = {value} ");
        let ends = format!("# {origin}");
        let line = shown.lines().find(|line| line.starts_with(&begins));
        assert!(
            line.is_some_and(|line| line.ends_with(&ends)),
            "{begins}…{ends} in\n{shown}"
        );
    }
    // What is shown is a configuration file again, and means the same.
    let again = dir.path().join("again.toml");
    std::fs::write(&again, &shown).expect("a file");
    let arguments = ["--config", again.to_str().expect("UTF-8"), "config", "show"];
    let second = binary(&arguments).output().expect("it runs");
    let plain = |text: &str| -> Vec<String> {
        let line = |line: &str| {
            line.split(" # ")
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        text.lines().map(line).collect()
    };
    assert_eq!(
        plain(&stdout(&second)),
        plain(&shown),
        "{}",
        stderr(&second)
    );
}

#[test]
fn what_is_wrong_is_named() {
    let dir = TempDir::new().expect("a directory");
    for (text, says) in [
        (
            "data = \"/srv\"\ndrain_second = 3\n",
            "do you mean `drain-seconds`?",
        ),
        (
            "data = \"/srv\"\nfrobnicate = 3\n",
            "has the key `frobnicate`",
        ),
        ("data = \"/srv\"\nconfig = \"x\"\n", "has the key `config`"),
        ("data = \"/srv\"\n[limits]\n", "has the key `limits`"),
        ("data = { a = 1 }\n", "`data` must be a string"),
        ("data = \"/srv\"\ndata = \"/b\"\n", "is not TOML"),
        ("data = \"/srv\"\ndrain-seconds = \"soon\"\n", "'soon'"),
        (
            "data = \"/srv\"\ntrusted-proxy = [\"10/8\"]\n",
            "is no network",
        ),
        (
            "data = \"/srv\"\npublic-url = \"ftp://a\"\n",
            "must be http or https",
        ),
        (
            "data = \"/srv\"\ntls-key = \"/nowhere\"\n",
            "belong together",
        ),
        (
            "data = \"/srv\"\ntls-key = \"/nowhere\"\ntls-certificate = \"/nowhere\"\n",
            "certificate /nowhere",
        ),
        ("upload-seconds = 3\n", "--data"),
    ] {
        let file = dir.path().join("registry.toml");
        std::fs::write(&file, text).expect("a file");
        let path = file.to_str().expect("UTF-8");
        let output = binary(&["--config", path, "config", "check"])
            .output()
            .expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{text}: {}", stdout(&output));
        assert!(
            stderr(&output).contains(says),
            "{says} in {}",
            stderr(&output)
        );
    }
    let output = binary(&["--config", "/nowhere", "config", "check"])
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("/nowhere"), "{}", stderr(&output));
}

#[test]
fn a_secret_comes_from_a_file_of_its_own_and_is_not_shown() {
    const URL: &str = "postgres://registry:hunter2@db/registry";
    let dir = TempDir::new().expect("a directory");
    let secret = dir.path().join("database");
    std::fs::write(&secret, format!("{URL}\n")).expect("a file");
    let secret = secret.to_str().expect("UTF-8");
    let base = ["config", "show", "--origin", "--data", "/srv"];
    let shows = |output: &std::process::Output, origin: &str| {
        assert!(output.status.success(), "{}", stderr(output));
        let text = stdout(output) + &stderr(output);
        assert!(!text.contains("hunter2"), "{text}");
        let line = text
            .lines()
            .find(|line| line.starts_with("# database is set"));
        assert!(line.is_some_and(|line| line.ends_with(origin)), "{text}");
    };
    let by_flag = binary(&base)
        .args(["--database-file", secret])
        .output()
        .expect("it runs");
    shows(&by_flag, secret);
    let by_environment = binary(&base)
        .env("BPFPKG_SERVER_DATABASE_FILE", secret)
        .output();
    shows(&by_environment.expect("it runs"), secret);
    let direct = binary(&base)
        .env("BPFPKG_SERVER_DATABASE", URL)
        .output()
        .expect("it runs");
    shows(&direct, "environment BPFPKG_SERVER_DATABASE");
    let both = binary(&base)
        .env("BPFPKG_SERVER_DATABASE", URL)
        .args(["--database-file", secret])
        .output()
        .expect("it runs");
    assert_eq!(both.status.code(), Some(2));
    assert!(
        stderr(&both).contains("give one of them"),
        "{}",
        stderr(&both)
    );
}
