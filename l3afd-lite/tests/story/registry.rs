// SPDX-License-Identifier: Apache-2.0
//! A real registry on loopback, and a publisher.

use std::path::Path;

use chrono::DateTime;
use registry_client::auth::Credentials;
use registry_client::build::{BuiltObject, BuiltPackage};
use registry_client::pack::pack;
use registry_client::push::push;
use registry_client::registry::{ConnectOptions, Registry};
use registry_client::sign::Signatory;
use registry_schema::PackageManifest;
use registry_server::{Config, Running, start};

use crate::support::objects::{compile, seen};

/// The registry, and the runtime it lives on.
pub(crate) struct TestRegistry {
    runtime: tokio::runtime::Runtime,
    running: Option<Running>,
    host: String,
    token: String,
    _data: tempfile::TempDir,
}

impl TestRegistry {
    /// Starts a registry with the namespace `test`.
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let data = tempfile::tempdir().unwrap();
        let running = runtime.block_on(start(Config::local(data.path()))).unwrap();
        let host = running.addr.to_string();
        let token = running.admin_token.clone().unwrap();
        let created = runtime.block_on(async {
            reqwest::Client::new()
                .post(format!("http://{host}/api/v1/namespaces"))
                .bearer_auth(&token)
                .json(&serde_json::json!({"name": "test"}))
                .send()
                .await
                .unwrap()
        });
        assert!(created.status().is_success(), "{created:?}");
        Self {
            runtime,
            running: Some(running),
            host,
            token,
            _data: data,
        }
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Stops listening; what was published is gone with it.
    pub(crate) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.shutdown());
        }
    }

    /// Publishes `test/<name>`: the counting programs.
    pub(crate) fn publish(&self, name: &str, version: &str, key: Option<&Signatory>) {
        self.push(&manifest("seen", name, version), key, seen().to_vec());
    }

    /// Publishes version 1.0.0 of `test/<name>`: the programs of `<source>.bpf.c`.
    pub(crate) fn publish_object(&self, name: &str, source: &str, key: &Signatory) {
        self.push(&manifest(source, name, "1.0.0"), Some(key), compile(source));
    }

    fn push(&self, manifest: &str, key: Option<&Signatory>, bytes: Vec<u8>) {
        let manifest = PackageManifest::from_toml(manifest).unwrap();
        let profile = bpf_object::inspect(&bytes).ok();
        let object = BuiltObject {
            name: manifest.objects[0].path.clone(),
            target: "bpfel".to_owned(),
            bytes,
            profile,
            findings: Vec::new(),
        };
        let built = BuiltPackage {
            manifest,
            objects: vec![object],
            readme: None,
            created: None,
        };
        let options = ConnectOptions {
            credentials: Some(Credentials::new("admin", self.token.clone())),
            ..ConnectOptions::default()
        };
        let registry = Registry::connect(&self.host, &options).unwrap();
        let time = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        self.runtime
            .block_on(push(
                &registry,
                &pack(&built).unwrap(),
                key,
                time,
                &|_, _| {},
            ))
            .unwrap();
    }
}

fn manifest(source: &str, name: &str, version: &str) -> String {
    let file = format!("tests/objects/{source}.toml");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    std::fs::read_to_string(path)
        .unwrap()
        .replace("NAME", name)
        .replace("VERSION", version)
}
