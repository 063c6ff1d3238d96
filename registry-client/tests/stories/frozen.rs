// SPDX-License-Identifier: Apache-2.0
//! A mirror that stands still: after a week what it says of revocations is too old to install
//! anything by, and what is there goes on. The user's clock is set by libfaketime.

use std::path::PathBuf;

use chrono::TimeDelta;

use crate::{
    home::{Ended, Home},
    stage::unpacked,
    trust::{trusted_registry, user_of},
};

/// The library that tells a program another time.
fn library() -> PathBuf {
    let folder = unpacked("libfaketime").join("usr/lib");
    let mut found = std::fs::read_dir(folder).expect("a folder").flatten();
    let library = found.find_map(|entry| {
        let path = entry.path().join("faketime/libfaketime.so.1");
        path.is_file().then_some(path)
    });
    library.expect("libfaketime has its library")
}

/// Runs the command as on a day that is so far from today, as `+8d`.
fn on(user: &Home, day: &str, words: &[&str]) -> Ended {
    let library = library();
    let library = library.to_str().expect("UTF-8");
    let variables = [
        ("LD_PRELOAD", library),
        ("FAKETIME", day),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    user.run_with(words, "", &variables)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_mirror_installs_nothing_after_a_week_and_stops_nothing() {
    let (stage, _) = trusted_registry().await;
    let user = user_of(&stage);
    user.run(&["pull", "demo/counter:0.1.0"]).exits(0);
    let object = user.path("counter-0.1.0/counter.bpf.o");
    let before = std::fs::read(&object).expect("the object");
    stage.publish("0.2.0", "alice");
    let pull = ["pull", "demo/counter:0.2.0", "--directory", "next"];

    // Six days later the mirror still says what it said today: it is believed.
    let verify = ["verify", "demo/counter:0.1.0", "--output", "json"];
    assert_eq!(on(&user, "+6d", &verify).exits(0).json()["level"], "L2");
    // Eight days later it is not.
    for words in [&pull[..], &["verify", "demo/counter:0.2.0"]] {
        on(&user, "+8d", words).exits(20).says(&[
            "has revoked is not known",
            "expired at",
            "nothing new is installed until it is",
        ]);
    }
    assert!(!user.path("next").exists());
    let explained = [
        "verify",
        "demo/counter:0.2.0",
        "--explain",
        "--output",
        "json",
    ];
    let report = on(&user, "+8d", &explained).exits(20).json();
    let checks = report["checks"].as_array().expect("checks");
    let last = checks.last().expect("one");
    assert_eq!(
        (&last["link"], &last["outcome"]),
        (&"revocation".into(), &"broke".into())
    );
    // Who has no feed at all asks, and gets one that is as old.
    let newcomer = user_of(&stage);
    on(&newcomer, "+8d", &pull)
        .exits(20)
        .says(&["has revoked is not known"]);
    assert_eq!(
        std::fs::read(&object).expect("the object"),
        before,
        "what is there goes on"
    );

    // The mirror goes on, too: then so does everything.
    let stage = stage.after(TimeDelta::days(8)).await;
    on(&user, "+8d", &pull).exits(0);
    assert!(user.path("next").exists());
    stage.running.shutdown().await;
}
