// SPDX-License-Identifier: Apache-2.0
//! A registry that serves what the test puts in it, true or not. It understands
//! only reading, which is all that a liar needs.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
};

use registry_client::{
    build::build,
    oci::{Descriptor, Index, Manifest},
    pack::{PackedVersion, pack},
    sign::{KeyPair, referrer},
};
use registry_schema::{Digest, canonical, media_type, signature::statement};

use crate::home::{Home, PASSWORD};

/// An answer: media type and body.
#[derive(Clone)]
pub(crate) enum Answer {
    /// The body, with its true length.
    Bytes(String, Vec<u8>),
    /// Zeros for ever, without a length.
    Endless,
    /// Nothing at all, and the connection stays open.
    Silence,
    /// The body's length and its first half, and then nothing.
    Half(String, Vec<u8>),
    /// The body byte by byte, a few in a second.
    Drops(String, Vec<u8>),
    /// A status and a body.
    Status(u16, String),
}

type Answers = Arc<Mutex<BTreeMap<String, Answer>>>;

/// The registry. It lives as long as the test process.
pub(crate) struct Liar {
    pub(crate) host: String,
    answers: Answers,
    asked: Asked,
}

type Asked = Arc<Mutex<Vec<String>>>;

impl Liar {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let host = listener.local_addr().expect("an address").to_string();
        let (answers, asked) = (Answers::default(), Asked::default());
        let shared = (Arc::clone(&answers), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, asked) = shared.clone();
                std::thread::spawn(move || serve(stream, &answers, &asked));
            }
        });
        Self {
            host,
            answers,
            asked,
        }
    }

    /// The paths that were asked for since the last time.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().expect("not poisoned"))
    }

    /// Puts an answer behind a path below `/v2/demo/`.
    pub(crate) fn put(&self, path: &str, answer: Answer) {
        self.answers
            .lock()
            .expect("not poisoned")
            .insert(format!("/v2/demo/{path}"), answer);
    }

    /// Changes the body behind a path below `/v2/demo/`.
    pub(crate) fn change(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut answers = self.answers.lock().expect("not poisoned");
        match answers.get_mut(&format!("/v2/demo/{path}")) {
            Some(Answer::Bytes(_, bytes)) => change(bytes),
            _ => panic!("nothing is behind {path}"),
        }
    }

    /// Serves a version truly under the name `demo/NAME`.
    pub(crate) fn publish(&self, name: &str, packed: &PackedVersion, tag: &str) {
        for (digest, bytes) in &packed.blobs {
            self.put(&format!("{name}/blobs/{digest}"), octets(bytes));
        }
        let index = Answer::Bytes(media_type::OCI_INDEX.to_owned(), packed.index.to_vec());
        for (entry, bytes) in &packed.manifests {
            let manifest = Answer::Bytes(media_type::OCI_MANIFEST.to_owned(), bytes.to_vec());
            self.put(&format!("{name}/manifests/{}", entry.digest), manifest);
        }
        self.put(
            &format!("{name}/manifests/{}", packed.digest()),
            index.clone(),
        );
        self.put(&format!("{name}/manifests/{tag}"), index);
    }

    /// Signs `signed`, and lists the signature as one of `subject`. Gives the
    /// bundle's digest.
    pub(crate) fn sign(
        &self,
        name: &str,
        signed: &PackedVersion,
        subject: &Digest,
        key: &KeyPair,
    ) -> Digest {
        let time = chrono::DateTime::from_timestamp(1_700_000_000, 0).expect("a time");
        let described = Descriptor::of(media_type::OCI_INDEX, &signed.index);
        let bundle = key.sign_statement(&statement(&described.digest));
        let signature = referrer(bundle.expect("signed"), described, time).expect("a manifest");
        for blob in &signature.blobs {
            self.put(
                &format!("{name}/blobs/{}", Digest::sha256(blob)),
                octets(blob),
            );
        }
        let manifest = Answer::Bytes(
            media_type::OCI_MANIFEST.to_owned(),
            signature.bytes.to_vec(),
        );
        self.put(
            &format!("{name}/manifests/{}", signature.entry.digest),
            manifest,
        );
        let list = Index {
            schema_version: 2,
            media_type: Some(media_type::OCI_INDEX.to_owned()),
            artifact_type: None,
            manifests: vec![signature.entry],
            annotations: BTreeMap::new(),
        };
        let list = canonical::to_vec(&list).expect("canonical");
        self.put(
            &format!("{name}/referrers/{subject}"),
            Answer::Bytes(media_type::OCI_INDEX.to_owned(), list),
        );
        Digest::sha256(&signature.blobs[1])
    }
}

