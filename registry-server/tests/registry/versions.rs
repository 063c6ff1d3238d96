// SPDX-License-Identifier: Apache-2.0
//! What makes a version, and what a version keeps.

use registry_schema::{Digest, PackageName, media_type, profile::ObjectProfile};
use registry_server::store;
use serde_json::json;

use crate::support::{
    TestRegistry, expect, header,
    package::{PackageBuilder, Packed, object},
    refused,
};

async fn versions(registry: &TestRegistry, name: &str) -> Vec<String> {
    let package: PackageName = name.parse().expect("a name");
    let choices = store::packages::choices(&registry.app.db, &package)
        .await
        .expect("versions");
    choices
        .into_iter()
        .map(|choice| choice.version.to_string())
        .collect()
}

#[tokio::test]
async fn the_tag_makes_the_version() {
    let registry = TestRegistry::start().await;
    let packed = PackageBuilder::new("demo/pass", "1.0.0").pack();
    packed.push_content(&registry.admin).await;
    assert!(versions(&registry, "demo/pass").await.is_empty());
    expect(packed.push_tag(&registry.admin, "1.0.0").await, 201).await;
    assert_eq!(versions(&registry, "demo/pass").await, ["1.0.0"]);
    // Pushing the same again is no change.
    expect(packed.push_tag(&registry.admin, "1.0.0").await, 201).await;
    let changes = store::changes::list(&registry.app.db, 0, 100)
        .await
        .expect("changes");
    assert_eq!(changes.len(), 1);
    // Another tag on the same index is just a tag.
    expect(packed.push_tag(&registry.admin, "edge").await, 201).await;
    assert_eq!(versions(&registry, "demo/pass").await, ["1.0.0"]);
}

#[tokio::test]
async fn the_profile_comes_from_the_object() {
    let registry = TestRegistry::start().await;
    let builder = PackageBuilder::new("demo/pass", "1.0.0");
    expect(builder.pack().push(&registry.admin, "1.0.0").await, 201).await;
    let path = registry
        .dir
        .as_ref()
        .expect("a directory")
        .path()
        .join("registry.db");
    let url = format!("sqlite:{}", path.display());
    let pool = sqlx::SqlitePool::connect(&url).await.expect("the database");
    let row: (String, String, String, i64) =
        sqlx::query_as("select v.config, o.target, o.profile, v.size_bytes from versions v join version_objects o using (package, version)")
            .fetch_one(&pool)
            .await
            .expect("one row");
    assert_eq!(row.0.as_bytes(), builder.config());
    assert_eq!(row.1, "bpfel");
    let profile: ObjectProfile = serde_json::from_str(&row.2).expect("a profile");
    assert_eq!(profile.programs[0].function, "pass");
    assert!(row.3 > i64::try_from(object().len()).expect("a size"));
}

#[tokio::test]
async fn a_version_never_changes() {
    let registry = TestRegistry::start().await;
    let first = PackageBuilder::new("demo/pass", "1.0.0").pack();
    expect(first.push(&registry.admin, "1.0.0").await, 201).await;
    let mut other = PackageBuilder::new("demo/pass", "1.0.0");
    other.license = "MIT OR GPL-2.0-only".to_owned();
    let other = other.pack();
    let message = refused(other.push(&registry.admin, "1.0.0").await, 409, "DENIED").await;
    assert!(message.contains(first.digest().as_str()), "{message}");
    // Nor does something else take its tag.
    let image = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": []})
        .to_string();
    let answer = registry
        .admin
        .put_manifest(
            "demo/pass",
            "1.0.0",
            media_type::OCI_INDEX,
            image.as_bytes(),
        )
        .await;
    refused(answer, 409, "DENIED").await;
    let manifests = |reference: &str| format!("/v2/demo/pass/manifests/{reference}");
    let (index, child) = (first.digest(), Digest::sha256(&first.manifest));
    for reference in ["1.0.0", index.as_str(), child.as_str()] {
        refused(
            registry.admin.delete(&manifests(reference)).await,
            409,
            "DENIED",
        )
        .await;
    }
    for blob in &first.blobs {
        let path = format!("/v2/demo/pass/blobs/{}", Digest::sha256(blob));
        refused(registry.admin.delete(&path).await, 409, "DENIED").await;
    }
    let got = registry.anonymous.get(&manifests("1.0.0")).await;
    assert_eq!(got.bytes().await.expect("a body"), first.index);
}

#[tokio::test]
async fn latest_is_the_highest_stable_version() {
    let registry = TestRegistry::start().await;
    let latest = "/v2/demo/pass/manifests/latest";
    for version in ["1.9.0", "1.10.0", "2.0.0-rc.1"] {
        let packed = PackageBuilder::new("demo/pass", version).pack();
        expect(packed.push(&registry.admin, version).await, 201).await;
    }
    let wanted = PackageBuilder::new("demo/pass", "1.10.0").pack();
    let got = expect(registry.anonymous.head(latest).await, 200).await;
    assert_eq!(
        header(&got, "docker-content-digest"),
        wanted.digest().as_str()
    );
    let message = refused(
        wanted.push_tag(&registry.admin, "latest").await,
        409,
        "DENIED",
    )
    .await;
    assert!(message.contains("latest"), "{message}");
    // Before a version exists, and for what is no package, `latest` is a tag like others.
    let only = PackageBuilder::new("demo/pre", "1.0.0-rc.1").pack();
    refused(only.push(&registry.admin, "latest").await, 409, "DENIED").await;
    expect(only.push_tag(&registry.admin, "1.0.0-rc.1").await, 201).await;
    refused(
        registry
            .anonymous
            .get("/v2/demo/pre/manifests/latest")
            .await,
        404,
        "MANIFEST_UNKNOWN",
    )
    .await;
    let index = json!({"schemaVersion": 2, "manifests": []}).to_string();
    let answer = registry
        .admin
        .put_manifest(
            "demo/image",
            "latest",
            media_type::OCI_INDEX,
            index.as_bytes(),
        )
        .await;
    expect(answer, 201).await;
}

