// SPDX-License-Identifier: Apache-2.0
//! The publish log as its users see it: check all of it, watch one's own name, keep proofs.

use crate::{
    home::{Home, edit},
    stage::Stage,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_log_is_checked_and_a_proof_is_kept() {
    let stage = Stage::set().await;
    stage.opened();
    stage.publish("0.1.0", "alice");
    let user = Home::with_registry(&stage.host());
    // The key that is met first is told, and stays.
    let first = user.run(&["log", "verify", "--output", "json"]).exits(0);
    assert!(
        first.stderr.contains("for the first time"),
        "{}",
        first.stderr
    );
    let first = first.json();
    assert_eq!(
        (&first["versions"], &first["disagreements"]),
        (&1.into(), &serde_json::json!([]))
    );
    let second = user.run(&["log", "verify"]).exits(0);
    assert!(!second.stderr.contains("first time"), "{}", second.stderr);
    let shown = user
        .run(&["log", "show", "--output", "json"])
        .exits(0)
        .json();
    let kinds: Vec<_> = shown["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .rev()
        .map(|one| one["entry"]["kind"].as_str().expect("a word").to_owned())
        .collect();
    assert_eq!(kinds, ["member.set", "identity.add", "publish"]);
    let table = user
        .run(&["log", "show", "--namespace", "demo", "--limit", "1"])
        .exits(0)
        .stdout;
    assert!(table.contains("demo/counter:0.1.0"), "{table}");
    // A proof in a file is enough, also when there is no registry any more.
    let proof = [
        "log",
        "proof",
        "demo/counter:0.1.0",
        "--save",
        "counter.proof",
        "--output",
        "json",
    ];
    let proof = user.run(&proof).exits(0).json();
    assert_eq!(
        (&proof["index"], &proof["consistent"]),
        (&2.into(), &true.into())
    );
    let signer = proof["entry"]["signatures"][0]["signer"]
        .as_str()
        .expect("a signer");
    assert!(signer.starts_with("key:SHA256:"), "{proof}");
    let (digest, host) = (
        proof["digest"].as_str().expect("a digest").to_owned(),
        stage.host(),
    );
    stage.running.shutdown().await;
    let named = format!("{host}/demo/counter:0.1.0@{digest}");
    let offline = |reference: &str, file: &str| {
        user.run(&[
            "log", "proof", reference, "--file", file, "--output", "json",
        ])
    };
    assert_eq!(offline(&named, "counter.proof").exits(0).json()["index"], 2);
    let other = format!("{host}/demo/counter:0.2.0@{digest}");
    offline(&other, "counter.proof")
        .exits(20)
        .says(&["is for publish demo/counter:0.1.0"]);
    let other = format!("{host}/demo/counter:0.1.0@sha256:{}", "0".repeat(64));
    offline(&other, "counter.proof")
        .exits(20)
        .says(&["but what came is"]);
    let text = std::fs::read_to_string(user.path("counter.proof")).expect("a proof");
    std::fs::write(user.path("bent.proof"), text.replace("index 2", "index 1")).expect("written");
    offline(&named, "bent.proof")
        .exits(20)
        .says(&["does not lead from entry 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_is_told_what_it_did_not_do() {
    let stage = Stage::set().await;
    stage.opened();
    stage.publish("0.1.0", "alice");
    let keys = stage
        .admin
        .run(&["namespace", "key", "list", "demo", "--output", "json"])
        .exits(0)
        .json();
    let alice = keys[0]["fingerprint"]
        .as_str()
        .expect("a fingerprint")
        .to_owned();
    let watch = Home::with_registry(&stage.host());
    let monitor = [
        "log",
        "monitor",
        "--namespace",
        "demo",
        "--key",
        &alice,
        "--output",
        "json",
    ];
    // Whose key it is, is expected; that somebody came to own the namespace is not.
    let first = watch.run(&monitor).exits(21).json();
    assert_eq!(first["entries"], 3);
    assert_eq!(
        first["unexpected"].as_array().expect("a list").len(),
        1,
        "{first}"
    );
    assert_eq!(first["unexpected"][0]["entry"]["kind"], "member.set");
    // Told once. What comes next is only what is new.
    assert_eq!(watch.run(&monitor).exits(0).json()["entries"], 0);
    stage.publish("0.2.0", "alice");
    let signed = watch.run(&monitor).exits(0).json();
    assert_eq!(
        (&signed["from"], &signed["entries"]),
        (&3.into(), &1.into())
    );
    // A key that nobody expects, and a version without a signature.
    stage.admin.keygen("mallory");
    stage
        .admin
        .run(&["namespace", "key", "add", "demo", "mallory.pub"])
        .exits(0);
    edit(
        &stage.admin.path("counter/package.toml"),
        "version = \"0.2.0\"",
        "version = \"0.3.0\"",
    );
    stage.admin.run(&["build", "counter"]).exits(0);
    stage.admin.run(&["push", "--no-sign", "counter"]).exits(0);
    let text = watch.run(&monitor[..monitor.len() - 2]).exits(21).stdout;
    assert!(
        text.contains("UNEXPECTED identity.add demo by key:SHA256:"),
        "{text}"
    );
    assert!(
        text.contains("UNEXPECTED publish demo/counter:0.3.0 sha256:"),
        "{text}"
    );
    written_down(&watch);
    stage.running.shutdown().await;
}

/// What is expected may be in a file.
fn written_down(watch: &Home) {
    // The same from the beginning, with everything written down.
    let expected = "member.set demo\nidentity.add demo\npublish demo/counter:0.1.0\n\
                    publish  demo/counter:0.2.0\n\npublish demo/counter:0.3.0\n";
    std::fs::write(watch.path("expected.txt"), expected).expect("written");
    let all = [
        "log",
        "monitor",
        "--all",
        "--namespace",
        "demo",
        "--expect",
        "expected.txt",
    ];
    watch.run(&all).exits(0);
    // Nothing is about another namespace; everything is, without one.
    watch
        .run(&["log", "monitor", "--namespace", "other"])
        .exits(0);
    watch.run(&["log", "monitor"]).exits(21);
    watch
        .run(&["log", "monitor", "--expect", "absent.txt"])
        .exits(2)
        .says(&["absent.txt"]);
    watch.run(&["log", "monitor", "--key", "nobody"]).exits(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_faces_of_one_log_are_found_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let pem = folder.path().join("log.pem");
    let made = std::process::Command::new("openssl")
        .args(["genpkey", "-algorithm", "ed25519", "-out"])
        .arg(&pem)
        .output()
        .expect("openssl");
    assert!(made.status.success(), "{made:?}");
    let start = async || {
        let pem = pem.clone();
        let stage = Stage::set_with(|mut config| {
            config.publish_log.publish_log_key = Some(pem);
            config.publish_log.publish_log_origin = Some("registry.example/log".to_owned());
            config
        })
        .await;
        stage.opened();
        stage
    };
    let (one, other) = (start().await, start().await);
    let user = Home::new();
    let shown = user
        .run(&["log", "show", &one.host(), "--output", "json"])
        .exits(0)
        .json();
    let key = shown["log"]["key"].as_str().expect("a key").to_owned();
    let verify = |host: String| user.run(&["log", "verify", &host, "--log-key", &key]);
    one.publish("0.1.0", "alice");
    verify(one.host()).exits(0);
    other.publish("0.1.0", "alice");
    let refused = verify(other.host())
        .exits(20)
        .says(&["was forked", "both are kept as evidence"]);
    assert!(refused.stderr.contains("log::forked"), "{}", refused.stderr);
    // Longer does not help it, and the log that was seen first goes on.
    other.publish("0.2.0", "alice");
    verify(other.host()).exits(20).says(&["was forked"]);
    one.publish("0.2.0", "alice");
    verify(one.host()).exits(0);
    // Another key speaks for another log.
    let witness = key.replace("registry.example/log+", "other.example/log+");
    user.run(&["log", "verify", &one.host(), "--log-key", &witness])
        .exits(2);
    one.running.shutdown().await;
    other.running.shutdown().await;
}
