// SPDX-License-Identifier: Apache-2.0
//! A Sigstore instance for one test: `.ci/sigstore.cjs`, with the npm packages that
//! `make setup` installs.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const SUBJECT: &str =
    "https://forge.example/demo/counter/.github/workflows/publish.yml@refs/tags/v1";

/// Fulcio, Rekor v1 and v2 and a timestamp authority; ended with the value.
pub(crate) struct Instance {
    child: Child,
    _folder: tempfile::TempDir,
    pub(crate) url: String,
    pub(crate) tsa: String,
    pub(crate) root: PathBuf,
}

impl Instance {
    /// Starts it; none, said loudly, where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let modules = cache().join("sigstore-npm/node_modules");
        if !modules.join("@sigstore/mock").is_dir() {
            eprintln!("\n*** @sigstore/mock is not installed: keyless SKIPPED. make setup ***\n");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/sigstore.cjs");
        let mut child = Command::new("node")
            .arg(script)
            .arg(folder.path())
            .env("NODE_PATH", modules)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("it says where it listens");
        let said: Value = serde_json::from_str(&line).expect("JSON");
        let text = |name: &str| said[name].as_str().expect("text").to_owned();
        Some(Self {
            child,
            url: text("url"),
            tsa: text("tsa"),
            root: text("root").into(),
            _folder: folder,
        })
    }

    /// What a command needs to sign as `subject`, with the log of this version.
    pub(crate) fn signing(&self, subject: &str, version: &str) -> Vec<(String, String)> {
        self.signing_at(subject, version, "")
    }

    /// The same with a log below `path`.
    pub(crate) fn signing_at(
        &self,
        subject: &str,
        version: &str,
        path: &str,
    ) -> Vec<(String, String)> {
        let mut variables = vec![
            ("BPFPKG_FULCIO_URL", self.url.clone()),
            ("BPFPKG_REKOR_URL", format!("{}{path}", self.url)),
            ("BPFPKG_REKOR_VERSION", version.to_owned()),
            ("BPFPKG_IDENTITY_TOKEN", token(subject)),
        ];
        if version == "2" {
            variables.push(("BPFPKG_TSA_URL", self.tsa.clone()));
        }
        let owned = |(name, value): (&str, String)| (name.to_owned(), value);
        variables.into_iter().map(owned).collect()
    }

    pub(crate) fn root(&self) -> &str {
        self.root.to_str().expect("UTF-8")
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An identity token. The instance believes it without a signature.
pub(crate) fn token(subject: &str) -> String {
    let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"iss": ISSUER, "sub": subject, "aud": "sigstore", "iat": 1_700_000_000, "exp": 4_000_000_000_u64});
    format!(
        "{}.{}.c2ln",
        part(json!({"alg": "RS256", "typ": "JWT"})),
        part(claims)
    )
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
