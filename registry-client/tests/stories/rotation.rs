// SPDX-License-Identifier: Apache-2.0
//! Keys of a namespace that take over from each other, and keys that are revoked: what the
//! registry makes of it, and what those are told who trust the old key.

use serde_json::Value;

use crate::{
    home::{Ended, Home},
    stage::Stage,
    trust::{trusted_registry, user_of},
};

/// The fingerprint of `NAME.pub`, which is registered.
pub(crate) fn fingerprint(home: &Home, name: &str) -> String {
    let pem = std::fs::read_to_string(home.path(&format!("{name}.pub"))).expect("a key");
    let key = registry_schema::signature::PublicKey::from_pem(&pem).expect("a key");
    key.fingerprint().to_string()
}

/// What a user is told of a version, without what was kept of the revocation feed: another
/// is asked for only after five minutes.
fn verify(user: &Home, version: &str) -> Ended {
    let seen = user.path(".local/state/bpfpkg/seen");
    for registry in std::fs::read_dir(&seen).into_iter().flatten().flatten() {
        let _ = std::fs::remove_file(registry.path().join("revocations.json"));
    }
    let reference = format!("demo/counter:{version}");
    user.run(&["verify", &reference, "--output", "json"])
}

fn epochs(stage: &Stage) -> Vec<Value> {
    let info = ["info", "demo/counter", "--output", "json"];
    let info = stage.admin.run(&info).exits(0).json();
    info["epochs"].as_array().expect("epochs").clone()
}

