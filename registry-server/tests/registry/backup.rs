// SPDX-License-Identifier: Apache-2.0
//! A backup, taken while the registry works, brings everything back.

use std::{path::Path, process::Command};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    crash::{NAME, Publisher, follow},
    engines,
    support::process::{Process, demand_clean, run},
};

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_taken_under_pushes_brings_everything_back() {
    let (live, backup, fresh) = (
        TempDir::new().expect("a directory"),
        TempDir::new().expect("a directory"),
        TempDir::new().expect("a directory"),
    );
    let server = Process::start(live.path(), &[]);
    let us = opened(&server).await;
    publish(&us, 0..5).await;
    let to = backup.path().join("copy");
    let (taken, ()) = tokio::join!(
        tokio::task::spawn_blocking({
            let (live, to) = (live.path().to_owned(), to.clone());
            move || run(&live, &["backup", "--to", text(&to)])
        }),
        publish(&us, 5..10)
    );
    let taken = taken.expect("a backup");
    assert!(
        taken.status.success(),
        "{}",
        String::from_utf8_lossy(&taken.stderr)
    );
    let summary: Value = serde_json::from_slice(&taken.stdout).expect("JSON");
    assert_eq!(summary["damaged"], 0);
    // Beside the running registry too: the check, and the collection that finds nothing.
    demand_clean(live.path(), &[]);
    let collected = run(live.path(), &["gc", "--dry-run"]);
    assert!(
        collected.status.success(),
        "{}",
        String::from_utf8_lossy(&collected.stderr)
    );
    // Twice into the same place is refused.
    assert!(
        !run(live.path(), &["backup", "--to", text(&to)])
            .status
            .success()
    );

    let restored = run(fresh.path(), &["restore", "--from", text(&to)]);
    assert!(
        restored.status.success(),
        "{}",
        String::from_utf8_lossy(&restored.stderr)
    );
    let copy = Process::start(fresh.path(), &[]);
    assert_eq!(copy.token(), None, "its accounts came with it");
    let there = Publisher {
        client: Client::new(),
        origin: copy.origin.clone(),
        token: us.token.clone(),
    };
    for at in 0..5 {
        let path = format!("/v2/{NAME}/manifests/1.0.{at}");
        assert_eq!(there.bytes(&path).await, us.bytes(&path).await);
        follow(&there, &format!("1.0.{at}")).await;
    }
    let tags = there.json(&format!("/v2/{NAME}/tags/list")).await;
    for tag in tags["tags"].as_array().expect("tags") {
        follow(&there, tag.as_str().expect("text")).await;
    }
    there.publish("2.0.0").await.expect("a push into the copy");
    assert_eq!(
        there.json("/api/v1/search?q=pass").await["packages"][0]["version"],
        "2.0.0"
    );
    demand_clean(fresh.path(), &[]);
    damaged_is_refused(&to);
}

/// Runs one of PostgreSQL's own programs.
fn postgresql(program: &str, arguments: &[&str]) {
    let path = engines::binaries().expect("PostgreSQL").join(program);
    let output = Command::new(path).args(arguments).output();
    let output = output.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_of_postgresql_and_the_blobs_after_it_are_a_backup() {
    let Some(cluster) = engines::cluster() else {
        return;
    };
    let (live_url, fresh_url) = (
        cluster.database("live").await,
        cluster.database("fresh").await,
    );
    let (live, backup, fresh) = (
        TempDir::new().expect("a directory"),
        TempDir::new().expect("a directory"),
        TempDir::new().expect("a directory"),
    );
    let server = Process::start(live.path(), &["--database", &live_url]);
    let us = opened(&server).await;
    publish(&us, 0..3).await;
    let (dump, to) = (backup.path().join("dump"), backup.path().join("copy"));
    let dump = text(&dump);
    postgresql("pg_dump", &["--format=custom", "--file", dump, &live_url]);
    publish(&us, 3..5).await;
    let backup = ["backup", "--to", text(&to), "--database", &live_url];
    let taken = run(live.path(), &backup);
    assert!(taken.status.success(), "{taken:?}");

    postgresql(
        "pg_restore",
        &["--exit-on-error", "--dbname", &fresh_url, dump],
    );
    let database = ["--database", fresh_url.as_str()];
    let restore = [&["restore", "--from", text(&to)], &database[..]].concat();
    let restored = run(fresh.path(), &restore);
    assert!(restored.status.success(), "{restored:?}");
    let copy = Process::start(fresh.path(), &database);
    assert_eq!(copy.token(), None, "its accounts came with it");
    let there = Publisher {
        client: Client::new(),
        origin: copy.origin.clone(),
        token: us.token.clone(),
    };
    for at in 0..3 {
        follow(&there, &format!("1.0.{at}")).await;
    }
    // What came after the dump is not there, and its blobs are garbage at most.
    let tags = there.json(&format!("/v2/{NAME}/tags/list")).await;
    assert_eq!(tags["tags"], json!(["1.0.0", "1.0.1", "1.0.2"]));
    there.publish("1.0.3").await.expect("a push into the copy");
    demand_clean(fresh.path(), &database);
}

/// The administrator of a first start, with a namespace.
async fn opened(server: &Process) -> Publisher {
    let us = Publisher {
        client: Client::new(),
        origin: server.origin.clone(),
        token: server.token().expect("a first start"),
    };
    let namespace = json!({"name": "demo"}).to_string();
    let made = us.send(
        reqwest::Method::POST,
        "/api/v1/namespaces",
        "application/json",
        namespace.as_bytes(),
    );
    assert_eq!(made.await, Some(StatusCode::CREATED));
    us
}

async fn publish(us: &Publisher, versions: std::ops::Range<u32>) {
    for at in versions {
        us.publish(&format!("1.0.{at}")).await.expect("a push");
    }
}

/// A backup that has changed, or has no end, is not restored.
fn damaged_is_refused(to: &Path) {
    let database = to.join("registry.db");
    let mut bytes = std::fs::read(&database).expect("the database");
    bytes[5000] ^= 1;
    std::fs::write(&database, bytes).expect("a flipped bit");
    let other = TempDir::new().expect("a directory");
    let refused = run(other.path(), &["restore", "--from", text(to)]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("has changed"));
    assert!(!other.path().join("registry.db").exists());
    std::fs::remove_file(to.join("backup.json")).expect("its end");
    let refused = run(other.path(), &["restore", "--from", text(to)]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no complete backup"));
}
