// SPDX-License-Identifier: Apache-2.0
//! What is sent by those who mean harm: manifests, digests, numbers and paths. Each is
//! refused cheaply and as the specification says, and the next request is served.

use registry_schema::{Digest, media_type};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    TestRegistry, expect, header,
    package::{EMPTY, descriptor},
    refused,
};

const NAME: &str = "demo/hostile";

/// R10: nothing that two readers might understand differently, nothing that exhausts one.
#[tokio::test]
async fn manifests() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    admin.push_blob(NAME, EMPTY).await;
    let config = descriptor(media_type::OCI_EMPTY, EMPTY).to_string();
    let good = format!("{{\"schemaVersion\":2,\"config\":{config},\"layers\":[]}}");
    let with = |extra: &str| good.replacen('{', &format!("{{{extra},"), 1);
    let deep = |open: &str, close: &str, levels: usize| {
        with(&format!(
            "\"x\":{}1{}",
            open.repeat(levels),
            close.repeat(levels)
        ))
    };
    let bodies = [
        deep("[", "]", 100_000),
        deep("{\"a\":", "}", 100_000),
        deep("[", "]", 65),
        "[".repeat(4 << 20),
        with(&format!("\"config\":{config}")),
        with("\"annotations\":{\"a\":\"1\",\"a\":\"2\"}"),
        with("\"annotations\":{\"a\":\"1\",\"\\u0061\":\"2\"}"),
        with("\"subject\":{\"mediaType\":\"a/b\",\"digest\":\"sha256:00\",\"size\":2}"),
        with("\"annotations\":{\"a\":1}"),
        with("\"x\":NaN"),
        with("\"x\":Infinity"),
        with("\"x\":1e999999999"),
        with("\"x\":\"\\ud800\""),
        with("\"artifactType\":[]"),
        good.replace("\"size\":2", "\"size\":18446744073709551618"),
        good.replace("\"size\":2", &format!("\"size\":{}", "9".repeat(100_000))),
        good.replace("\"size\":2", "\"size\":2.0"),
        good.replace("\"size\":2", "\"size\":\"2\""),
        good.replace("\"schemaVersion\":2", "\"schemaVersion\":2e0"),
        format!("\u{feff}{good}"),
        format!("{good}{good}"),
    ];
    for body in bodies {
        let put = admin.put_manifest(NAME, "x", media_type::OCI_MANIFEST, body.as_bytes());
        let answer = put.await;
        let start: String = body.chars().take(120).collect();
        assert_eq!(answer.status(), 400, "{start}");
        refused(answer, 400, "MANIFEST_INVALID").await;
    }
    let answer = admin.put_manifest(NAME, "x", media_type::OCI_MANIFEST, good.as_bytes());
    expect(answer.await, 201).await;
    // A number that fits nowhere is no harm where nobody reads it.
    let harmless = with(&format!("\"x\":{}", "9".repeat(300)));
    let answer = admin.put_manifest(NAME, "y", media_type::OCI_MANIFEST, harmless.as_bytes());
    expect(answer.await, 201).await;
}

/// R11: whatever number a page is asked for, no more than the limit comes.
#[tokio::test]
async fn page_sizes() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    let index = json!({"schemaVersion": 2, "manifests": []}).to_string();
    let digest = Digest::sha256(index.as_bytes());
    for fifty in 0..21 {
        let tags: Vec<_> = (0..50)
            .map(|at| format!("tag=t{fifty:02}{at:02}"))
            .collect();
        let reference = format!("{digest}?{}", tags.join("&"));
        let put = admin.put_manifest(NAME, &reference, media_type::OCI_INDEX, index.as_bytes());
        expect(put.await, 201).await;
    }
    let list = format!("/v2/{NAME}/tags/list");
    for (number, entries) in [
        ("0", 0),
        ("1", 1),
        ("1000", 1000),
        ("1001", 1000),
        ("9223372036854775807", 1000),
        ("9223372036854775808", 1000),
        ("18446744073709551616", 1000),
        (&"9".repeat(5000), 1000),
    ] {
        let answer = expect(admin.get(&format!("{list}?n={number}")).await, 200).await;
        assert_eq!(header(&answer, "link").is_empty(), entries == 0, "{number}");
        let page: Value = answer.json().await.expect("JSON");
        assert_eq!(
            page["tags"].as_array().expect("a list").len(),
            entries,
            "{number}"
        );
        expect(admin.get(&format!("/v2/_catalog?n={number}")).await, 200).await;
    }
    for number in ["-1", "1.5", "1e3", "0x10", "%00", "%20", "all", "1;2", "٣"] {
        for path in [list.as_str(), "/v2/_catalog"] {
            let answer = admin.get(&format!("{path}?n={number}")).await;
            refused(answer, 400, "UNSUPPORTED").await;
        }
    }
}

/// R12: one grammar for digests, whatever is asked.
#[tokio::test]
async fn digests() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    let sha256 = Digest::sha256(EMPTY).hex().to_owned();
    let sha512 = "0".repeat(128);
    for digest in [
        "sha256:..".to_owned(),
        "sha256:".to_owned(),
        ":".to_owned(),
        format!(":{sha256}"),
        format!("sha256:{}", sha256.to_uppercase()),
        format!("SHA256:{sha256}"),
        format!("sha256:{sha256}0"),
        format!("sha256:{}", &sha256[1..]),
        format!("sha256:{}", "g".repeat(64)),
        format!("sha256:{sha512}"),
        format!("sha512:{sha256}"),
        format!("sha1:{}", "0".repeat(40)),
        format!("md5:{}", "0".repeat(32)),
        format!("sha256:sha256:{sha256}"),
        format!("sha256:{}", "0".repeat(7000)),
        format!("sha256:{sha256}%00"),
        format!("sha256:%20{sha256}"),
        format!("sha256+b64:{sha256}"),
    ] {
        let shown: String = digest.chars().take(80).collect();
        for path in [
            format!("/v2/{NAME}/blobs/{digest}"),
            format!("/v2/{NAME}/manifests/{digest}"),
            format!("/v2/{NAME}/referrers/{digest}"),
        ] {
            let answer = admin.get(&path).await;
            assert_eq!(answer.status(), 400, "{shown}");
            refused(answer, 400, "DIGEST_INVALID").await;
        }
        for parameter in ["digest", "mount"] {
            let path = format!("/v2/{NAME}/blobs/uploads/?{parameter}={digest}");
            refused(admin.post(&path).await, 400, "DIGEST_INVALID").await;
        }
        let answer = admin
            .put_manifest(NAME, &digest, media_type::OCI_MANIFEST, b"{}")
            .await;
        refused(answer, 400, "DIGEST_INVALID").await;
    }
}

