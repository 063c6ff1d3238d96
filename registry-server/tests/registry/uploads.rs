// SPDX-License-Identifier: Apache-2.0
//! Pushing blobs the way each client does it.

use futures::stream::{self, StreamExt};
use registry_schema::{Digest, digest::Algorithm};
use registry_server::service::upload;
use reqwest::Method;

use crate::support::{TestRegistry, User, expect, header, refused, send};

const NAME: &str = "demo/blobs";

fn bytes(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| u8::try_from(at * 7 % 251).expect("below 251"))
        .collect()
}

async fn begin(user: &User) -> String {
    let response = expect(user.post(&format!("/v2/{NAME}/blobs/uploads/")).await, 202).await;
    assert_eq!(header(&response, "range"), "0-0");
    assert!(!header(&response, "docker-upload-uuid").is_empty());
    header(&response, "location").to_owned()
}

#[tokio::test]
async fn in_one_request_and_with_both_algorithms() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        for content in [bytes(0), bytes(2000), b"{}".to_vec()] {
            let digest = Digest::of(algorithm, &content);
            let path = format!("/v2/{NAME}/blobs/uploads/?digest={digest}");
            let response =
                expect(send(admin, Method::POST, &path, None, &content).await, 201).await;
            assert_eq!(header(&response, "docker-content-digest"), digest.as_str());
            let location = header(&response, "location").to_owned();
            let got = expect(admin.get(&location).await, 200).await;
            assert_eq!(header(&got, "docker-content-digest"), digest.as_str());
            assert_eq!(got.bytes().await.expect("a body"), content);
            let head = expect(admin.head(&location).await, 200).await;
            assert_eq!(header(&head, "content-length"), content.len().to_string());
            expect(admin.delete(&location).await, 202).await;
            assert_eq!(admin.head(&location).await.status(), 404);
        }
    }
}

#[tokio::test]
async fn with_the_algorithm_said_first() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    let begin = |algorithm: &str| format!("/v2/{NAME}/blobs/uploads/?digest-algorithm={algorithm}");
    let content = bytes(3000);
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let answer = expect(admin.post(&begin(algorithm.as_str())).await, 202).await;
        let location = header(&answer, "location").to_owned();
        let digest = Digest::of(algorithm, &content);
        let end = format!("{location}?digest={digest}");
        expect(send(admin, Method::PUT, &end, None, &content).await, 201).await;
        expect(admin.head(&format!("/v2/{NAME}/blobs/{digest}")).await, 200).await;
    }
    for unknown in ["md5", "sha384", "", "SHA256", "sha256:"] {
        refused(admin.post(&begin(unknown)).await, 400, "DIGEST_INVALID").await;
    }
}

#[tokio::test]
async fn in_chunks_the_last_by_patch_or_by_put() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    let content = bytes(3000);
    for last_by_put in [false, true] {
        let digest = Digest::of(Algorithm::Sha512, &content);
        let location = begin(admin).await;
        let cut = if last_by_put { 2000 } else { 3000 };
        for start in (0..cut).step_by(1000) {
            let range = format!("{start}-{}", start + 999);
            let part = &content[start..start + 1000];
            let response = send(admin, Method::PATCH, &location, Some(&range), part).await;
            let response = expect(response, 202).await;
            assert_eq!(header(&response, "range"), format!("0-{}", start + 999));
        }
        let status = expect(admin.get(&location).await, 204).await;
        assert_eq!(header(&status, "range"), format!("0-{}", cut - 1));
        let path = format!("{location}?digest={digest}");
        let range = last_by_put.then_some("2000-2999");
        expect(
            send(admin, Method::PUT, &path, range, &content[cut..]).await,
            201,
        )
        .await;
        let got = admin.get(&format!("/v2/{NAME}/blobs/{digest}")).await;
        assert_eq!(got.bytes().await.expect("a body"), content);
        // The upload is over.
        refused(admin.get(&location).await, 404, "BLOB_UPLOAD_UNKNOWN").await;
    }
}

