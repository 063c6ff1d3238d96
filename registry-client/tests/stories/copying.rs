// SPDX-License-Identifier: Apache-2.0
//! Copies between registries, and through a file where there is no network.

use std::process::Command;

use registry_client::{
    oci::{Annotations, Descriptor, Manifest},
    registry::{ConnectOptions, Registry},
};
use registry_schema::{Digest, canonical, media_type, name::RepositoryName};

use crate::{
    home::{Home, edit},
    liar::{Answer, Liar, packed},
    stage::{Plain, Stage},
};

/// Publishes `demo/counter` 0.1.0, signed by alice, with an attestation of another kind
/// on the signature itself: referrers have referrers. Gives the version's digest.
async fn published(stage: &Stage) -> String {
    stage.opened();
    stage.admin.package("counter");
    let pushed = stage
        .admin
        .run(&["push", "--key", "alice.key", "counter", "--output", "json"])
        .exits(0)
        .json();
    let digest = pushed["digest"].as_str().expect("a digest").to_owned();
    attach(stage, &digest).await;
    digest
}

async fn attach(stage: &Stage, digest: &str) {
    let options = ConnectOptions {
        credentials: Some(registry_client::auth::Credentials::new(
            "admin",
            stage.token(),
        )),
        ..ConnectOptions::default()
    };
    let registry = Registry::connect(&stage.host(), &options).expect("a registry");
    let repository: RepositoryName = "demo/counter".parse().expect("a name");
    let digest: Digest = digest.parse().expect("a digest");
    let signature = registry
        .all_referrers(&repository, &digest)
        .await
        .expect("listed")
        .remove(0);
    let note = b"somebody looked at this signature";
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media_type::OCI_MANIFEST.to_owned()),
        artifact_type: Some("application/vnd.example.note".to_owned()),
        config: Descriptor::of(media_type::OCI_EMPTY, b"{}"),
        layers: vec![Descriptor::of("text/plain", note)],
        subject: Some(Descriptor {
            annotations: Annotations::new(),
            artifact_type: None,
            ..signature.clone()
        }),
        annotations: Annotations::new(),
    };
    for blob in [b"{}".as_slice(), note] {
        registry
            .push_blob(&repository, &Digest::sha256(blob), blob.to_vec().into())
            .await
            .expect("stored");
    }
    let bytes = canonical::to_vec(&manifest).expect("canonical");
    let mut entry = Descriptor::of(media_type::OCI_MANIFEST, &bytes);
    entry.artifact_type = manifest.artifact_type;
    registry
        .push_referrer(&repository, &signature.digest, entry, bytes.into())
        .await
        .expect("stored");
}

/// What refers to a digest at a host, each with what refers to it.
async fn referrers(host: &str, digest: &str) -> Vec<String> {
    let registry = Registry::connect(host, &ConnectOptions::default()).expect("a registry");
    let repository: RepositoryName = "demo/counter".parse().expect("a name");
    let (mut open, mut found) = (
        vec![digest.parse::<Digest>().expect("a digest")],
        Vec::new(),
    );
    while let Some(digest) = open.pop() {
        for entry in registry
            .all_referrers(&repository, &digest)
            .await
            .expect("listed")
        {
            found.push(format!("{} {:?}", entry.digest, entry.artifact_type));
            open.push(entry.digest);
        }
    }
    found.sort();
    found
}

