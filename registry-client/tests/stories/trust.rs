// SPDX-License-Identifier: Apache-2.0
//! The chain of trust as users meet it: a pinned root, a policy, the log, revocations,
//! and an archive that is verified where there is no network.

use serde_json::Value;

use crate::{
    home::{Ended, Home},
    stage::Stage,
};

/// Writes a root, has it signed by `signers`, and publishes it.
pub(crate) fn publish_root(stage: &Stage, file: &str, more: &[&str], signers: &[&str]) -> String {
    let mut new = vec!["root", "new", "--output", file];
    new.extend_from_slice(more);
    stage.admin.run(&new).exits(0);
    for signer in signers {
        let key = format!("{signer}.key");
        let sign = ["root", "sign", file, "--key", &key];
        stage.admin.run(&sign).exits(0);
    }
    let published = stage.admin.run(&["root", "publish", file]).exits(0);
    published.stdout.trim().to_owned()
}

/// A registry with a trust root that two of three people sign, and a version of
/// `demo/counter` that `alice` signed. Gives the digest of the root.
pub(crate) async fn trusted_registry() -> (Stage, String) {
    let stage = Stage::set().await;
    stage.opened();
    for person in ["ann", "bob", "cid"] {
        stage.admin.keygen(person);
    }
    let keys = ["--key", "ann.pub", "--key", "bob.pub", "--key", "cid.pub"];
    let more = [&keys[..], &["--threshold", "2"]].concat();
    let digest = publish_root(&stage, "root.json", &more, &["ann", "cid"]);
    stage.publish("0.1.0", "alice");
    (stage, digest)
}

pub(crate) fn user_of(stage: &Stage) -> Home {
    let user = Home::with_registry(&stage.host());
    user.run(&["trust", "add", &stage.host(), "--yes"]).exits(0);
    user.run(&["trust", "add", "demo", "--yes"]).exits(0);
    user
}

/// The report about a package, and how the command ended.
fn explained(user: &Home, more: &[&str]) -> (Value, Ended) {
    let mut args = vec!["verify", "demo/counter:0.1.0", "--explain"];
    args.extend_from_slice(more);
    args.extend_from_slice(&["--output", "json"]);
    let ended = user.run(&args);
    (ended.json(), ended)
}

