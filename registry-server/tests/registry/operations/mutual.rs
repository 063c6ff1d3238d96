// SPDX-License-Identifier: Apache-2.0
//! Clients that show certificates, through real handshakes: who they are, until when, and
//! how a registry that demands them is watched.

use std::net::TcpListener;

use registry_schema::account::NewCertificate;
use registry_server::{
    config::{ClientAuth, TlsVersion},
    service::certificate,
};
use serde_json::Value;
use tempfile::TempDir;

use super::{
    binary, stderr,
    tls::{Authority, Client, Identity, serve},
};
use crate::support::{
    TestRegistry, User, administrator, expect, package::PackageBuilder, process::Process,
};

/// Somebody with a certificate, on connections of their own.
fn somebody(registry: &TestRegistry, authority: &Authority, shows: &Identity) -> User {
    let pem = format!("{}{}", shows.key.serialize_pem(), shows.pem);
    let root = reqwest::Certificate::from_pem(authority.pem.as_bytes()).expect("a certificate");
    let client = reqwest::Client::builder()
        .tls_certs_only([root])
        .identity(reqwest::Identity::from_pem(pem.as_bytes()).expect("an identity"));
    User {
        client: client.build().expect("a client"),
        origin: registry.origin.clone(),
        token: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_whom_its_certificate_stands_for() {
    let ours = Authority::new();
    let dir = TempDir::new().expect("a directory");
    ours.issue("127.0.0.1", 1, |_| {}).write(dir.path());
    std::fs::write(dir.path().join("clients.crt"), &ours.pem).expect("a file");
    std::fs::write(dir.path().join("clients.crl"), ours.revoke(13)).expect("a file");
    let registry = serve(dir.path(), ClientAuth::Optional, TlsVersion::Tls12).await;
    registry.user("alice", Some("publisher")).await;
    let rule = NewCertificate {
        kind: "dns".to_owned(),
        value: "alice.example".to_owned(),
        account: "alice".to_owned(),
    };
    let added = certificate::add(&registry.app, &administrator(), rule).await;
    added.expect("it is mapped");

    let shows = ours.issue("alice.example", 20, |_| {});
    let alice = somebody(&registry, &ours, &shows);
    let own = alice.json("/api/v1/account").await;
    assert_eq!(own["name"], "alice");
    assert_eq!(own["credential"], "certificate dns:alice.example");
    let packed = PackageBuilder::new("demo/by-certificate", "1.0.0").pack();
    expect(packed.push(&alice, "1.0.0").await, 201).await;
    expect(alice.get("/v2/secret/x/tags/list").await, 404).await;
    // Container tools ask for a token first, and get one for the same account.
    let scope = "/token?scope=repository:demo/by-certificate:pull,push";
    let granted: Value = alice.get(scope).await.json().await.expect("JSON");
    let bearer = granted["token"].as_str().expect("a token").to_owned();
    let ping = alice.client.get(format!("{}/v2/", registry.origin));
    let ping = ping.bearer_auth(bearer).send().await.expect("an answer");
    expect(ping, 200).await;

    // Another certificate of the same authority stands for nobody, and reads what all may.
    let stranger = somebody(&registry, &ours, &ours.issue("bob.example", 21, |_| {}));
    expect(stranger.get("/api/v1/account").await, 401).await;
    let path = "/api/v1/packages/demo/by-certificate";
    expect(stranger.get(path).await, 200).await;

    // Revoked, it does not even get in.
    std::fs::write(dir.path().join("clients.crl"), ours.revoke(20)).expect("a file");
    let tls = registry.app.tls.as_ref().expect("TLS");
    assert!(tls.reload().expect("a list"));
    let again = somebody(&registry, &ours, &shows);
    let refused = again.request(reqwest::Method::GET, path).send().await;
    assert!(refused.is_err(), "{refused:?}");
}

/// Options of a server with the files of `dir`.
fn options<'a>(files: &'a [String; 3], auth: &'a str) -> Vec<&'a str> {
    let [certificate, key, clients] = files;
    let certificate = ["--tls-certificate", certificate, "--tls-key", key];
    let clients = ["--tls-client-ca", clients, "--tls-client-auth", auth];
    [certificate, clients].concat()
}

fn files(dir: &TempDir) -> [String; 3] {
    ["tls.crt", "tls.key", "clients.crt"].map(|name| dir.path().join(name).display().to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_taken_on_the_signal() {
    let ours = Authority::new();
    let dir = TempDir::new().expect("a directory");
    let first = ours.issue("localhost", 1, |_| {});
    first.write(dir.path());
    std::fs::write(dir.path().join("clients.crt"), &ours.pem).expect("a file");
    let data = dir.path().join("data");
    let server = Process::start(&data, &options(&files(&dir), "optional"));
    let host = server.origin.strip_prefix("https://").expect("TLS");
    let client = Client::new(&ours);
    let shown = async || client.ask_at(host).await.expect("an answer").1;
    assert_eq!(shown().await, first.certificate);
    let second = ours.issue("localhost", 2, |_| {});
    second.write(dir.path());
    let id = i32::try_from(server.id()).expect("an id");
    let id = rustix::process::Pid::from_raw(id).expect("a process");
    rustix::process::kill_process(id, rustix::process::Signal::HUP).expect("it is ours");
    while shown().await != second.certificate {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_demands_certificates_is_watched_without_one() {
    let ours = Authority::new();
    let dir = TempDir::new().expect("a directory");
    ours.issue("localhost", 1, |_| {}).write(dir.path());
    std::fs::write(dir.path().join("clients.crt"), &ours.pem).expect("a file");
    // Nobody else on this machine takes ports by number.
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let probes = free.local_addr().expect("an address").to_string();
    drop(free);
    let (data, files) = (dir.path().join("data"), files(&dir));
    let mut serving = options(&files, "required");
    serving.extend(["--probe-listen", &probes]);
    let mut server = Process::start(&data, &serving);
    let listen = server
        .origin
        .strip_prefix("https://")
        .expect("TLS")
        .to_owned();

    let health = |more: &[&str]| {
        let verb = ["--config", "/dev/null", "health", "--listen", &listen];
        binary(&[&verb[..], more].concat())
            .output()
            .expect("it runs")
    };
    let certificate = ["--tls-certificate", &files[0]];
    let refused = health(&certificate);
    assert_eq!(refused.status.code(), Some(6), "{}", stderr(&refused));
    let probe = [&certificate[..], &["--probe-listen", &probes]].concat();
    let well = health(&probe);
    assert_eq!(well.status.code(), Some(0), "{}", stderr(&well));
    let get = async |path: &str| {
        let answer = reqwest::get(format!("http://{probes}{path}")).await;
        answer.expect("an answer").status().as_u16()
    };
    assert_eq!((get("/healthz").await, get("/metrics").await), (200, 200));
    assert_eq!(
        (get("/v2/").await, get("/api/v1/packages").await),
        (404, 404)
    );
    server.kill();
    assert_eq!(health(&probe).status.code(), Some(6));
}