/// A registry of ours adds the proof that the version is in its own log, and drops none.
async fn all_are_there(stage: &Stage, digest: &str, there: &[String]) {
    let found = referrers(&stage.host(), digest).await;
    assert!(there.iter().all(|one| found.contains(one)), "{found:?}");
    assert_eq!(found.len(), there.len() + 1, "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_keeps_digests_and_all_referrers_through_a_registry_without_referrers() {
    let (first, second) = (Stage::set().await, Stage::set().await);
    let plain = Plain::start();
    let digest = published(&first).await;
    let there = referrers(&first.host(), &digest).await;
    assert_eq!(
        there.len(),
        3,
        "a signature, a note on it, and a log proof: {there:?}"
    );

    let from = format!("{}/demo/counter", first.host());
    let copied = first
        .admin
        .run(&["copy", &from, &plain.host, "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(copied["copied"]["referrers"], 3, "{copied}");
    let tags = copied["copied"]["tags"].as_array().expect("tags").len();
    assert_eq!(tags, 2, "the version and its `.sig` tag: {copied}");
    assert_eq!(referrers(&plain.host, &digest).await, there);

    // Again: nothing is sent.
    let again = first
        .admin
        .run(&["copy", &from, &plain.host, "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(again["copied"]["blobs_sent"], 0, "{again}");
    assert_eq!(again["copied"]["manifests_sent"], 0, "{again}");

    // And from there to a registry of ours.
    let login = [
        "login",
        &second.host(),
        "--user",
        "admin",
        "--password-stdin",
    ];
    second.admin.run_with(&login, second.token(), &[]).exits(0);
    second.admin.run(&["namespace", "create", "demo"]).exits(0);
    let from = format!("{}/demo/counter:0.1.0", plain.host);
    let dry = second
        .admin
        .run(&[
            "copy",
            &from,
            &second.host(),
            "--dry-run",
            "--output",
            "json",
        ])
        .exits(0)
        .json();
    assert!(dry["copied"]["blobs_sent"].as_u64() > Some(0), "{dry}");
    second.admin.run(&["info", "demo/counter"]).exits(3);
    second.admin.run(&["copy", &from, &second.host()]).exits(0);
    all_are_there(&second, &digest, &there).await;
    let pem = first.admin.path("alice.pub");
    let pem = pem.to_str().expect("a path");
    for host in [&plain.host, &second.host()] {
        let verified = second
            .admin
            .run(&[
                "verify",
                &format!("{host}/demo/counter:0.1.0"),
                "--key",
                pem,
                "--output",
                "json",
            ])
            .exits(0)
            .json();
        assert_eq!(verified["digest"], digest.as_str());
    }
    first.running.shutdown().await;
    second.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_versions_go_and_a_published_one_is_never_replaced() {
    let stage = Stage::set().await;
    let plain = Plain::start();
    published(&stage).await;
    let folder = stage.admin.path("counter");
    edit(&folder.join("package.toml"), "0.1.0", "0.2.0");
    stage
        .admin
        .run(&["push", "--key", "alice.key", "counter"])
        .exits(0);
    let from = format!("{}/demo/counter", stage.host());
    stage
        .admin
        .run(&[
            "copy",
            &format!("{from}:0.1.0"),
            &plain.host,
            "--all-versions",
        ])
        .exits(2)
        .says(&["names one version"]);
    stage
        .admin
        .run(&["copy", &from, &plain.host, "--all-versions"])
        .exits(0);
    let registry = Registry::connect(&plain.host, &ConnectOptions::default()).expect("a registry");
    let repository: RepositoryName = "demo/counter".parse().expect("a name");
    let tags = registry.tags(&repository).await.expect("listed");
    for version in ["0.1.0", "0.2.0"] {
        assert!(tags.iter().any(|tag| tag.as_str() == version), "{tags:?}");
    }

    // The same version with other content is there: nothing is sent.
    let other = Liar::start();
    let user = Home::new();
    user.package("counter");
    edit(
        &user.path("counter/package.toml"),
        "lets them all pass",
        "drops none",
    );
    other.publish("counter", &packed(&user.path("counter")), "0.1.0");
    stage
        .admin
        .run(&[
            "copy",
            &format!("{}/demo/counter:0.1.0", other.host),
            &plain.host,
        ])
        .exits(5)
        .says(&["is there already"]);
    stage
        .admin
        .run(&["copy", "demo/nothing", &plain.host])
        .exits(3)
        .says(&["demo/nothing"]);
    stage.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_lies_leaves_nothing_at_the_destination() {
    let plain = Plain::start();
    let liar = Liar::start();
    let user = Home::new();
    user.package("counter");
    let version = packed(&user.path("counter"));
    let object = version.blobs.keys().next().expect("a blob").clone();
    let from = format!("{}/demo/counter:0.1.0", liar.host);
    let path = format!("counter/blobs/{object}");
    let good = version.blobs[&object].to_vec();
    let kind = "application/octet-stream".to_owned();
    let cases = [
        ("another byte", {
            let mut bytes = good.clone();
            bytes[0] ^= 1;
            Answer::Bytes(kind.clone(), bytes)
        }),
        (
            "cut",
            Answer::Bytes(kind.clone(), good[..good.len() - 1].to_vec()),
        ),
        ("endless", Answer::Endless),
    ];
    for (what, answer) in cases {
        liar.publish("counter", &version, "0.1.0");
        liar.put(&path, answer);
        user.run(&["copy", &from, &plain.host])
            .exits(20)
            .says(&["is damaged"]);
        let registry =
            Registry::connect(&plain.host, &ConnectOptions::default()).expect("a registry");
        let repository: RepositoryName = "demo/counter".parse().expect("a name");
        assert!(
            registry.manifest(&repository, "0.1.0").await.is_err(),
            "{what}"
        );
        assert!(
            registry.pieces(&repository, &object).await.is_err(),
            "{what}: nothing is stored under the promised digest"
        );
    }
    liar.publish("counter", &version, "0.1.0");
    user.run(&["copy", &from, &plain.host]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_travels_in_a_file_and_is_verified_without_a_network() {
    let (first, second) = (Stage::set().await, Stage::set().await);
    let digest = published(&first).await;
    let there = referrers(&first.host(), &digest).await;
    let admin = &first.admin;
    admin
        .run(&["export", "demo/counter:0.1.0", "--to", "a.tar"])
        .exits(0);
    admin
        .run(&["export", "demo/counter", "--to", "b.tar"])
        .exits(0);
    let bytes = |name: &str| std::fs::read(admin.path(name)).expect("the archive");
    assert_eq!(
        bytes("a.tar"),
        bytes("b.tar"),
        "the same versions, the same bytes"
    );
    admin
        .run(&["export", "demo/counter", "--to", "a.tar"])
        .exits(5)
        .says(&["exists already"]);
    first.running.shutdown().await;

    // Nobody answers any more; the file is enough.
    let archive = admin.path("a.tar");
    let archive = archive.to_str().expect("a path");
    let user = Home::with_registry("registry.invalid");
    let key = admin.path("alice.pub");
    let key = key.to_str().expect("a path");
    for reference in ["demo/counter:0.1.0", "demo/counter"] {
        let verified = user
            .run(&[
                "verify", reference, "--from", archive, "--key", key, "--output", "json",
            ])
            .exits(0)
            .json();
        assert_eq!(verified["digest"], digest.as_str());
    }
    user.run(&["pull", "demo/counter", "--from", archive, "--key", key])
        .exits(0);
    assert!(user.path("counter-0.1.0/counter.bpf.o").exists());
    user.run(&["verify", "demo/counter", "--from", archive])
        .exits(20);
    user.run(&["verify", "demo/other", "--from", archive, "--key", key])
        .exits(3)
        .says(&["demo/other"]);
    let skopeo = Command::new("skopeo")
        .args([
            "inspect",
            "--raw",
            &format!("oci-archive:{archive}:demo/counter:0.1.0"),
        ])
        .output()
        .expect("skopeo");
    assert!(
        skopeo.status.success(),
        "{}",
        String::from_utf8_lossy(&skopeo.stderr)
    );
    assert_eq!(Digest::sha256(&skopeo.stdout).as_str(), digest);

    imported(archive, key, &second, &digest, &there).await;
    second.running.shutdown().await;
}

/// Into a registry on the other side, compressed on the way.
async fn imported(archive: &str, key: &str, second: &Stage, digest: &str, there: &[String]) {
    let gzip = Command::new("gzip")
        .args(["-k", archive])
        .status()
        .expect("gzip");
    assert!(gzip.success());
    let login = [
        "login",
        &second.host(),
        "--user",
        "admin",
        "--password-stdin",
    ];
    second.admin.run_with(&login, second.token(), &[]).exits(0);
    second.admin.run(&["namespace", "create", "demo"]).exits(0);
    let compressed = format!("{archive}.gz");
    second
        .admin
        .run(&["import", &compressed, "--to", &second.host()])
        .exits(0);
    all_are_there(second, digest, there).await;
    second
        .admin
        .run(&["verify", "demo/counter:0.1.0", "--key", key])
        .exits(0);
}
