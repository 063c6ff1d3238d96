// SPDX-License-Identifier: Apache-2.0
//! A registry of ours for one test, and Debian's docker-registry beside it.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use chrono::{TimeDelta, Utc};
use registry_server::{
    Config, Running,
    clock::{Clock, Random},
};

use crate::home::Home;

/// A registry of the test's own, and its administrator's home.
pub(crate) struct Stage {
    data: tempfile::TempDir,
    config: Config,
    pub(crate) running: Running,
    pub(crate) admin: Home,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        Self::set_with(|config| config).await
    }

    /// The same, started in another way.
    pub(crate) async fn set_with(change: impl FnOnce(Config) -> Config) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let mut config = change(Config::local(data.path()));
        let running = registry_server::start(config.clone())
            .await
            .expect("a registry");
        config.listen = running.addr;
        let admin = Home::with_registry(&running.addr.to_string());
        Self {
            data,
            config,
            running,
            admin,
        }
    }

    /// The same registry at the same address, started again with its clock ahead of the true
    /// one. What was due meanwhile is done soon.
    pub(crate) async fn after(self, ahead: TimeDelta) -> Self {
        self.running.shutdown().await;
        #[expect(
            clippy::disallowed_methods,
            reason = "this is where its time comes from"
        )]
        let clock = Clock::from_fn(move || Utc::now() + ahead);
        let running = registry_server::start_with(self.config.clone(), clock, Random::system())
            .await
            .expect("a registry");
        Self { running, ..self }
    }

    /// Where the registry keeps its data.
    pub(crate) fn data(&self) -> &std::path::Path {
        self.data.path()
    }

    pub(crate) fn host(&self) -> String {
        self.running.addr.to_string()
    }

    pub(crate) fn token(&self) -> &str {
        self.running
            .admin_token
            .as_deref()
            .expect("the first start gives a token")
    }

    /// Logs in, creates the namespace, registers a key.
    pub(crate) fn opened(&self) {
        let login = ["login", &self.host(), "--user", "admin", "--password-stdin"];
        self.admin.run_with(&login, self.token(), &[]).exits(0);
        self.admin.run(&["namespace", "create", "demo"]).exits(0);
        self.admin.keygen("alice");
        self.admin
            .run(&["namespace", "key", "add", "demo", "alice.pub"])
            .exits(0);
    }

    /// Publishes `demo/counter` as `version`, signed by `NAME.key`. The first time it is made.
    pub(crate) fn publish(&self, version: &str, name: &str) {
        let path = self.admin.path("counter/package.toml");
        if !path.exists() {
            self.admin.package("counter");
        }
        let manifest = std::fs::read_to_string(&path).expect("the manifest");
        let set = |line: &str| {
            if line.starts_with("version = ") {
                format!("version = \"{version}\"\n")
            } else {
                format!("{line}\n")
            }
        };
        let manifest: String = manifest.lines().map(set).collect();
        std::fs::write(&path, manifest).expect("written");
        let key = format!("{name}.key");
        let push = ["push", "counter", "--key", &key];
        self.admin.run(&push).exits(0);
    }
}

/// Debian's docker-registry 2.8.2, which has no referrers API; ended with the value.
pub(crate) struct Plain {
    pub(crate) host: String,
    child: Child,
    _data: tempfile::TempDir,
}

impl Plain {
    pub(crate) fn start() -> Self {
        let data = tempfile::tempdir().expect("a folder");
        // The port is free now; nobody else on this machine takes ports by number.
        let port = {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            listener.local_addr().expect("an address").port()
        };
        let host = format!("127.0.0.1:{port}");
        let configuration = data.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n\
             http: {{addr: \"{host}\"}}\n",
            data.path().join("data").display()
        );
        std::fs::write(&configuration, text).expect("written");
        let child = Command::new(docker_registry())
            .arg("serve")
            .arg(&configuration)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry starts");
        let plain = Self {
            host,
            child,
            _data: data,
        };
        plain.wait();
        plain
    }

    fn wait(&self) {
        for _ in 0..600 {
            if std::net::TcpStream::connect(&self.host).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("docker-registry does not listen on {}", self.host);
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the program is: unpacked from its Debian package, as the benchmarks do it.
fn docker_registry() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| unpacked("docker-registry").join("usr/bin/docker-registry"))
}

/// The folder that a Debian package is unpacked into, beside the system.
pub(crate) fn unpacked(package: &str) -> PathBuf {
    let library = concat!(env!("CARGO_MANIFEST_DIR"), "/../.ci/lib.sh");
    let script = format!(". '{library}'; unpack_deb bookworm {package}");
    let output = Command::new("bash")
        .args(["-c", &script])
        .stderr(Stdio::inherit())
        .output()
        .expect("bash");
    assert!(output.status.success(), "{package} cannot be had");
    let folder = String::from_utf8(output.stdout).expect("a path");
    PathBuf::from(folder.trim())
}
