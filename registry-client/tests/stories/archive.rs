// SPDX-License-Identifier: Apache-2.0
//! Archives that mean harm, or could mean two things: refused whole.

use std::{io::Write, path::Path};

use registry_client::{Explain, layout::Layout};
use registry_schema::Digest;
use tar::EntryType;

const MARKER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// An archive in the making, block by block, so that it may lie in any field.
struct Tar(Vec<u8>);

impl Tar {
    /// The smallest layout there is.
    fn layout() -> Self {
        let manifest = br#"{"schemaVersion":2,"manifests":[]}"#;
        let digest = Digest::sha256(manifest);
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"{digest}","size":{},"annotations":{{"org.opencontainers.image.ref.name":"demo/a:1.0.0"}}}}]}}"#,
            manifest.len()
        );
        Self(Vec::new())
            .file("oci-layout", MARKER)
            .file("index.json", index.as_bytes())
            .file(&format!("blobs/sha256/{}", digest.hex()), manifest)
    }

    fn file(self, name: &str, bytes: &[u8]) -> Self {
        self.entry(
            name.as_bytes(),
            EntryType::Regular,
            bytes,
            bytes.len() as u64,
        )
    }

    fn entry(mut self, name: &[u8], kind: EntryType, bytes: &[u8], size: u64) -> Self {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// An extended header before the next entry.
    fn pax(self, key: &str, value: &[u8]) -> Self {
        let rest = key.len() + value.len() + 3;
        let length = (rest + 1..rest + 9)
            .find(|n| n - n.to_string().len() == rest)
            .expect("a length");
        let mut record = format!("{length} {key}=").into_bytes();
        record.extend_from_slice(value);
        record.push(b'\n');
        let size = record.len() as u64;
        self.entry(b"pax", EntryType::XHeader, &record, size)
    }

    fn link(mut self, name: &str, kind: EntryType, target: &str) -> Self {
        let at = self.0.len();
        self = self.entry(name.as_bytes(), kind, b"", 0);
        let mut header = tar::Header::from_byte_slice(&self.0[at..at + 512]).clone();
        header.set_link_name(target).expect("a target");
        header.set_cksum();
        self.0[at..at + 512].copy_from_slice(header.as_bytes());
        self
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

fn open(bytes: &[u8]) -> Result<Layout, String> {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("written");
    Layout::open(file.path()).map_err(|error| {
        assert!(matches!(error.exit_code(), 3 | 20), "{error}");
        error.to_string()
    })
}

/// Names that no entry of a layout has.
fn hostile_names() -> Vec<Vec<u8>> {
    let hex = "a".repeat(64);
    let mut names: Vec<Vec<u8>> = [
        "../index.json",
        "..",
        "a/../b",
        "blobs/../../etc/passwd",
        "/etc/passwd",
        "//index.json",
        "/oci-layout",
        "blobs/sha256/../../x",
        ".//index.json",
        "././index.json",
        "index.json/",
        "blobs//sha256",
        "blobs\\sha256\\x",
        "C:\\index.json",
        "C:/index.json",
        "index.json ",
        "INDEX.JSON",
        "Index.json",
        "OCI-LAYOUT",
        "blobs/SHA256/x",
        "blobs/md5/x",
        "manifest.json",
        "blobs/sha256/short",
        "blobs/sha256",
        "\u{202e}index.json",
        "index.json\n",
        "~/.ssh/x",
        "blobs/sha256/.",
        "blobs/sha256/..",
        "-rf",
    ]
    .iter()
    .map(|name| name.as_bytes().to_vec())
    .collect();
    names.push(format!("blobs/sha256/{}", hex.to_uppercase()).into_bytes());
    names.push(format!("blobs/sha256/{hex}/x").into_bytes());
    names.push(format!("./../blobs/sha256/{hex}").into_bytes());
    names.push(b"index.json\0.exe".to_vec());
    names.push(b"\xff\xfe".to_vec());
    names
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    assert!(
        open(&Tar::layout().end()).is_ok(),
        "the harmless one is read"
    );
    let names = hostile_names();
    assert!(names.len() >= 34);
    for name in &names {
        let direct = Tar::layout().entry(name, EntryType::Regular, b"x", 1).end();
        assert!(
            open(&direct).is_err(),
            "{:?}",
            String::from_utf8_lossy(name)
        );
        // The same by an extended header, which some readers believe and some do not.
        if !name.contains(&b'\n') {
            let extended = Tar::layout()
                .pax("path", name)
                .file("index.json", b"x")
                .end();
            assert!(
                open(&extended).is_err(),
                "pax {:?}",
                String::from_utf8_lossy(name)
            );
        }
    }
}

/// Links, devices, and kinds that only some programs know.
fn odd_kinds() -> Vec<(&'static str, Vec<u8>)> {
    let blob = format!("blobs/sha256/{}", "b".repeat(64));
    let name = blob.as_str();
    let plain = |kind| Tar::layout().entry(name.as_bytes(), kind, b"", 0);
    vec![
        (
            "symbolic link",
            Tar::layout()
                .link(name, EntryType::Symlink, "/etc/shadow")
                .end(),
        ),
        (
            "hard link",
            Tar::layout()
                .link(name, EntryType::Link, "index.json")
                .end(),
        ),
        ("character device", plain(EntryType::Char).end()),
        ("block device", plain(EntryType::Block).end()),
        ("pipe", plain(EntryType::Fifo).end()),
        ("contiguous file", plain(EntryType::Continuous).end()),
        ("sparse file", plain(EntryType::GNUSparse).end()),
        ("long name of GNU", plain(EntryType::GNULongName).end()),
        ("long link of GNU", plain(EntryType::GNULongLink).end()),
        ("unknown kind", plain(EntryType::new(b'Z')).end()),
    ]
}

/// Archives that contradict themselves, or are none.
fn contradictions() -> Vec<(&'static str, Vec<u8>)> {
    let blob = format!("blobs/sha256/{}", "b".repeat(64));
    let name = blob.as_str();
    let twice = Tar::layout().file(name, b"1").file(name, b"2");
    let cut = Tar::layout().entry(name.as_bytes(), EntryType::Regular, b"x", 1 << 40);
    let mut behind = Tar::layout().end();
    behind.extend(Tar::layout().end());
    let mut checksum = Tar::layout().end();
    checksum[0] ^= 1;
    vec![
        ("twice", twice.end()),
        (
            "the list twice",
            Tar::layout().file("index.json", b"{}").end(),
        ),
        (
            "twice, once with a dot",
            Tar::layout().file("./index.json", b"{}").end(),
        ),
        (
            "sizes differ",
            Tar::layout().pax("size", b"9").file(name, b"x").end(),
        ),
        (
            "link by extension",
            Tar::layout().pax("linkpath", b"/x").file(name, b"x").end(),
        ),
        (
            "sparse by extension",
            Tar::layout()
                .pax("GNU.sparse.size", b"9")
                .file(name, b"x")
                .end(),
        ),
        (
            "unknown extension",
            Tar::layout().pax("hdrcharset", b"x").file(name, b"x").end(),
        ),
        (
            "two extended headers",
            Tar::layout()
                .pax("mtime", b"1")
                .pax("mtime", b"1")
                .file(name, b"x")
                .end(),
        ),
        ("path for all", {
            let record = b"18 path=index.json\n";
            let record = [&b"19"[..], &record[2..]].concat();
            let size = record.len() as u64;
            Tar::layout()
                .entry(b"g", EntryType::XGlobalHeader, &record, size)
                .file(name, b"x")
                .end()
        }),
        ("ends early", cut.end()),
        (
            "a folder with bytes",
            Tar::layout()
                .entry(b"blobs/", EntryType::Directory, b"x", 1)
                .end(),
        ),
        (
            "another folder",
            Tar::layout()
                .entry(b"tmp/", EntryType::Directory, b"", 0)
                .end(),
        ),
        ("a second archive behind", behind),
        ("checksum", checksum),
        ("nothing", Vec::new()),
        ("no archive", b"#!/bin/sh\nexit 0\n".repeat(100)),
        ("zstd", [0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0].to_vec()),
    ]
}

#[test]
fn links_devices_and_contradictions_are_refused() {
    let cases: Vec<_> = odd_kinds().into_iter().chain(contradictions()).collect();
    assert!(hostile_names().len() + cases.len() >= 60);
    for (what, bytes) in cases {
        assert!(open(&bytes).is_err(), "{what}");
    }
}

#[test]
fn a_layout_that_contradicts_itself_is_refused() {
    let digest = Digest::sha256(b"right");
    let blob = format!("blobs/sha256/{}", digest.hex());
    let index = |entry: &str| format!(r#"{{"schemaVersion":2,"manifests":[{entry}]}}"#);
    let entry = format!(r#"{{"mediaType":"a/b","digest":"{digest}","size":5}}"#);
    let with = |marker: &[u8], index: &str, content: &[u8]| {
        Tar(Vec::new())
            .file("oci-layout", marker)
            .file("index.json", index.as_bytes())
            .file(&blob, content)
            .end()
    };
    assert!(open(&with(MARKER, &index(&entry), b"right")).is_ok());
    let says = |bytes: Vec<u8>, word: &str| {
        let said = open(&bytes).expect_err(word);
        assert!(said.contains(word), "{said}");
    };
    says(with(MARKER, &index(&entry), b"wrong"), "damaged");
    says(
        with(
            br#"{"imageLayoutVersion":"2.0.0"}"#,
            &index(&entry),
            b"right",
        ),
        "version",
    );
    says(with(MARKER, "[", b"right"), "index.json");
    says(
        with(MARKER, &index(&entry.replace("sha256", "md5")), b"right"),
        "index.json",
    );
    let missing = Tar(Vec::new())
        .file("oci-layout", MARKER)
        .file("index.json", index(&entry).as_bytes());
    says(missing.end(), "is not in layout");
    says(
        Tar(Vec::new()).file("index.json", b"{}").end(),
        "oci-layout",
    );
}

#[test]
fn a_bomb_is_stopped_while_it_unpacks() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bomb.tar.gz");
    let file = std::fs::File::create(&path).expect("a file");
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::best());
    encoder.write_all(&Tar::layout().0).expect("written");
    // 64 MiB of zeros are 64 kB: a thousandfold.
    for _ in 0..64 {
        encoder.write_all(&vec![0; 1 << 20]).expect("written");
    }
    encoder.finish().expect("written");
    assert!(path.metadata().expect("a file").len() < 100_000);
    let said = Layout::open(Path::new(&path))
        .expect_err("a bomb")
        .to_string();
    assert!(said.contains("200 times"), "{said}");
}

#[test]
fn what_is_packed_within_is_never_unpacked() {
    let mut inner = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        inner.write_all(&vec![0; 1 << 20]).expect("written");
    }
    let mut bomb = inner.finish().expect("written");
    // Packed again and again, as such things are.
    for _ in 0..2 {
        let mut outer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        outer.write_all(&bomb).expect("written");
        bomb = outer.finish().expect("written");
    }
    let zstd = [&[0x28, 0xb5, 0x2f, 0xfd][..], b"not even that"].concat();
    let mut layout = Tar::layout();
    for blob in [&bomb, &zstd] {
        layout = layout.file(
            &format!("blobs/sha256/{}", Digest::sha256(blob).hex()),
            blob,
        );
    }
    let opened = open(&layout.end()).expect("a layout");
    for blob in [&bomb, &zstd] {
        let size = blob.len() as u64;
        let read = opened
            .bytes(&Digest::sha256(blob), size)
            .expect("its bytes");
        assert_eq!(read, *blob);
    }
    let said = open(&zstd).expect_err("an archive of a kind that is not read");
    assert!(said.contains("zstd; unpack it first"), "{said}");
}

#[test]
fn an_archive_with_any_byte_changed_is_refused_or_says_the_truth() {
    let bytes = Tar::layout().end();
    let right = open(&bytes).expect("the harmless one").roots().to_vec();
    for at in 0..bytes.len() {
        for flip in [1, 0x80] {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            let Ok(layout) = open(&changed) else {
                continue;
            };
            for root in layout.roots() {
                assert!(
                    right
                        .iter()
                        .any(|one| one.entry.digest == root.entry.digest)
                );
                let content = layout
                    .bytes(&root.entry.digest, 1 << 20)
                    .expect("the content");
                root.entry
                    .digest
                    .check(&content)
                    .expect("it is what its digest says");
            }
        }
    }
}
