// SPDX-License-Identifier: Apache-2.0
//! Push and pull of 20 kB packages against another registry in the same run.
//!
//! `PEER` is the address of a running registry to compare with; `make bench` starts
//! Debian's docker-registry for it. Prints ratios only: times of one machine say
//! nothing about another.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use registry_schema::{Digest, media_type};
use reqwest::{Client, Method, RequestBuilder, StatusCode, header};

const CLIENTS: usize = 8;
const PACKAGES: u32 = 200;
const BLOB: usize = 20 * 1024;
const ROUNDS: u32 = 5;

#[tokio::main]
async fn main() -> Result<()> {
    let Ok(peer) = std::env::var("PEER") else {
        println!("push_pull: set PEER to the address of a running registry, or use `make bench`");
        return Ok(());
    };
    let data = tempfile::tempdir()?;
    let (server, ours) = start(data.path())?;
    let theirs = Registry::new(peer, None)?;
    ours.request(Method::POST, "/api/v1/namespaces")
        .json(&serde_json::json!({"name": "bench"}))
        .send()
        .await?
        .error_for_status()?;
    // Once, before: docker-registry fails when several clients push the same blob.
    ours.push_blob(b"{}").await?;
    theirs.push_blob(b"{}").await?;
    let (mut push, mut pull) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        push.push((
            timed(push_all(&ours, round)).await?,
            timed(push_all(&theirs, round)).await?,
        ));
        pull.push((
            timed(pull_all(&ours, round)).await?,
            timed(pull_all(&theirs, round)).await?,
        ));
    }
    drop(server);
    report("push of 20 kB packages, 8 clients", &push);
    report("pull of 20 kB packages, 8 clients", &pull);
    Ok(())
}

/// Prints how many times as fast as the peer, as the median over the rounds.
fn report(name: &str, rounds: &[(Duration, Duration)]) {
    let mut ratios: Vec<f64> = rounds
        .iter()
        .map(|(ours, theirs)| theirs.as_secs_f64() / ours.as_secs_f64())
        .collect();
    ratios.sort_by(f64::total_cmp);
    let (low, median, high) = (
        ratios[0],
        ratios[ratios.len() / 2],
        ratios[ratios.len() - 1],
    );
    println!(
        "{name}: {median:.2} x docker-registry (from {low:.2} to {high:.2} in {ROUNDS} rounds)"
    );
}

async fn timed(work: impl Future<Output = Result<()>>) -> Result<Duration> {
    let start = Instant::now();
    work.await?;
    Ok(start.elapsed())
}

async fn push_all(registry: &Registry, round: u32) -> Result<()> {
    let numbers = (0..PACKAGES).map(|number| round * PACKAGES + number);
    stream::iter(numbers)
        .map(|number| push(registry, number))
        .buffer_unordered(CLIENTS)
        .try_collect()
        .await
}

async fn pull_all(registry: &Registry, round: u32) -> Result<()> {
    let numbers = (0..PACKAGES).map(|number| round * PACKAGES + number);
    stream::iter(numbers)
        .map(|number| pull(registry, number))
        .buffer_unordered(CLIENTS)
        .try_collect()
        .await
}

/// A package no other number has: one incompressible blob and its manifest.
fn package(number: u32) -> (Vec<u8>, Vec<u8>) {
    let mut state = u64::from(number) + 1;
    let blob: Vec<u8> = (0..BLOB)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect();
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": {"mediaType": media_type::OCI_EMPTY, "digest": Digest::sha256(b"{}"), "size": 2},
        "layers": [{"mediaType": media_type::OBJECT, "digest": Digest::sha256(&blob), "size": blob.len()}],
    });
    (blob, manifest.to_string().into_bytes())
}

async fn push(registry: &Registry, number: u32) -> Result<()> {
    let (blob, manifest) = package(number);
    registry.push_blob(&blob).await?;
    let path = format!("/v2/bench/packages/manifests/v{number}");
    let request = registry.request(Method::PUT, &path);
    let answer = request
        .header(header::CONTENT_TYPE, media_type::OCI_MANIFEST)
        .body(manifest)
        .send()
        .await?;
    expect(answer, StatusCode::CREATED).await.map(|_| ())
}

async fn pull(registry: &Registry, number: u32) -> Result<()> {
    let (blob, manifest) = package(number);
    let path = format!("/v2/bench/packages/manifests/v{number}");
    let request = registry
        .request(Method::GET, &path)
        .header(header::ACCEPT, media_type::OCI_MANIFEST);
    let found = expect(request.send().await?, StatusCode::OK).await?;
    ensure!(found == manifest, "manifest {number} came back changed");
    let path = format!("/v2/bench/packages/blobs/{}", Digest::sha256(&blob));
    let found = expect(
        registry.request(Method::GET, &path).send().await?,
        StatusCode::OK,
    )
    .await?;
    ensure!(found == blob, "blob {number} came back changed");
    Ok(())
}

async fn expect(answer: reqwest::Response, wanted: StatusCode) -> Result<Vec<u8>> {
    let status = answer.status();
    let body = answer.bytes().await?;
    ensure!(
        status == wanted,
        "{status} instead of {wanted}: {}",
        String::from_utf8_lossy(&body)
    );
    Ok(body.to_vec())
}

struct Registry {
    client: Client,
    base: String,
    token: Option<String>,
}

impl Registry {
    fn new(base: String, token: Option<String>) -> Result<Self> {
        let client = Client::builder().timeout(Duration::from_mins(1)).build()?;
        Ok(Self {
            client,
            base,
            token,
        })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.base)
        };
        let request = self.client.request(method, url);
        match &self.token {
            Some(token) => request.basic_auth("admin", Some(token)),
            None => request,
        }
    }

    async fn push_blob(&self, blob: &[u8]) -> Result<()> {
        let answer = self
            .request(Method::POST, "/v2/bench/packages/blobs/uploads/")
            .send()
            .await?;
        ensure!(
            answer.status() == StatusCode::ACCEPTED,
            "upload did not start: {}",
            answer.status()
        );
        let location = answer
            .headers()
            .get(header::LOCATION)
            .context("upload has no Location")?
            .to_str()?;
        let separator = if location.contains('?') { '&' } else { '?' };
        let url = format!("{location}{separator}digest={}", Digest::sha256(blob));
        let request = self
            .request(Method::PUT, &url)
            .header(header::CONTENT_TYPE, "application/octet-stream");
        expect(
            request.body(blob.to_vec()).send().await?,
            StatusCode::CREATED,
        )
        .await
        .map(|_| ())
    }
}

/// A server that ends with the benchmark.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing is left to do if it ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts our server on a free port and reads its address and first token.
fn start(data: &std::path::Path) -> Result<(Server, Registry)> {
    let child = Command::new(env!("CARGO_BIN_EXE_bpfpkg-registry"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut server = Server(child);
    let output = server.0.stdout.take().context("stdout is piped")?;
    let (mut address, mut token) = (None, None);
    for line in BufReader::new(output).lines() {
        let line = line?;
        for word in line.split_whitespace() {
            if word.starts_with("http://127.0.0.1:") {
                address = Some(word.trim_end_matches('/').to_owned());
            } else if word.starts_with("bpfpkg_") {
                token = Some(word.to_owned());
            }
        }
        if let (Some(base), Some(_)) = (&address, &token) {
            return Ok((server, Registry::new(base.clone(), token)?));
        }
    }
    bail!("the server ended before it printed its address and token")
}
