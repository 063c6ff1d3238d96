// SPDX-License-Identifier: Apache-2.0
//! A public registry where people look at each version: what waits for them, what they
//! decide, and the records that the registry signs about it.

use registry_schema::{
    review::{Policy, REVIEW_PREDICATE, Vetting},
    signature::PublicKey,
};

use crate::{
    home::{Ended, Home, edit},
    stage::Stage,
};

const PASSWORD: &str = "a long enough one";

/// A public registry with vetting by people, and a reviewer who publishes nothing.
async fn vetted() -> (Stage, Home) {
    let stage = Stage::set_with(|mut config| {
        config.policy.policy = Policy::Public;
        config.policy.vetting = Vetting::Human;
        config
    })
    .await;
    stage.opened();
    let create = ["account", "create", "critic", "--password-stdin"];
    stage.admin.run_with(&create, PASSWORD, &[]).exits(0);
    let critic = Home::with_registry(&stage.host());
    let login = ["login", "--user", "critic", "--password-stdin"];
    critic.run_with(&login, PASSWORD, &[]).exits(0);
    critic.run(&["review", "list"]).exits(4).says(&["critic"]);
    let change = ["account", "change", "critic", "--reviewer", "true"];
    let said = stage.admin.run(&change).exits(0).stderr;
    assert!(said.contains("critic: user, reviewer"), "{said}");
    (stage, critic)
}

/// Pushes `demo/counter` of this version, signed; gives its digest.
fn push(stage: &Stage, version: &str) -> String {
    let manifest = stage.admin.path("counter/package.toml");
    if version == "0.1.0" {
        stage.admin.package("counter");
    } else {
        let text = std::fs::read_to_string(&manifest).expect("a manifest");
        let old = text.lines().find(|line| line.starts_with("version = "));
        edit(
            &manifest,
            old.expect("a version"),
            &format!("version = \"{version}\""),
        );
    }
    let push = ["push", "counter", "--key", "alice.key", "--output", "json"];
    let pushed = stage.admin.run(&push).exits(0);
    assert!(
        pushed.stderr.contains("and a reviewer has approved it"),
        "{pushed:?}"
    );
    pushed.json()["digest"]
        .as_str()
        .expect("a digest")
        .to_owned()
}