/// The registry hashes what arrives as sha256. Whoever ends an upload with another digest, or
/// after a restart, or after a chunk that broke off, has it hashed from the beginning.
#[tokio::test]
async fn what_was_not_hashed_while_it_arrived_is_hashed_at_the_end() {
    let mut registry = TestRegistry::start().await;
    let content = bytes(3 << 20);
    let (first, second) = content.split_at(2 << 20);
    let sha512 = Digest::of(Algorithm::Sha512, &content);
    let put = |location: &str, digest: &Digest| format!("{location}?digest={digest}");
    let patch = async |registry: &TestRegistry, location: &str, part: &[u8]| {
        let sent = send(&registry.admin, Method::PATCH, location, None, part).await;
        expect(sent, 202).await;
    };
    for (restarted, digest) in [
        (false, &sha512),
        (true, &sha512),
        (true, &Digest::sha256(&content)),
    ] {
        let location = begin(&registry.admin).await;
        patch(&registry, &location, first).await;
        let broken = ["garbage", "of another length"].map(|text| Ok::<_, String>(text.to_owned()));
        let broken = stream::iter(broken).chain(stream::iter([Err("it breaks off".to_owned())]));
        let request = registry.admin.request(Method::PATCH, &location);
        let sent = request
            .body(reqwest::Body::wrap_stream(broken))
            .send()
            .await;
        assert!(sent.is_err(), "{sent:?}");
        if restarted {
            registry = registry.restart().await;
        }
        let wrong = Digest::sha256(first);
        patch(&registry, &location, &second[..5]).await;
        let end = put(&location, digest);
        let sent = send(&registry.admin, Method::PUT, &end, None, &second[5..]).await;
        expect(sent, 201).await;
        let found = registry
            .admin
            .get(&format!("/v2/{NAME}/blobs/{digest}"))
            .await;
        assert_eq!(found.bytes().await.expect("bytes"), content);
        // And what is wrong is found, whoever hashed it.
        let location = begin(&registry.admin).await;
        patch(&registry, &location, &content).await;
        let sent = send(
            &registry.admin,
            Method::PUT,
            &put(&location, &wrong),
            None,
            b"",
        )
        .await;
        refused(sent, 400, "DIGEST_INVALID").await;
    }
}

#[tokio::test]
async fn in_four_mebibyte_chunks_and_as_a_stream() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    let content = bytes(9 << 20);
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
    }
    expect(
        send(
            admin,
            Method::PUT,
            &format!("{location}?digest={digest}"),
            None,
            b"",
        )
        .await,
        201,
    )
    .await;

    let location = begin(admin).await;
    let pieces: Vec<_> = content
        .chunks(100_000)
        .map(|part| Ok::<_, std::io::Error>(part.to_vec()))
        .collect();
    let stream = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
    let response = admin
        .request(Method::PATCH, &location)
        .body(stream)
        .send()
        .await;
    let response = expect(response.expect("an answer"), 202).await;
    assert_eq!(
        header(&response, "range"),
        format!("0-{}", content.len() - 1)
    );
    expect(
        send(
            admin,
            Method::PUT,
            &format!("{location}?digest={digest}"),
            None,
            b"",
        )
        .await,
        201,
    )
    .await;
    let got = admin.get(&format!("/v2/{NAME}/blobs/{digest}")).await;
    assert_eq!(got.bytes().await.expect("a body"), content);
}

#[tokio::test]
async fn a_chunk_out_of_order_changes_nothing() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    let content = bytes(3000);
    let digest = Digest::sha256(&content);
    let location = begin(admin).await;
    let misplaced = send(
        admin,
        Method::PATCH,
        &location,
        Some("1000-1999"),
        &content[1000..2000],
    )
    .await;
    assert_eq!(header(&misplaced, "range"), "0-0");
    assert_eq!(header(&misplaced, "location"), location);
    refused(misplaced, 416, "BLOB_UPLOAD_INVALID").await;
    expect(
        send(
            admin,
            Method::PATCH,
            &location,
            Some("0-999"),
            &content[..1000],
        )
        .await,
        202,
    )
    .await;
    for method in [Method::PATCH, Method::PUT] {
        let path = format!("{location}?digest={digest}");
        let answer = send(admin, method, &path, Some("2000-2999"), &content[2000..]).await;
        assert_eq!(header(&answer, "range"), "0-999");
        refused(answer, 416, "BLOB_UPLOAD_INVALID").await;
        let status = expect(admin.get(&location).await, 204).await;
        assert_eq!(header(&status, "range"), "0-999");
    }
    // A body of another length than its range.
    let short = send(
        admin,
        Method::PATCH,
        &location,
        Some("1000-2999"),
        &content[1000..2000],
    )
    .await;
    refused(short, 400, "SIZE_INVALID").await;
    let nonsense = send(
        admin,
        Method::PATCH,
        &location,
        Some("1000"),
        &content[1000..2000],
    )
    .await;
    refused(nonsense, 416, "BLOB_UPLOAD_INVALID").await;
    expect(
        send(
            admin,
            Method::PATCH,
            &location,
            Some("1000-2999"),
            &content[1000..],
        )
        .await,
        202,
    )
    .await;
    expect(
        send(
            admin,
            Method::PUT,
            &format!("{location}?digest={digest}"),
            None,
            b"",
        )
        .await,
        201,
    )
    .await;
}

#[tokio::test]
async fn of_the_same_chunk_twice_at_once_one_wins() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    let content = bytes(200_000);
    let location = begin(admin).await;
    let range = format!("0-{}", content.len() - 1);
    let both = futures::future::join_all(
        (0..8).map(|_| send(admin, Method::PATCH, &location, Some(&range), &content)),
    );
    let mut statuses: Vec<_> = both
        .await
        .iter()
        .map(|answer| answer.status().as_u16())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 416, 416, 416, 416, 416, 416, 416]);
    let path = format!("{location}?digest={}", Digest::sha256(&content));
    expect(send(admin, Method::PUT, &path, None, b"").await, 201).await;
}

