// SPDX-License-Identifier: Apache-2.0
//! A registry of ours for one test, and Debian's docker-registry beside it.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use registry_server::{Config, Running};

use crate::home::Home;

/// A registry of the test's own, and its administrator's home.
pub(crate) struct Stage {
    data: tempfile::TempDir,
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
        let running = registry_server::start(change(Config::local(data.path())))
            .await
            .expect("a registry");
        let admin = Home::with_registry(&running.addr.to_string());
        Self {
            data,
            running,
            admin,
        }
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
    PROGRAM.get_or_init(|| {
        let library = concat!(env!("CARGO_MANIFEST_DIR"), "/../.ci/lib.sh");
        let script = format!(". '{library}'; unpack_deb bookworm docker-registry");
        let output = Command::new("bash")
            .args(["-c", &script])
            .stderr(Stdio::inherit())
            .output()
            .expect("bash");
        assert!(output.status.success(), "docker-registry cannot be had");
        let folder = String::from_utf8(output.stdout).expect("a path");
        PathBuf::from(folder.trim()).join("usr/bin/docker-registry")
    })
}