/// Sends bytes as they are, and reads all that comes until the registry closes.
async fn raw(registry: &TestRegistry, request: &str) -> String {
    let address = registry.origin.strip_prefix("http://").expect("http");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    // A reset after an answer is an end like any other.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// R26: a path means one thing. Nothing that a proxy might have read differently leads to
/// what the caller may not read.
#[tokio::test]
async fn paths() {
    let registry = TestRegistry::start().await;
    let digest = registry.admin.push_blob("secret/x", b"a secret").await;
    let open = registry.admin.push_blob("demo/x", b"no secret").await;
    for path in [
        format!("/v2/demo/../secret/x/blobs/{digest}"),
        format!("/v2/demo/%2e%2e/secret/x/blobs/{digest}"),
        format!("/v2/demo/%2E%2E%2Fsecret/x/blobs/{digest}"),
        format!("/v2/demo/x/blobs/../../../secret/x/blobs/{digest}"),
        format!("/v2/demo/x/../../secret/x/blobs/{digest}"),
        format!("/v2/./secret/x/blobs/{digest}"),
        format!("//v2/secret/x/blobs/{digest}"),
        format!("/v2//secret/x/blobs/{digest}"),
        format!("/v2/secret//x/blobs/{digest}"),
        format!("/v2/secret/x//blobs/{digest}"),
        format!("/v2/secret/x/blobs//{digest}"),
        format!("/V2/secret/x/blobs/{digest}"),
        format!("/v2/secret%00/x/blobs/{digest}"),
        format!("/v2/demo%5c..%5csecret/x/blobs/{digest}"),
        format!("/v2/demo\\..\\secret/x/blobs/{digest}"),
        format!("/v2/secret/x/blobs/{digest}/"),
        format!("/v2/secret/x/blobs/{digest};a=b"),
        format!("/v2/secret/x/blobs/{digest}%3fn=1"),
        format!("/v2/%252e%252e/secret/x/blobs/{digest}"),
        format!("/v2/%c0%ae%c0%ae/secret/x/blobs/{digest}"),
        format!("/v2/demo/../../secret/x/blobs/{digest}"),
        format!("/static/../v2/secret/x/blobs/{digest}"),
        format!("/api/v1/../../v2/secret/x/blobs/{digest}"),
        format!("/v2/secret/x/blobs/{digest}"),
        format!("http://127.0.0.1/v2/secret/x/blobs/{digest}"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = raw(&registry, &request).await;
        let status = answer.get(9..12).unwrap_or_default();
        assert!(["400", "401", "404"].contains(&status), "{path}: {answer}");
        assert!(!answer.contains("a secret"), "{path}");
    }
    // A name has one spelling, and an escaped letter is the letter.
    let request =
        format!("GET /v2/d%65mo%2Fx/blobs/{open} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(raw(&registry, &request).await.contains("no secret"));
}

/// R26: one request is one request.
#[tokio::test]
async fn smuggled_requests() {
    let registry = TestRegistry::start().await;
    let inner = "DELETE /v2/demo/x/manifests/y HTTP/1.1\r\nhost: x\r\n\r\n";
    let length = inner.len();
    for head in [
        // Two lengths, or one that is none.
        format!("content-length: {length}\r\ncontent-length: 0\r\n"),
        format!("content-length: 0, {length}\r\n"),
        format!("content-length: +{length}\r\n"),
        "content-length: -1\r\n".to_owned(),
        "content-length: 0x10\r\n".to_owned(),
        format!("content-length: {}\r\n", "9".repeat(40)),
        // An encoding that only one of two readers knows.
        "transfer-encoding: chunked, identity\r\n".to_owned(),
        "transfer-encoding: xchunked\r\n".to_owned(),
        "transfer-encoding : chunked\r\n".to_owned(),
        // White space and line ends.
        " folded: x\r\n".to_owned(),
        "na me: x\r\n".to_owned(),
        "name: a\0b\r\n".to_owned(),
    ] {
        let request =
            format!("POST /v2/demo/x/blobs/uploads/ HTTP/1.1\r\nhost: x\r\n{head}\r\n{inner}");
        let answer = raw(&registry, &request).await;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{head}: {answer}");
        assert!(answer.starts_with("HTTP/1.1 400"), "{head}: {answer}");
    }
    // Headers that ask for another method or path than the line says are words in the wind.
    let digest = registry.admin.push_blob("secret/x", b"a secret").await;
    let request = format!(
        "GET /v2/_catalog HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-http-method-override: DELETE\r\n\
         x-original-url: /v2/secret/x/blobs/{digest}\r\nx-rewrite-url: /v2/secret/x/blobs/{digest}\r\n\
         x-forwarded-prefix: /../\r\n\r\n"
    );
    let answer = raw(&registry, &request).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("\"repositories\":[]"),
        "{answer}"
    );
}
