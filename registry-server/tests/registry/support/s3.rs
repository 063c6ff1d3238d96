// SPDX-License-Identifier: Apache-2.0
//! An S3 server to test against: moto, from the cache that `make setup` fills, or the one that
//! runs already, which `BPFPKG_TEST_S3` names as `endpoint,access-key,secret-key`.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use registry_server::config::Bucket;
use reqwest::StatusCode;

/// A server with one bucket, `blobs`: a private moto on a free port, or one for all tests.
pub(crate) struct S3Server {
    child: Option<Child>,
    pub(crate) endpoint: String,
}

/// Endpoint and keys of a server that runs already.
fn running() -> Option<[String; 3]> {
    let named = std::env::var("BPFPKG_TEST_S3").ok()?;
    let parts: Vec<_> = named.split(',').map(str::to_owned).collect();
    Some(parts.try_into().expect("endpoint,access-key,secret-key"))
}

/// Where `make setup` keeps tools that are no Debian packages.
fn cache() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from);
    set("BPFPKG_CACHE").unwrap_or_else(|| {
        let home = || set("HOME").unwrap_or_default().join(".cache");
        set("XDG_CACHE_HOME")
            .unwrap_or_else(home)
            .join("bpfpkg-tools")
    })
}

impl S3Server {
    /// Starts it; `None`, said loudly, where it is not installed.
    pub(crate) async fn start() -> Option<Self> {
        if let Some([endpoint, ..]) = running() {
            let child = None;
            return Some(Self { child, endpoint });
        }
        let program = cache().join("moto/bin/moto_server");
        if !program.exists() {
            eprintln!(
                "\n*** moto is not installed: tests against S3 are SKIPPED. make setup ***\n"
            );
            return None;
        }
        let mut child = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("moto starts");
        let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let mut lines = lines.map_while(Result::ok);
        let endpoint = lines
            .find_map(|line| line.split("Running on ").nth(1).map(str::to_owned))
            .expect("moto says where it listens");
        // Whoever does not read what moto says stops it.
        std::thread::spawn(move || lines.for_each(drop));
        let server = Self {
            child: Some(child),
            endpoint: endpoint.trim().to_owned(),
        };
        server.make_bucket().await;
        Some(server)
    }

    async fn make_bucket(&self) {
        let client = reqwest::Client::new();
        for _ in 0..100 {
            let made = client.put(format!("{}/blobs", self.endpoint)).send().await;
            if made.is_ok_and(|answer| answer.status() == StatusCode::OK) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("moto makes no bucket");
    }

    /// Access key and secret key; moto takes any.
    pub(crate) fn keys() -> [String; 2] {
        let [_, access_key, secret_key] =
            running().unwrap_or_else(|| ["", "key", "secret"].map(str::to_owned));
        [access_key, secret_key]
    }

    /// The bucket, reached at `endpoint`.
    pub(crate) fn bucket_at(endpoint: &str, prefix: &str) -> Bucket {
        let [access_key, secret_key] = Self::keys();
        Bucket {
            blobs: Some(format!("s3://blobs/{prefix}").parse().expect("a URL")),
            s3_endpoint: Some(endpoint.parse().expect("a URL")),
            s3_region: "us-east-1".to_owned(),
            s3_access_key: Some(access_key),
            s3_secret_key: Some(secret_key),
            s3_timeout_seconds: 2,
        }
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
    }
}
