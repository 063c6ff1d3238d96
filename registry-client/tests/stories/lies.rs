// SPDX-License-Identifier: Apache-2.0
//! A registry that lies: each lie is refused for its own reason, and nothing is
//! left on disk.

use crate::{
    home::{Ended, Home, PASSWORD},
    liar::{Answer, Scene},
};
use registry_client::sign::KeyPair;
use registry_schema::{Digest, media_type};

impl Scene {
    fn pull(&self, what: &str) -> Ended {
        let reference = format!("{}/demo/{what}", self.liar.host);
        // What was kept from a better day would hide the lie.
        let _ = std::fs::remove_dir_all(self.home.path(".cache"));
        let ended = self
            .home
            .run(&["pull", &reference, "--directory", "pulled"]);
        if ![0, 5].contains(&ended.code) {
            assert!(
                !self.home.path("pulled").exists(),
                "a refused package leaves nothing"
            );
            let left = std::fs::read_dir(self.home.path("."))
                .expect("home")
                .flatten();
            let left: Vec<_> = left
                .filter(|entry| entry.file_name().to_string_lossy().starts_with(".bpfpkg-"))
                .collect();
            assert!(left.is_empty(), "{left:?}");
        }
        ended
    }
}

fn flip(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
}

#[test]
fn the_truth_is_accepted() {
    let stage = Scene::set();
    stage.pull("counter:0.1.0").exits(0);
    for file in [
        "counter.bpf.o",
        "package.toml",
        "README.md",
        "evidence/index.json",
    ] {
        assert!(stage.home.path("pulled").join(file).is_file(), "{file}");
    }
    stage
        .pull("counter:0.1.0")
        .exits(5)
        .says(&["pulled", "exists already"]);
}

#[test]
fn without_the_referrers_api_the_list_under_the_tag_is_read() {
    let stage = Scene::set();
    let digest = stage.version.digest();
    let path = format!("counter/referrers/{digest}");
    let mut list = String::new();
    stage.liar.change(&path, |bytes| {
        list = String::from_utf8_lossy(bytes).into_owned();
    });
    stage.liar.put(&path, Answer::Status(404, String::new()));
    // Some clients write the config's type into this list instead of the signature's.
    for kind in [media_type::SIGSTORE_BUNDLE, media_type::OCI_EMPTY] {
        let list = list.replace(media_type::SIGSTORE_BUNDLE, kind).into_bytes();
        let answer = Answer::Bytes(media_type::OCI_INDEX.to_owned(), list);
        stage
            .liar
            .put(&format!("counter/manifests/{}", digest.tag("")), answer);
        let reference = format!("{}/demo/counter:0.1.0", stage.liar.host);
        stage.home.run(&["verify", &reference]).exits(0);
    }
}

#[test]
fn what_a_node_loads_can_be_made_again() {
    let stage = Scene::set();
    let reference = format!("{}/demo/counter:0.1.0", stage.liar.host);
    let woven = |more: &[&str]| {
        let args = [
            &["weave", &reference, "--hook", "xdp", "--output", "json"],
            more,
        ]
        .concat();
        stage.home.run(&args).exits(0).json()
    };
    let alone = woven(&[]);
    assert_eq!(
        alone,
        woven(&["--slot", "0", "--length", "1", "--proceed-on", "pass"])
    );
    assert_ne!(alone["woven"], woven(&["--length", "2"])["woven"]);
    assert_eq!(
        alone["original"],
        stage.manifest().1.layers[0].digest.as_str()
    );
    let refused = |more: &[&str]| stage.home.run(&[&["weave", &reference], more].concat());
    refused(&["--hook", "xdp", "--slot", "1"])
        .exits(2)
        .says(&["no slot 1", "--length"]);
    refused(&["--hook", "xdp", "--proceed-on", "shot"])
        .exits(2)
        .says(&["`shot`", "pass"]);
    refused(&["--hook", "tc-ingress"])
        .exits(2)
        .says(&["tc-ingress"]);
}

#[test]
fn one_flipped_byte_is_refused_wherever_it_is() {
    let stage = Scene::set();
    let (entry, manifest) = stage.manifest();
    let object = manifest
        .layers
        .iter()
        .find(|layer| layer.media_type == media_type::OBJECT)
        .expect("object");
    let paths = [
        format!("counter/blobs/{}", object.digest),
        format!("counter/blobs/{}", manifest.config.digest),
        format!("counter/manifests/{}", entry.digest),
        format!("counter/blobs/{}", stage.bundle),
    ];
    for path in paths {
        stage.liar.change(&path, |bytes| flip(bytes));
        let digest = path.rsplit('/').next().expect("a digest");
        stage
            .pull("counter:0.1.0")
            .exits(20)
            .says(&["is damaged", digest]);
        stage.liar.change(&path, |bytes| flip(bytes));
    }
    // The index is asked for by tag; its signature no longer fits it.
    let other = {
        let mut bytes = stage.version.index.to_vec();
        let at = bytes
            .windows(7)
            .position(|w| w == b"Counts ")
            .expect("the summary");
        bytes[at] ^= 1;
        bytes
    };
    let digest = Digest::sha256(&other);
    stage
        .liar
        .change("counter/manifests/0.1.0", |bytes| *bytes = other);
    stage
        .liar
        .sign("counter", &stage.version, &digest, &stage.key);
    stage
        .pull("counter:0.1.0")
        .exits(20)
        .says(&["signature", "is for", digest.as_str()]);
}

