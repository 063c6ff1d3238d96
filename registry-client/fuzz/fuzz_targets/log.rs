// SPDX-License-Identifier: Apache-2.0
//! Everything that a log sends, as anything: no panic, what is read is written the same, and
//! nothing that nobody signed is believed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry_client::log::{Asked, LogKeys, check_inclusion};
use registry_schema::{
    Digest,
    transparency::{Checkpoint, Entry, Note, Proof, TilePath, VerifierKey, tile::read_bundle},
};

const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

fuzz_target!(|data: &[u8]| {
    if let Ok(note) = Note::parse(data) {
        assert_eq!(note.to_string().as_bytes(), data);
        let _ = Checkpoint::parse(note.text());
    }
    if let Ok(proof) = Proof::parse(data) {
        assert_eq!(proof.to_string().parse::<Proof>().expect("it was one"), proof);
    }
    if let Ok(entry) = Entry::parse(data) {
        assert_eq!(entry.to_bytes().expect("it was one"), data);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(tile) = text.parse::<TilePath>() {
            assert_eq!(tile.to_string(), text);
        }
        if let Ok(key) = text.parse::<VerifierKey>() {
            assert_eq!(key.to_string().parse::<VerifierKey>().expect("it was one"), key);
        }
        let _ = Checkpoint::parse(text);
    }
    let tile: TilePath = "tile/entries/000.p/3".parse().expect("a path");
    let _ = read_bundle(tile, data);
    let key: VerifierKey = KEY.parse().expect("a key");
    let (package, version) = ("demo/pass".parse().expect("a name"), "1.0.0".parse().expect("a version"));
    let digest = Digest::sha256(data);
    let asked = Asked { package: &package, version: &version, digest: &digest };
    check_inclusion(data, asked, &LogKeys::from(key), None).expect_err("nobody signed this");
});
