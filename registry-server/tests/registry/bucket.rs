// SPDX-License-Identifier: Apache-2.0
//! Blobs in a bucket, told through the registry's port, and through a proxy that breaks
//! what passes it.

use registry_schema::Digest;
use registry_server::{app::App, service::upload};
use reqwest::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use crate::support::{
    TestRegistry, User, expect, header, package::PackageBuilder, refused, s3::S3Server, send,
};

const NAME: &str = "demo/bucket";

fn bytes(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| u8::try_from((at * 7 + at / 977) % 251).expect("below 251"))
        .collect()
}

async fn registry(endpoint: &str, prefix: &str) -> TestRegistry {
    let bucket = S3Server::bucket_at(endpoint, prefix);
    TestRegistry::start_with(|mut config| {
        config.bucket = bucket;
        config
    })
    .await
}

async fn begin(user: &User) -> String {
    let response = expect(user.post(&format!("/v2/{NAME}/blobs/uploads/")).await, 202).await;
    header(&response, "location").to_owned()
}

#[tokio::test]
async fn blobs_of_all_sizes_come_back() {
    let Some(server) = S3Server::start().await else {
        return;
    };
    let registry = registry(&server.endpoint, "sizes").await;
    let admin = &registry.admin;
    for length in [0, 2, 20_000, 9 << 20, 17 << 20] {
        let content = bytes(length);
        let digest = admin.push_blob(NAME, &content).await;
        let path = format!("/v2/{NAME}/blobs/{digest}");
        let head = expect(admin.head(&path).await, 200).await;
        assert_eq!(header(&head, "content-length"), length.to_string());
        let got = expect(admin.get(&path).await, 200).await;
        assert!(
            got.bytes().await.expect("a body") == content,
            "{length} bytes differ"
        );
        if length > 2 {
            let part = admin
                .request(Method::GET, &path)
                .header("range", "bytes=7-1006");
            let part = expect(part.send().await.expect("an answer"), 206).await;
            assert_eq!(part.bytes().await.expect("a body"), content[7..1007]);
        }
    }
    // In chunks of 4 MiB, as most clients send them, the last one with the digest.
    let content = bytes(10 << 20);
    let digest = Digest::sha256(&content);
    let location = begin(admin).await;
    let mut start = 0;
    for part in content.chunks(4 << 20) {
        let range = format!("{start}-{}", start + part.len() - 1);
        expect(
            send(admin, Method::PATCH, &location, Some(&range), part).await,
            202,
        )
        .await;
        start += part.len();
        // The same once more is refused, and changes nothing.
        let again = send(admin, Method::PATCH, &location, Some(&range), part).await;
        assert_eq!(again.status(), 416);
    }
    let wrong = format!("{location}?digest={}", Digest::sha256(b"other"));
    let path = format!("{location}?digest={digest}");
    expect(send(admin, Method::PUT, &path, None, b"").await, 201).await;
    let got = admin.get(&format!("/v2/{NAME}/blobs/{digest}")).await;
    assert!(got.bytes().await.expect("a body") == content);
    refused(
        send(admin, Method::PUT, &wrong, None, b"").await,
        404,
        "BLOB_UPLOAD_UNKNOWN",
    )
    .await;
    // Bytes of another digest are stored nowhere, and end the upload.
    let location = begin(admin).await;
    expect(
        send(admin, Method::PATCH, &location, None, &content).await,
        202,
    )
    .await;
    let other = Digest::sha256(b"other");
    let wrong = format!("{location}?digest={other}");
    refused(
        send(admin, Method::PUT, &wrong, None, b"").await,
        400,
        "DIGEST_INVALID",
    )
    .await;
    assert_eq!(
        registry.app.blobs.size(&other).await.expect("an answer"),
        None
    );
    refused(admin.get(&location).await, 404, "BLOB_UPLOAD_UNKNOWN").await;
    let packed = PackageBuilder::new("demo/bucketed", "1.0.0").pack();
    expect(packed.push(admin, "1.0.0").await, 201).await;
    swept(&registry.app).await;
}

