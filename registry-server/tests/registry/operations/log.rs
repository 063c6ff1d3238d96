// SPDX-License-Identifier: Apache-2.0
//! The log says what happened, under the request's identifier, and gives no secret away.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;
use tempfile::TempDir;

use super::Server;

#[tokio::test]
async fn the_log_is_json_with_request_ids_and_without_secrets() {
    const PASSWORD: &str = "canary-hunter2-password";
    let dir = TempDir::new().expect("a directory");
    let server = Server::start(dir.path(), &["--log", "trace", "--log-format", "json"]);
    let (origin, token) = (server.origin.clone(), server.token.clone());
    let client = reqwest::Client::new();
    let send = async |request: reqwest::RequestBuilder| request.send().await.expect("an answer");
    let namespace = client.post(format!("{origin}/api/v1/namespaces"));
    let body = "{\"name\":\"demo\",\"visibility\":\"private\"}";
    let made = send(
        namespace
            .bearer_auth(&token)
            .header("x-request-id", "story-1")
            .body(body),
    )
    .await;
    assert_eq!(made.status(), 201);
    let grant = client.get(format!("{origin}/token?scope=repository:demo/x:pull,push"));
    let grant: Value = send(grant.basic_auth("admin", Some(&token)))
        .await
        .json()
        .await
        .expect("JSON");
    let bearer = grant["token"].as_str().expect("a token").to_owned();
    let upload = client.post(format!("{origin}/v2/demo/x/blobs/uploads/"));
    let upload = send(upload.bearer_auth(&bearer).header("content-length", 0)).await;
    assert_eq!(upload.status(), 202);
    let wrong = client
        .get(format!("{origin}/v2/"))
        .basic_auth("admin", Some(PASSWORD));
    assert_eq!(send(wrong).await.status(), 401);
    let metrics = client
        .get(format!("{origin}/metrics"))
        .send()
        .await
        .expect("an answer");
    let metrics = metrics.text().await.expect("text");
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");

    let basic = BASE64_STANDARD.encode(format!("admin:{token}"));
    for secret in [PASSWORD, &token, &bearer, &basic] {
        assert!(!log.contains(secret), "a secret is in the log: {secret}");
        assert!(
            !metrics.contains(secret),
            "a secret is in the metrics: {secret}"
        );
    }
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    let answered = lines
        .iter()
        .find(|line| line["fields"]["message"] == "answered" && line["span"]["id"] == "story-1");
    let answered = answered.expect("the request is in the log");
    assert_eq!(answered["fields"]["status"], 201);
    assert_eq!(answered["span"]["path"], "/api/v1/namespaces");
    assert!(
        !log.contains("/metrics"),
        "what asks every few seconds fills the log"
    );
}
