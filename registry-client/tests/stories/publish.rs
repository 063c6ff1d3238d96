// SPDX-License-Identifier: Apache-2.0
//! Publishing to a registry and using what was published, end to end.

use crate::{
    home::{Home, edit},
    stage::Stage,
};

#[tokio::test(flavor = "multi_thread")]
async fn publish_search_trust_verify_pull() {
    let stage = Stage::set().await;
    stage.opened();
    stage.admin.package("counter");
    let push = stage
        .admin
        .run(&["push", "--key", "alice.key", "counter", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(
        (&push["new"], &push["signed"]),
        (&true.into(), &true.into())
    );

    let user = Home::with_registry(&stage.host());
    let found = user
        .run(&["search", "counts", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(found["packages"][0]["name"], "demo/counter");
    assert_eq!(found["packages"][0]["signature"], "signed");
    let table = user.run(&["search", "packets"]).exits(0).stdout;
    assert!(
        table
            .lines()
            .any(|line| line.starts_with("demo/counter  0.1.0    xdp")),
        "{table}"
    );

    user.run(&["verify", "demo/counter:0.1.0"])
        .exits(20)
        .says(&["no key is trusted"]);
    user.run(&["trust", "add", "demo"])
        .exits(2)
        .says(&["--yes"]);
    user.run(&["verify", "demo/counter:0.1.0"]).exits(20);
    let added = user.run(&["trust", "add", "demo", "--yes"]).exits(0).stderr;
    let signer = push["signer"].as_str().expect("a fingerprint");
    assert!(
        added.contains(signer) && added.contains("signed 1 version"),
        "{added}"
    );

    for reference in [
        "demo/counter:0.1.0",
        "demo/counter",
        &format!("{}/demo/counter@0.1.0", stage.host()),
    ] {
        let verified = user
            .run(&["verify", reference, "--output", "json"])
            .exits(0)
            .json();
        assert_eq!(
            (&verified["digest"], &verified["signer"]),
            (&push["digest"], &push["signer"]),
            "{reference}"
        );
    }
    user.run(&["pull", "demo/counter"]).exits(0);
    let pulled = std::fs::read(user.path("counter-0.1.0/counter.bpf.o")).expect("the object");
    assert_eq!(
        pulled,
        std::fs::read(stage.admin.path("counter/counter.bpf.o")).expect("the object")
    );

    let info = user
        .run(&["info", "demo/counter:0.1.0", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(info["digest"], push["digest"]);
    user.run(&["info", "demo/counter"]).exits(0);
    user.run(&["trust", "remove", "demo"]).exits(0);
    user.run(&["verify", "demo/counter:0.1.0"]).exits(20);
    stage.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_version_never_changes() {
    let stage = Stage::set().await;
    stage.opened();
    let folder = stage.admin.package("counter");
    stage.admin.run(&["push", "--no-sign", "counter"]).exits(0);
    let again = stage
        .admin
        .run(&["push", "--key", "alice.key", "counter", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(
        (&again["new"], &again["signed"]),
        (&false.into(), &true.into()),
        "only the signature was missing"
    );
    edit(
        &folder.join("package.toml"),
        "lets them all pass",
        "drops none",
    );
    stage
        .admin
        .run(&["push", "--key", "alice.key", "counter"])
        .exits(5)
        .says(&["published already", "raise `version`"]);
    edit(&folder.join("package.toml"), "0.1.0", "0.1.1");
    stage
        .admin
        .run(&["push", "--key", "alice.key", "counter"])
        .exits(0);
    let versions = stage
        .admin
        .run(&["info", "demo/counter", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(versions["versions"].as_array().map(Vec::len), Some(2));
    stage.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_publish_and_who_not() {
    let stage = Stage::set().await;
    let stranger = Home::with_registry(&stage.host());
    stranger.package("counter");
    stranger.keygen("key");
    stranger
        .run(&["push", "--key", "key.key", "counter"])
        .exits(4)
        .says(&["bpfpkg login"]);
    let login = ["login", "--user", "x", "--password-stdin"];
    stranger
        .run_with(&login, "wrong", &[])
        .exits(4)
        .says(&["refuses the password", "`x`"]);
    stranger.run_with(&login, "", &[]).exits(2).says(&["empty"]);
    assert!(
        !stranger.path(".docker/config.json").exists(),
        "a wrong password is not kept"
    );
    stranger
        .run(&["namespace", "create", "demo"])
        .exits(4)
        .says(&["bpfpkg login"]);
    stranger.run(&["star", "demo/counter"]).exits(4);

    stage.opened();
    stage
        .admin
        .run(&["namespace", "create", "demo"])
        .exits(5)
        .says(&["demo"]);
    stage
        .admin
        .run(&["namespace", "key", "add", "nobody", "alice.pub"])
        .exits(3)
        .says(&["nobody"]);
    let kept = std::fs::read_to_string(stage.admin.path(".docker/config.json"))
        .expect("the token is kept");
    assert!(!kept.contains(stage.token()), "not in plain sight: {kept}");
    stage.admin.run(&["logout"]).exits(0);
    stage.admin.run(&["namespace", "create", "other"]).exits(4);
    stage.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_stars_come_and_go() {
    let stage = Stage::set().await;
    stage.opened();
    stage.admin.package("counter");
    stage
        .admin
        .run(&["push", "--key", "alice.key", "counter"])
        .exits(0);
    let own = stage.admin.run(&["star", "demo/counter"]).exits(4);
    own.says(&["stars come from others"]);
    let stars = stage
        .admin
        .run(&["star", "demo/counter", "--remove", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(stars["stars"], 0);

    let keys = stage
        .admin
        .run(&["namespace", "key", "list", "demo", "--output", "json"])
        .exits(0)
        .json();
    let fingerprint = keys[0]["fingerprint"].as_str().expect("a fingerprint");
    assert_eq!(keys[0]["versions_signed"], 1);
    stage
        .admin
        .run(&["namespace", "key", "remove", "demo", fingerprint])
        .exits(0);
    let left = stage
        .admin
        .run(&["namespace", "key", "list", "demo", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(left, serde_json::json!([]));
    stage
        .admin
        .run(&["trust", "add", "demo", "--yes"])
        .exits(3)
        .says(&["has registered no key"]);
    let names = stage
        .admin
        .run(&["namespace", "list", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(names[0]["name"], "demo");
    stage.running.shutdown().await;
}

/// Publishes 0.1.0, 0.1.1 and 0.2.0, and gives a user who trusts their publisher.
fn three_versions(stage: &Stage) -> Home {
    stage.opened();
    let folder = stage.admin.package("counter");
    let push = ["push", "--key", "alice.key", "counter"];
    stage.admin.run(&push).exits(0);
    for (from, to) in [("0.1.0", "0.1.1"), ("0.1.1", "0.2.0")] {
        edit(&folder.join("package.toml"), from, to);
        stage.admin.run(&push).exits(0);
    }
    let user = Home::with_registry(&stage.host());
    user.run(&["trust", "add", "demo", "--yes"]).exits(0);
    user
}

/// The version that a reference leads to, and what was said on the way.
#[track_caller]
fn chosen(user: &Home, reference: &str) -> (String, String) {
    let verified = user
        .run(&["verify", reference, "--output", "json"])
        .exits(0);
    let version = verified.json()["version"].clone();
    let version = version.as_str().expect("a version").to_owned();
    (version, verified.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yanked_version_is_passed_over_and_says_so_when_named() {
    let stage = Stage::set().await;
    let user = three_versions(&stage);
    assert_eq!(chosen(&user, "demo/counter").0, "0.2.0");
    assert_eq!(chosen(&user, "demo/counter@^0.1").0, "0.1.1");
    assert_eq!(chosen(&user, "demo/counter@>=0.1, <0.3").0, "0.2.0");
    user.run(&["verify", "demo/counter@^1"])
        .exits(3)
        .says(&["0.2.0, 0.1.1, 0.1.0"]);

    let yank = ["yank", "demo/counter:0.1.1", "--reason", "counts twice"];
    user.run(&yank).exits(4);
    stage.admin.run(&yank).exits(0);
    let reason = "counts \"nothing\"";
    let yank = ["yank", "demo/counter:0.2.0", "--reason", reason];
    stage.admin.run(&yank).exits(0);
    let references = ["demo/counter", "demo/counter@^0.1", "demo/counter@*"];
    let newcomer = Home::with_registry(&stage.host());
    newcomer.run(&["trust", "add", "demo", "--yes"]).exits(0);
    for reference in references {
        let quietly = ("0.1.0".to_owned(), String::new());
        assert_eq!(chosen(&newcomer, reference), quietly, "{reference}");
        // Who saw a newer one cannot tell a withdrawal from a registry that goes back.
        user.run(&["verify", reference])
            .exits(21)
            .says(&["older than", "name the version"]);
    }
    assert_eq!(chosen(&user, "demo/counter:0.1.0").0, "0.1.0");
    let (named, said) = chosen(&user, "demo/counter:0.2.0");
    assert_eq!(named, "0.2.0");
    let warning = format!("warning: demo/counter 0.2.0 was yanked by its publisher: {reason}");
    assert!(said.contains(&warning), "{said}");
    let info = user.run(&["info", "demo/counter:0.2.0"]).exits(0).stdout;
    assert!(info.contains(&format!("yanked: {reason}")), "{info}");

    stage.admin.run(&["unyank", "demo/counter:0.2.0"]).exits(0);
    let quietly = ("0.2.0".to_owned(), String::new());
    assert_eq!(chosen(&user, "demo/counter"), quietly);
    let yank = |what: &str| stage.admin.run(&["yank", what, "--reason", "x"]);
    yank("demo/counter")
        .exits(2)
        .says(&["names no single version"]);
    yank("demo/counter:9.9.9").exits(3);
    stage.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deprecated_package_says_what_to_use_instead() {
    let stage = Stage::set().await;
    let user = three_versions(&stage);
    let deprecate = ["deprecate", "demo/counter", "--message", "unmaintained"];
    let instead = [&deprecate[..], &["--replacement", "demo/next"]].concat();
    stage.admin.run(&instead).exits(0);
    let (version, said) = chosen(&user, "demo/counter");
    assert_eq!(version, "0.2.0");
    let warning = "warning: demo/counter is deprecated: unmaintained; use demo/next instead";
    assert!(said.contains(warning), "{said}");
    let table = user.run(&["search", "counter"]).exits(0).stdout;
    assert!(table.contains("deprecated"), "{table}");
    let remove = ["deprecate", "demo/counter", "--remove"];
    stage.admin.run(&remove).exits(0);
    let quietly = ("0.2.0".to_owned(), String::new());
    assert_eq!(chosen(&user, "demo/counter"), quietly);
    stage.running.shutdown().await;
}