/// Nothing is left in staging a while later.
async fn swept(app: &App) {
    for _ in 0..100 {
        if app.blobs.staged_ids().await.expect("a list").is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("staged parts are left: {:?}", app.blobs.staged_ids().await);
}

#[tokio::test]
async fn of_the_same_chunk_at_the_same_time_one_counts() {
    let Some(server) = S3Server::start().await else {
        return;
    };
    let registry = registry(&server.endpoint, "race").await;
    let admin = &registry.admin;
    for _ in 0..5 {
        let location = begin(admin).await;
        let bodies = [b"first".to_vec(), b"other".to_vec(), b"third".to_vec()];
        let sent = bodies
            .iter()
            .map(|body| send(admin, Method::PATCH, &location, Some("0-4"), body));
        let answers = futures::future::join_all(sent).await;
        let statuses: Vec<u16> = answers
            .iter()
            .map(|answer| answer.status().as_u16())
            .collect();
        let won: Vec<usize> = (0..3).filter(|&at| statuses[at] == 202).collect();
        assert_eq!(won.len(), 1, "{statuses:?}");
        assert_eq!(
            statuses.iter().filter(|&&status| status == 416).count(),
            2,
            "{statuses:?}"
        );
        let digest = Digest::sha256(&bodies[won[0]]);
        let path = format!("{location}?digest={digest}");
        expect(send(admin, Method::PUT, &path, None, b"").await, 201).await;
    }
}

#[tokio::test]
async fn what_a_broken_request_leaves_is_swept() {
    let Some(server) = S3Server::start().await else {
        return;
    };
    let registry = registry(&server.endpoint, "sweep").await;
    let location = begin(&registry.admin).await;
    expect(
        send(&registry.admin, Method::PATCH, &location, None, b"x").await,
        202,
    )
    .await;
    upload::sweep(&registry.app).await.expect("a sweep");
    assert_eq!(
        registry.app.blobs.staged_ids().await.expect("a list").len(),
        1
    );
    registry.later(chrono::Duration::days(2));
    upload::sweep(&registry.app).await.expect("a sweep");
    assert_eq!(
        registry.app.blobs.staged_ids().await.expect("a list"),
        Vec::<String>::new()
    );
}

/// What the proxy does to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Says 500 and does not ask the server.
    Fail,
    /// Closes the connection instead of answering.
    Reset,
    /// Ends in the middle of the answer's body.
    Truncate,
    /// Says 200 to a PUT and stores nothing.
    Lie,
    /// Never answers.
    Hang,
}

/// A proxy before the S3 server that breaks the next requests.
struct FaultProxy {
    endpoint: String,
    /// How many requests to break, of which method, and how.
    plan: Arc<std::sync::Mutex<(u32, &'static str, Fault)>>,
    broken: Arc<AtomicU32>,
}

impl FaultProxy {
    async fn start(server: &S3Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let upstream = server.endpoint.replace("http://", "");
        let plan = Arc::new(std::sync::Mutex::new((0, "", Fault::Fail)));
        let broken = Arc::<AtomicU32>::default();
        let (its_plan, count) = (plan.clone(), broken.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (upstream, plan, count) = (upstream.clone(), its_plan.clone(), count.clone());
                tokio::spawn(async move {
                    drop(pass(client, &upstream, &plan, &count).await);
                });
            }
        });
        Self {
            endpoint,
            plan,
            broken,
        }
    }

    fn break_next(&self, number: u32, method: &'static str, fault: Fault) {
        *self.plan.lock().expect("a plan") = (number, method, fault);
        self.broken.store(0, Ordering::SeqCst);
    }
}

