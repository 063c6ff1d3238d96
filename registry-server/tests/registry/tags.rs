// SPDX-License-Identifier: Apache-2.0
//! Tags under conditions: of two writers who read the same, the second learns of the first.

use registry_schema::{Digest, media_type};
use reqwest::{Method, Response};
use serde_json::json;

use crate::support::{TestRegistry, User, expect, header, refused};

const PATH: &str = "/v2/demo/tags/manifests";

fn index(number: u32) -> Vec<u8> {
    json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [], "annotations": {"n": number.to_string()}})
        .to_string()
        .into_bytes()
}

async fn write(
    user: &User,
    method: Method,
    reference: &str,
    condition: (&str, &str),
    body: Vec<u8>,
) -> Response {
    let request = user.request(method, &format!("{PATH}/{reference}"));
    let request = request.header("content-type", media_type::OCI_INDEX);
    let request = request.header(condition.0, condition.1).body(body);
    request.send().await.expect("an answer")
}

#[tokio::test]
async fn a_tag_is_set_only_if_it_is_what_was_read() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    let put = async |condition: (&str, &str), number: u32| {
        write(admin, Method::PUT, "edge", condition, index(number)).await
    };
    let tag = |number: u32| format!("\"{}\"", Digest::sha256(&index(number)));
    refused(put(("if-match", "*"), 1).await, 412, "DENIED").await;
    expect(put(("if-none-match", "*"), 1).await, 201).await;
    let message = refused(put(("if-none-match", "*"), 2).await, 412, "DENIED").await;
    assert!(
        message.contains(Digest::sha256(&index(1)).as_str()),
        "{message}"
    );
    refused(put(("if-match", &tag(2)), 3).await, 412, "DENIED").await;
    refused(put(("if-match", "nonsense"), 3).await, 412, "DENIED").await;
    refused(put(("if-none-match", &tag(1)), 3).await, 412, "DENIED").await;
    expect(
        put(("if-match", &format!("{}, {}", tag(9), tag(1))), 2).await,
        201,
    )
    .await;
    // A refused write leaves nothing behind.
    let third = format!("{PATH}/{}", Digest::sha256(&index(3)));
    assert_eq!(admin.head(&third).await.status(), 404);
    let delete = |condition: String| async move {
        let condition = ("if-match", condition.as_str());
        write(admin, Method::DELETE, "edge", condition, Vec::new()).await
    };
    refused(delete(tag(1)).await, 412, "DENIED").await;
    expect(delete(tag(2)).await, 202).await;
    // By digest, the condition is on the tags of the parameters.
    let by_digest = format!("{}?tag=a&tag=b", Digest::sha256(&index(1)));
    let absent = ("if-none-match", "*");
    expect(
        write(admin, Method::PUT, &by_digest, absent, index(1)).await,
        201,
    )
    .await;
    refused(
        write(admin, Method::PUT, &by_digest, absent, index(1)).await,
        412,
        "DENIED",
    )
    .await;
}

#[tokio::test]
async fn of_ten_writers_who_read_the_same_tag_one_wins() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    expect(
        admin
            .put_manifest("demo/tags", "edge", media_type::OCI_INDEX, &index(0))
            .await,
        201,
    )
    .await;
    let read = admin.get(&format!("{PATH}/edge")).await;
    let etag = header(&read, "etag").to_owned();
    let writes = (1..=10).map(|number| {
        let etag = etag.clone();
        async move {
            let condition = ("if-match", etag.as_str());
            let answer = write(admin, Method::PUT, "edge", condition, index(number)).await;
            (number, answer.status().as_u16())
        }
    });
    let mut answers = futures::future::join_all(writes).await;
    answers.retain(|(_, status)| *status != 412);
    let [(winner, 201)] = answers[..] else {
        panic!("{answers:?}");
    };
    let now = admin.get(&format!("{PATH}/edge")).await;
    assert_eq!(now.bytes().await.expect("a body"), index(winner));
}

#[tokio::test]
async fn a_poll_for_what_is_known_gets_no_body() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    let body = index(0);
    let put = admin.put_manifest("demo/tags", "edge", media_type::OCI_INDEX, &body);
    expect(put.await, 201).await;
    let digest = Digest::sha256(&index(0));
    for reference in ["edge", digest.as_str()] {
        for known in [
            format!("\"{digest}\""),
            format!("W/\"{digest}\""),
            "*".to_owned(),
        ] {
            let request = admin.request(Method::GET, &format!("{PATH}/{reference}"));
            let answer = request.header("if-none-match", known).send().await;
            let answer = expect(answer.expect("an answer"), 304).await;
            assert_eq!(header(&answer, "etag"), format!("\"{digest}\""));
            assert!(answer.bytes().await.expect("no body").is_empty());
        }
        let request = admin.request(Method::GET, &format!("{PATH}/{reference}"));
        let answer = request.header("if-none-match", "\"sha256:0\"").send().await;
        expect(answer.expect("an answer"), 200).await;
    }
    let missing = admin.request(Method::GET, &format!("{PATH}/sha256:{}", "0".repeat(64)));
    let answer = missing.header("if-none-match", "*").send().await;
    expect(answer.expect("an answer"), 404).await;
}

#[tokio::test]
async fn more_tags_than_the_limit_are_refused_as_a_whole() {
    let registry = TestRegistry::start().await;
    let tags = |number: usize| -> String {
        let all: Vec<_> = (0..number).map(|at| format!("tag=t{at}")).collect();
        format!("{}?{}", Digest::sha256(&index(0)), all.join("&"))
    };
    let put = async |number: usize| {
        let admin = &registry.admin;
        let reference = tags(number);
        admin
            .put_manifest("demo/tags", &reference, media_type::OCI_INDEX, &index(0))
            .await
    };
    refused(put(51).await, 414, "SIZE_INVALID").await;
    let answer = expect(put(50).await, 201).await;
    assert_eq!(answer.headers().get_all("oci-tag").iter().count(), 50);
    let listed = registry.anonymous.json("/v2/demo/tags/tags/list").await;
    assert_eq!(listed["tags"].as_array().expect("a list").len(), 50);
}
