// SPDX-License-Identifier: Apache-2.0
//! Whoever changes what was logged is found out: by the registry's own check, and by everybody
//! who saw the log before.

use registry_client::log::{LogError, LogFault};
use registry_server::{service::log::verify::LogBreak, store::Db};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use super::{Watcher, add, verified};
use crate::support::{TestRegistry, expect, package::PackageBuilder};

async fn execute(registry: &TestRegistry, sql: &str) {
    let sql = AssertSqlSafe(sql.to_owned()).into_sql_str();
    match &registry.app.db {
        Db::Sqlite(_, writer, ..) => drop(sqlx::query(sql).execute(writer).await.expect("SQL")),
        Db::Postgres(pool) => drop(sqlx::query(sql).execute(pool).await.expect("SQL")),
    }
}

/// A registry with two versions and some more entries, and somebody who has seen it.
async fn watched() -> (TestRegistry, Watcher) {
    let registry = TestRegistry::start().await;
    for version in ["1.0.0", "1.1.0"] {
        let packed = PackageBuilder::new("demo/pass", version).pack();
        expect(packed.push(&registry.admin, version).await, 201).await;
    }
    add(&registry.app, 300).await;
    let mut watcher = Watcher::new();
    watcher.look(&registry.origin).await.expect("a log");
    assert_eq!(verified(&registry).await.expect("whole").versions, 2);
    (registry, watcher)
}

#[tokio::test]
async fn a_rewritten_row_is_found() {
    let other = format!("sha256:{}", "0".repeat(64));
    let swap = "update log_entries set leaf = (select leaf from log_entries where position = 9) where position = 5";
    let cases = [
        // An entry was replaced, the tree not.
        (swap.to_owned(), "tile/0/000"),
        (
            "update log_tiles set hashes = zeroblob(8192) where level = 0 and number = 0"
                .to_owned(),
            "tile/0/000",
        ),
        (
            "update log_tiles set hashes = zeroblob(32) where level = 1".to_owned(),
            "tile/1/000.p/1",
        ),
        (
            "delete from log_entries where position = 302".to_owned(),
            "entry 302 is missing",
        ),
        (
            "delete from log_tiles where level = 1".to_owned(),
            "tile/1/000.p/1",
        ),
        (
            "update log_head set checkpoint = replace(checkpoint, '303', '304')".to_owned(),
            "signature",
        ),
        ("update log_head set size = 300".to_owned(), "checkpoint"),
        (
            format!("update versions set index_digest = '{other}' where version = '1.1.0'"),
            "the log says that sha256:",
        ),
        (
            "update versions set version = '1.1.1' where version = '1.1.0'".to_owned(),
            "is in the catalogue",
        ),
    ];
    for (sql, part) in cases {
        let (registry, _) = watched().await;
        execute(&registry, "pragma foreign_keys = off").await;
        execute(&registry, &sql).await;
        let broken = verified(&registry).await.expect_err(&sql).to_string();
        assert!(broken.contains(part), "{sql}: {broken}");
    }
}

#[tokio::test]
async fn who_reads_the_log_finds_it_too() {
    let (registry, mut watcher) = watched().await;
    execute(
        &registry,
        "update log_entries set leaf = (select leaf from log_entries where position = 9) where position = 5",
    )
    .await;
    assert!(matches!(
        watcher.look(&registry.origin).await,
        Err(LogError::Fault(LogFault::Root { .. }))
    ));
    // A tile that was changed: nothing can be shown by it.
    let (registry, mut watcher) = watched().await;
    add(&registry.app, 1).await;
    execute(
        &registry,
        "update log_tiles set hashes = zeroblob(8192) where level = 0 and number = 0",
    )
    .await;
    let refused = watcher
        .look(&registry.origin)
        .await
        .expect_err("a changed tile");
    assert!(
        matches!(
            refused,
            LogError::Fault(LogFault::Damaged { .. } | LogFault::OtherTile(_))
        ),
        "{refused}"
    );
    // A tile that was cut.
    let (registry, mut watcher) = watched().await;
    execute(
        &registry,
        "update log_tiles set hashes = substr(hashes, 1, 64) where level = 0 and number = 1",
    )
    .await;
    watcher
        .look(&registry.origin)
        .await
        .expect_err("a cut tile");
}

#[tokio::test]
async fn on_a_changed_tree_nothing_is_signed() {
    let (registry, _) = watched().await;
    execute(
        &registry,
        "update log_tiles set hashes = zeroblob(1504) where level = 0 and number = 1",
    )
    .await;
    let packed = PackageBuilder::new("demo/pass", "2.0.0").pack();
    let answer = expect(packed.push(&registry.admin, "2.0.0").await, 201).await;
    let warning = answer.headers().get("warning").expect("a warning");
    assert!(
        warning
            .to_str()
            .expect("text")
            .contains("publish log is late")
    );
    assert_eq!(
        verified(&registry).await,
        Err(LogBreak::Tile("tile/0/001.p/47".parse().expect("a tile")))
    );
}

#[tokio::test]
async fn two_forks_of_a_log_are_told_apart() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a directory");
    let key = dir.path().join("key.pem");
    let der = hex::decode(format!(
        "302e020100300506032b657004220420{}",
        "7".repeat(64)
    ))
    .expect("hex");
    let base64 = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, der);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n");
    std::fs::write(&key, pem).expect("written");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("permissions");
    // A hostile registry shows one log to some, and another to others: same name, same key.
    let start = async || {
        let key = key.clone();
        TestRegistry::start_with(|mut config| {
            config.publish_log.publish_log_key = Some(key);
            config.publish_log.publish_log_origin = Some("registry.example/log".to_owned());
            config
        })
        .await
    };
    let (one, other) = (start().await, start().await);
    for registry in [&one, &other] {
        add(&registry.app, 260).await;
    }
    let mut watcher = Watcher::new();
    let seen = watcher.look(&one.origin).await.expect("a log");
    watcher.look(&other.origin).await.expect("the same so far");
    for (registry, version) in [(&one, "1.0.0"), (&other, "6.6.6")] {
        let packed = PackageBuilder::new("demo/pass", version).pack();
        expect(packed.push(&registry.admin, version).await, 201).await;
    }
    let mine = watcher.look(&one.origin).await.expect("it continues");
    // As long, and longer.
    for _ in 0..2 {
        let refused = watcher.look(&other.origin).await.expect_err("a fork");
        let LogError::Fault(LogFault::Forked {
            old_root,
            new_root,
            evidence,
            ..
        }) = refused
        else {
            panic!("{refused}")
        };
        assert_eq!(old_root, mine.checkpoint().root);
        let evidence = std::fs::read_to_string(evidence.expect("kept")).expect("evidence");
        assert!(evidence.contains(&mine.note().to_string()));
        assert!(evidence.contains(&new_root.to_string()));
        add(&other.app, 300).await;
    }
    // The one it believed goes on.
    add(&one.app, 1).await;
    watcher.look(&one.origin).await.expect("it continues");
    // And an old state of it is refused.
    assert!(seen.checkpoint().size < mine.checkpoint().size);
    let old = start().await;
    add(&old.app, 260).await;
    assert!(matches!(
        watcher.look(&old.origin).await,
        Err(LogError::Fault(LogFault::Shrunk { .. }))
    ));
}
