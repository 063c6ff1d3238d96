// SPDX-License-Identifier: Apache-2.0
//! nginx from Debian, in front of one registry or several.

use std::{
    path::PathBuf,
    process::{Child, Command},
};

use tempfile::TempDir;

/// nginx, until it is dropped.
pub(crate) struct Nginx {
    child: Child,
    _dir: TempDir,
    pub(crate) origin: String,
}

/// Where the program is.
pub(crate) fn program() -> Option<PathBuf> {
    Some(PathBuf::from("/usr/sbin/nginx")).filter(|path| path.exists())
}

/// A free port of the loopback interface, as of now.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

impl Nginx {
    /// Starts it on `port` before `servers`, with more to say in `http` and in `location`;
    /// `HERE` stands for a directory of its own.
    pub(crate) fn start(port: u16, servers: &[String], http: &str, location: &str) -> Self {
        let dir = TempDir::new().expect("a directory");
        let servers = servers.join(" ");
        let config = format!(
            "user root; worker_processes 1; daemon off; pid HERE/pid; error_log HERE/log; \
             events {{}} http {{ access_log off; client_body_temp_path HERE/body; proxy_temp_path HERE/proxy; \
             upstream registry {{ {servers} }} {http} \
             server {{ listen 127.0.0.1:{port}; client_max_body_size 0; \
             location / {{ proxy_pass http://registry; proxy_request_buffering off; proxy_http_version 1.1; \
             proxy_set_header Host $http_host; {location} }} }} }}"
        );
        let config = config.replace("HERE", &dir.path().display().to_string());
        let path = dir.path().join("nginx.conf");
        std::fs::write(&path, config).expect("a configuration");
        let child = Command::new(program().expect("nginx"))
            .arg("-p")
            .arg(dir.path())
            .arg("-c")
            .arg(&path)
            .spawn()
            .expect("nginx starts");
        Self {
            child,
            _dir: dir,
            origin: format!("http://127.0.0.1:{port}"),
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGTERM, so that it ends its workers too.
        let id = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        drop(self.child.wait());
    }
}