/// Passes one request and its answer, and closes.
async fn pass(
    mut client: TcpStream,
    upstream: &str,
    plan: &std::sync::Mutex<(u32, &'static str, Fault)>,
    broken: &AtomicU32,
) -> std::io::Result<()> {
    let request = read_message(&mut client).await?;
    let fault = {
        let mut plan = plan.lock().expect("a plan");
        (plan.0 > 0 && request.starts_with(plan.1.as_bytes())).then(|| {
            plan.0 -= 1;
            plan.2
        })
    };
    if fault.is_some() {
        broken.fetch_add(1, Ordering::SeqCst);
    }
    match fault {
        Some(Fault::Fail) => {
            let answer = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            return client.write_all(answer.as_bytes()).await;
        }
        Some(Fault::Lie) => {
            let answer =
                "HTTP/1.1 200 OK\r\netag: \"x\"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            return client.write_all(answer.as_bytes()).await;
        }
        Some(Fault::Reset) => return Ok(()),
        Some(Fault::Hang) => {
            let mut rest = Vec::new();
            return client.read_to_end(&mut rest).await.map(drop);
        }
        Some(Fault::Truncate) | None => {}
    }
    let mut server = TcpStream::connect(upstream).await?;
    server.write_all(&request).await?;
    let answer = if request.starts_with(b"HEAD") {
        read_head(&mut server).await?.0
    } else {
        read_message(&mut server).await?
    };
    let end = if fault == Some(Fault::Truncate) {
        answer.len() / 2
    } else {
        answer.len()
    };
    client.write_all(&answer[..end]).await?;
    client.shutdown().await
}

/// Reads a head, which is told not to be followed by another one, and what came with it.
async fn read_head(stream: &mut TcpStream) -> std::io::Result<(Vec<u8>, usize)> {
    let mut message = Vec::new();
    loop {
        if let Some(end) = message.windows(4).position(|four| four == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&message[..end]).into_owned();
            let lines = text
                .split("\r\n")
                .filter(|line| !line.to_lowercase().starts_with("connection:"));
            let head = format!(
                "{}\r\nconnection: close\r\n\r\n",
                lines.collect::<Vec<_>>().join("\r\n")
            );
            let length = head.len();
            return Ok(([head.as_bytes(), &message[end + 4..]].concat(), length));
        }
        if stream.read_buf(&mut message).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Reads a head and the body of the length that it says.
async fn read_message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let (mut message, head) = read_head(stream).await?;
    let text = String::from_utf8_lossy(&message[..head]).to_lowercase();
    let length = text
        .split("content-length:")
        .nth(1)
        .and_then(|rest| rest.split("\r\n").next());
    let length: usize = length
        .and_then(|length| length.trim().parse().ok())
        .unwrap_or(0);
    while message.len() < head + length {
        if stream.read_buf(&mut message).await? == 0 {
            break;
        }
    }
    Ok(message)
}

#[tokio::test]
async fn a_bucket_that_fails_now_and_then_is_asked_again() {
    let Some(server) = S3Server::start().await else {
        return;
    };
    let proxy = FaultProxy::start(&server).await;
    let registry = registry(&proxy.endpoint, "flaky").await;
    let admin = &registry.admin;
    let content = bytes(300_000);
    let digest = admin.push_blob(NAME, &content).await;
    let path = format!("/v2/{NAME}/blobs/{digest}");
    for (method, fault) in [
        ("GET", Fault::Fail),
        ("GET", Fault::Reset),
        ("GET", Fault::Truncate),
        ("PUT", Fault::Fail),
        ("PUT", Fault::Reset),
        ("HEAD", Fault::Fail),
    ] {
        proxy.break_next(2, method, fault);
        let got = expect(admin.get(&path).await, 200).await;
        assert!(
            got.bytes().await.expect("a whole body") == content,
            "{method} {fault:?}"
        );
        let other = [
            content.as_slice(),
            method.as_bytes(),
            format!("{fault:?}").as_bytes(),
        ]
        .concat();
        admin.push_blob(NAME, &other).await;
        assert_eq!(proxy.broken.load(Ordering::SeqCst), 2, "{method} {fault:?}");
    }
}

#[tokio::test]
async fn a_bucket_that_is_down_lies_or_hangs_gets_nothing_acknowledged() {
    let Some(server) = S3Server::start().await else {
        return;
    };
    let proxy = FaultProxy::start(&server).await;
    let registry = registry(&proxy.endpoint, "down").await;
    let admin = &registry.admin;
    let content = bytes(300_000);
    let held = admin.push_blob(NAME, &content).await;
    let fresh = |text: &str| text.repeat(1000).into_bytes();
    for (number, method, fault) in [
        (1000, "", Fault::Fail),
        (1000, "", Fault::Reset),
        (1, "PUT", Fault::Lie),
        (1000, "", Fault::Hang),
    ] {
        proxy.break_next(number, method, fault);
        let content = fresh(&format!("{fault:?}"));
        let digest = Digest::sha256(&content);
        let path = format!("/v2/{NAME}/blobs/uploads/?digest={digest}");
        let answer = send(admin, Method::POST, &path, None, &content).await;
        assert_eq!(header(&answer, "retry-after"), "5", "{fault:?}");
        refused(answer, 503, "TOOMANYREQUESTS").await;
        let blob = format!("/v2/{NAME}/blobs/{digest}");
        refused(admin.get(&blob).await, 404, "BLOB_UNKNOWN").await;
        if number > 1 {
            let answer = admin.get(&format!("/v2/{NAME}/blobs/{held}")).await;
            refused(answer, 503, "TOOMANYREQUESTS").await;
            expect(registry.anonymous.get("/readyz").await, 503).await;
            expect(registry.anonymous.get("/healthz").await, 200).await;
        }
        // Back by itself.
        proxy.break_next(0, "", fault);
        expect(registry.anonymous.get("/readyz").await, 200).await;
        assert_eq!(admin.push_blob(NAME, &content).await, digest);
        let got = expect(admin.get(&blob).await, 200).await;
        assert_eq!(got.bytes().await.expect("a body"), content);
    }
}
