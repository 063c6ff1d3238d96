// SPDX-License-Identifier: Apache-2.0
//! A real registry on loopback, and a publisher.

use std::path::{Path, PathBuf};

use chrono::DateTime;
use registry_client::auth::Credentials;
use registry_client::build::{BuiltObject, BuiltPackage};
use registry_client::pack::pack;
use registry_client::push::push;
use registry_client::registry::{ConnectOptions, Registry};
use registry_client::sign::Signatory;
use registry_schema::PackageManifest;
use registry_schema::trust::revocation::{NewRevocation, Reason};
use registry_server::{Config, Running, start};

use crate::support::objects::{compile, seen};
use crate::support::sandbox::run;

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
        Self::start_with(|config| config)
    }

    /// The same, whose publish log has a name and this key (PEM file) of its own.
    pub(crate) fn start_with_log(key: &Path) -> Self {
        Self::start_with(|mut config| {
            config.publish_log.publish_log_key = Some(key.to_owned());
            config.publish_log.publish_log_origin = Some("registry.example/log".to_owned());
            config
        })
    }

    /// A key for a publish log, and the folder that it is in.
    pub(crate) fn log_key() -> (PathBuf, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("log.pem");
        let out = key.to_str().unwrap();
        run(&[
            "openssl",
            "genpkey",
            "-quiet",
            "-algorithm",
            "ed25519",
            "-out",
            out,
        ]);
        (key, dir)
    }

    fn start_with(change: impl FnOnce(Config) -> Config) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let data = tempfile::tempdir().unwrap();
        let running = runtime
            .block_on(start(change(Config::local(data.path()))))
            .unwrap();
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

    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// What the registry answers to everybody at a path.
    pub(crate) fn get(&self, path: &str) -> Vec<u8> {
        let url = format!("http://{}{path}", self.host);
        self.block_on(async { reqwest::get(url).await.unwrap().bytes().await.unwrap() })
            .to_vec()
    }

    /// Revokes something as an administrator.
    pub(crate) fn revoke(&self, subject: &str) {
        let new = NewRevocation {
            subject: subject.parse().unwrap(),
            at: None,
            reason: Reason::Malicious,
            note: String::new(),
        };
        let registry = self.connect();
        self.block_on(registry.revoke(&new)).unwrap();
    }

    fn connect(&self) -> Registry {
        let options = ConnectOptions {
            credentials: Some(Credentials::new("admin", self.token.clone())),
            ..ConnectOptions::default()
        };
        Registry::connect(&self.host, &options).unwrap()
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
        let registry = self.connect();
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
