// SPDX-License-Identifier: Apache-2.0
//! A namespace that is handed over: offered, accepted or not, and done some days later; and
//! what those are told who use its packages.

use chrono::TimeDelta;

use crate::{
    home::{Home, edit},
    stage::Stage,
};

/// Bob, with an account and logged in.
fn bob(stage: &Stage) -> Home {
    let create = ["account", "create", "bob", "--password-stdin"];
    let password = "bob has a long one";
    stage.admin.run_with(&create, password, &[]).exits(0);
    let bob = Home::with_registry(&stage.host());
    let login = ["login", "--user", "bob", "--password-stdin"];
    bob.run_with(&login, password, &[]).exits(0);
    bob
}

/// A registry where alice has signed `demo/counter` 0.1.0, and a user who trusts her.
async fn published() -> (Stage, Home, Home) {
    let stage = Stage::set().await;
    stage.opened();
    stage.publish("0.1.0", "alice");
    let (bob, user) = (bob(&stage), Home::with_registry(&stage.host()));
    user.run(&["trust", "add", "demo", "--yes"]).exits(0);
    user.run(&["pull", "demo/counter"]).exits(0);
    (stage, bob, user)
}

/// Waits until the work that was due is done.
fn until(done: impl Fn() -> bool) {
    for _ in 0..600 {
        if done() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("it is not done");
}

const SHOW: [&str; 4] = ["namespace", "transfer", "show", "demo"];
const ACCEPT: [&str; 4] = ["namespace", "transfer", "accept", "demo"];
const CANCEL: [&str; 4] = ["namespace", "transfer", "cancel", "demo"];

fn offer(home: &Home, to: &str) -> crate::home::Ended {
    home.run(&["namespace", "transfer", "offer", "demo", to])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_is_refused_called_off_or_never_made() {
    let (stage, bob, user) = published().await;
    let admin = &stage.admin;
    offer(&bob, "admin").exits(4).says(&["demo"]);
    offer(admin, "nobody")
        .exits(3)
        .says(&["there is no account `nobody`"]);
    offer(admin, "admin").exits(3).says(&["`admin`"]);
    let shown = |home: &Home| home.run(&SHOW).exits(0).stdout;
    assert_eq!(shown(admin), "demo is not being handed over\n");
    let none = admin.run(&[&SHOW[..], &["--output", "json"]].concat());
    assert_eq!(none.exits(0).json(), serde_json::Value::Null);

    let said = offer(admin, "bob").exits(0).stderr;
    assert!(said.contains("demo is offered to bob"), "{said}");
    offer(admin, "bob")
        .exits(5)
        .says(&["being handed over already"]);
    // The two see the offer, and nobody else.
    let open = "demo is offered by admin to bob, who has not accepted\n";
    assert_eq!(
        (shown(admin), shown(&bob)),
        (open.to_owned(), open.to_owned())
    );
    assert_eq!(shown(&user), "demo is not being handed over\n");
    user.run(&ACCEPT).exits(4);
    admin.run(&ACCEPT).exits(3).says(&["taking `demo` over"]);
    // Bob does not want it.
    let said = bob.run(&CANCEL).exits(0).stderr;
    assert!(said.contains("demo stays with its owner"), "{said}");
    bob.run(&ACCEPT).exits(3);
    admin
        .run(&CANCEL)
        .exits(3)
        .says(&["is not being handed over"]);

    // He accepts, and the owner thinks better of it within the delay.
    offer(admin, "bob").exits(0);
    let said = bob.run(&ACCEPT).exits(0).stderr;
    assert!(
        said.contains("demo is handed over from admin to bob on 20"),
        "{said}"
    );
    let accepted = user
        .run(&[&SHOW[..], &["--output", "json"]].concat())
        .exits(0)
        .json();
    assert_eq!(
        (&accepted["from"], &accepted["to"]),
        (&"admin".into(), &"bob".into())
    );
    assert!(
        accepted["due_at"].is_string(),
        "everybody sees what is to come: {accepted}"
    );
    admin.run(&CANCEL).exits(0);
    let stage = stage.after(TimeDelta::hours(80)).await;
    let members = ["namespace", "member", "list", "demo", "--output", "json"];
    let members = stage.admin.run(&members).exits(0).json();
    assert_eq!(
        (members.as_array().map(Vec::len), &members[0]["account"]),
        (Some(1), &"admin".into())
    );
    bob.package("counter");
    bob.run(&["push", "counter", "--no-sign"]).exits(4);
    stage.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_handed_over_begins_anew_for_those_who_use_it() {
    let (stage, bob, user) = published().await;
    offer(&stage.admin, "bob").exits(0);
    bob.run(&ACCEPT).exits(0);
    let keys = |home: &Home| {
        home.run(&["namespace", "key", "list", "demo"])
            .exits(0)
            .stdout
    };
    assert!(!keys(&bob).contains("revoked"), "the delay is not over");
    bob.keygen("bob");
    let add = ["namespace", "key", "add", "demo", "bob.pub"];
    bob.run(&add).exits(4);

    let stage = stage.after(TimeDelta::hours(73)).await;
    until(|| bob.run(&add).code == 0);
    assert_eq!(
        user.run(&SHOW).exits(0).stdout,
        "demo is not being handed over\n"
    );
    assert!(
        keys(&bob).contains("revoked as superseded"),
        "{}",
        keys(&bob)
    );
    let member = ["namespace", "member", "list", "demo", "--output", "json"];
    let member = bob.run(&member).exits(0).json();
    assert_eq!(
        (member.as_array().map(Vec::len), &member[0]["account"]),
        (Some(1), &"bob".into())
    );

    let package = bob.package("counter");
    edit(
        &package.join("package.toml"),
        "version = \"0.1.0\"",
        "version = \"0.2.0\"",
    );
    bob.run(&["push", "counter", "--key", "bob.key"]).exits(0);
    let info = ["info", "demo/counter", "--output", "json"];
    let info = user.run(&info).exits(0).json();
    assert_eq!(info["epochs"][1]["cause"], "transfer");
    let text = user.run(&["info", "demo/counter"]).exits(0).stdout;
    assert!(text.contains("(epoch 2)"), "{text}");
    // Who trusted alice is asked anew; what she signed is as good as it was.
    user.run(&["verify", "demo/counter"])
        .exits(20)
        .says(&["not by a key trusted", "somebody else signed this"]);
    user.run(&["verify", "demo/counter:0.1.0"]).exits(0);
    let added = user.run(&["trust", "add", "demo", "--yes"]).exits(0).stderr;
    assert!(
        added.contains("registered") && added.contains("by bob") && !added.contains("successor"),
        "{added}"
    );
    let verified = user.run(&["verify", "demo/counter", "--output", "json"]);
    assert_eq!(verified.exits(0).json()["version"], "0.2.0");
    stage.running.shutdown().await;
}
