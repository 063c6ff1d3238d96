// SPDX-License-Identifier: Apache-2.0
//! A node that no network reaches, and archives that somebody carried there.

use std::path::Path;

use serde_json::Value;

use crate::node::Node;
use crate::support::sandbox::wait_until;
use crate::trusted::Trusted;
use crate::{apply, chain, somebody};

/// `[registry]` with these archives.
fn layouts(paths: &[&Path]) -> String {
    format!("layouts = {paths:?}\n")
}

/// Forgets everything that the node has seen, kept and runs.
fn forget(node: &Node, trusted: &Trusted) {
    node.ok(&["unload"]);
    std::fs::remove_dir_all(trusted.sandbox.path().join("state")).unwrap();
}

#[test]
fn what_an_archive_brings_is_verified_whole_and_runs_without_any_registry() {
    let mut trusted = Trusted::new();
    trusted.registry.publish("b", "1.0.0", Some(&trusted.key));
    let host = trusted.registry.host().to_owned();
    let root = trusted.pin(&host);
    let first = trusted.export(&["a"], &root, "first.tar");
    let second = trusted.export(&["b"], &root, "second.tar");
    trusted.registry.stop();

    let nowhere = trusted.sandbox.path().join("not-carried-yet.tar");
    let registry = layouts(&[&nowhere, &first, &second]);
    let wishes = chain("xdp", &["test/a", "test/b:1.0.0"]);
    let node = trusted.node(&host, &format!("{registry}{wishes}"));
    let daemon = node.start();
    wait_until("both run", || node.packages("xdp") == ["test/a", "test/b"]);
    let shown = node.chain("xdp");
    assert_eq!(shown["problem"], Value::Null, "{shown}");
    assert_eq!(shown["programs"][0]["stale"], Value::Null, "{shown}");
    let (code, message) = node.refused(&apply("xdp", &["test/c"]));
    assert_eq!(code, Some(6), "it is in no archive: {message}");
    daemon.kill();
    // After a restart, too; and what is kept is not needed for it.
    std::fs::remove_dir_all(trusted.sandbox.path().join("state/packages")).unwrap();
    let _daemon = node.start();
    node.ok(&apply("xdp", &["test/b", "test/a"]));
    assert_eq!(node.packages("xdp"), ["test/b", "test/a"]);
}

#[test]
fn a_damaged_archive_loads_nothing_wherever_the_damage_is() {
    let mut trusted = Trusted::new();
    let host = trusted.registry.host().to_owned();
    let root = trusted.pin(&host);
    let archive = trusted.export(&["a"], &root, "a.tar");
    trusted.registry.stop();
    let good = std::fs::read(&archive).unwrap();
    let node = trusted.node(&host, &layouts(&[&archive]));
    let _daemon = node.start();
    for (part, reason, code) in [
        ("\u{7f}ELF", "layout::damaged", 20),
        (
            "\"mediaType\":\"application/vnd.dev.sigstore.bundle",
            "layout::damaged",
            20,
        ),
        ("c2sp.org/tlog-proof", "layout::damaged", 20),
        ("\"imageLayoutVersion", "layout", 20),
        // The feed is no part of the package, which is nothing without it.
        (
            "vnd.bpfpkg.revocation.v1+json\",\"signatures",
            "verify::no_feed",
            21,
        ),
    ] {
        let mut bad = good.clone();
        let at = bad.windows(part.len()).position(|b| b == part.as_bytes());
        bad[at.expect(part) + part.len() / 2] ^= 1;
        std::fs::write(&archive, bad).unwrap();
        let before = node.refusals(reason);
        let (actual, message) = node.refused(&apply("xdp", &["test/a"]));
        assert_eq!(
            (actual, node.refusals(reason)),
            (Some(code), before + 1),
            "{part}: {message}"
        );
        assert!(node.packages("xdp").is_empty(), "{part}: {message}");
    }
    // The right one takes its place, and nobody has to say so.
    std::fs::write(&archive, good).unwrap();
    node.ok(&apply("xdp", &["test/a"]));
}

#[test]
fn what_a_stranger_signed_or_is_too_old_or_was_revoked_is_not_loaded_from_an_archive() {
    let mut trusted = Trusted::new();
    let host = trusted.registry.host().to_owned();
    let root = trusted.pin(&host);
    let archive = trusted.export(&["a"], &root, "a.tar");
    let revoked = trusted.sandbox.path().join("revoked.tar");
    trusted.registry.revoke("version:test/a:1.0.0");
    trusted.export(&["a"], &root, "revoked.tar");
    trusted.registry.stop();
    let wishes = chain("xdp", &["test/a"]);

    // Its registry has a trusted publisher, who is another.
    let (_, stranger) = somebody();
    let registry = layouts(&[&archive]);
    let mut node = trusted.node(&host, "");
    node.configure(&host, &stranger.to_pem(), &format!("{registry}{wishes}"));
    let daemon = node.start();
    stays_empty(&node, "verify::untrusted_signer", "not by a key trusted");
    daemon.kill();
    forget(&node, &trusted);

    node.configure(
        &host,
        &trusted.public.to_pem(),
        &format!("{registry}{wishes}"),
    );
    node.days_later(8);
    let daemon = node.start();
    stays_empty(&node, "verify::feed", "expired");
    daemon.kill();
    forget(&node, &trusted);

    // The newest of all archives says what is revoked, also of what lies in an older one.
    node.days_later(0);
    let registry = layouts(&[&archive, &revoked]);
    node.configure(
        &host,
        &trusted.public.to_pem(),
        &format!("{registry}{wishes}"),
    );
    let daemon = node.start();
    stays_empty(&node, "verify::revoked", "was revoked");
    daemon.kill();
    forget(&node, &trusted);

    node.configure(
        &host,
        &trusted.public.to_pem(),
        &format!("{}{wishes}", layouts(&[&archive])),
    );
    let _daemon = node.start();
    wait_until("it runs", || node.packages("xdp") == ["test/a"]);
}

/// The chain says why, with this word and these words, and nothing runs.
fn stays_empty(node: &Node, reason: &str, words: &str) {
    wait_until(reason, || node.chain("xdp")["problem"] != Value::Null);
    let shown = node.chain("xdp");
    let problem = &shown["problem"];
    assert_eq!(problem["reason"], reason, "{problem}");
    assert!(
        problem["message"].as_str().unwrap().contains(words),
        "{problem}"
    );
    assert!(node.packages("xdp").is_empty(), "{shown}");
    assert!(node.refusals(reason) > 0, "{shown}");
}
