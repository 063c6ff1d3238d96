// SPDX-License-Identifier: Apache-2.0
//! The program itself, at its most talkative: what it writes anywhere holds no secret; and what
//! it says of its audit log.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_bpfpkg-registry");
const PASSWORD: &str = "canary-correct-horse";

struct Server {
    child: Child,
    origin: String,
    token: String,
}

impl Server {
    fn start(data: &Path) -> Self {
        let log = std::fs::File::create(data.join("log")).expect("a log");
        let mut child = Command::new(PROGRAM)
            .args([
                "--log",
                "trace",
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--data",
            ])
            .arg(data.join("data"))
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the server starts");
        let out = child.stdout.take().expect("a pipe");
        let mut lines = BufReader::new(out).lines().map_while(Result::ok);
        let first = lines.next().expect("a first line");
        let origin = first.strip_prefix("listening on ").expect("an address");
        let token = lines.find_map(|line| {
            let line = line.trim();
            line.starts_with("bpfpkg_").then(|| line.to_owned())
        });
        Self {
            child,
            origin: origin.to_owned(),
            token: token.expect("a token"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Signs in through the form, and gives the secret of the session.
async fn session(client: &Client, origin: &str) -> String {
    let page = client
        .get(format!("{origin}/login"))
        .send()
        .await
        .expect("an answer");
    let cookie = page.headers()["set-cookie"].to_str().expect("text");
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    let page = page.text().await.expect("a page");
    let csrf = page
        .split("name=\"csrf\" value=\"")
        .nth(1)
        .expect("a field");
    let csrf = csrf.split('"').next().expect("an end");
    let form = format!("csrf={csrf}&name=canary&password={PASSWORD}");
    let form = client
        .post(format!("{origin}/login"))
        .header("cookie", &cookie)
        .body(form);
    let form = form.send().await.expect("an answer");
    assert_eq!(form.status(), 303);
    let session = form.headers()["set-cookie"].to_str().expect("text");
    let (_, session) = session
        .split(';')
        .next()
        .expect("a pair")
        .split_once('=')
        .expect("a value");
    session.to_owned()
}

/// Uses every kind of secret, right and wrong, and gives all of them, and all answers that
/// should not hold them.
async fn use_secrets(server: &Server) -> (Vec<String>, Vec<String>) {
    let client = Client::builder().redirect(reqwest::redirect::Policy::none());
    let client = client.build().expect("a client");
    let at = |path: &str| format!("{}{path}", server.origin);
    let mut secrets = vec![server.token.clone(), PASSWORD.to_owned()];
    let mut answers = Vec::new();
    let text = async |answer: Response| answer.text().await.expect("a body");
    let as_admin = |method, path: &str| client.request(method, at(path)).bearer_auth(&server.token);
    let new = json!({"name": "canary", "password": PASSWORD});
    answers.push(
        text(
            as_admin(Method::POST, "/api/v1/accounts")
                .json(&new)
                .send()
                .await
                .expect("an answer"),
        )
        .await,
    );
    let made = as_admin(Method::POST, "/api/v1/tokens").json(&json!({"label": "canary"}));
    let made: Value = made
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    secrets.push(made["token"].as_str().expect("a token").to_owned());
    let path = "/token?offline_token=true&client_id=x&scope=repository:demo/x:pull";
    let bearer = client.get(at(path)).basic_auth("canary", Some(PASSWORD));
    let bearer: Value = bearer
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    for name in ["token", "refresh_token"] {
        secrets.push(bearer[name].as_str().expect("a token").to_owned());
    }
    secrets.push(session(&client, &server.origin).await);
    // Wrong ones, which may be nearly right.
    let wrong = format!("{}x", server.token);
    for value in [
        format!("Bearer {wrong}"),
        format!("Basic {wrong}"),
        format!("Digest {wrong}"),
        wrong.clone(),
    ] {
        let request = client
            .get(at("/v2/demo/x/tags/list"))
            .header("authorization", value);
        answers.push(text(request.send().await.expect("an answer")).await);
    }
    secrets.push("canary-id.token.x".to_owned());
    let asked = client
        .post(at("/api/v1/oidc/exchange"))
        .json(&json!({"token": "canary-id.token.x"}));
    answers.push(text(asked.send().await.expect("an answer")).await);
    let broken = format!("{{\"token\": \"{}\"", server.token);
    answers.push(
        text(
            as_admin(Method::POST, "/api/v1/tokens")
                .body(broken)
                .send()
                .await
                .expect("an answer"),
        )
        .await,
    );
    for path in [
        "/metrics",
        "/api/v1/tokens",
        "/api/v1/audit?limit=1000",
        "/api/v1/accounts",
    ] {
        answers.push(text(as_admin(Method::GET, path).send().await.expect("an answer")).await);
    }
    (secrets, answers)
}

fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() {
            files(&entry.path(), found);
        } else {
            let bytes = std::fs::read(entry.path()).expect("a file");
            found.push((entry.path().display().to_string(), bytes));
        }
    }
}

#[tokio::test]
async fn no_secret_is_written_anywhere() {
    let dir = TempDir::new().expect("a directory");
    let server = Server::start(dir.path());
    let (secrets, answers) = use_secrets(&server).await;
    drop(server);
    let mut written: Vec<_> = answers
        .into_iter()
        .map(|text| ("an answer".to_owned(), text.into_bytes()))
        .collect();
    files(dir.path(), &mut written);
    let log = written
        .iter()
        .find(|(name, _)| name.ends_with("/log"))
        .expect("a log");
    assert!(log.1.len() > 1000, "the log says something");
    for secret in &secrets {
        // Also the secret part alone, without what every token begins with.
        let needle = secret.strip_prefix("bpfpkg_").unwrap_or(secret).as_bytes();
        for (place, bytes) in &written {
            let found = bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!found, "{place} holds {secret}");
        }
    }
}

fn audit(data: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("audit").args(arguments).arg("--data").arg(data);
    command.output().expect("it runs")
}

#[tokio::test]
async fn the_program_checks_and_exports_its_audit_log() {
    let dir = TempDir::new().expect("a directory");
    let server = Server::start(dir.path());
    use_secrets(&server).await;
    let data = dir.path().join("data");
    // While it runs.
    let whole = audit(&data, &["verify"]);
    assert_eq!(
        whole.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&whole.stderr)
    );
    let text = String::from_utf8(whole.stdout).expect("text");
    let noted = text
        .lines()
        .last()
        .expect("a line")
        .rsplit(' ')
        .next()
        .expect("a note")
        .to_owned();
    assert_eq!(
        audit(&data, &["verify", "--noted", &noted]).status.code(),
        Some(0)
    );
    let (count, hash) = noted.split_once(':').expect("a pair");
    let other = format!("{count}:{}", hash.chars().rev().collect::<String>());
    assert_eq!(
        audit(&data, &["verify", "--noted", &other]).status.code(),
        Some(20)
    );
    assert_eq!(
        audit(&data, &["verify", "--noted", "x"]).status.code(),
        Some(2)
    );
    drop(server);
    let export = audit(&data, &["export", "--after", "2"]);
    let export = String::from_utf8(export.stdout).expect("text");
    let mut previous = None;
    for line in export.lines() {
        let entry: registry_schema::audit::AuditEntry =
            serde_json::from_str(line).expect("an entry");
        assert_eq!(entry.digest().expect("a hash"), entry.hash);
        assert!(previous.is_none_or(|previous| previous == entry.previous));
        previous = Some(entry.hash);
    }
    assert_eq!(
        export.lines().count() + 2,
        count.parse::<usize>().expect("a number")
    );
    // Somebody edits the database.
    let url = format!("sqlite://{}", data.join("registry.db").display());
    let pool = sqlx::SqlitePool::connect(&url).await.expect("the database");
    let edit = "update audit_log set actor = 'nobody' where sequence = 2";
    sqlx::query(edit).execute(&pool).await.expect("an edit");
    pool.close().await;
    let broken = audit(&data, &["verify"]);
    assert_eq!(broken.status.code(), Some(20));
    let text = String::from_utf8(broken.stdout).expect("text");
    assert!(text.contains("BROKEN at entry 2"), "{text}");
    // A mistyped directory is no empty log.
    assert_eq!(
        audit(&dir.path().join("data2"), &["verify"]).status.code(),
        Some(2)
    );
    assert!(!dir.path().join("data2").exists());
}
