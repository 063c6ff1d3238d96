// SPDX-License-Identifier: Apache-2.0
//! Several registries on one PostgreSQL and one bucket are one registry.

use std::{collections::BTreeSet, path::Path, time::Duration};

use registry_schema::Digest;
use reqwest::{Client, Method, StatusCode};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    crash::{NAME, Publisher, follow},
    engines::{Cluster, binaries, skip},
    support::{
        nginx::{self, Nginx, free_port},
        process::{Process, demand_clean},
        s3::S3Server,
    },
};

fn publisher(origin: &str, token: &str) -> Publisher {
    Publisher {
        client: Client::new(),
        origin: origin.to_owned(),
        token: token.to_owned(),
    }
}

/// The options of a replica.
fn options<'a>(
    database: &'a str,
    endpoint: &'a str,
    [access_key, secret_key]: &'a [String; 2],
    public_url: &'a str,
) -> Vec<&'a str> {
    vec![
        "--database",
        database,
        "--blobs",
        "s3://blobs/replicas",
        "--s3-endpoint",
        endpoint,
        "--s3-access-key",
        access_key,
        "--s3-secret-key",
        secret_key,
        "--public-url",
        public_url,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_are_one_registry() {
    if binaries().is_none() {
        return skip();
    }
    let Some(bucket) = S3Server::start().await else {
        return;
    };
    if nginx::program().is_none() {
        eprintln!(
            "\n*** nginx is not installed: the test of replicas is SKIPPED. make setup ***\n"
        );
        return;
    }
    let cluster = Cluster::start();
    let database = cluster.database("replicas").await;
    let port = free_port();
    let public_url = format!("http://127.0.0.1:{port}");
    let keys = S3Server::keys();
    let options = options(&database, &bucket.endpoint, &keys, &public_url);
    let dirs: Vec<TempDir> = (0..3)
        .map(|_| TempDir::new().expect("a directory"))
        .collect();
    // All at once, on an empty database: one makes the tables, one the administrator.
    let starting: Vec<Process> = dirs
        .iter()
        .map(|dir| Process::spawn(dir.path(), &options))
        .collect();
    let mut replicas: Vec<Process> = starting.into_iter().map(Process::listening).collect();
    for replica in &mut replicas {
        // What it prints is the public URL; what it listens on, the system knows.
        replica.origin = listening_on(replica.id());
    }
    let tokens: Vec<String> = replicas.iter().filter_map(Process::token).collect();
    assert_eq!(tokens.len(), 1, "one administrator");
    let servers = replicas.iter().map(|replica| {
        let host = &replica.origin;
        format!("server {host} max_fails=1 fail_timeout=1s;")
    });
    let proxy = Nginx::start(port, &servers.collect::<Vec<_>>(), "", "");
    let direct: Vec<Publisher> = replicas
        .iter()
        .map(|replica| publisher(&format!("http://{}", replica.origin), &tokens[0]))
        .collect();
    let namespace = json!({"name": "demo"}).to_string();
    let path = "/api/v1/namespaces";
    let made = direct[0].send(Method::POST, path, "application/json", namespace.as_bytes());
    assert_eq!(made.await.map(|status| status.is_success()), Some(true));

    one_upload_on_all(&direct).await;
    one_token_on_all(&direct).await;
    // A push on one is pulled and found on all at once.
    direct[0].publish("1.0.0").await.expect("a push");
    for replica in &direct {
        follow(replica, "1.0.0").await;
        let found = replica.json("/api/v1/search?q=pass").await;
        assert_eq!(found["packages"][0]["name"], NAME, "{found}");
    }
    storm(&proxy, &mut replicas, &tokens[0], &direct[2]).await;
    for replica in [&direct[0], &direct[2]] {
        let found = replica.json("/api/v1/search?q=pass").await;
        assert_eq!(found["packages"][0]["version"], "2.7.5", "{found}");
    }
    let beside = TempDir::new().expect("a directory");
    demand_clean(beside.path(), &options);
}

/// The address that a process listens on.
fn listening_on(id: u32) -> String {
    let sockets: BTreeSet<String> = std::fs::read_dir(format!("/proc/{id}/fd"))
        .expect("a process")
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .filter_map(|link| {
            let name = link.to_string_lossy().into_owned();
            name.strip_prefix("socket:[")?
                .strip_suffix(']')
                .map(str::to_owned)
        })
        .collect();
    let table = std::fs::read_to_string(Path::new("/proc/net/tcp")).expect("a table");
    let port = table.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let listens = words[3] == "0A" && sockets.contains(words[9]);
        let port = words[1].split(':').nth(1)?;
        listens.then(|| u16::from_str_radix(port, 16).expect("a port"))
    });
    format!("127.0.0.1:{}", port.expect("it listens"))
}

