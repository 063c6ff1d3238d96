// SPDX-License-Identifier: Apache-2.0
//! A registry whose publish log is not the one that the node has seen: nothing of it is
//! loaded, and the node says which link broke.

use serde_json::Value;

use crate::front::{Front, Lie};
use crate::node::Node;
use crate::registry::TestRegistry;
use crate::support::sandbox::wait_until;
use crate::trusted::Trusted;
use crate::{apply, chain};

/// A node that runs `a` from an address, whose log it has seen so; and the daemon's wishes.
struct Seen<'a> {
    front: Front,
    node: Node<'a>,
}

impl<'a> Seen<'a> {
    fn new(trusted: &'a Trusted) -> Self {
        let front = Front::of(trusted.registry.host());
        trusted.pin(front.host());
        let node = trusted.node(front.host(), "");
        node.ok(&apply("xdp", &["test/a"]));
        Self { front, node }
    }

    /// The daemon wishes `b` behind `a`, and does not get it.
    fn refuses(&self, trusted: &Trusted, reason: &str, words: &[&str]) {
        let wishes = chain("xdp", &["test/a", "test/b"]);
        let (host, key) = (self.front.host(), trusted.public.to_pem());
        self.node.configure(host, &key, &wishes);
        let daemon = self.node.start();
        wait_until(reason, || self.node.chain("xdp")["problem"] != Value::Null);
        let shown = self.node.chain("xdp");
        let problem = &shown["problem"];
        assert_eq!(problem["reason"], reason, "{problem}");
        let message = problem["message"].as_str().unwrap();
        for word in words {
            assert!(message.contains(word), "{word}: {message}");
        }
        // It is tried again, with the same end.
        wait_until("it is refused twice", || self.node.refusals(reason) > 1);
        assert_eq!(self.node.packages("xdp"), ["test/a"], "what ran goes on");
        daemon.kill();
        let log = std::fs::read_to_string(trusted.sandbox.path().join("daemon.log")).unwrap();
        assert!(log.contains(words[0]), "{log}");
    }
}

#[test]
fn a_log_that_forked_shows_nothing_that_is_loaded() {
    let (pem, _folder) = TestRegistry::log_key();
    let trusted = Trusted::with(TestRegistry::start_with_log(&pem));
    let seen = Seen::new(&trusted);
    // The same key, the same name, another history.
    let other = TestRegistry::start_with_log(&pem);
    for name in ["c", "a", "b"] {
        other.publish(name, "1.0.0", Some(&trusted.key));
    }
    seen.front.show(other.host());
    seen.refuses(&trusted, "log::forked", &["was forked", "kept as evidence"]);
    // The one that was seen first goes on.
    seen.front.show(trusted.registry.host());
    trusted.registry.publish("b", "1.0.0", Some(&trusted.key));
    seen.node.ok(&apply("xdp", &["test/a", "test/b"]));
}

#[test]
fn a_log_that_shrank_shows_nothing_that_is_loaded() {
    let trusted = Trusted::new();
    let seen = Seen::new(&trusted);
    let old = trusted.registry.get("/log/checkpoint");
    trusted.registry.publish("b", "1.0.0", Some(&trusted.key));
    seen.front.lie("/log/checkpoint", Lie::Bytes(old));
    seen.refuses(
        &trusted,
        "log::shrunk",
        &["an old state is replayed, or entries were taken out"],
    );
    seen.front.repent();
    seen.node.ok(&apply("xdp", &["test/a", "test/b"]));
}

#[test]
fn a_version_without_its_proof_is_not_loaded() {
    let trusted = Trusted::new();
    let seen = Seen::new(&trusted);
    trusted.registry.publish("b", "1.0.0", Some(&trusted.key));
    seen.front
        .lie("/test/b/referrers/", Lie::Change(without_proofs));
    seen.refuses(
        &trusted,
        "verify::not_logged",
        &["came without proof that it is in the publish log"],
    );
    seen.front.repent();
    seen.node.ok(&apply("xdp", &["test/a", "test/b"]));
}

/// A list of referrers without log proofs.
fn without_proofs(list: &[u8]) -> Vec<u8> {
    let mut list: Value = serde_json::from_slice(list).unwrap();
    let proof = registry_schema::media_type::LOG_PROOF;
    let manifests = list["manifests"].as_array_mut().unwrap();
    manifests.retain(|entry| entry["artifactType"] != proof);
    list.to_string().into_bytes()
}

#[test]
fn a_registry_that_hides_its_log_gives_nothing_new_and_stops_nothing() {
    let trusted = Trusted::new();
    let seen = Seen::new(&trusted);
    trusted.registry.publish("b", "1.0.0", Some(&trusted.key));
    // A fork would be hidden by this.
    seen.front.lie("/log/", Lie::Status(404));
    seen.refuses(
        &trusted,
        "log::silent",
        &["gave test/b, but not the publish log that it is in"],
    );
    // What was accepted before is loaded again all the same.
    seen.node.ok(&["unload"]);
    seen.node.ok(&apply("xdp", &["test/a"]));
    assert_eq!(seen.node.packages("xdp"), ["test/a"]);
    let (code, _) = seen.node.refused(&apply("xdp", &["test/b"]));
    assert_eq!(code, Some(20));
    seen.front.lie("/log/", Lie::Status(503));
    let (code, _) = seen.node.refused(&apply("xdp", &["test/b"]));
    assert_eq!(code, Some(6));
    // The daemon tries again by itself.
    let wishes = chain("xdp", &["test/b"]);
    let (host, key) = (seen.front.host(), trusted.public.to_pem());
    seen.node.configure(host, &key, &wishes);
    let _daemon = seen.node.start();
    wait_until("it is refused", || {
        seen.node.chain("xdp")["problem"]["reason"] == "log::silent"
    });
    seen.front.repent();
    wait_until("it runs", || seen.node.packages("xdp") == ["test/b"]);
}
