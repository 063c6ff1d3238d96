// SPDX-License-Identifier: Apache-2.0
//! A way back in for whoever runs the registry.

use reqwest::{Client, Method, Response, StatusCode};
use serde_json::Value;

use super::{Server, binary, stderr, stdout};

async fn send(server: &Server, method: Method, path: &str, token: &str) -> Response {
    let request = Client::new().request(method, format!("{}{path}", server.origin));
    let sent = request.basic_auth("anybody", Some(token)).send().await;
    sent.expect("an answer")
}

#[tokio::test]
async fn an_administrator_who_lost_every_token_comes_back_in() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let tokens = send(&server, Method::GET, "/api/v1/tokens", &server.token).await;
    let tokens: Value = tokens.json().await.expect("JSON");
    let path = format!(
        "/api/v1/tokens/{}",
        tokens[0]["id"].as_str().expect("an id")
    );
    let revoked = send(&server, Method::DELETE, &path, &server.token).await;
    assert_eq!(revoked.status(), StatusCode::NO_CONTENT);
    let who = async |token: &str| {
        send(&server, Method::GET, "/api/v1/account", token)
            .await
            .status()
    };
    assert_eq!(who(&server.token).await, StatusCode::UNAUTHORIZED);

    let console = |options: &[&str]| {
        let mut command = binary(&["--config", "/dev/null", "admin", "token"]);
        let output = command.args(options).arg("--data").arg(dir.path()).output();
        output.expect("the program runs")
    };
    let made = console(&["--hours", "2"]);
    assert!(made.status.success(), "{}", stderr(&made));
    let token = stdout(&made).trim().to_owned();
    assert!(stderr(&made).contains("administrator admin, shown only now"));
    assert!(!stderr(&made).contains(&token));
    assert_eq!(who(&token).await, StatusCode::OK);
    let log = send(&server, Method::GET, "/api/v1/audit?limit=1", &token).await;
    let log: Value = log.json().await.expect("JSON");
    let entry = &log["entries"][0];
    assert_eq!(entry["action"], "token.issue");
    assert_eq!(entry["credential"], "console");
    assert_eq!(entry["subject"], "account:admin");
    let verified = binary(&["--config", "/dev/null", "audit", "verify", "--data"])
        .arg(dir.path())
        .output();
    assert!(verified.expect("the program runs").status.success());

    let nobody = console(&["--account", "nobody"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(stderr(&nobody).contains("`nobody` is no administrator"));
    assert!(nobody.stdout.is_empty());
    // A mistyped directory is no empty registry.
    let elsewhere = dir.path().join("elsewhere");
    let mistyped = binary(&["--config", "/dev/null", "admin", "token", "--data"])
        .arg(&elsewhere)
        .output()
        .expect("the program runs");
    assert_eq!(mistyped.status.code(), Some(2));
    assert!(!elsewhere.exists());
    server.stop();
}
