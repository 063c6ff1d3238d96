// SPDX-License-Identifier: Apache-2.0
//! What a packed version consists of, and that it is always the same.

use registry_client::oci::{Index, Manifest};
use registry_schema::{PackageManifest, media_type};

use crate::{
    home::{Home, edit},
    liar::packed,
};

#[test]
fn the_same_package_has_the_same_digest_anywhere() {
    let (here, there) = (Home::new(), Home::new());
    let digest = |home: &Home| {
        home.run(&["init", "demo/counter"]).exits(0);
        home.run(&["build", "counter"]).exits(0).stdout
    };
    let first = digest(&here);
    assert_eq!(first, digest(&there), "another folder");
    assert_eq!(
        first,
        here.run(&["build", "counter"]).exits(0).stdout,
        "another time"
    );
    let later = here.run_with(
        &["build", "counter"],
        "",
        &[("SOURCE_DATE_EPOCH", "1700000001")],
    );
    assert_ne!(first, later.stdout, "the time is part of it");
    edit(&here.path("counter/README.md"), "lets", "Lets");
    assert_ne!(
        first,
        here.run(&["build", "counter"]).exits(0).stdout,
        "the README is part of it"
    );
}

#[test]
fn images_come_first_and_package_manifests_last() {
    let version = packed(&Home::new().package("counter"));
    let index: Index = serde_json::from_slice(&version.index).expect("an index");
    assert_eq!(index.artifact_type.as_deref(), Some(media_type::PACKAGE));
    let platforms: Vec<_> = index
        .manifests
        .iter()
        .map(|e| e.platform.as_ref().map(|p| p.architecture.as_str()))
        .collect();
    assert_eq!(
        platforms,
        [
            Some("amd64"),
            Some("arm64"),
            Some("ppc64le"),
            Some("riscv64"),
            None
        ]
    );
    assert!(
        index
            .manifests
            .iter()
            .all(|entry| entry.artifact_type.is_none()),
        "copying tools rewrite such entries"
    );
    let last = index.manifests.last().expect("a package manifest");
    assert_eq!(last.annotations[media_type::ANNOTATION_TARGET], "bpfel");
    let manifest: Manifest = serde_json::from_slice(&version.manifests[4].1).expect("a manifest");
    let config = PackageManifest::from_json(&version.blobs[&manifest.config.digest])
        .expect("the config is the manifest");
    assert_eq!(config.package.name.to_string(), "demo/counter");

    let image: Manifest = serde_json::from_slice(&version.manifests[0].1).expect("an image");
    let labels: serde_json::Value =
        serde_json::from_slice(&version.blobs[&image.config.digest]).expect("a config");
    assert_eq!(
        labels["config"]["Labels"]["io.ebpf.programs"],
        r#"{"count_packets":"xdp"}"#
    );
    assert_eq!(
        labels["config"]["Labels"]["io.ebpf.maps"],
        r#"{"counters":"per_cpu_array"}"#
    );
    let layer = &version.blobs[&image.layers[0].digest];
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(layer.as_ref()));
    let names: Vec<_> = archive
        .entries()
        .expect("an archive")
        .map(|entry| {
            entry
                .expect("an entry")
                .path()
                .expect("a path")
                .display()
                .to_string()
        })
        .collect();
    assert_eq!(names, ["counter.bpf.o"]);
}

#[test]
fn a_layout_holds_every_blob_under_its_digest() {
    let home = Home::new();
    home.package("counter");
    home.run(&["build", "counter", "--layout", "layout"])
        .exits(0);
    let blobs: Vec<_> = std::fs::read_dir(home.path("layout/blobs/sha256"))
        .expect("blobs")
        .flatten()
        .collect();
    assert!(blobs.len() > 10);
    for blob in blobs {
        let bytes = std::fs::read(blob.path()).expect("a blob");
        assert_eq!(
            registry_schema::Digest::sha256(&bytes).hex(),
            blob.file_name().to_string_lossy()
        );
    }
    home.run(&["build", "counter", "--layout", "layout"])
        .exits(5)
        .says(&["layout", "exists already"]);
}
