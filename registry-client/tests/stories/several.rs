// SPDX-License-Identifier: Apache-2.0
//! Several registries, public and private, of which one user knows.

use crate::{home::Home, stage::Stage};

/// A registry in which its administrator has published `demo/counter` and `demo/NAME`.
async fn with_packages(name: &str) -> Stage {
    let stage = Stage::set().await;
    stage.opened();
    for package in ["counter", name] {
        stage.admin.package(package);
        stage
            .admin
            .run(&["push", "--key", "alice.key", package])
            .exits(0);
    }
    stage
}

fn configure(home: &Home, text: &str) {
    let path = home.path(".config/bpfpkg/config.toml");
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, text).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_says_where_each_package_is_and_trust_stays_there() {
    let (ours, theirs) = (with_packages("first").await, with_packages("second").await);
    let (here, there) = (ours.host(), theirs.host());
    let user = Home::new();
    configure(
        &user,
        &format!(
            "registry = \"{here}\"\nregistries = [\"{here}\", \"{there}\", \"127.0.0.1:1\"]\n"
        ),
    );
    let found = user.run(&["search"]).exits(0);
    let rows: Vec<Vec<&str>> = found
        .stdout
        .lines()
        .map(|line| line.split_whitespace().take(2).collect())
        .collect();
    assert_eq!(rows[0], ["REGISTRY", "PACKAGE"]);
    for row in [
        [here.as_str(), "demo/counter"],
        [&here, "demo/first"],
        [&there, "demo/counter"],
        [&there, "demo/second"],
    ] {
        assert_eq!(
            rows.iter().filter(|found| **found == row).count(),
            1,
            "{row:?}"
        );
    }
    // The best of each first.
    assert_ne!(rows[1][0], rows[2][0], "{rows:?}");
    assert!(
        found.stderr.contains("warning: registry `127.0.0.1:1`"),
        "{found:?}"
    );
    let json = user
        .run(&["search", "--output", "json", "--limit", "1"])
        .exits(0)
        .json();
    assert_eq!(
        (&json["total"], &json["next_offset"]),
        (&4.into(), &1.into())
    );
    assert_eq!(json["packages"][1]["registry"], there.as_str());
    // One that is named is the only one.
    let only = user.run(&["search", "--registry", &there]).exits(0);
    assert!(
        !only.stdout.contains(&here) && !only.stdout.contains("REGISTRY"),
        "{only:?}"
    );
    assert!(
        only.stdout.contains("demo/second") && only.stderr.is_empty(),
        "{only:?}"
    );

    // The same name in two registries: whom one trusts here says nothing about there.
    user.run(&["trust", "add", "demo", "--yes"]).exits(0);
    user.run(&["verify", "demo/counter:0.1.0"]).exits(0);
    user.run(&["verify", &format!("{there}/demo/counter:0.1.0")])
        .exits(20)
        .says(&["no key is trusted"]);

    configure(&user, "registries = [\"127.0.0.1:1\"]\n");
    user.run(&["search"]).exits(6);
    configure(&user, "registries = [\"not a host\"]\n");
    user.run(&["search"]).exits(2).says(&["not a host"]);
    ours.running.shutdown().await;
    theirs.running.shutdown().await;
}
