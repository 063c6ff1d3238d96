// SPDX-License-Identifier: Apache-2.0
//! The check finds what is not there, and the scrub what has changed.

use std::path::{Path, PathBuf};

use chrono::Duration;
use rand::{Rng, SeedableRng, rngs::StdRng};
use registry_schema::Digest;
use registry_server::service::{
    fsck,
    scrub::{self, Scrub},
};
use sqlx::{Executor, SqlitePool};

use crate::{
    crash::NAME,
    support::{TestRegistry, expect, package::PackageBuilder, refused},
};

fn file(data: &Path, digest: &Digest) -> PathBuf {
    let folder = data.join("blobs").join(digest.algorithm().as_str());
    folder.join(&digest.hex()[..2]).join(digest.hex())
}

async fn kinds(registry: &TestRegistry) -> Vec<&'static str> {
    let report = fsck::run(&registry.app).await.expect("a check");
    report.problems.iter().map(|problem| problem.kind).collect()
}

#[tokio::test]
async fn the_check_finds_everything_that_leads_nowhere() {
    let registry = TestRegistry::start().await;
    let data = registry
        .dir
        .as_ref()
        .expect("a directory")
        .path()
        .to_owned();
    let packed = PackageBuilder::new(NAME, "1.0.0").pack();
    expect(packed.push(&registry.admin, "1.0.0").await, 201).await;
    assert_eq!(kinds(&registry).await, Vec::<&str>::new());
    // On disk.
    let blob = file(&data, &Digest::sha256(&packed.blobs[0]));
    let bytes = std::fs::read(&blob).expect("a blob");
    std::fs::write(&blob, &bytes[..bytes.len() - 1]).expect("a shorter blob");
    assert_eq!(kinds(&registry).await, ["content-size"]);
    std::fs::remove_file(&blob).expect("a blob");
    assert_eq!(kinds(&registry).await, ["content-missing"]);
    std::fs::write(&blob, &bytes).expect("the blob again");
    // In the database: each change alone, on a copy of it.
    let path = format!("sqlite:{}", data.join("registry.db").display());
    let options: sqlx::sqlite::SqliteConnectOptions = path.parse().expect("options");
    let pool = SqlitePool::connect_with(options.foreign_keys(false))
        .await
        .expect("the database");
    for (change, expected) in [
        (
            "delete from blobs where digest in (select target from manifest_references where kind = 'layer')",
            &["blob-missing", "version-object"] as &[&str],
        ),
        (
            "delete from manifests where digest in (select target from manifest_references where kind = 'manifest')",
            &["manifest-missing"],
        ),
        (
            "delete from manifests where digest in (select digest from tags)",
            &["tag-dangling", "version-index"],
        ),
        ("delete from tags", &["version-tag"]),
        ("delete from contents", &["content-unknown"]),
        (
            "update contents set size_bytes = size_bytes + 1",
            &["content-unknown", "content-size"],
        ),
        (
            "update contents set state = 'damaged'",
            &["content-damaged"],
        ),
        (
            "update manifests set body = cast('{}' as blob)",
            &["manifest-damaged"],
        ),
    ] {
        let saved = data.join("saved.db");
        let save = format!("vacuum into '{}'", saved.display());
        pool.execute(sqlx::AssertSqlSafe(save))
            .await
            .expect("a copy");
        pool.execute(sqlx::AssertSqlSafe(change))
            .await
            .expect("a change");
        let mut found = kinds(&registry).await;
        found.dedup();
        assert_eq!(found, expected, "{change}");
        restore_tables(&pool, &saved).await;
        std::fs::remove_file(&saved).expect("a copy");
        assert_eq!(kinds(&registry).await, Vec::<&str>::new(), "after {change}");
    }
    pool.close().await;
}

/// Puts the rows of a saved copy back.
async fn restore_tables(pool: &SqlitePool, saved: &Path) {
    let mut connection = pool.acquire().await.expect("a connection");
    let attach = format!("attach '{}' as saved", saved.display());
    connection
        .execute(sqlx::AssertSqlSafe(attach))
        .await
        .expect("the copy");
    for table in [
        "blobs",
        "manifests",
        "manifest_references",
        "tags",
        "contents",
    ] {
        for change in [
            format!("delete from {table}"),
            format!("insert into {table} select * from saved.{table}"),
        ] {
            connection
                .execute(sqlx::AssertSqlSafe(change))
                .await
                .expect("a change");
        }
    }
    connection.execute("detach saved").await.expect("the copy");
}