fn decide(home: &Home, verb: &str, version: &str, more: &[&str]) -> Ended {
    let reference = format!("demo/counter:{version}");
    home.run(
        &[
            &[
                "review",
                verb,
                &reference,
                "--reason",
                "read it line by line",
            ],
            more,
        ]
        .concat(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_shown_when_somebody_else_has_approved_it() {
    let (stage, critic) = vetted().await;
    let (admin, user) = (&stage.admin, Home::with_registry(&stage.host()));
    let empty = critic.run(&["review", "list"]).exits(0).stdout;
    assert_eq!(empty.lines().count(), 1, "{empty}");
    let digest = push(&stage, "0.1.0");
    let info = admin.run(&["info", "demo/counter:0.1.0"]).exits(0).stdout;
    assert!(info.contains("waits for a reviewer"), "{info}");
    let table = critic.run(&["review", "list"]).exits(0).stdout;
    let row = table.lines().nth(1).expect("a row");
    assert!(row.starts_with("demo/counter:0.1.0  20"), "{table}");
    assert!(row.contains("  admin  key:SHA256:"), "{table}");
    let queue = critic
        .run(&["review", "list", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(
        (&queue[0]["digest"], &queue[0]["waits_for"]),
        (&digest.as_str().into(), &"review".into())
    );
    user.run(&["pull", "demo/counter:0.1.0"]).exits(3);
    // The reviewer looks at what waits before deciding.
    critic.run(&["inspect", "demo/counter:0.1.0"]).exits(0);

    decide(&user, "approve", "0.1.0", &[])
        .exits(4)
        .says(&["bpfpkg login"]);
    decide(admin, "approve", "0.1.0", &[])
        .exits(4)
        .says(&["admin", "demo/counter"]);
    decide(&critic, "approve", "0.2.0", &[]).exits(3).says(&[
        "demo/counter 0.2.0 does not wait for review",
        "bpfpkg review list",
    ]);
    let other = format!("sha256:{}", "0".repeat(64));
    decide(&critic, "approve", "0.1.0", &["--digest", &other])
        .exits(3)
        .says(&["not with that digest"]);
    critic
        .run(&["review", "approve", "demo/counter", "--reason", "x"])
        .exits(2);
    critic
        .run(&["review", "approve", "demo/counter:0.1.0"])
        .exits(2);
    user.run(&["info", "demo/counter"]).exits(3);
    let said = decide(&critic, "approve", "0.1.0", &["--digest", &digest]).exits(0);
    assert_eq!(
        said.stderr.trim_end(),
        format!("approved demo/counter:0.1.0, {digest}")
    );
    user.run(&["trust", "add", "demo", "--yes"]).exits(0);
    user.run(&["pull", "demo/counter:0.1.0"]).exits(0);

    records(&stage, &user, &digest).await;
    stage.running.shutdown().await;
}

/// What was decided is signed, for everybody to read and to keep.
async fn records(stage: &Stage, user: &Home, digest: &str) {
    let show = ["review", "show", "demo/counter:0.1.0"];
    let table = user.run(&show).exits(0).stdout;
    let row = table.lines().nth(1).expect("a row");
    assert!(
        row.starts_with("approved") && row.contains("critic") && row.contains(digest),
        "{table}"
    );
    assert!(row.ends_with("read it line by line"), "{table}");
    let json = user
        .run(&[&show[..], &["--output", "json"]].concat())
        .exits(0)
        .json();
    assert_eq!(json.as_array().map(Vec::len), Some(1), "{json}");
    assert_eq!(
        (&json[0]["decision"], &json[0]["decided_by"]),
        (&"approved".into(), &"critic".into())
    );
    // It travels with the version: whoever has the key of the records reads it there.
    let url = format!("http://{}/api/v1/registry", stage.host());
    let said = reqwest::get(url)
        .await
        .expect("an answer")
        .text()
        .await
        .expect("text");
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let key = PublicKey::from_pem(said["record_key"].as_str().expect("a key")).expect("a key");
    std::fs::write(user.path("records.pub"), key.to_pem()).expect("written");
    let stated = [
        "attestations",
        "demo/counter:0.1.0",
        "--key",
        "records.pub",
        "--type",
        REVIEW_PREDICATE,
        "--output",
        "json",
    ];
    let stated = user.run(&stated).exits(0).json();
    assert_eq!(stated["digest"], digest);
    assert_eq!(
        stated["attestations"][0]["predicate"]["decision"],
        "approved"
    );
    // It is no signature of the package.
    user.run(&["verify", "demo/counter:0.1.0", "--key", "records.pub"])
        .exits(20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_refused_is_gone_and_its_number_is_free() {
    let (stage, critic) = vetted().await;
    let first = push(&stage, "0.1.0");
    let refused = ["--output", "json"];
    let said = decide(&critic, "refuse", "0.1.0", &refused).exits(0).json();
    assert_eq!(
        (&said["decision"], &said["digest"]),
        (&"refused".into(), &first.as_str().into())
    );
    stage.admin.run(&["info", "demo/counter:0.1.0"]).exits(3);
    decide(&critic, "approve", "0.1.0", &[]).exits(3);
    // Its publisher reads why; nobody else learns that it ever was.
    let show = ["review", "show", "demo/counter:0.1.0"];
    let told = stage.admin.run(&show).exits(0).stdout;
    assert!(
        told.contains("refused") && told.contains("read it line by line"),
        "{told}"
    );
    Home::with_registry(&stage.host()).run(&show).exits(3);
    // Better content under the same number is decided about anew.
    edit(
        &stage.admin.path("counter/package.toml"),
        "lets them all pass",
        "drops none",
    );
    let second = push_again(&stage);
    assert_ne!(first, second);
    decide(&critic, "approve", "0.1.0", &["--digest", &first]).exits(3);
    decide(&critic, "approve", "0.1.0", &["--digest", &second]).exits(0);
    let all = [&show[..], &["--output", "json"]].concat();
    let all = Home::with_registry(&stage.host()).run(&all).exits(0).json();
    let decisions: Vec<_> = all
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| &one["decision"])
        .collect();
    assert_eq!(decisions, ["refused", "approved"]);
    // Who reviews no more decides no more.
    push(&stage, "0.2.0");
    let change = ["account", "change", "critic", "--reviewer", "false"];
    stage.admin.run(&change).exits(0);
    decide(&critic, "approve", "0.2.0", &[]).exits(4);
    stage.running.shutdown().await;
}

fn push_again(stage: &Stage) -> String {
    let push = ["push", "counter", "--key", "alice.key", "--output", "json"];
    let pushed = stage.admin.run(&push).exits(0).json();
    pushed["digest"].as_str().expect("a digest").to_owned()
}
