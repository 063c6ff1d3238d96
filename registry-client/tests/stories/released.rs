// SPDX-License-Identifier: Apache-2.0
//! A public registry shows what as many of a namespace's own have signed as it demands, and
//! nothing before: identities that sign keyless, and several signers.

use registry_schema::review::Policy;

use crate::{
    home::{Ended, Home},
    instance::{ISSUER, Instance, SUBJECT},
    rotation::fingerprint,
    stage::Stage,
};

/// Another job of the same forge.
const OTHER: &str =
    "https://forge.example/mallory/counter/.github/workflows/publish.yml@refs/tags/v1";
/// The jobs that `demo` lets sign: any version of this one workflow.
const JOBS: &str = "oidc:https://issuer.example#https://forge.example/demo/*/.github/workflows/publish.yml@refs/tags/*";

/// A public registry that checks keyless signatures with the roots of `instance`.
async fn public(instance: Option<&Instance>) -> Stage {
    let roots = instance.map(|instance| instance.root.clone());
    let stage = Stage::set_with(|mut config| {
        config.policy.policy = Policy::Public;
        config.access.sigstore_roots = roots.into_iter().collect();
        config
    })
    .await;
    stage.opened();
    stage
}

/// The same command with more environment.
fn with(home: &Home, words: &[&str], variables: &[(String, String)]) -> Ended {
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    home.run_with(words, "", &variables)
}

const WAITS: &str = "warning: demo/counter 0.1.0 waits: others see it when it is signed";

