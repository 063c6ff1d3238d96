// SPDX-License-Identifier: Apache-2.0
//! People, their tokens and passwords, who belongs to a namespace and what it may hold.

use registry_server::Config;

use crate::{
    home::{Ended, Home},
    stage::Stage,
};

const BOBS: &str = "bob has a long one";

/// Logs in, with what is written to stdin.
fn login(home: &Home, name: &str, secret: &str) -> Ended {
    home.run_with(&["login", "--user", name, "--password-stdin"], secret, &[])
}

/// Bob, with an account and logged in by password.
fn bob(stage: &Stage) -> Home {
    let create = ["account", "create", "bob", "--password-stdin"];
    let made = stage.admin.run_with(&create, BOBS, &[]).exits(0);
    assert!(made.stderr.contains("bob has an account"), "{made:?}");
    let bob = Home::with_registry(&stage.host());
    login(&bob, "bob", BOBS).exits(0);
    bob
}

/// The answer of a command in JSON.
#[track_caller]
fn json(home: &Home, command: &[&str]) -> serde_json::Value {
    let command = [command, &["--output", "json"]].concat();
    home.run(&command).exits(0).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_what_it_was_made_for_until_it_is_revoked() {
    let stage = Stage::set().await;
    stage.opened();
    let create = ["token", "create", "laptop", "--scope", "demo/*:pull,push"];
    let made = stage.admin.run(&[&create[..], &["--days", "30"]].concat());
    let made = made.exits(0);
    assert_eq!(made.stdout.lines().count(), 1, "the token alone: {made:?}");
    assert!(made.stderr.contains("shown only now; it ends 20"));
    let laptop = Home::with_registry(&stage.host());
    login(&laptop, "anybody", &made.stdout).exits(0);
    let shown = laptop.run(&["account", "show"]).exits(0).stdout;
    let first = format!("admin on {}, an administrator, by token ", stage.host());
    assert!(shown.starts_with(&first), "{shown}");
    assert!(shown.contains("limited to demo/*:pull,push"), "{shown}");
    assert!(
        shown.ends_with("NAMESPACE  ROLE\ndemo       owner\n"),
        "{shown}"
    );

    laptop.package("counter");
    laptop.run(&["push", "--no-sign", "counter"]).exits(0);
    laptop
        .run(&["namespace", "create", "other"])
        .exits(4)
        .says(&["other/*:manage"]);
    laptop.run(&["token", "list"]).exits(4).says(&["no scopes"]);
    let wider = ["token", "create", "wider", "--scope", "*:delete"];
    laptop.run(&wider).exits(4).says(&["*:delete"]);
    let bad = ["token", "create", "bad", "--scope", "demo/*:fly"];
    laptop.run(&bad).exits(2);
    let long = ["token", "create", "long", "--days", "9999"];
    stage.admin.run(&long).exits(1).says(&["1 to 90"]);

    let listed = stage.admin.run(&["token", "list"]).exits(0).stdout;
    let row = listed.lines().find(|line| line.contains("laptop"));
    let row = row.unwrap_or_else(|| panic!("{listed}"));
    assert!(row.contains("demo/*:pull,push"), "{row}");
    let (id, _) = row.split_once(' ').expect("an id");
    let revoke = |id: &str| stage.admin.run(&["token", "revoke", id]);
    revoke("").exits(2).says(&["2 of your tokens"]);
    revoke("nonsense").exits(3).says(&["`nonsense`"]);
    let said = revoke(id).exits(0).stderr;
    assert!(said.contains("`laptop` is good no more"), "{said}");
    laptop.run(&["account", "show"]).exits(4);
    revoke(id).exits(3);
    let listed = stage.admin.run(&["token", "list"]).exits(0).stdout;
    assert!(listed.contains("revoked"), "{listed}");
    stage.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_set_changed_and_forgotten() {
    let stage = Stage::set().await;
    stage.opened();
    let create = ["account", "create", "bob", "--password-stdin"];
    let short = stage.admin.run_with(&create, "short", &[]);
    short.exits(1).says(&["at least 12 characters"]);
    let bob = bob(&stage);
    let again = stage.admin.run_with(&create, BOBS, &[]);
    again.exits(5).says(&["exists already"]);
    let own = json(&bob, &["account", "show"]);
    assert_eq!(
        (&own["name"], &own["credential"]),
        (&"bob".into(), &"password".into())
    );

    let change = |home: &Home, lines: &str| {
        home.run_with(&["account", "password", "--password-stdin"], lines, &[])
    };
    let new = "another long one";
    change(&bob, &format!("not his password\n{new}\n"))
        .exits(4)
        .says(&["old password"]);
    change(&bob, &format!("{BOBS}\nshort\n")).exits(1);
    change(&bob, &format!("{BOBS}\n{new}\n")).exits(0);
    // What was kept is the old one.
    bob.run(&["account", "show"]).exits(4).says(&["`bob`"]);
    login(&bob, "bob", BOBS).exits(4);
    login(&bob, "bob", new).exits(0);
    // The administrator came with a token and has no password yet: there is no old one.
    change(&stage.admin, "the first of its kind\n").exits(0);
    let admin = Home::with_registry(&stage.host());
    login(&admin, "admin", "the first of its kind").exits(0);
    admin.run(&["account", "list"]).exits(0);
    // Without a terminal nobody is asked.
    bob.run(&["account", "password"])
        .exits(2)
        .says(&["terminal"]);

    let change = ["account", "change", "bob", "--password-stdin"];
    admin.run_with(&change, "given by the admin", &[]).exits(0);
    login(&bob, "bob", new).exits(4);
    login(&bob, "bob", "given by the admin").exits(0);
    stage.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_see_to_accounts() {
    let stage = Stage::set().await;
    stage.opened();
    let (admin, bob) = (&stage.admin, bob(&stage));
    let robot = ["account", "create", "robot", "--no-password"];
    admin.run(&robot).exits(0);
    let listed = admin.run(&["account", "list"]).exits(0).stdout;
    let expected = [
        "ACCOUNT  STATE                            SINCE",
        "admin    administrator, without password  ",
        "bob      user                             ",
        "robot    user, without password           ",
    ];
    for (line, expected) in listed.lines().zip(expected) {
        assert!(line.starts_with(expected), "`{expected}` in\n{listed}");
    }
    assert_eq!(listed.lines().count(), 4, "{listed}");
    for command in [
        &["account", "list"][..],
        &robot,
        &["account", "change", "admin", "--disable"],
        &["account", "certificate", "list"],
    ] {
        bob.run(command).exits(4);
    }

    admin.run(&["account", "change", "bob"]).exits(2);
    let said = admin.run(&["account", "change", "bob", "--disable"]);
    assert!(said.exits(0).stderr.contains("bob: user, disabled"));
    bob.run(&["account", "show"]).exits(4);
    admin
        .run(&["account", "change", "bob", "--enable"])
        .exits(0);
    bob.run(&["account", "show"]).exits(0);
    let last = ["account", "change", "admin", "--administrator", "false"];
    admin.run(&last).exits(5).says(&["last administrator"]);
    let promote = ["account", "change", "bob", "--administrator", "true"];
    admin.run(&promote).exits(0);
    bob.run(&["account", "list"]).exits(0);
    admin
        .run(&["account", "change", "nobody", "--disable"])
        .exits(3);

    // For whom certificates stand, and identities.
    let certificate = |words: &[&str]| admin.run(&[&["account", "certificate"], words].concat());
    let uri = "spiffe://example/ns/ci";
    let said = certificate(&["add", "bob", "--uri", uri]).exits(0).stderr;
    assert!(said.contains(&format!("uri {uri} is bob")), "{said}");
    certificate(&["add", "robot", "--uri", uri]).exits(5);
    certificate(&["add", "nobody", "--dns", "ci.example"]).exits(3);
    certificate(&["add", "bob", "--dns", "CI.example"])
        .exits(1)
        .says(&["lower case"]);
    certificate(&["add", "bob"]).exits(2);
    certificate(&["add", "bob", "--uri", uri, "--dns", "x"]).exits(2);
    let listed = certificate(&["list"]).exits(0).stdout;
    let row = format!("bob      uri   {uri}  admin  ");
    assert!(listed.contains(&row), "{listed}");
    certificate(&["remove", "--uri", uri]).exits(0);
    certificate(&["remove", "--uri", uri]).exits(3);
    let link = ["account", "link", "bob", "--issuer", "https://id.example"];
    let link = [&link[..], &["--subject", "42"]].concat();
    admin.run(&link).exits(0);
    admin.run(&link).exits(5);
    stage.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_has_members_readers_and_an_end() {
    let stage = Stage::set().await;
    stage.opened();
    let (admin, bob) = (&stage.admin, bob(&stage));
    bob.package("counter");
    let push = ["push", "--no-sign", "counter"];
    bob.run(&push).exits(4);
    let member = |words: &[&str]| admin.run(&[&["namespace", "member"], words].concat());
    let said = member(&["add", "demo", "bob", "--role", "publisher"]);
    assert!(
        said.exits(0)
            .stderr
            .contains("bob is publisher of namespace demo")
    );
    bob.run(&push).exits(0);
    let shown = bob.run(&["account", "show"]).exits(0).stdout;
    assert!(shown.contains("demo       publisher"), "{shown}");
    let listed = json(admin, &["namespace", "member", "list", "demo"]);
    assert_eq!(listed[1]["account"], "bob");
    let table = member(&["list", "demo"]).exits(0).stdout;
    assert!(table.contains("bob      publisher  20"), "{table}");
    member(&["add", "demo", "bob", "--role", "king"]).exits(2);
    member(&["add", "demo", "nobody", "--role", "viewer"]).exits(3);
    member(&["remove", "demo", "admin"])
        .exits(5)
        .says(&["last owner"]);
    let climb = [
        "namespace",
        "member",
        "add",
        "demo",
        "bob",
        "--role",
        "owner",
    ];
    bob.run(&climb).exits(4);

    let stranger = Home::with_registry(&stage.host());
    let info = ["info", "demo/counter"];
    stranger.run(&info).exits(0);
    admin
        .run(&["namespace", "visibility", "demo", "private"])
        .exits(0);
    assert_ne!(stranger.run(&info).code, 0);
    bob.run(&info).exits(0);
    bob.run(&["namespace", "visibility", "demo", "public"])
        .exits(4);
    // Who leaves does so by himself.
    bob.run(&["namespace", "member", "remove", "demo", "bob"])
        .exits(0);
    bob.run(&info).exits(3);
    member(&["remove", "demo", "bob"]).exits(3);

    let delete = |name: &str| admin.run(&["namespace", "delete", name]);
    delete("demo").exits(5).says(&["holds repositories"]);
    admin.run(&["namespace", "create", "empty"]).exits(0);
    delete("empty").exits(0);
    delete("empty").exits(3);
    admin.run(&["namespace", "create", "empty"]).exits(5);
    stage.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_says_which_jobs_it_trusts() {
    const ISSUER: &str = "https://jobs.example";
    let stage = Stage::set_with(|mut config: Config| {
        config.access.oidc_issuers = vec![ISSUER.to_owned()];
        config
    })
    .await;
    stage.opened();
    let publisher = |words: &[&str]| {
        stage
            .admin
            .run(&[&["namespace", "publisher"], words].concat())
    };
    let rule = [
        "--subject",
        "repo:org/repo:*",
        "--claim",
        "environment=release",
    ];
    let add = [
        "add",
        "demo",
        "ci",
        "--issuer",
        ISSUER,
        "--packages",
        "xdp-*",
    ];
    let said = publisher(&[&add[..], &rule].concat()).exits(0).stderr;
    assert!(said.contains("ci may publish as demo+ci"), "{said}");
    publisher(&[&add[..], &rule].concat()).exits(5);
    let table = publisher(&["list", "demo"]).exits(0).stdout;
    let row = format!("ci    xdp-*     repo:org/repo:*  {ISSUER}");
    assert!(table.contains(&row), "{table}");
    let listed = json(&stage.admin, &["namespace", "publisher", "list", "demo"]);
    assert_eq!(listed[0]["claims"]["environment"], "release");
    let other = ["add", "demo", "other", "--issuer", "https://other.example"];
    publisher(&[&other[..], &rule].concat())
        .exits(1)
        .says(&["does not believe", ISSUER]);
    let anybody = ["add", "demo", "any", "--issuer", ISSUER, "--subject", "*"];
    publisher(&anybody).exits(1).says(&["more than `*`"]);
    let claim = ["add", "demo", "bad", "--issuer", ISSUER, "--subject", "x"];
    publisher(&[&claim[..], &["--claim", "nothing"]].concat()).exits(2);
    // The job's token must be one, whoever is logged in.
    for home in [&stage.admin, &Home::with_registry(&stage.host())] {
        home.run_with(&["token", "exchange"], "no token", &[])
            .exits(4)
            .says(&["ID token", "malformed"]);
    }
    publisher(&["remove", "demo", "ci"]).exits(0);
    publisher(&["remove", "demo", "ci"]).exits(3);
    stage.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_holds_what_it_may_and_lets_old_things_go() {
    let stage = Stage::set().await;
    stage.opened();
    let storage = |words: &[&str]| {
        stage
            .admin
            .run(&[&["namespace", "storage"], words].concat())
    };
    let shown = storage(&["show", "demo"]).exits(0).stdout;
    let expected = "holds                  0 B\nquota                  none\n\
                    untagged manifests go  never\nother tags that stay   all\n";
    assert_eq!(shown, expected);
    storage(&["set", "demo"]).exits(2);
    storage(&["set", "demo", "--quota", "10 miles"]).exits(2);
    storage(&["set", "demo", "--keep-tags", "0"])
        .exits(1)
        .says(&["keep_tags", "1 to"]);
    storage(&["set", "demo", "--quota", "1 KiB"]).exits(0);
    stage.admin.package("counter");
    let push = ["push", "--no-sign", "counter"];
    let full = stage.admin.run(&push);
    assert!(
        full.code != 0 && full.stderr.contains("1024 bytes"),
        "{full:?}"
    );
    // What is not named stays.
    storage(&["set", "demo", "--untagged-days", "30", "--keep-tags", "2"]).exits(0);
    let rules = &json(&stage.admin, &["namespace", "storage", "show", "demo"])["rules"];
    assert_eq!(rules["quota_bytes"], 1024);
    let shown = storage(&["set", "demo", "--quota", "none"]).exits(0).stdout;
    for words in [
        "quota                  none",
        "after 30 days",
        "the 2 newest",
    ] {
        assert!(shown.contains(words), "{shown}");
    }
    stage.admin.run(&push).exits(0);
    let place = format!("{}/demo/counter:0.1.0", stage.host());
    for tag in ["one", "two", "three"] {
        let copy = format!("{}/demo/counter:{tag}", stage.host());
        stage.admin.run(&["copy", &place, &copy]).exits(0);
    }
    let dry = json(
        &stage.admin,
        &["namespace", "storage", "expire", "demo", "--dry-run"],
    );
    assert_eq!(dry["contents"].as_array().map(Vec::len), Some(1), "{dry}");
    let said = storage(&["expire", "demo"]).exits(0);
    assert!(said.stdout.contains("demo/counter  one"), "{said:?}");
    assert!(said.stderr.contains("1 tags and manifests are gone"));
    let again = storage(&["expire", "demo"]).exits(0);
    assert!(again.stderr.contains("0 tags"), "{again:?}");
    // Owners let things go; how much it may hold is not theirs to say.
    let bob = bob(&stage);
    let show = ["namespace", "storage", "show", "demo"];
    bob.run(&show).exits(4);
    let owner = [
        "namespace",
        "member",
        "add",
        "demo",
        "bob",
        "--role",
        "owner",
    ];
    stage.admin.run(&owner).exits(0);
    bob.run(&show).exits(0);
    bob.run(&["namespace", "storage", "set", "demo", "--keep-tags", "none"])
        .exits(0);
    bob.run(&["namespace", "storage", "set", "demo", "--quota", "1TB"])
        .exits(4)
        .says(&["quota"]);
    stage.running.shutdown().await;
}