#[test]
fn what_is_kept_is_not_fetched_again_and_not_believed_when_damaged() {
    let stage = Scene::set();
    let (_, manifest) = stage.manifest();
    stage.pull("counter:0.1.0").exits(0);
    let object = &manifest.layers[0].digest;
    let path = format!("counter/blobs/{object}");
    stage.liar.put(&path, Answer::Status(500, String::new()));
    let reference = format!("{}/demo/counter:0.1.0", stage.liar.host);
    stage.home.run(&["verify", &reference]).exits(0);
    let kept = stage
        .home
        .path(&format!(".cache/bpfpkg/sha256/{}", object.hex()));
    std::fs::write(kept, "damaged").expect("the object is kept");
    stage.home.run(&["verify", &reference]).exits(6);
}

#[test]
fn bytes_that_never_end_are_cut_off_at_the_promised_size() {
    let stage = Scene::set();
    let (entry, manifest) = stage.manifest();
    for path in [
        format!("counter/blobs/{}", manifest.layers[0].digest),
        format!("counter/manifests/{}", entry.digest),
        "counter/manifests/0.1.0".to_owned(),
        format!("counter/referrers/{}", stage.version.digest()),
    ] {
        let stage = Scene::set();
        let path = path.replace(entry.digest.as_str(), stage.manifest().0.digest.as_str());
        stage.liar.put(&path, Answer::Endless);
        stage
            .pull("counter:0.1.0")
            .exits(20)
            .says(&["is larger than", "the rest was not read"]);
    }
}

#[test]
fn a_package_under_another_name_or_version_is_refused() {
    let stage = Scene::set();
    // The registry shows the signed bytes of `counter` as `firewall`, and as a newer version.
    stage.liar.publish("firewall", &stage.version, "0.1.0");
    stage.liar.sign(
        "firewall",
        &stage.version,
        &stage.version.digest(),
        &stage.key,
    );
    stage
        .pull("firewall:0.1.0")
        .exits(20)
        .says(&["demo/counter", "not for `demo/firewall`"]);
    stage.liar.publish("counter", &stage.version, "9.0.0");
    stage
        .pull("counter:9.0.0")
        .exits(20)
        .says(&["version 0.1.0", "not for 9.0.0"]);
    let other = Digest::sha256(b"something else");
    let index = Answer::Bytes(
        media_type::OCI_INDEX.to_owned(),
        stage.version.index.to_vec(),
    );
    stage.liar.put(&format!("counter/manifests/{other}"), index);
    stage
        .pull(&format!("counter@{other}"))
        .exits(20)
        .says(&[other.as_str()]);
}

#[test]
fn only_the_trusted_key_is_believed() {
    let stage = Scene::set();
    let stranger = KeyPair::load(&stage.home.keygen("mallory"), PASSWORD).expect("the key opens");
    stage.liar.sign(
        "counter",
        &stage.version,
        &stage.version.digest(),
        &stranger,
    );
    let (theirs, ours) = (
        stranger.fingerprint().to_string(),
        stage.key.fingerprint().to_string(),
    );
    stage
        .pull("counter:0.1.0")
        .exits(20)
        .says(&[&theirs, &ours, "not by a key trusted"]);

    let newcomer = Home::new();
    let reference = format!("{}/demo/counter:0.1.0", stage.liar.host);
    newcomer
        .run(&["verify", &reference])
        .exits(20)
        .says(&["no key is trusted", "bpfpkg trust add"]);

    let unsigned = Answer::Status(404, String::new());
    stage.liar.put(
        &format!("counter/referrers/{}", stage.version.digest()),
        unsigned,
    );
    stage.pull("counter:0.1.0").exits(21).says(&["unsigned"]);
}

#[test]
fn nonsense_is_refused_in_one_paragraph() {
    let stage = Scene::set();
    let index =
        |text: &str| Answer::Bytes(media_type::OCI_INDEX.to_owned(), text.as_bytes().to_vec());
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for text in [
        "",
        "null",
        "[]",
        "{}",
        "\u{0}",
        "{\"schemaVersion\":2,\"manifests\":{}}",
        &deep,
    ] {
        stage.liar.put("counter/manifests/0.1.0", index(text));
        let ended = stage.pull("counter:0.1.0");
        assert!(
            [3, 20].contains(&ended.code),
            "{text:.20}: {}",
            ended.stderr
        );
        ended.says(&["demo/counter"]);
    }
    for (status, code) in [(401, 4), (403, 4), (404, 3), (429, 6), (500, 6), (302, 1)] {
        let text = r#"{"errors":[{"code":"X","message":"\u001b[31mbecause\nof that"}]}"#;
        stage.liar.put(
            "counter/manifests/0.1.0",
            Answer::Status(status, text.to_owned()),
        );
        let ended = stage.pull("counter:0.1.0").exits(code);
        assert!(!ended.stderr.contains('\u{1b}'), "{}", ended.stderr);
    }
}
