// SPDX-License-Identifier: Apache-2.0
//! Who stands behind a namespace: a domain that carries a line, and an account at a forge
//! whose jobs publish here. What is not seen for a while lapses.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
};

use chrono::TimeDelta;

use crate::{
    home::{Ended, Home},
    instance::Instance,
    stage::Stage,
};

/// A web server with one file, if it has any. It lives as long as the test process.
struct Domain {
    name: String,
    file: Arc<Mutex<Option<String>>>,
}

impl Domain {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let file = Arc::new(Mutex::new(None::<String>));
        let served = Arc::clone(&file);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 4096]);
                let text = served.lock().expect("a lock").clone();
                let (status, text) = match text {
                    Some(text) => ("200 OK", text),
                    None => ("404 Not Found", String::new()),
                };
                let length = text.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}"
                );
            }
        });
        let name = format!("localhost:{port}");
        Self { name, file }
    }

    fn carries(&self, text: Option<&str>) {
        *self.file.lock().expect("a lock") = text.map(str::to_owned);
    }
}

/// A registry that asks domains on this machine, with a signed `demo/counter` 0.1.0.
async fn published(issuers: Vec<String>) -> Stage {
    let stage = Stage::set_with(|mut config| {
        config.allow_private = vec![
            "127.0.0.0/8".parse().expect("a network"),
            "::1/128".parse().expect("a network"),
        ];
        config.access.oidc_issuers = issuers;
        config
    })
    .await;
    stage.opened();
    stage.publish("0.1.0", "alice");
    stage
}

fn proof(home: &Home, words: &[&str]) -> Ended {
    home.run(&[&["namespace", "proof"], words].concat())
}