/// Nobody but the publishers sees the version.
fn is_hidden(user: &Home) {
    for command in [
        &["info", "demo/counter"][..],
        &["info", "demo/counter:0.1.0"],
        &["verify", "demo/counter:0.1.0"],
        &["pull", "demo/counter"],
        &["log", "proof", "demo/counter:0.1.0"],
    ] {
        let ended = user.run(command).exits(3);
        assert!(!ended.stderr.contains("wait"), "{ended:?}");
    }
    let found = user.run(&["search", "counter", "--output", "json"]);
    assert_eq!(found.exits(0).json()["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_waits_for_an_identity_that_the_namespace_has_bound() {
    let Some(instance) = Instance::start() else {
        return;
    };
    let stage = public(Some(&instance)).await;
    let admin = &stage.admin;
    let key = fingerprint(admin, "alice");
    let remove = ["namespace", "key", "remove", "demo", &key];
    admin.run(&remove).exits(0);
    let identity = |words: &[&str]| admin.run(&[&["namespace", "identity"], words].concat());
    let added = identity(&["add", "demo", JOBS]).exits(0).stderr;
    assert!(added.contains(&format!("{JOBS} may sign for namespace demo")));
    identity(&["add", "demo", "oidc:https://issuer.example#**"])
        .exits(1)
        .says(&["too wide"]);
    identity(&["add", "demo", "somebody"]).exits(2);
    let table = identity(&["list", "demo"]).exits(0).stdout;
    assert!(
        table.starts_with("IDENTITY") && table.contains(JOBS),
        "{table}"
    );

    // Somebody else's signature is one, and does not count.
    admin.package("counter");
    let push = ["push", "--keyless", "counter", "--output", "json"];
    let pushed = with(admin, &push, &instance.signing(OTHER, "1")).exits(0);
    assert!(pushed.stderr.contains(WAITS), "{pushed:?}");
    let pushed = pushed.json();
    assert_eq!(
        (&pushed["new"], &pushed["signed"]),
        (&true.into(), &true.into())
    );
    assert!(WAITS.ends_with(pushed["warnings"][0].as_str().expect("a sentence")));
    let info = admin.run(&["info", "demo/counter:0.1.0"]).exits(0).stdout;
    assert!(info.contains("waits: 0 of 1 signatures"), "{info}");
    let user = Home::with_registry(&stage.host());
    is_hidden(&user);

    let sign = ["sign", "demo/counter:0.1.0", "--keyless"];
    with(admin, &sign, &instance.signing(SUBJECT, "2")).exits(0);
    let info = user.run(&["info", "demo/counter:0.1.0", "--output", "json"]);
    let info = info.exits(0).json();
    assert_eq!(
        (&info["signature"], &info["level"]),
        (&"signed".into(), &"L1".into())
    );
    assert_eq!(
        info["epoch"]["signers"],
        serde_json::json!([format!("oidc:{ISSUER}#{SUBJECT}")])
    );

    // What the registry shows is believed by who decided to believe the identity.
    user.run(&["trust", "add", "demo", "--yes"])
        .exits(3)
        .says(&["has registered no key", "--identity"]);
    user.run(&["verify", "demo/counter"]).exits(20);
    let trust = |identity: &str| {
        let add = [
            "trust",
            "add",
            "demo",
            "--identity",
            identity,
            "--sigstore-root",
        ];
        user.run(&[&add[..], &[instance.root(), "--yes"]].concat())
            .exits(0);
    };
    trust("oidc:https://issuer.example#https://forge.example/nobody/**");
    user.run(&["verify", "demo/counter"])
        .exits(20)
        .says(&[SUBJECT, "not by a key trusted"]);
    trust(JOBS);
    let verified = user.run(&["verify", "demo/counter", "--output", "json"]);
    let verified = verified.exits(0).json();
    assert_eq!(verified["signer"], format!("{SUBJECT} ({ISSUER})"));
    user.run(&["pull", "demo/counter"]).exits(0);

    unbound(admin, &user);
    stage.running.shutdown().await;
}

/// What an identity signed counts no more when it is taken away, or revoked: the registry
/// says so.
fn unbound(admin: &Home, user: &Home) {
    let identity = |words: &[&str]| admin.run(&[&["namespace", "identity"], words].concat());
    identity(&["remove", "demo", JOBS]).exits(0);
    identity(&["remove", "demo", JOBS])
        .exits(3)
        .says(&["has no identity", JOBS]);
    let info = user.run(&["info", "demo/counter:0.1.0", "--output", "json"]);
    assert_eq!(info.exits(0).json()["signature"], "unknown-key");
    // One that is revoked stays known, and what is not backed any more is withdrawn.
    identity(&["add", "demo", JOBS]).exits(0);
    let info = ["info", "demo/counter:0.1.0"];
    let signed = user.run(&info).exits(0).stdout;
    assert!(signed.contains("L1: signed by demo"), "{signed}");
    let since = ["--reason", "compromised", "--since", "2026-01-01"];
    let said = identity(&[&["revoke", "demo", JOBS], &since[..]].concat()).exits(0);
    let sentence = format!("{JOBS} was revoked as compromised from 2026-01-01");
    assert!(said.stderr.contains(&sentence), "{said:?}");
    identity(&["remove", "demo", JOBS]).exits(3);
    let table = identity(&["list", "demo"]).exits(0).stdout;
    assert!(
        table.contains("revoked as compromised from 2026-01-01"),
        "{table}"
    );
    let revoked = user.run(&info).exits(0).stdout;
    assert!(revoked.contains("yanked: its signer oidc:"), "{revoked}");
    assert!(
        revoked.contains("L0: who signed it was revoked"),
        "{revoked}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_sign_as_the_namespace_and_the_reader_demand() {
    let stage = public(None).await;
    let admin = &stage.admin;
    admin.keygen("bob");
    admin.keygen("mallory");
    let add = ["namespace", "key", "add", "demo", "bob.pub"];
    admin.run(&add).exits(0);
    let threshold = |number: &str| admin.run(&["namespace", "threshold", "demo", number]);
    for number in ["0", "17"] {
        threshold(number).exits(1).says(&[number, "1 to 16"]);
    }
    let said = threshold("2").exits(0).stderr;
    assert!(
        said.contains("2 must sign a version of namespace demo"),
        "{said}"
    );
    let user = Home::with_registry(&stage.host());
    user.run(&["namespace", "threshold", "demo", "1"]).exits(4);

    admin.package("counter");
    let pushed = admin
        .run(&["push", "counter", "--key", "alice.key"])
        .exits(0);
    assert!(pushed.stderr.contains(WAITS), "{pushed:?}");
    let sign = |name: &str| {
        let key = format!("{name}.key");
        admin
            .run(&["sign", "demo/counter:0.1.0", "--key", &key])
            .exits(0)
    };
    // The same key again, and a stranger's, are nobody more.
    sign("alice");
    sign("mallory");
    let shown = admin.run(&["info", "demo/counter:0.1.0"]).exits(0).stdout;
    assert!(shown.contains("waits: 1 of 2 signatures"), "{shown}");
    is_hidden(&user);
    sign("bob");
    user.run(&["info", "demo/counter:0.1.0"]).exits(0);

    // Who reads demands as many, or not, for himself.
    user.run(&["trust", "add", "demo", "--yes"]).exits(0);
    let policy = "[[rule]]\nnamespace = \"demo\"\nthreshold = 2\n";
    std::fs::write(user.path("two.toml"), policy).expect("written");
    std::fs::write(user.path("three.toml"), policy.replace('2', "3")).expect("written");
    let verify = |policy: &str| {
        let words = [
            "verify",
            "demo/counter",
            "--output",
            "json",
            "--policy-file",
        ];
        user.run(&[&words[..], &[policy]].concat())
    };
    let signers = verify("two.toml").exits(0).json();
    assert_eq!(signers["signers"].as_array().map(Vec::len), Some(2));
    verify("three.toml")
        .exits(21)
        .says(&["is signed by 2 of the signers that count", "demands 3"]);
    let bob = signers["signers"][0]["identity"]
        .as_str()
        .expect("a signer");
    let bob = bob.strip_prefix("key:").expect("a key");
    user.run(&["trust", "remove", "demo", "--fingerprint", bob])
        .exits(0);
    verify("two.toml")
        .exits(21)
        .says(&["is signed by 1 of the signers that count", "demands 2"]);
    user.run(&["verify", "demo/counter"]).exits(0);

    // Less is demanded from now on: what waits is shown at once.
    stage.publish("0.2.0", "alice");
    user.run(&["info", "demo/counter:0.2.0"]).exits(3);
    threshold("1").exits(0);
    user.run(&["info", "demo/counter:0.2.0"]).exits(0);
    stage.running.shutdown().await;
}
