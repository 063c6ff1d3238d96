// SPDX-License-Identifier: Apache-2.0
//! Key files, and who can open them.

use std::os::unix::fs::PermissionsExt;

use registry_client::sign::{KeyPair, SignError};
use registry_schema::signature::PublicKey;

use crate::home::{Home, edit};

#[test]
fn a_key_pair_is_encrypted_private_and_never_overwritten() {
    let home = Home::new();
    let shown = home.run(&["keygen", "--output", "alice"]).exits(0);
    let private = home.path("alice.key");
    let text = std::fs::read_to_string(&private).expect("the private key");
    assert!(
        text.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n")
            && !text.contains('\r'),
        "{text}"
    );
    assert_eq!(
        std::fs::metadata(&private)
            .expect("metadata")
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    let public = std::fs::read_to_string(home.path("alice.pub")).expect("the public key");
    let key = PublicKey::from_pem(&public).expect("a public key");
    assert_eq!(shown.stdout.trim(), key.fingerprint().to_string());
    assert_eq!(
        KeyPair::load(&private, "correct horse")
            .expect("opens")
            .fingerprint(),
        key.fingerprint()
    );

    home.run(&["keygen", "--output", "alice"])
        .exits(5)
        .says(&["alice.key", "exists already"]);
    assert_eq!(
        std::fs::read_to_string(&private).expect("still there"),
        text
    );
}

#[test]
fn the_password_comes_from_environment_file_or_prompt_and_must_be_right() {
    let home = Home::new();
    home.package("counter");
    home.keygen("alice");
    let push = [
        "push",
        "--registry",
        "127.0.0.1:1",
        "--key",
        "alice.key",
        "counter",
    ];
    home.run_with(&push, "", &[("BPFPKG_PASSWORD", "wrong")])
        .exits(4)
        .says(&["does not open", "alice.key"]);
    std::fs::write(home.path("password"), "correct horse\n").expect("a file");
    let with_file = [&push[..], &["--password-file", "password"]].concat();
    // The right password leads on to the registry, which is not there.
    home.run_with(&with_file, "", &[("BPFPKG_PASSWORD", "wrong")])
        .exits(6)
        .says(&["127.0.0.1:1"]);
    let mut silent = home.command(&push);
    let output = silent
        .env_remove("BPFPKG_PASSWORD")
        .stdin(std::process::Stdio::null())
        .output()
        .expect("ends");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no terminal to ask at"));
}

#[test]
fn what_is_no_private_key_is_refused() {
    let home = Home::new();
    let path = home.keygen("alice");
    let good = std::fs::read_to_string(&path).expect("the key");
    let public = std::fs::read_to_string(home.path("alice.pub")).expect("the key");
    let half = good[..good.len() / 2].to_owned();
    for bad in [
        "",
        "\u{0}",
        &half,
        &public,
        &good.replace("SIGSTORE", "STRANGE"),
        &"A".repeat(100_000),
    ] {
        std::fs::write(&path, bad).expect("written");
        let error = KeyPair::load(&path, "correct horse")
            .err()
            .expect("refused");
        assert!(!error.to_string().contains("correct horse"));
    }
    std::fs::write(&path, &good).expect("written");
    // One changed letter of the encrypted part cannot be told from a wrong password.
    let letter = good
        .lines()
        .nth(4)
        .expect("a line")
        .chars()
        .nth(10)
        .expect("a letter");
    let line = good.lines().nth(4).expect("a line");
    let other = if letter == 'A' { 'B' } else { 'A' };
    let changed: String = line
        .chars()
        .enumerate()
        .map(|(at, c)| if at == 10 { other } else { c })
        .collect();
    edit(&path, line, &changed);
    assert!(matches!(
        KeyPair::load(&path, "correct horse"),
        Err(SignError::WrongPassword { .. } | SignError::NotAKey { .. })
    ));
    home.run(&[
        "push",
        "--registry",
        "127.0.0.1:1",
        "--key",
        "nothing.key",
        ".",
    ])
    .exits(3)
    .says(&["nothing.key"]);
}