/// How far the registry trusts the version, and why.
fn level(home: &Home) -> (String, String) {
    let info = ["info", "demo/counter:0.1.0", "--output", "json"];
    let info = home.run(&info).exits(0).json();
    let level = info["level"].as_str().expect("a level").to_owned();
    (level, info["level_reasons"].to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_shows_whose_a_namespace_is_until_it_carries_the_line_no_more() {
    let (stage, domain) = (published(Vec::new()).await, Domain::start());
    let (admin, user) = (&stage.admin, Home::with_registry(&stage.host()));
    let add = ["add", "demo", &domain.name];
    proof(&user, &add).exits(4);
    for wrong in ["10.0.0.1", "example.org/path", "Example.org", ""] {
        proof(admin, &["add", "demo", wrong])
            .exits(1)
            .says(&["host name"]);
    }
    let first = proof(admin, &add).exits(0);
    for words in [
        "not shown yet",
        "404",
        "/.well-known/bpfpkg.txt, and repeat:",
    ] {
        assert!(first.stderr.contains(words), "{words}: {first:?}");
    }
    let line = first.stdout.trim_end();
    let begins = format!("bpfpkg-namespace={}/demo ", stage.host());
    assert!(
        line.starts_with(&begins) && !line.contains('\n'),
        "{first:?}"
    );
    assert_eq!(level(&user).0, "L1");

    domain.carries(Some(&format!("# our namespaces\n{line}\n")));
    let seen = proof(admin, &add).exits(0);
    assert!(seen.stderr.contains("counts until 20"), "{seen:?}");
    assert_eq!(seen.stdout, "", "nothing is left to be done");
    assert_eq!(level(&user).0, "L2");
    let listed = proof(&user, &["list", "demo"]).exits(0).stdout;
    assert!(
        listed.contains("domain") && listed.contains(&domain.name) && !listed.contains(line),
        "{listed}"
    );
    // It is gone: what was seen counts for a while, and is said to be in doubt.
    domain.carries(Some("something else\n"));
    let json = [&add[..], &["--output", "json"]].concat();
    let again = proof(admin, &json).exits(0).json();
    assert_eq!(again["valid"], true);
    assert!(
        again["failure"]
            .as_str()
            .expect("a reason")
            .contains("no line")
    );
    let listed = proof(&user, &["list", "demo"]).exits(0).stdout;
    assert!(
        listed.contains("since then: /.well-known/bpfpkg.txt has no line"),
        "{listed}"
    );
    let token = line.split(' ').next_back().expect("a token");
    assert!(!listed.contains(token), "it is the maintainers': {listed}");
    let stage = stage.after(TimeDelta::days(31)).await;
    let (reached, reasons) = level(&user);
    assert_eq!(reached, "L1");
    assert!(reasons.contains("lapsed"), "{reasons}");
    let listed = proof(&user, &["list", "demo"]).exits(0).stdout;
    assert!(listed.contains("lapsed on 20"), "{listed}");
    // It carries the line again, as before.
    domain.carries(Some(line));
    proof(&stage.admin, &add).exits(0);
    assert_eq!(level(&user).0, "L2");
    let said = proof(&stage.admin, &["remove", "demo", &domain.name])
        .exits(0)
        .stderr;
    assert!(said.contains("stands behind demo no more"), "{said}");
    proof(&stage.admin, &["remove", "demo", &domain.name])
        .exits(3)
        .says(&[&domain.name]);
    assert_eq!(level(&user).0, "L1");
    stage.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_at_a_forge_is_seen_when_its_job_names_the_namespace() {
    let Some(instance) = Instance::start() else {
        return;
    };
    let stage = published(vec![instance.url.clone()]).await;
    let (admin, user) = (&stage.admin, Home::with_registry(&stage.host()));
    let account = format!("oidc:{}#repo:demo/*:environment:release", instance.url);
    proof(
        admin,
        &["add", "demo", "oidc:https://nobody.example#repo:demo/*"],
    )
    .exits(1)
    .says(&["https://nobody.example", &instance.url]);
    proof(admin, &["add", "demo", "oidc:nonsense"])
        .exits(2)
        .says(&["oidc:"]);
    let added = proof(admin, &["add", "demo", &account]).exits(0);
    assert!(
        added.stderr.contains("not shown yet")
            && added.stderr.contains("token exchange --namespace demo"),
        "{added:?}"
    );
    let rule = [
        "namespace",
        "publisher",
        "add",
        "demo",
        "ci",
        "--issuer",
        &instance.url,
        "--subject",
        "repo:*:environment:release",
    ];
    admin.run(&rule).exits(0);
    let job = async |asks_as: &str, more: &[&str]| {
        let url = format!("{}/id-token?audience={}", instance.url, stage.host());
        let asked = reqwest::Client::new()
            .get(url)
            .header("authorization", format!("bearer {asks_as}"));
        let said = asked
            .send()
            .await
            .expect("an answer")
            .text()
            .await
            .expect("text");
        let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
        let token = said["value"].as_str().expect("a token").to_owned();
        let home = Home::with_registry(&stage.host());
        home.run_with(&[&["token", "exchange"], more].concat(), &token, &[])
    };
    let shown = || {
        proof(&user, &["list", "demo", "--output", "json"])
            .exits(0)
            .json()[0]
            .clone()
    };
    // A job that names nobody shows nothing, nor does one of another account.
    job("job", &[]).await.exits(0);
    job("stranger", &["--namespace", "demo"]).await.exits(0);
    assert_eq!(shown()["valid"], false, "{}", shown());
    assert_eq!(level(&user).0, "L1");
    job("job", &["--namespace", "demo"]).await.exits(0);
    assert_eq!(
        (&shown()["valid"], &shown()["kind"]),
        (&true.into(), &"forge".into())
    );
    let (reached, reasons) = level(&user);
    assert_eq!(reached, "L2");
    assert!(reasons.contains(&account), "{reasons}");
    let listed = proof(&user, &["list", "demo"]).exits(0).stdout;
    assert!(
        listed.contains("forge") && listed.contains("counts until 20"),
        "{listed}"
    );

    let stage = stage.after(TimeDelta::days(31)).await;
    assert_eq!(level(&user).0, "L1", "no job of it was seen for a month");
    let listed = proof(&user, &["list", "demo"]).exits(0).stdout;
    assert!(listed.contains("lapsed on 20"), "{listed}");
    let said = proof(&stage.admin, &["remove", "demo", &account])
        .exits(0)
        .stderr;
    assert!(said.contains("stands behind demo no more"), "{said}");
    stage.running.shutdown().await;
}
