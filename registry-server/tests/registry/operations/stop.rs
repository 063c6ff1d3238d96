// SPDX-License-Identifier: Apache-2.0
//! A registry that is told to stop lets a running push end, and nothing new begin.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use registry_schema::Digest;
use tempfile::TempDir;

use super::{Server, binary};

/// Repeats until it holds.
fn until(holds: impl Fn() -> bool) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("it never held");
}

fn ask(address: &str, head: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "{head}\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn a_running_push_ends_well() {
    let dir = TempDir::new().expect("a directory");
    let more = ["--log", "warn"];
    let mut server = Server::start_with_notice(dir.path(), &more, 3);
    let address = server.origin.replace("http://", "");
    let credentials = BASE64_STANDARD.encode(format!("admin:{}", server.token));
    let authorization = format!("Authorization: Basic {credentials}");
    let body = "{\"name\":\"demo\"}";
    let create = format!(
        "POST /api/v1/namespaces HTTP/1.1\r\n{authorization}\r\nContent-Length: {}\r\nHost: {address}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(&address).expect("a connection");
    stream.write_all(create.as_bytes()).expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");

    let blob = vec![7; 100_000];
    let digest = Digest::sha256(&blob);
    let mut push = TcpStream::connect(&address).expect("a connection");
    write!(
        push,
        "POST /v2/demo/pass/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: {address}\r\n{authorization}\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
        blob.len()
    )
    .expect("a head");
    push.write_all(&blob[..50_000]).expect("a first half");
    let in_flight = || {
        let metrics = ask(&address, "GET /metrics HTTP/1.1").expect("metrics");
        metrics.contains("bpfpkg_requests_in_flight 2\n")
    };
    until(in_flight);
    assert!(
        ask(&address, "GET /readyz HTTP/1.1")
            .expect("an answer")
            .starts_with("HTTP/1.1 200")
    );

    server.signal(rustix::process::Signal::TERM);
    let unready = || {
        ask(&address, "GET /readyz HTTP/1.1").is_ok_and(|answer| answer.starts_with("HTTP/1.1 503"))
    };
    until(unready);
    assert!(
        ask(&address, "GET /healthz HTTP/1.1")
            .expect("an answer")
            .starts_with("HTTP/1.1 200")
    );
    until(|| TcpStream::connect(&address).is_err());

    push.write_all(&blob[50_000..]).expect("a second half");
    let mut answer = String::new();
    push.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let (code, log) = server.ended();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn health_is_an_exit_code() {
    let dir = TempDir::new().expect("a directory");
    let server = Server::start(dir.path(), &["--log", "error"]);
    let address = server.origin.replace("http://", "");
    let ask = || {
        binary(&["health", "--listen", &address])
            .output()
            .expect("it runs")
    };
    assert_eq!(ask().status.code(), Some(0));
    let (code, log) = server.stop();
    assert_eq!((code, log.as_str()), (Some(0), ""));
    assert_eq!(ask().status.code(), Some(6));
}