/// The row of a key in `namespace key list`.
fn row(stage: &Stage, key: &str) -> String {
    let table = stage.admin.run(&["namespace", "key", "list", "demo"]);
    let table = table.exits(0).stdout;
    let row = table.lines().find(|line| line.starts_with(key));
    row.unwrap_or_else(|| panic!("{key} is not in {table}"))
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_names_its_successor_and_the_epoch_goes_on() {
    let (stage, _) = trusted_registry().await;
    let user = user_of(&stage);
    user.run(&["pull", "demo/counter:0.1.0"]).exits(0);
    stage.admin.keygen("later");
    let (old, new) = (
        fingerprint(&stage.admin, "alice"),
        fingerprint(&stage.admin, "later"),
    );
    let rotate = ["namespace", "key", "rotate", "demo", "later.pub"];
    // Only who holds the old key can name another.
    stage.admin.keygen("mallory");
    let forged = [&rotate[..], &["--key", "mallory.key"]].concat();
    stage
        .admin
        .run(&forged)
        .exits(1)
        .says(&["is not accepted", "not among"]);
    let said = stage
        .admin
        .run(&[&rotate[..], &["--key", "alice.key"]].concat())
        .exits(0);
    let sentence = format!("key:{new} signs for namespace demo in the place of key:{old}");
    assert!(said.stderr.contains(&sentence), "{said:?}");
    assert!(row(&stage, &old).contains("revoked as superseded from 20"));
    assert!(!row(&stage, &new).contains("revoked"));

    stage.publish("0.2.0", "later");
    assert_eq!(epochs(&stage).len(), 1, "it is the same epoch");
    let info = user.run(&["info", "demo/counter"]).exits(0).stdout;
    assert!(info.contains("(epoch 1)"), "{info}");
    // Who trusts the old key decides that alone: the registry's word is not enough.
    verify(&user, "0.2.0")
        .exits(20)
        .says(&[&new, &old, "not by a key trusted", "has a new key"]);
    let before = verify(&user, "0.1.0").exits(0).json();
    assert_eq!(before["level"], "L2", "what was signed before counts");
    let added = user.run(&["trust", "add", "demo", "--yes"]).exits(0).stderr;
    let named = format!("named as its successor by {old}, which you trust");
    assert!(added.contains(&named), "{added}");
    assert_eq!(
        verify(&user, "0.2.0").exits(0).json()["signer"],
        new.as_str()
    );
    verify(&user, "0.1.0").exits(0);
    // Nobody who trusts nobody yet is told that.
    let newcomer = Home::with_registry(&stage.host());
    let added = newcomer.run(&["trust", "add", "demo", "--yes"]).exits(0);
    assert!(
        added.stderr.contains(&new) && !added.stderr.contains("successor"),
        "{added:?}"
    );
    assert!(!added.stderr.contains(&old), "{added:?}");

    // What the old key signs now counts for nobody.
    stage.publish("0.3.0", "alice");
    verify(&user, "0.3.0")
        .exits(20)
        .says(&["was revoked on", "superseded: it named its successor"]);
    let info = ["info", "demo/counter:0.3.0", "--output", "json"];
    let info = user.run(&info).exits(0).json();
    assert_eq!(
        (&info["signature"], &info["level"]),
        (&"revoked".into(), &"L0".into())
    );
    stage.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_co_maintainer_signs_beside_and_a_stranger_begins_a_new_epoch() {
    let (stage, _) = trusted_registry().await;
    let admin = &stage.admin;
    for name in ["carol", "mallory"] {
        admin.keygen(name);
    }
    let alice = fingerprint(admin, "alice");
    let rotate = ["namespace", "key", "rotate", "demo", "carol.pub"];
    let keep = ["--key", "alice.key", "--keep", "--output", "json"];
    let said = admin.run(&[&rotate[..], &keep].concat()).exits(0).json();
    assert_eq!(said["signer"], format!("key:{alice}"));
    assert_eq!(said["retires"], false);
    stage.publish("0.2.0", "carol");
    stage.publish("0.3.0", "alice");
    assert_eq!(epochs(&stage).len(), 1);
    assert!(!row(&stage, &alice).contains("revoked"));

    // E1: an owner lets a key sign that nobody named.
    admin
        .run(&["namespace", "key", "add", "demo", "mallory.pub"])
        .exits(0);
    stage.publish("0.4.0", "mallory");
    let now = epochs(&stage);
    assert_eq!((now.len(), &now[1]["cause"]), (2, &"signer".into()));
    let info = admin.run(&["info", "demo/counter:0.4.0"]).exits(0).stdout;
    assert!(info.contains("(epoch 2)"), "{info}");
    let user = Home::with_registry(&stage.host());
    std::fs::copy(admin.path("alice.pub"), user.path("alice.pub")).expect("a copy");
    user.trusts(&stage.host(), "alice");
    verify(&user, "0.4.0")
        .exits(20)
        .says(&["not by a key trusted"]);
    verify(&user, "0.3.0").exits(0);
    stage.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_signs_no_more_and_what_it_signed_before_counts() {
    let (stage, _) = trusted_registry().await;
    let (admin, user) = (&stage.admin, user_of(&stage));
    let key = fingerprint(admin, "alice");
    let revoke = |more: &[&str]| {
        let words = ["namespace", "key", "revoke", "demo"];
        admin.run(&[&words[..], more].concat())
    };
    let reasonless = revoke(&[&key]).exits(2);
    assert!(reasonless.stderr.contains("--reason"), "{reasonless:?}");
    revoke(&["SHA256:short", "--reason", "compromised"]).exits(2);
    revoke(&[&key, "--reason", "superseded", "--since", "2026-01-01"])
        .exits(2)
        .says(&["what is superseded ends now", "--reason compromised"]);
    revoke(&[&key, "--reason", "compromised", "--since", "2999-01-01"])
        .exits(1)
        .says(&["2999-01-01", "yet to come"]);
    revoke(&[&key, "--reason", "compromised", "--since", "soon"]).exits(2);
    let words = ["namespace", "key", "revoke", "demo", &key];
    user.run(&[&words[..], &["--reason", "superseded"]].concat())
        .exits(4);

    // Another took its place: what it signed before counts.
    let said = revoke(&[&key, "--reason", "superseded", "--note", "a new laptop"]).exits(0);
    let sentence = format!("key:{key} was revoked as superseded from 20");
    assert!(said.stderr.contains(&sentence), "{said:?}");
    verify(&user, "0.1.0").exits(0);
    // What is published in the same second counts as published before.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    stage.publish("0.2.0", "alice");
    verify(&user, "0.2.0")
        .exits(20)
        .says(&["was revoked on", "superseded: a new laptop"]);
    let info = ["info", "demo/counter:0.2.0"];
    let info = user.run(&info).exits(0).stdout;
    assert!(
        info.contains("trust level  L0: who signed it was revoked"),
        "{info}"
    );
    revoke(&[&key, "--reason", "superseded"])
        .exits(3)
        .says(&[&key, "has no identity"]);

    // Then it turns out that somebody else had it, and since when: nodes learn that too.
    let since = [
        "--reason",
        "compromised",
        "--since",
        "2026-01-01",
        "--output",
        "json",
    ];
    let said = revoke(&[&[key.as_str()][..], &since].concat())
        .exits(0)
        .json();
    assert_eq!(
        (&said["end"], &said["since"]),
        (&"compromised".into(), &"2026-01-01T00:00:00Z".into())
    );
    verify(&user, "0.1.0")
        .exits(20)
        .says(&["was revoked on 2026-01-01 (compromised)"]);
    user.run(&["pull", "demo/counter:0.1.0"]).exits(20);
    assert!(!user.path("counter-0.1.0").exists());
    let info = user.run(&["info", "demo/counter:0.1.0"]).exits(0).stdout;
    assert!(
        info.contains("trust level  L0: who signed it was revoked"),
        "{info}"
    );
    // And its owner is told that nobody is left to be trusted.
    user.run(&["trust", "add", "demo", "--yes"])
        .exits(3)
        .says(&["has registered no key"]);
    stage.running.shutdown().await;
}