/// What came of a link.
fn outcome<'a>(report: &'a Value, link: &str) -> &'a str {
    let checks = report["checks"].as_array().expect("checks");
    let check = checks.iter().find(|check| check["link"] == link);
    check.map_or("", |check| check["outcome"].as_str().expect("a word"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_root_leads_to_signers_log_and_revocations() {
    let (stage, digest) = trusted_registry().await;
    let host = stage.host();
    let user = Home::with_registry(&host);
    let other = format!("sha256:{}", "0".repeat(64));
    user.run(&["trust", "add", &host, "--digest", &other, "--yes"])
        .exits(20)
        .says(&[&digest, "do not trust it"]);
    user.run(&["trust", "add", &host]).exits(2).says(&["--yes"]);
    let added = user.run(&["trust", "add", &host, "--digest", &digest, "--yes"]);
    assert!(
        added
            .exits(0)
            .stderr
            .contains("2 of these keys may change it")
    );
    user.run(&["trust", "add", "demo", "--yes"]).exits(0);
    let listed = user.run(&["trust", "list"]).exits(0).stdout;
    assert!(
        listed.contains("(root)") && listed.contains(&digest),
        "{listed}"
    );

    let (report, ended) = explained(&user, &[]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for link in ["root", "signers", "contents", "log", "revocation", "level"] {
        assert_eq!(outcome(&report, link), "held", "{link}: {report}");
    }
    assert_eq!(outcome(&report, "history"), "not-checked");
    assert_eq!(report["level"], "L2");
    let (again, _) = explained(&user, &[]);
    assert_eq!(outcome(&again, "history"), "held");
    let text = user.run(&["verify", "demo/counter:0.1.0", "--explain"]);
    let text = text.exits(0).stdout;
    assert!(
        text.contains("✓ log") && text.contains("trust level L2, verified"),
        "{text}"
    );

    // Without the root nothing is demanded of log and feed, and it is said.
    let poor = Home::with_registry(&host);
    poor.run(&["trust", "add", "demo", "--yes"]).exits(0);
    let (report, ended) = explained(&poor, &[]);
    assert_eq!((ended.code, report["level"].as_str()), (0, Some("L1")));
    assert_eq!(outcome(&report, "log"), "not-checked");
}

/// Takes the tiles of the publish log out of the registry's database: it can no longer show
/// that it only grew.
fn forget_tiles(stage: &Stage) {
    let database = stage.data().join("registry.db");
    let code = "import sqlite3, sys; d = sqlite3.connect(sys.argv[1], timeout=30); \
                d.execute('delete from log_tiles'); d.commit()";
    let mut python = std::process::Command::new("python3");
    let done = python.args(["-c", code]).arg(database).status();
    assert!(done.expect("Python").success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_hides_its_log_gives_nothing_new() {
    let (stage, _) = trusted_registry().await;
    stage.publish("0.2.0", "alice");
    let user = user_of(&stage);
    user.run(&["verify", "demo/counter:0.1.0"]).exits(0);
    forget_tiles(&stage);
    std::fs::remove_dir_all(user.path(".local/state/bpfpkg/logs")).expect("checkpoints");
    let seen = user.run(&["verify", "demo/counter:0.1.0"]).exits(0).stderr;
    let warning = "warning: whether the log continues what was seen is not known";
    assert!(seen.contains(warning), "{seen}");
    let newcomer = user_of(&stage);
    newcomer
        .run(&["pull", "demo/counter:0.1.0"])
        .exits(20)
        .says(&["log::silent", "but not the publish log"]);
    assert!(!newcomer.path("counter-0.1.0").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_saw_a_withdrawn_version_goes_back_and_returns() {
    let (stage, _) = trusted_registry().await;
    stage.publish("0.2.0", "alice");
    let user = user_of(&stage);
    let latest = |reference: &str| {
        let ended = user
            .run(&["verify", reference, "--output", "json"])
            .exits(0);
        ended.json()["version"].as_str().expect("text").to_owned()
    };
    assert_eq!(latest("demo/counter"), "0.2.0");
    let bad = "demo/counter:0.2.0";
    let yank = ["yank", bad, "--reason", "counts twice"];
    for _ in 0..2 {
        stage.admin.run(&yank).exits(0);
        assert_eq!(latest("demo/counter"), "0.1.0");
        assert_eq!(latest("demo/counter@^0"), "0.1.0");
        // It can still be had by its name.
        assert_eq!(latest(bad), "0.2.0");
        assert_eq!(latest("demo/counter"), "0.1.0");
        stage.admin.run(&["unyank", bad]).exits(0);
        assert_eq!(latest("demo/counter"), "0.2.0");
    }
    // What is revoked is withdrawn with it, for ever.
    let revoke = ["revoke", bad, "--reason", "defective", "--yes"];
    stage.admin.run(&revoke).exits(0);
    assert_eq!(latest("demo/counter"), "0.1.0");
    let table = user.run(&["info", "demo/counter"]).exits(0).stdout;
    assert!(table.contains("yanked"), "{table}");
    stage
        .admin
        .run(&["unyank", bad])
        .exits(5)
        .says(&["is revoked", "it stays withdrawn"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_reaches_who_pinned_the_root() {
    let (stage, _) = trusted_registry().await;
    let (user, version) = (user_of(&stage), "demo/counter:0.1.0");
    user.run(&["pull", version]).exits(0);
    user.run(&["revoke", version, "--reason", "malicious", "--yes"])
        .exits(4);
    stage
        .admin
        .run(&["revoke", version, "--reason", "malicious"])
        .exits(2);
    let revoke = [
        "revoke",
        version,
        "--reason",
        "malicious",
        "--note",
        "sends packets away",
        "--yes",
    ];
    stage.admin.run(&revoke).exits(0);
    stage.admin.run(&revoke).exits(5).says(&["revoked already"]);
    // The feed that is kept is minutes old; who has none asks.
    let newcomer = user_of(&stage);
    newcomer
        .run(&["pull", version])
        .exits(20)
        .says(&["was revoked on", "malicious: sends packets away"]);
    let (report, ended) = explained(&newcomer, &[]);
    assert_eq!(ended.code, 20);
    assert_eq!(outcome(&report, "revocation"), "broke");
    assert_eq!(
        report["checks"]
            .as_array()
            .expect("checks")
            .last()
            .expect("one")["code"],
        "verify::revoked"
    );
    assert_eq!(report["level"], "L0", "what broke is not trusted");
    std::fs::remove_dir_all(user.path(".local/state/bpfpkg/seen")).expect("what was seen");
    user.run(&["verify", version])
        .exits(20)
        .says(&["was revoked"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_goes_on_as_the_old_keys_say_and_in_no_other_way() {
    let (stage, first) = trusted_registry().await;
    let user = user_of(&stage);
    stage.admin.keygen("dan");
    // A root that its new owner alone signed is not even published.
    let seize = [
        "root",
        "new",
        "--output",
        "seized.json",
        "--key",
        "dan.pub",
        "--threshold",
        "1",
    ];
    stage.admin.run(&seize).exits(0);
    stage
        .admin
        .run(&["root", "sign", "seized.json", "--key", "dan.key"])
        .exits(0);
    stage
        .admin
        .run(&["root", "publish", "seized.json"])
        .exits(1)
        .says(&["is signed by 0 keys of version 1; 2 are needed"]);
    let half = stage.admin.run(&["root", "show", "seized.json"]).exits(0);
    assert!(half.stdout.contains("signed"), "{}", half.stdout);

    let more = ["--key", "dan.pub", "--threshold", "1", "--days", "30"];
    let second = publish_root(&stage, "second.json", &more, &["ann", "bob", "dan"]);
    assert_ne!(first, second);
    let (report, _) = explained(&user, &[]);
    assert_eq!(outcome(&report, "root"), "held");
    let listed = user
        .run(&["trust", "list", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(listed["root"][0]["version"], 2, "followed on the way");
    user.run(&["trust", "rotate"]).exits(0);
    user.run(&["trust", "rotate", "elsewhere.example"])
        .exits(3)
        .says(&["no trust root is pinned"]);
    user.run(&["trust", "remove", &stage.host()]).exits(0);
    user.run(&["trust", "remove", &stage.host()]).exits(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_verified_whole_where_there_is_no_network() {
    let (stage, digest) = trusted_registry().await;
    let host = stage.host();
    // The exporting side pins the root too: it goes along.
    stage.admin.run(&["trust", "add", &host, "--yes"]).exits(0);
    let export = ["export", "demo/counter:0.1.0", "--to", "counter.tar"];
    stage.admin.run(&export).exits(0);
    let island = Home::with_registry(&host);
    std::fs::copy(stage.admin.path("counter.tar"), island.path("counter.tar")).expect("carried");
    std::fs::copy(stage.admin.path("alice.pub"), island.path("alice.pub")).expect("carried");
    stage.running.shutdown().await;

    let pin = [
        "trust",
        "add",
        &host,
        "--from",
        "counter.tar",
        "--digest",
        &digest,
        "--yes",
    ];
    island.run(&pin).exits(0);
    island.trusts(&host, "alice");
    let (report, ended) = explained(&island, &["--from", "counter.tar"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for link in ["root", "signers", "contents", "log", "revocation"] {
        assert_eq!(outcome(&report, link), "held", "{link}: {report}");
    }
    assert_eq!(report["level"], "L2");
    island
        .run(&["pull", "demo/counter:0.1.0", "--from", "counter.tar"])
        .exits(0);
    island.run(&["verify", "demo/counter:0.1.0"]).exits(6);
}

/// Each example of docs/policy.md: what a rule lets pass, and what it refuses.
#[tokio::test(flavor = "multi_thread")]
async fn each_rule_of_the_reference_does_what_the_page_says() {
    let (stage, _) = trusted_registry().await;
    stage.admin.package("bare");
    stage.admin.run(&["push", "bare", "--no-sign"]).exits(0);
    let user = user_of(&stage);
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/policy.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let alice = user
        .run(&["trust", "list", "--output", "json"])
        .exits(0)
        .json();
    let alice = alice["key"][0]["fingerprint"]
        .as_str()
        .expect("a key")
        .to_owned();
    let mut examples = 0;
    for example in page.split("```toml\n").skip(1) {
        let (toml, rest) = example.split_once("```").expect("an end");
        let toml = toml
            .replace("registry.example", &stage.host())
            .replace(&format!("SHA256:{}", "A".repeat(43)), &alice);
        std::fs::write(user.path("policy.toml"), toml).expect("written");
        let policy = ["--policy-file", "policy.toml"];
        // `- `demo/counter`: exit 0`, as the page says below each example.
        for line in rest.lines().take_while(|line| !line.starts_with('#')) {
            let Some((package, said)) = line
                .strip_prefix("- `")
                .and_then(|line| line.split_once("`: exit "))
            else {
                continue;
            };
            let (code, words) = said.split_once(", ").unwrap_or((said, ""));
            let args = [&["verify", package][..], &policy].concat();
            let ended = user.run(&args);
            let code: i32 = code.trim().parse().expect("an exit code");
            assert_eq!(ended.code, code, "{example}\n{}", ended.stderr);
            assert!(
                ended.stderr.contains(words.trim_matches(['`', ' '])),
                "{example}\n{}",
                ended.stderr
            );
            examples += 1;
        }
    }
    assert!(examples >= 16, "{examples} examples");
}
