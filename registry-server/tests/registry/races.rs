// SPDX-License-Identifier: Apache-2.0
//! The collection of garbage against pushes: step by step in every order that could go
//! wrong, and all at once. Both on SQLite and on PostgreSQL.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use chrono::Duration;
use registry_schema::{Digest, media_type, name::RepositoryName};
use registry_server::{
    service::fsck,
    store::{self, blobs::Unused},
};
use reqwest::{Body, Method, Response};
use serde_json::json;

use crate::{
    engines,
    gc::{NAME, collect, image},
    support::{TestRegistry, expect, refused},
};

/// How long the bytes stay after the last repository has let go of them.
const GRACE: Duration = Duration::hours(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_takes_nothing_that_is_wanted_again() {
    let registry = TestRegistry::start().await;
    step_by_step(&registry).await;
    all_at_once(&registry).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_takes_nothing_that_is_wanted_again_on_postgresql() {
    let Some((_cluster, registry)) = engines::postgresql(|config| config).await else {
        return;
    };
    step_by_step(&registry).await;
    all_at_once(&registry).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_takes_is_soon_gone_here() {
    let registry = TestRegistry::start().await;
    let blob = listed(&registry, "kept in memory").await;
    let path = format!("/v2/{NAME}/blobs/{}", blob.digest);
    // Anybody may read it, so the answer is kept.
    expect(registry.anonymous.head(&path).await, 200).await;
    let before = registry.app.db.commits();
    let data = registry.dir.as_ref().expect("a directory").path();
    let other = store::Db::sqlite(&data.join("registry.db")).await;
    let other = other.expect("the same database");
    let mut tx = other.begin().await.expect("a transaction");
    let now = registry.app.clock.now();
    assert!(
        store::blobs::collect(&mut tx, &blob, now)
            .await
            .expect("an answer")
    );
    let noticing = registry.app.db.notice_others();
    let noticed = async {
        // Not before somebody looks.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        tx.commit().await.expect("a commit");
        while registry.app.db.commits() == before {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        done = noticing => panic!("nobody looks any more: {done:?}"),
        () = noticed => {}
    }
    expect(registry.anonymous.head(&path).await, 404).await;
}

async fn step_by_step(registry: &TestRegistry) {
    blobs_that_are_listed_and_then_wanted(registry).await;
    bytes_that_are_listed_and_then_wanted(registry).await;
    bytes_that_go_while_the_same_arrive(registry).await;
    bytes_that_are_marked_while_the_same_arrive(registry).await;
    let checked = fsck::run(&registry.app).await.expect("a check");
    assert_eq!(checked.problems, Vec::new());
}

async fn push(registry: &TestRegistry, body: impl Into<Body>, digest: &Digest) -> Response {
    let path = format!("/v2/{NAME}/blobs/uploads/?digest={digest}");
    let request = registry.admin.request(Method::POST, &path).body(body);
    request.send().await.expect("an answer")
}

/// Pushes a blob until it is stored: a client whose bytes are being removed at this moment
/// is told to try again.
pub(crate) async fn push_again(registry: &TestRegistry, blob: &[u8]) -> Digest {
    let digest = Digest::sha256(blob);
    loop {
        let answer = push(registry, blob.to_vec(), &digest).await;
        if answer.status() != 503 {
            expect(answer, 201).await;
            return digest;
        }
    }
}

/// A blob whose lease has ended, as the collection lists it.
async fn listed(registry: &TestRegistry, content: &str) -> Unused {
    let digest = push_again(registry, content.as_bytes()).await;
    registry.later(Duration::hours(25));
    let now = registry.app.clock.now();
    let unused = store::blobs::unused(&registry.app.db, ("", ""), now, 1000).await;
    let mut unused = unused.expect("a list").into_iter();
    unused
        .find(|blob| blob.digest == digest && blob.repository.to_string() == NAME)
        .expect("it is garbage")
}

/// The second step of a collection; whether it took the blob.
async fn take(registry: &TestRegistry, blob: &Unused) -> bool {
    let mut tx = registry.app.db.begin().await.expect("a transaction");
    let now = registry.app.clock.now();
    let taken = store::blobs::collect(&mut tx, blob, now).await;
    tx.commit().await.expect("a commit");
    taken.expect("an answer")
}

async fn blobs_that_are_listed_and_then_wanted(registry: &TestRegistry) {
    let admin = &registry.admin;
    let nobody = listed(registry, "nobody wants this").await;
    assert!(take(registry, &nobody).await);

    let asked = listed(registry, "asked for").await;
    let path = format!("/v2/{NAME}/blobs/{}", asked.digest);
    expect(admin.head(&path).await, 200).await;
    assert!(!take(registry, &asked).await, "it was promised to stay");

    let pushed = listed(registry, "pushed again").await;
    push_again(registry, b"pushed again").await;
    assert!(!take(registry, &pushed).await, "it was just stored");

    let mounted = listed(registry, "mounted here").await;
    let other = "demo/other";
    let mount = |to, from| {
        format!(
            "/v2/{to}/blobs/uploads/?mount={}&from={from}",
            mounted.digest
        )
    };
    expect(admin.post(&mount(other, NAME)).await, 201).await;
    expect(admin.post(&mount(NAME, other)).await, 201).await;
    assert!(!take(registry, &mounted).await, "it was just mounted");

    // The lease is not what keeps this one.
    let used = listed(registry, "used by now").await;
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "layers": [],
        "config": {"mediaType": "text/plain", "digest": used.digest, "size": used.size_bytes}});
    let (kind, body) = (media_type::OCI_MANIFEST, manifest.to_string());
    let put = admin.put_manifest(NAME, "used", kind, body.as_bytes());
    expect(put.await, 201).await;
    assert!(!take(registry, &used).await, "a manifest uses it");

    // The collection comes while the transaction of a push is open, and waits for it.
    let locked = listed(registry, "locked").await;
    let repository: RepositoryName = NAME.parse().expect("a name");
    let mut tx = registry.app.db.begin().await.expect("a transaction");
    let size = store::blobs::size_in(&mut tx, &repository, &locked.digest).await;
    assert_eq!(size.expect("an answer"), Some(locked.size_bytes));
    let until = registry.app.clock.now() + Duration::hours(1);
    let pushing = async {
        tokio::task::yield_now().await;
        let kept = store::blobs::lease(&mut tx, &repository, &locked.digest, until).await;
        assert!(kept.expect("an answer"));
        tx.commit().await.expect("a commit");
    };
    let (taken, ()) = tokio::join!(take(registry, &locked), pushing);
    assert!(!taken, "it was locked");
}

/// Bytes that no repository has held for longer than [`GRACE`], as the collection lists them.
async fn unheld(registry: &TestRegistry, content: &str) -> Digest {
    let blob = listed(registry, content).await;
    let path = format!("/v2/{NAME}/blobs/{}", blob.digest);
    expect(registry.admin.delete(&path).await, 202).await;
    registry.later(GRACE * 2);
    let before = registry.app.clock.now() - GRACE;
    let unheld = store::contents::unheld(&registry.app.db, "", before, 1000).await;
    let mut unheld = unheld.expect("a list").into_iter();
    let found = unheld.find(|content| content.digest == blob.digest);
    found.expect("it is garbage").digest
}

/// The second step of a collection; whether it marked the bytes for removal.
async fn mark(registry: &TestRegistry, digest: &Digest) -> bool {
    let mut tx = registry.app.db.begin().await.expect("a transaction");
    let before = registry.app.clock.now() - GRACE;
    let marked = store::contents::condemn(&mut tx, digest, before).await;
    tx.commit().await.expect("a commit");
    marked.expect("an answer")
}

async fn stored(registry: &TestRegistry, digest: &Digest) -> bool {
    let size = registry.app.blobs.size(digest).await;
    size.expect("an answer").is_some()
}

async fn bytes_that_are_listed_and_then_wanted(registry: &TestRegistry) {
    let nobody = unheld(registry, "no bytes of anybody").await;
    assert!(mark(registry, &nobody).await);
    collect(registry).await;
    assert!(!stored(registry, &nobody).await);

    let pushed = unheld(registry, "bytes pushed again").await;
    push_again(registry, b"bytes pushed again").await;
    assert!(!mark(registry, &pushed).await, "they were just stored");
    // Also when that was long ago: a repository holds them.
    registry.later(GRACE * 2);
    assert!(!mark(registry, &pushed).await, "a repository holds them");
}

/// A push of which the first half has arrived, and the rest when something is sent.
fn half_pushed<'a>(
    registry: &'a TestRegistry,
    content: &'static str,
    digest: &'a Digest,
) -> (
    impl Future<Output = Response> + 'a,
    futures::channel::mpsc::UnboundedSender<Result<Bytes, std::io::Error>>,
) {
    let (rest, pieces) = futures::channel::mpsc::unbounded();
    let half = Bytes::from_static(&content.as_bytes()[..content.len() / 2]);
    rest.unbounded_send(Ok(half)).expect("somebody reads");
    (push(registry, Body::wrap_stream(pieces), digest), rest)
}

/// Waits until a push has looked at what there is of its bytes, and says that it wants them.
async fn looked_at(registry: &TestRegistry, digest: &Digest) {
    let now = registry.app.clock.now();
    loop {
        let found = store::contents::find(&registry.app.db, digest).await;
        if found
            .expect("an answer")
            .is_some_and(|content| content.changed_at == now)
        {
            return;
        }
        tokio::task::yield_now().await;
    }
}

async fn bytes_that_go_while_the_same_arrive(registry: &TestRegistry) {
    let content = "a body that takes its time";
    let digest = unheld(registry, content).await;
    let (answer, rest) = half_pushed(registry, content, &digest);
    let collecting = async {
        looked_at(registry, &digest).await;
        assert!(!mark(registry, &digest).await, "a push has just looked");
        // Longer than anybody is waited for.
        registry.later(GRACE * 2);
        assert!(mark(registry, &digest).await);
        collect(registry).await;
        let second = Bytes::from_static(&content.as_bytes()[content.len() / 2..]);
        rest.unbounded_send(Ok(second)).expect("somebody reads");
        drop(rest);
    };
    let (answer, ()) = tokio::join!(answer, collecting);
    // Its bytes were stored, but others were removed under the same name meanwhile: it must
    // not be believed that these are not those.
    let message = refused(answer, 503, "TOOMANYREQUESTS").await;
    assert!(message.contains("removed meanwhile"), "{message}");
    push_again(registry, content.as_bytes()).await;
    assert!(stored(registry, &digest).await);
}

async fn bytes_that_are_marked_while_the_same_arrive(registry: &TestRegistry) {
    let content = "bytes that are on their way out";
    let digest = unheld(registry, content).await;
    assert!(mark(registry, &digest).await);
    // The push waits for the removal, and stores the bytes after it.
    let (answer, report) = tokio::join!(
        push(registry, content.as_bytes().to_vec(), &digest),
        collect(registry)
    );
    expect(answer, 201).await;
    assert!(report.contents > 0);
    assert!(stored(registry, &digest).await);
    let path = format!("/v2/{NAME}/blobs/{digest}");
    expect(registry.admin.get(&path).await, 200).await;
}

/// In each round every lease ends at once, so that the collection and six publishers want the
/// same contents at the same moment. No push of a manifest may then miss a blob.
async fn all_at_once(registry: &TestRegistry) {
    let mut collected = 0;
    for round in 0..8 {
        registry.later(Duration::hours(26));
        let pushing = (0..6).map(async |publisher: usize| {
            // Some contents are everybody's, one is new, and one nothing ever uses.
            let layers = [0, 1].map(|at| format!("layer {}", (publisher + at) % 3));
            let own = format!("config {publisher} {}", round % 2);
            push_again(registry, format!("{publisher} {round}").as_bytes()).await;
            let blobs = [own.as_bytes(), layers[0].as_bytes(), layers[1].as_bytes()];
            let manifest = image(registry, &format!("t{publisher}"), &blobs).await;
            let path = format!("/v2/{NAME}/manifests/{manifest}");
            expect(registry.admin.delete(&path).await, 202).await;
        });
        let pushed = AtomicBool::new(false);
        let collecting = async {
            let mut collected = 0;
            while !pushed.load(Ordering::SeqCst) {
                let report = collect(registry).await;
                collected += report.blobs + report.contents;
            }
            collected
        };
        let pushing = async {
            futures::future::join_all(pushing).await;
            pushed.store(true, Ordering::SeqCst);
        };
        let ((), now) = tokio::join!(pushing, collecting);
        collected += now;
    }
    assert!(collected > 0, "nothing was collected");
    let checked = fsck::run(&registry.app).await.expect("a check");
    assert_eq!(checked.problems, Vec::new());
}