/// A user who trusts alice, and a liar that has her `demo/counter` 0.1.0, true so far.
pub(crate) struct Scene {
    pub(crate) home: Home,
    pub(crate) liar: Liar,
    pub(crate) key: KeyPair,
    pub(crate) version: PackedVersion,
    /// Digest of the signature's bundle.
    pub(crate) bundle: Digest,
}

impl Scene {
    pub(crate) fn set() -> Self {
        let home = Home::new();
        let key = KeyPair::load(&home.keygen("alice"), PASSWORD).expect("the key opens");
        let version = packed(&home.package("counter"));
        let liar = Liar::start();
        liar.publish("counter", &version, "0.1.0");
        let bundle = liar.sign("counter", &version, &version.digest(), &key);
        home.trusts(&liar.host, "alice");
        Self {
            home,
            liar,
            key,
            version,
            bundle,
        }
    }

    /// What leads to the package manifest, and that.
    pub(crate) fn manifest(&self) -> (Descriptor, Manifest) {
        let (entry, bytes) = self.version.manifests.last().expect("the package manifest");
        let manifest = serde_json::from_slice(bytes).expect("a manifest");
        (entry.clone(), manifest)
    }
}

fn octets(bytes: &[u8]) -> Answer {
    Answer::Bytes("application/octet-stream".to_owned(), bytes.to_vec())
}

/// Builds and packs the package in `folder`.
pub(crate) fn packed(folder: &Path) -> PackedVersion {
    pack(&build(folder).expect("built")).expect("packed")
}

fn serve(mut stream: TcpStream, answers: &Answers, asked: &Asked) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request).unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).unwrap_or(0) <= 2 {
                break;
            }
        }
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        let answer = answers.lock().expect("not poisoned").get(&path).cloned();
        asked.lock().expect("not poisoned").push(path.clone());
        let written = match answer {
            _ if path == "/v2/" => head(&mut stream, 200, "application/json", Some(2))
                .and_then(|()| stream.write_all(b"{}")),
            Some(Answer::Bytes(kind, bytes)) => head(&mut stream, 200, &kind, Some(bytes.len()))
                .and_then(|()| stream.write_all(&bytes)),
            Some(Answer::Status(status, text)) => {
                head(&mut stream, status, "application/json", Some(text.len()))
                    .and_then(|()| stream.write_all(text.as_bytes()))
            }
            Some(Answer::Endless) => endless(&mut stream),
            Some(Answer::Silence) => until_closed(&mut stream),
            Some(Answer::Half(kind, bytes)) => head(&mut stream, 200, &kind, Some(bytes.len()))
                .and_then(|()| stream.write_all(&bytes[..bytes.len() / 2]))
                .and_then(|()| until_closed(&mut stream)),
            Some(Answer::Drops(kind, bytes)) => head(&mut stream, 200, &kind, Some(bytes.len()))
                .and_then(|()| drops(&mut stream, &bytes)),
            None => head(&mut stream, 404, "application/json", Some(0)),
        };
        if written.is_err() {
            return;
        }
    }
}

fn head(
    stream: &mut TcpStream,
    status: u16,
    kind: &str,
    length: Option<usize>,
) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status} Status\r\nContent-Type: {kind}\r\n"
    )?;
    match length {
        Some(length) => write!(stream, "Content-Length: {length}\r\n\r\n"),
        None => write!(stream, "Connection: close\r\n\r\n"),
    }
}

/// Sends zeros until the other end has enough.
fn endless(stream: &mut TcpStream) -> std::io::Result<()> {
    head(stream, 200, "application/octet-stream", None)?;
    loop {
        stream.write_all(&[0; 8192])?;
    }
}

/// Says no more, until the other end has waited enough.
fn until_closed(stream: &mut TcpStream) -> std::io::Result<()> {
    std::io::copy(stream, &mut std::io::sink()).map(drop)
}

/// Sends something often enough not to be taken for silent.
fn drops(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    for byte in bytes.chunks(1) {
        stream.write_all(byte)?;
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    Ok(())
}
