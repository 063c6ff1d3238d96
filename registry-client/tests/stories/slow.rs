// SPDX-License-Identifier: Apache-2.0
//! Registries that hang, send a byte now and then, or want more fetched than was asked for:
//! who pulls gives up in good time and keeps nothing, and a mirror asks the next one.

use registry_client::{
    oci::{Descriptor, Index},
    pack::PackedVersion,
};
use registry_schema::{Digest, canonical, media_type};

use crate::{
    home::{Ended, Home},
    liar::{Answer, Liar, Scene},
    mirror::{mirror, published, set_mirror},
    stage::Plain,
};

impl Scene {
    /// Pulls or verifies with little patience.
    fn run(&self, verb: &str) -> Ended {
        let reference = format!("{}/demo/counter:0.1.0", self.liar.host);
        self.home.run(&[verb, &reference, "--timeout", "1s"])
    }

    /// What is behind a path is answered in another manner from now on; gives what undoes it.
    fn change(&self, path: &str, manner: fn(String, Vec<u8>) -> Answer) -> Answer {
        let mut body = Vec::new();
        self.liar.change(path, |bytes| body.clone_from(bytes));
        let kind = if path.contains("/blobs/") {
            "application/octet-stream"
        } else if path.ends_with("/0.1.0") || path.contains("/referrers/") {
            media_type::OCI_INDEX
        } else {
            media_type::OCI_MANIFEST
        };
        self.liar.put(path, manner(kind.to_owned(), body.clone()));
        Answer::Bytes(kind.to_owned(), body)
    }
}

type Manner = fn(String, Vec<u8>) -> Answer;

const MANNERS: [(Manner, &str); 3] = [
    (|_, _| Answer::Silence, "did not answer for 1 s"),
    (Answer::Half, "did not answer for 1 s"),
    (Answer::Drops, "too slowly: less than 32768 bytes in 1 s"),
];

#[test]
fn who_hangs_or_drips_is_left_and_nothing_is_kept() {
    let scene = Scene::set();
    let (entry, manifest) = scene.manifest();
    let digest = scene.version.digest();
    let object = &manifest.layers.first().expect("an object").digest;
    for path in [
        "counter/manifests/0.1.0".to_owned(),
        format!("counter/manifests/{}", entry.digest),
        format!("counter/blobs/{object}"),
        format!("counter/referrers/{digest}"),
    ] {
        for (manner, words) in MANNERS {
            let truth = scene.change(&path, manner);
            for verb in ["verify", "pull"] {
                let _ = std::fs::remove_dir_all(scene.home.path(".cache"));
                let ended = scene.run(verb).exits(6);
                assert!(ended.stderr.contains(words), "{path}: {ended:?}");
                ended.says(&[&scene.liar.host, "--timeout"]);
            }
            assert!(!scene.home.path("counter-0.1.0").exists(), "{path}");
            scene.liar.put(&path, truth);
        }
    }
    scene.run("pull").exits(0);
}

#[test]
fn only_what_the_index_names_for_this_target_is_fetched() {
    let scene = Scene::set();
    let elsewhere = Liar::start();
    let (entry, mut manifest) = scene.manifest();
    // A signed version whose publisher names more than it needs: a package beside it, a layer
    // at another host, an image of another target, and what other manifests refer to.
    let foreign = Digest::sha256(b"somebody else's");
    let named = |kind: &str, digest: &Digest| Descriptor {
        media_type: kind.to_owned(),
        digest: digest.clone(),
        size: 15,
        artifact_type: None,
        annotations: [("org.bpfpkg.requires".to_owned(), "other/package".to_owned())].into(),
        ..entry.clone()
    };
    manifest
        .layers
        .push(named("application/vnd.example.dependency", &foreign));
    let manifest = with_urls(
        &canonical::to_vec(&manifest).expect("JSON"),
        &elsewhere.host,
    );
    let mut index: Index = serde_json::from_slice(&scene.version.index).expect("an index");
    let described = Descriptor::of(media_type::OCI_MANIFEST, &manifest);
    for one in &mut index.manifests {
        if one.digest == entry.digest {
            one.digest = described.digest.clone();
            one.size = described.size;
        }
    }
    index
        .manifests
        .push(named(media_type::OCI_MANIFEST, &foreign));
    let version = PackedVersion {
        index: canonical::to_vec(&index).expect("JSON").into(),
        manifests: vec![(described.clone(), manifest.into())],
        ..scene.version.clone()
    };
    scene.liar.publish("counter", &version, "0.1.0");
    scene
        .liar
        .sign("counter", &version, &version.digest(), &scene.key);
    let _ = scene.liar.asked();
    scene.run("pull").exits(0);
    let asked = scene.liar.asked();
    let foreign = foreign.to_string();
    assert!(
        !asked.iter().any(|path| path.contains(&foreign)),
        "{asked:?}"
    );
    assert!(
        asked
            .iter()
            .any(|path| path.contains(described.digest.as_str())),
        "{asked:?}"
    );
    // Nothing of another package, and nobody else was asked anything.
    let own = |path: &String| path == "/v2/" || path.starts_with("/v2/demo/counter/");
    assert!(asked.iter().all(own), "{asked:?}");
    assert_eq!(elsewhere.asked(), Vec::<String>::new());
}

/// The same manifest with an address for each of its layers, at `host`.
fn with_urls(manifest: &[u8], host: &str) -> Vec<u8> {
    let mut manifest: serde_json::Value = serde_json::from_slice(manifest).expect("JSON");
    for layer in manifest["layers"].as_array_mut().expect("layers") {
        layer["urls"] = serde_json::json!([format!("http://{host}/v2/demo/other/blobs/x")]);
    }
    serde_json::to_vec(&manifest).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_leaves_an_upstream_that_hangs_and_asks_the_next() {
    let (scene, right) = (Scene::set(), Plain::start());
    let (_, alice) = published(&right).await;
    let key = alice.path("alice.pub");
    let key = key.to_str().expect("UTF-8");
    let right = format!("http://{}", right.host);
    let (entry, manifest) = scene.manifest();
    let object = &manifest.layers.first().expect("an object").digest;
    let manners: [(String, Manner); 3] = [
        ("counter/manifests/0.1.0".to_owned(), |_, _| Answer::Silence),
        (format!("counter/manifests/{}", entry.digest), Answer::Drops),
        (format!("counter/blobs/{object}"), Answer::Half),
    ];
    for (path, manner) in manners {
        let truth = scene.change(&path, manner);
        let (here, hanging) = (mirror().await, format!("http://{}", scene.liar.host));
        set_mirror(&here, &[&hanging, &right]);
        let user = Home::with_registry(&here.host());
        let verify = ["verify", "demo/counter:0.1.0", "--key", key];
        user.run(&verify).exits(0);
        // Alone it has nothing, and the mirror says that it could not ask.
        let (alone, lonely) = (mirror().await, Home::new());
        set_mirror(&alone, &[&hanging]);
        let reference = format!("{}/demo/counter:0.1.0", alone.host());
        lonely.run(&["verify", &reference, "--key", key]).exits(6);
        for stage in [here, alone] {
            stage.running.shutdown().await;
        }
        scene.liar.put(&path, truth);
    }
}
