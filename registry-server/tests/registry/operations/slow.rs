// SPDX-License-Identifier: Apache-2.0
//! Clients that take their time, or send too much, keep nobody else waiting.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::support::{TestRegistry, expect};

/// A connection from an address of the loopback network.
async fn connect(registry: &TestRegistry, from: &str) -> TcpStream {
    let address: SocketAddr = registry.app.host().parse().expect("an address");
    let socket = TcpSocket::new_v4().expect("a socket");
    let from = format!("{from}:0").parse().expect("an address");
    socket.bind(from).expect("the whole of 127/8 is ours");
    socket.connect(address).await.expect("a connection")
}

/// Reads until the other end closes; what it said, or the error.
async fn rest(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test]
async fn a_thousand_slow_connections_keep_nobody_else_waiting() {
    let registry = TestRegistry::start().await;
    let mut slow = Vec::new();
    for n in 0..1000 {
        let mut stream = connect(&registry, "127.0.0.3").await;
        // A third says nothing, a third never ends its head, a third never sends its body.
        let begin: &[u8] = match n % 3 {
            0 => b"",
            1 => b"GET / HTTP/1.1\r\nHost: a\r\nX-A: ",
            _ => b"POST /v2/demo/pass/blobs/uploads/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx",
        };
        // Those above the limit of the address are closed already.
        drop(stream.write_all(begin).await);
        slow.push(stream);
    }
    let (crowded, open) = (&registry.app.metrics.crowded, &registry.app.metrics.open);
    while crowded.get() + open.get() < 1000 {
        tokio::task::yield_now().await;
    }
    assert!(open.get() <= 256, "{}", open.get());
    for _ in 0..100 {
        expect(registry.anonymous.get("/healthz").await, 200).await;
        expect(registry.anonymous.get("/api/v1/packages").await, 200).await;
    }
    drop(slow);
    while open.get() > 8 {
        tokio::task::yield_now().await;
    }
    let mut again = connect(&registry, "127.0.0.3").await;
    let ask = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    again.write_all(ask).await.expect("it is served again");
    assert!(
        rest(&mut again)
            .await
            .expect("an answer")
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn who_is_too_slow_is_cut_off() {
    let registry = TestRegistry::start_with(|mut config| {
        (config.limits.head_seconds, config.limits.pause_seconds) = (1, 1);
        config
    })
    .await;
    let mut head = connect(&registry, "127.0.0.1").await;
    head.write_all(b"GET / HTTP/1.1\r\nX-A: ")
        .await
        .expect("it is sent");
    assert_eq!(rest(&mut head).await.unwrap_or_default(), "");

    // A byte now and then is not enough: the wait is not forgiven for one byte.
    let mut body = connect(&registry, "127.0.0.1").await;
    let token = registry.admin.token.clone().expect("a token");
    let begin = format!(
        "PUT /api/v1/packages/demo/pass/star HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n\
         POST /api/v1/namespaces HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
         Connection: close\r\nContent-Length: 1000\r\n\r\n"
    );
    body.write_all(begin.as_bytes()).await.expect("it is sent");
    let (mut read, mut write) = body.split();
    let mut answer = Vec::new();
    let drip = async {
        while write.write_all(b" ").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = drip => {}
        _ = read.read_to_end(&mut answer) => {}
    }
    let answer = String::from_utf8_lossy(&answer);
    let last = answer.rfind("HTTP/1.1 ").map(|at| &answer[at..at + 12]);
    assert!(
        last.is_some_and(|last| last.starts_with("HTTP/1.1 4")),
        "{answer}"
    );
    assert!(answer.contains("too slowly"), "{answer}");
}

#[tokio::test]
async fn a_head_of_a_megabyte_is_refused_cheaply() {
    let registry = TestRegistry::start().await;
    let mut stream = connect(&registry, "127.0.0.1").await;
    let mut head = b"GET / HTTP/1.1\r\nHost: a\r\nX-A: ".to_vec();
    head.resize(1_000_000, b'a');
    // It is refused before all of it has come, and the refusal arrives nevertheless.
    drop(stream.write_all(&head).await);
    let answer = rest(&mut stream).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    expect(registry.anonymous.get("/healthz").await, 200).await;
}

/// Two requests in one, hidden methods and paths in disguise (R26).
#[tokio::test]
async fn smuggled_requests_are_refused() {
    let registry = TestRegistry::start().await;
    let refused: [(&str, &[&str]); 8] = [
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            &["400"],
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
            &["400"],
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            &["400"],
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            &["400"],
        ),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", &["400"]),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n", &["400"]),
        (
            "GET /v2/demo/%2e%2e/secret/tags/list HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            &["400"],
        ),
        (
            "GET //v2//secret/x/tags/list HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            &["404"],
        ),
    ];
    for (raw, statuses) in refused {
        let mut stream = connect(&registry, "127.0.0.1").await;
        stream.write_all(raw.as_bytes()).await.expect("it is sent");
        let answer = rest(&mut stream).await.unwrap_or_default();
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(statuses.contains(&status), "{raw}\n{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{raw}\n{answer}");
    }
    // What overrides a method elsewhere is a header like any other here.
    let request = registry
        .admin
        .request(reqwest::Method::GET, "/api/v1/namespaces/demo");
    let answer = request
        .header("x-http-method-override", "DELETE")
        .send()
        .await;
    expect(answer.expect("an answer"), 200).await;
    expect(registry.admin.get("/api/v1/namespaces/demo").await, 200).await;
}
