// SPDX-License-Identifier: Apache-2.0
//! Mirrors that stand still, hang, or never come to an end: what runs goes on.

use serde_json::Value;

use crate::front::{Front, Lie};
use crate::support::sandbox::{place, run, wait_until};
use crate::trusted::Trusted;
use crate::{apply, chain};
use registry_schema::hook::Hook;

#[test]
fn a_mirror_that_is_frozen_for_eight_days_stops_nothing_and_installs_nothing() {
    let trusted = Trusted::new();
    trusted.registry.publish("b", "1.0.0", Some(&trusted.key));
    let host = trusted.registry.host();
    trusted.pin(host);
    let mut node = trusted.node(host, &chain("xdp", &["test/a"]));
    let daemon = node.start();
    wait_until("it runs", || node.packages("xdp") == ["test/a"]);
    assert_eq!(node.chain("xdp")["programs"][0]["stale"], Value::Null);
    daemon.kill();

    // The node's days go by. The registry stays where it was, and so does its feed.
    node.days_later(8);
    let daemon = node.start();
    wait_until("it is said", || {
        node.chain("xdp")["programs"][0]["stale"] != Value::Null
    });
    let shown = node.chain("xdp");
    assert_eq!(
        (&shown["state"], &shown["problem"]),
        (&"running".into(), &Value::Null),
        "{shown}"
    );
    let stale = shown["programs"][0]["stale"].as_str().unwrap();
    assert!(stale.contains("has revoked is not known"), "{stale}");
    let text = node.ok(&["status"]);
    assert!(text.contains("STALE test/a: what registry"), "{text}");
    let page = node.metrics();
    let line = |line: &&str| line.starts_with("l3afd_lite_program_stale{");
    let line = page.lines().find(line).unwrap_or_default();
    assert!(line.ends_with("} 1"), "{page}");

    let (code, message) = node.refused(&apply("xdp", &["test/a", "test/b"]));
    assert_eq!(code, Some(20), "{message}");
    assert!(message.contains("nothing new is installed"), "{message}");
    assert_eq!(node.packages("xdp"), ["test/a"]);
    assert_eq!(node.refusals("verify::feed"), 1);
    daemon.kill();

    // Neither does a loss of power stop it.
    node.ok(&["unload"]);
    node.ok(&apply("xdp", &["test/a"]));
    assert_eq!(node.packages("xdp"), ["test/a"]);
    // And a clock that was wrong is no harm once it is right.
    node.days_later(0);
    node.ok(&apply("xdp", &["test/a", "test/b"]));
}

#[test]
fn an_upstream_that_hangs_or_never_ends_takes_no_more_than_its_time() {
    let trusted = Trusted::new();
    let front = Front::of(trusted.registry.host());
    let node = trusted.node(front.host(), "timeout_seconds = 1\n");
    let many = ["test/a"; 20];
    for (lie, code, words) in [
        (Lie::Hang, 6, "did not answer for 1 s"),
        (Lie::Trickle, 6, "did not answer for 1 s"),
        (Lie::Endless, 20, "the rest was not read"),
    ] {
        for part in ["/manifests/", "/blobs/", "/referrers/"] {
            front.repent();
            front.lie(part, lie.clone());
            // Each of them would take its time if the first did not count for all.
            let (actual, message) = node.refused(&apply("xdp", &many));
            assert_eq!(actual, Some(code), "{part}: {message}");
            assert!(message.contains(words), "{part}: {message}");
            assert!(node.packages("xdp").is_empty(), "{part}");
        }
    }
    front.repent();
    node.ok(&apply("xdp", &["test/a"]));
    // What is kept is used when it hangs.
    front.lie("/", Lie::Hang);
    node.ok(&apply("tc-ingress", &["test/a"]));
    assert_eq!(node.packages("tc-ingress"), ["test/a"]);
}

#[test]
fn while_an_upstream_hangs_everything_else_goes_on() {
    let trusted = Trusted::new();
    let (good, front) = (trusted.registry.host(), Front::of(trusted.registry.host()));
    let here = format!("{good}/test/a");
    let there = format!("{}/test/a", front.host());
    // So long that it does not end in this test.
    let patient = format!("timeout_seconds = 3600\n{}", chain("xdp", &[&here]));
    let node = trusted.node(good, &patient);
    let daemon = node.start();
    wait_until("it runs", || node.packages("xdp") == ["test/a"]);
    front.lie("/", Lie::Hang);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| node.run(&apply("tc-egress", &[&there])));
        wait_until("it hangs", || front.lied() > 0);
        // Drift is mended, other wishes are carried out, questions are answered.
        let pins = trusted.sandbox.bpffs().join("chains");
        let link = pins.join(place(Hook::Xdp).key()).join("link");
        run(&[
            "bpftool",
            "link",
            "detach",
            "pinned",
            link.to_str().unwrap(),
        ]);
        wait_until("it is attached again", || {
            node.metrics().contains("l3afd_lite_mended_total{} 1\n")
        });
        node.ok(&apply("tc-ingress", &[&here]));
        assert_eq!(node.packages("tc-ingress"), ["test/a"]);
        assert!(node.ok(&["status"]).contains("daemon running"));
        // Nor does the end wait for it.
        assert!(daemon.terminate());
        assert!(!waits.join().unwrap().status.success());
    });
    assert_eq!(node.packages("xdp"), ["test/a"]);
    assert!(node.packages("tc-egress").is_empty());
}