/// An upload is begun, continued and finished each on another replica.
async fn one_upload_on_all(direct: &[Publisher]) {
    let content: Vec<u8> = (0..9_000_000_u32).map(|at| at.to_le_bytes()[1]).collect();
    let start = format!("{}/v2/{NAME}/blobs/uploads/", direct[0].origin);
    let begun = direct[0]
        .client
        .post(start)
        .basic_auth("admin", Some(&direct[0].token))
        .body("");
    let begun = begun.send().await.expect("an answer");
    assert_eq!(begun.status(), StatusCode::ACCEPTED);
    let location = begun.headers()["location"]
        .to_str()
        .expect("text")
        .to_owned();
    let mut first = 0;
    for (part, replica) in content.chunks(3_000_000).zip(direct.iter().cycle().skip(1)) {
        let range = format!("{first}-{}", first + part.len() - 1);
        let send = async |replica: &Publisher| {
            let request = replica
                .client
                .patch(format!("{}{location}", replica.origin));
            let request = request.basic_auth("admin", Some(&replica.token));
            let request = request.header("content-range", &range).body(part.to_vec());
            request.send().await.expect("an answer").status().as_u16()
        };
        // The same chunk to two replicas at the same time: one of them counts.
        let answers = tokio::join!(send(replica), send(&direct[0]));
        let mut answers = [answers.0, answers.1];
        answers.sort_unstable();
        assert_eq!(answers, [202, 416]);
        first += part.len();
    }
    let digest = Digest::sha256(&content);
    let end = format!("{location}?digest={digest}");
    let done = direct[2]
        .send(Method::PUT, &end, "application/octet-stream", b"")
        .await;
    assert_eq!(done, Some(StatusCode::CREATED));
    for replica in direct {
        let got = replica.bytes(&format!("/v2/{NAME}/blobs/{digest}")).await;
        assert!(got == content, "the blob differs");
    }
}

/// A bearer token of one replica is good on the others.
async fn one_token_on_all(direct: &[Publisher]) {
    let scope = format!("repository:{NAME}:pull,push");
    let asked = direct[0]
        .json(&format!("/token?service=registry&scope={scope}"))
        .await;
    let token = asked["token"].as_str().expect("a token");
    for replica in direct {
        let start = format!("{}/v2/{NAME}/blobs/uploads/", replica.origin);
        let begun = replica.client.post(start).bearer_auth(token).body("");
        let begun = begun.send().await.expect("an answer");
        assert_eq!(begun.status(), StatusCode::ACCEPTED);
    }
}

/// Many push through the proxy while a replica is killed; what was acknowledged is there.
async fn storm(proxy: &Nginx, replicas: &mut [Process], token: &str, reader: &Publisher) {
    let pushing = (0..8).map(|pusher: u32| {
        let publisher = publisher(&proxy.origin, token);
        async move {
            for round in 0..6 {
                let version = format!("2.{pusher}.{round}");
                let mut tries = 0;
                while publisher.publish(&version).await.is_none() {
                    tries += 1;
                    assert!(tries < 100, "{version} is never acknowledged");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    });
    let killing = async {
        // In the middle of it: some are there, and not all.
        let tags = format!("/v2/{NAME}/tags/list");
        let count = async || {
            reader.json(&tags).await["tags"]
                .as_array()
                .map_or(0, Vec::len)
        };
        while count().await < 10 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        replicas[1].kill();
        assert!(count().await < 49, "the storm was over too soon");
    };
    tokio::join!(futures::future::join_all(pushing), killing);
    for pusher in 0..8 {
        for round in 0..6 {
            follow(reader, &format!("2.{pusher}.{round}")).await;
        }
    }
}