fn scrub_all(registry: &TestRegistry) -> Scrub {
    registry.later(Duration::seconds(2));
    Scrub {
        before: registry.app.clock.now() - Duration::seconds(1),
        bytes_per_second: None,
        repair_from: None,
    }
}

#[tokio::test]
async fn one_scrub_finds_every_flipped_bit() {
    let registry = TestRegistry::start().await;
    let data = registry
        .dir
        .as_ref()
        .expect("a directory")
        .path()
        .to_owned();
    let admin = &registry.admin;
    let seed = StdRng::from_os_rng().random();
    println!("the seed is {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut contents = Vec::new();
    for at in 0..60_u32 {
        let length = random.random_range(1..300_000);
        let content: Vec<u8> = (0..length).map(|_| random.random()).collect();
        contents.push((admin.push_blob(NAME, &content).await, content, at % 3 > 0));
    }
    for (digest, content, damaged) in &contents {
        if *damaged {
            let mut bytes = content.clone();
            let bit = random.random_range(0..bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(file(&data, digest), bytes).expect("a flipped bit");
        }
    }
    let report = scrub::run(&registry.app, &scrub_all(&registry))
        .await
        .expect("a scrub");
    let found: Vec<_> = report
        .damaged
        .iter()
        .map(|damage| damage.digest.clone())
        .collect();
    for (digest, content, damaged) in &contents {
        assert_eq!(found.contains(digest), *damaged, "{digest}");
        let path = format!("/v2/{NAME}/blobs/{digest}");
        if !damaged {
            let got = expect(admin.get(&path).await, 200).await;
            assert_eq!(got.bytes().await.expect("a body"), *content);
            continue;
        }
        // Never served, and as if it had never been pushed: so it is pushed again.
        refused(admin.get(&path).await, 404, "BLOB_UNKNOWN").await;
        expect(admin.head(&path).await, 404).await;
        let name = format!("quarantine/{}-{}", digest.algorithm(), digest.hex());
        assert!(data.join(name).exists());
        admin.push_blob(NAME, content).await;
        let got = expect(admin.get(&path).await, 200).await;
        assert_eq!(got.bytes().await.expect("a body"), *content);
    }
    let again = scrub::run(&registry.app, &scrub_all(&registry))
        .await
        .expect("a scrub");
    assert_eq!((again.contents, again.damaged), (60, Vec::new()));
    assert_eq!(kinds(&registry).await, Vec::<&str>::new());
}

#[tokio::test]
async fn what_is_damaged_comes_back_from_another_registry() {
    let (registry, mirror) = (TestRegistry::start().await, TestRegistry::start().await);
    let data = registry
        .dir
        .as_ref()
        .expect("a directory")
        .path()
        .to_owned();
    let mut lost = Vec::new();
    for at in 0..4_u8 {
        let content = vec![at; 5000];
        let digest = registry.admin.push_blob(NAME, &content).await;
        // The other registry has three of the four.
        if at > 0 {
            mirror.admin.push_blob(NAME, &content).await;
        }
        match at {
            1 => std::fs::remove_file(file(&data, &digest)).expect("a blob"),
            _ => std::fs::write(file(&data, &digest), b"damaged").expect("a blob"),
        }
        lost.push(digest);
    }
    let scrub = Scrub {
        repair_from: Some(mirror.origin.parse().expect("a URL")),
        ..scrub_all(&registry)
    };
    let report = scrub::run(&registry.app, &scrub).await.expect("a scrub");
    assert_eq!(report.damaged.len(), 4);
    for damage in &report.damaged {
        assert_eq!(damage.repaired, damage.digest != lost[0], "{damage:?}");
    }
    assert_eq!(kinds(&registry).await, ["content-damaged"]);
    let got = registry
        .admin
        .get(&format!("/v2/{NAME}/blobs/{}", lost[3]))
        .await;
    assert_eq!(
        expect(got, 200).await.bytes().await.expect("a body"),
        vec![3; 5000]
    );
    // The next round tries again what it could not repair.
    mirror.admin.push_blob(NAME, &[0; 5000]).await;
    let scrub = Scrub {
        repair_from: scrub.repair_from,
        ..scrub_all(&registry)
    };
    let report = scrub::run(&registry.app, &scrub).await.expect("a scrub");
    assert_eq!(report.damaged.len(), 1);
    assert!(report.damaged[0].repaired);
    assert_eq!(kinds(&registry).await, Vec::<&str>::new());
}