/// Pushes what is no version, and demands that nothing of it is in the catalogue.
async fn no_version(registry: &TestRegistry, packed: &Packed, tag: &str, says: &[&str]) {
    let answer = packed.push(&registry.admin, tag).await;
    let message = refused(answer, 400, "MANIFEST_INVALID").await;
    for word in says {
        assert!(message.contains(word), "`{word}` is missing in: {message}");
    }
    assert!(versions(registry, "demo/pass").await.is_empty());
    let tag = registry
        .admin
        .get(&format!("/v2/{}/manifests/{tag}", packed.repository))
        .await;
    assert_eq!(tag.status(), 404);
}

#[tokio::test]
async fn what_is_no_version_and_why() {
    let registry = TestRegistry::start().await;
    let good = PackageBuilder::new("demo/pass", "1.0.0");
    // Another version, another name than inside.
    no_version(&registry, &good.pack(), "1.0.1", &["1.0.0", "1.0.1"]).await;
    let moved = PackageBuilder {
        repository: "demo/other".to_owned(),
        ..good.clone()
    };
    no_version(
        &registry,
        &moved.pack(),
        "1.0.0",
        &["demo/pass", "demo/other"],
    )
    .await;
    // Objects that cannot be read, or contradict the manifest.
    let junk = PackageBuilder {
        object: b"\x7fELF junk".to_vec(),
        ..good.clone()
    };
    no_version(&registry, &junk.pack(), "1.0.0", &["bpfel"]).await;
    let half = PackageBuilder {
        object: object()[..object().len() / 2].to_vec(),
        ..good.clone()
    };
    no_version(&registry, &half.pack(), "1.0.0", &["bpfel"]).await;
    let missing = PackageBuilder {
        function: "absent".to_owned(),
        ..good.clone()
    };
    no_version(&registry, &missing.pack(), "1.0.0", &["absent"]).await;
    let target = PackageBuilder {
        target: "bpfeb".to_owned(),
        ..good.clone()
    };
    no_version(&registry, &target.pack(), "1.0.0", &["bpfel", "bpfeb"]).await;
    // Configs that are none.
    no_version(
        &registry,
        &good.pack_with(b"{}".to_vec()),
        "1.0.0",
        &["config"],
    )
    .await;
    let spaced = [good.config(), b" ".to_vec()].concat();
    no_version(&registry, &good.pack_with(spaced), "1.0.0", &["canonical"]).await;
    let unknown =
        String::from_utf8(good.config())
            .expect("UTF-8")
            .replacen('{', "{\"lisence\":1,", 1);
    no_version(
        &registry,
        &good.pack_with(unknown.into_bytes()),
        "1.0.0",
        &["lisence"],
    )
    .await;
    // An index of our type that leads to no package manifest.
    let mut empty = good.pack();
    let index = json!({"schemaVersion": 2, "artifactType": media_type::PACKAGE, "manifests": []});
    empty.index = index.to_string().into_bytes();
    no_version(&registry, &empty, "1.0.0", &["io.bpfpkg.target"]).await;
    // And the good one still goes in.
    expect(good.pack().push(&registry.admin, "1.0.0").await, 201).await;
    assert_eq!(versions(&registry, "demo/pass").await, ["1.0.0"]);
}

#[tokio::test]
async fn of_two_that_publish_the_same_version_one_wins() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    let one = PackageBuilder::new("demo/pass", "1.0.0").pack();
    let mut two = PackageBuilder::new("demo/pass", "1.0.0");
    two.license = "MIT OR GPL-2.0-only".to_owned();
    let two = two.pack();
    one.push_content(admin).await;
    two.push_content(admin).await;
    let (first, second) = tokio::join!(one.push_tag(admin, "1.0.0"), two.push_tag(admin, "1.0.0"));
    let mut statuses = [first.status().as_u16(), second.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    assert_eq!(versions(&registry, "demo/pass").await, ["1.0.0"]);
}

#[tokio::test]
async fn a_loop_of_pulls_counts_once_a_day() {
    let registry = TestRegistry::start().await;
    let packed = PackageBuilder::new("demo/pass", "1.0.0").pack();
    expect(packed.push(&registry.admin, "1.0.0").await, 201).await;
    let pulls = async || {
        let path = registry
            .dir
            .as_ref()
            .expect("a directory")
            .path()
            .join("registry.db");
        let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", path.display()))
            .await
            .expect("the database");
        let count: i64 = sqlx::query_scalar("select count(*) from pulls")
            .fetch_one(&pool)
            .await
            .expect("a number");
        count
    };
    for _ in 0..3 {
        registry
            .anonymous
            .get("/v2/demo/pass/manifests/1.0.0")
            .await;
        registry
            .anonymous
            .get("/v2/demo/pass/manifests/latest")
            .await;
        registry
            .anonymous
            .head("/v2/demo/pass/manifests/1.0.0")
            .await;
    }
    assert_eq!(pulls().await, 1);
    let bob = registry.user("bob", None).await;
    bob.get(&format!("/v2/demo/pass/manifests/{}", packed.digest()))
        .await;
    assert_eq!(pulls().await, 2);
    registry.later(chrono::Duration::days(1));
    registry
        .anonymous
        .get("/v2/demo/pass/manifests/1.0.0")
        .await;
    assert_eq!(pulls().await, 3);
}