#[tokio::test]
async fn other_bytes_than_promised_are_not_stored() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    let (content, other) = (bytes(500), Digest::sha256(b"something else"));
    let location = begin(admin).await;
    let answer = send(
        admin,
        Method::PUT,
        &format!("{location}?digest={other}"),
        None,
        &content,
    )
    .await;
    let message = refused(answer, 400, "DIGEST_INVALID").await;
    assert!(
        message.contains(other.as_str()) && message.contains(Digest::sha256(&content).as_str()),
        "{message}"
    );
    refused(
        admin.get(&format!("/v2/{NAME}/blobs/{other}")).await,
        404,
        "BLOB_UNKNOWN",
    )
    .await;
    refused(admin.get(&location).await, 404, "BLOB_UPLOAD_UNKNOWN").await;
    assert_eq!(
        registry.app.blobs.staged_ids().await.expect("a list"),
        Vec::<String>::new()
    );
    for digest in [
        "",
        "sha256:00",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha256:G",
    ] {
        let path = format!("/v2/{NAME}/blobs/uploads/?digest={digest}");
        refused(
            send(admin, Method::POST, &path, None, &content).await,
            400,
            "DIGEST_INVALID",
        )
        .await;
    }
}

#[tokio::test]
async fn an_upload_is_its_repositorys_and_its_accounts() {
    let registry = TestRegistry::start().await;
    let alice = registry.user("alice", Some("publisher")).await;
    let bob = registry.user("bob", Some("publisher")).await;
    let location = begin(&alice).await;
    refused(bob.get(&location).await, 404, "BLOB_UPLOAD_UNKNOWN").await;
    let elsewhere = location.replace(NAME, "demo/other");
    refused(alice.get(&elsewhere).await, 404, "BLOB_UPLOAD_UNKNOWN").await;
    refused(
        send(&bob, Method::PATCH, &location, None, b"x").await,
        404,
        "BLOB_UPLOAD_UNKNOWN",
    )
    .await;
    expect(alice.delete(&location).await, 204).await;
    refused(alice.get(&location).await, 404, "BLOB_UPLOAD_UNKNOWN").await;
    for id in ["..%2f..%2fregistry.db", "x", "lock"] {
        let path = format!("/v2/{NAME}/blobs/uploads/{id}");
        let answer = send(&alice, Method::PATCH, &path, None, b"x").await;
        assert_eq!(answer.status(), 404, "{id}");
    }
}

#[tokio::test]
async fn a_broken_body_is_taken_back() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    let location = begin(admin).await;
    expect(
        send(admin, Method::PATCH, &location, None, b"0123456789").await,
        202,
    )
    .await;
    let pieces = [
        Ok(vec![b'x'; 70_000]),
        Err(std::io::Error::other("the cable is out")),
    ];
    let stream = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
    let broken = admin
        .request(Method::PATCH, &location)
        .body(stream)
        .send()
        .await;
    assert!(broken.is_err());
    // The server notices a little later than the client.
    for _ in 0..200 {
        let status = expect(admin.get(&location).await, 204).await;
        if header(&status, "range") == "0-9" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let path = format!("{location}?digest={}", Digest::sha256(b"0123456789ab"));
    expect(
        send(admin, Method::PUT, &path, Some("10-11"), b"ab").await,
        201,
    )
    .await;
}

#[tokio::test]
async fn a_blob_beyond_the_limit_is_refused_as_soon_as_it_is_too_long() {
    let registry = TestRegistry::start_with(|mut config| {
        config.max_blob_bytes = 1000;
        config
    })
    .await;
    let admin = &registry.admin;
    let location = begin(admin).await;
    expect(
        send(admin, Method::PATCH, &location, None, &bytes(900)).await,
        202,
    )
    .await;
    refused(
        send(admin, Method::PATCH, &location, None, &bytes(101)).await,
        413,
        "SIZE_INVALID",
    )
    .await;
    let status = expect(admin.get(&location).await, 204).await;
    assert_eq!(header(&status, "range"), "0-899");
}

#[tokio::test]
async fn forgotten_uploads_are_swept_at_the_next_start() {
    let registry = TestRegistry::start().await;
    let location = begin(&registry.admin).await;
    expect(
        send(&registry.admin, Method::PATCH, &location, None, b"x").await,
        202,
    )
    .await;
    let registry = registry.restart().await;
    let path = location.clone();
    expect(registry.admin.get(&path).await, 204).await;
    let sweep = || upload::sweep(&registry.app);
    sweep().await.expect("a sweep");
    expect(registry.admin.get(&path).await, 204).await;
    registry.later(chrono::Duration::days(2));
    refused(registry.admin.get(&path).await, 404, "BLOB_UPLOAD_UNKNOWN").await;
    sweep().await.expect("a sweep");
    assert_eq!(
        registry.app.blobs.staged_ids().await.expect("a list"),
        Vec::<String>::new()
    );
}
