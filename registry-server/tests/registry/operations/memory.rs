// SPDX-License-Identifier: Apache-2.0
//! Bodies that never end: refused at their limit, and never held in memory.

use std::convert::Infallible;

use bytes::Bytes;
use futures::stream;
use reqwest::{Body, Client, Method};

use crate::support::process::Process;

/// Largest blob of the registry under test, in bytes.
const BLOB: u64 = 64 << 20;
/// How much the registry may grow under all of them together: less than one of the bodies.
const GROWTH_KIB: u64 = 48 << 10;

/// Zeros for ever.
fn endless() -> Body {
    static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
    let piece = || Ok::<_, Infallible>(Bytes::from_static(&ZEROS));
    Body::wrap_stream(stream::repeat_with(piece))
}

/// The most memory that a process has had, in KiB.
fn peak(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let words = line.and_then(|line| line.trim().strip_suffix(" kB"));
    words.expect("a peak").parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_bodies_do_not_fill_the_memory() {
    let data = tempfile::tempdir().expect("a directory");
    let server = Process::start(data.path(), &["--max-blob-bytes", &BLOB.to_string()]);
    let token = server.token().expect("a first start");
    let client = Client::new();
    let request = |method: Method, path: &str| {
        let url = format!("{}{path}", server.origin);
        client
            .request(method, url)
            .basic_auth("admin", Some(&token))
    };
    let namespace = request(Method::POST, "/api/v1/namespaces").body(r#"{"name":"demo"}"#);
    assert_eq!(namespace.send().await.expect("an answer").status(), 201);
    let digest = registry_schema::Digest::sha256(b"never");
    let begin = async || {
        let begun = request(Method::POST, "/v2/demo/x/blobs/uploads/").header("content-length", 0);
        let begun = begun.send().await.expect("an answer");
        begun.headers()["location"]
            .to_str()
            .expect("text")
            .to_owned()
    };
    // What every kind of request needs once is there before it is measured.
    let small = begin().await;
    let sent = request(Method::PATCH, &small)
        .body(vec![0; 4 << 20])
        .send()
        .await;
    assert_eq!(sent.expect("an answer").status(), 202);
    let before = peak(server.id());

    let bodies = (0..8).map(async |client: u32| {
        let (method, path) = match client {
            0 => (Method::PUT, "/v2/demo/x/manifests/one".to_owned()),
            1 => (Method::POST, "/api/v1/tokens".to_owned()),
            2 | 3 => (
                Method::POST,
                format!("/v2/demo/x/blobs/uploads/?digest={digest}"),
            ),
            4 => (Method::PUT, format!("{}?digest={digest}", begin().await)),
            _ => (Method::PATCH, begin().await),
        };
        let answer = request(method, &path)
            .header("content-type", "application/vnd.oci.image.manifest.v1+json")
            .body(endless())
            .send()
            .await;
        // Who goes on sending after the answer may see the end of the connection instead.
        if let Ok(answer) = answer {
            assert_eq!(answer.status(), 413, "{path}");
        }
    });
    futures::future::join_all(bodies).await;
    let after = peak(server.id());
    assert!(
        after < before + GROWTH_KIB,
        "it grew from {before} to {after} KiB"
    );
    // And it goes on as before.
    let well = client.get(format!("{}/readyz", server.origin)).send().await;
    assert_eq!(well.expect("an answer").status(), 200);
}
