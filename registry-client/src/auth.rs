// SPDX-License-Identifier: Apache-2.0
//! User names and passwords for registries, in the file and by the programs that
//! other OCI tools use too.

use std::{
    fmt,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use registry_schema::exit;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::{Explain, file};

/// Largest credential file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// Who asks. The password never appears in `Debug` output.
#[derive(Clone)]
pub struct Credentials {
    /// The account's name; for a token any name will do.
    pub username: String,
    /// The password or token.
    pub password: Zeroizing<String>,
}

impl Credentials {
    /// Puts credentials together.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            username: username.into(),
            password: Zeroizing::new(password.into()),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// Why credentials could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// There is no home directory to look in.
    #[error("there is no credential file to use: neither REGISTRY_AUTH_FILE nor HOME is set")]
    NoFile,
    /// The file cannot be read or written.
    #[error("credential file `{path}` cannot be used: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("credential file `{path}` is damaged: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// A credential program is named in a way that could be a path or an option.
    #[error(
        "credential program `{0}` has a name that is not run; use letters, digits, `.`, `_` and `-`"
    )]
    HelperName(String),
    /// A credential program failed.
    #[error("`docker-credential-{helper} {action}` failed: {reason}")]
    Helper {
        /// The name after `docker-credential-`.
        helper: String,
        /// What it was asked to do.
        action: &'static str,
        /// What it said.
        reason: String,
    },
}

impl Explain for CredentialError {
    fn code(&self) -> &'static str {
        "credentials"
    }

    fn exit_code(&self) -> u8 {
        exit::AUTH
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::NoFile => "set REGISTRY_AUTH_FILE to the file to use".to_owned(),
            Self::File { .. } => {
                "check the file's owner and mode, or name another in REGISTRY_AUTH_FILE".to_owned()
            }
            Self::Malformed { path, .. } => {
                format!(
                    "repair or remove `{}`, then run `bpfpkg login` again",
                    path.display()
                )
            }
            Self::HelperName(_) | Self::Helper { .. } => {
                "check `credsStore` and `credHelpers` in the credential file".to_owned()
            }
        })
    }
}

/// The credential file.
#[derive(Debug, Clone)]
pub struct CredentialStore {
    path: PathBuf,
}

impl CredentialStore {
    /// Uses `$REGISTRY_AUTH_FILE`, else `$DOCKER_CONFIG/config.json`, else
    /// `~/.docker/config.json`.
    ///
    /// # Errors
    /// [`CredentialError::NoFile`] if none of the three is set.
    pub fn from_environment() -> Result<Self, CredentialError> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(path) = set("REGISTRY_AUTH_FILE") {
            return Ok(Self { path: path.into() });
        }
        let folder = set("DOCKER_CONFIG")
            .map(PathBuf::from)
            .or_else(|| set("HOME").map(|home| Path::new(&home).join(".docker")));
        folder
            .map(|folder| Self {
                path: folder.join("config.json"),
            })
            .ok_or(CredentialError::NoFile)
    }

    /// Uses the file at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Finds the credentials for a registry.
    ///
    /// # Errors
    /// [`CredentialError`] if the file is there but unusable, or its credential
    /// program fails for another reason than having nothing.
    pub fn find(&self, registry: &str) -> Result<Option<Credentials>, CredentialError> {
        let config = self.read()?;
        if let Some(helper) = self.helper(&config, registry)? {
            return find_with_helper(&helper, registry);
        }
        let entry = config
            .get("auths")
            .and_then(Value::as_object)
            .and_then(|auths| {
                auths
                    .iter()
                    .find(|(key, _)| host_of(key) == registry)
                    .map(|(_, entry)| entry)
            });
        entry.map_or(Ok(None), |entry| self.parse_entry(entry))
    }

    /// Keeps credentials for a registry, and says where: the file's path, or the
    /// credential program's name.
    ///
    /// # Errors
    /// [`CredentialError`] if the file or the program cannot be used.
    pub fn store(
        &self,
        registry: &str,
        credentials: &Credentials,
    ) -> Result<String, CredentialError> {
        let mut config = self.read()?;
        if let Some(helper) = self.helper(&config, registry)? {
            let body = json!({
                "ServerURL": registry,
                "Username": credentials.username,
                "Secret": credentials.password.as_str(),
            });
            run_helper(&helper, "store", &body.to_string())?;
            return Ok(format!("docker-credential-{helper}"));
        }
        let pair = Zeroizing::new(format!(
            "{}:{}",
            credentials.username,
            credentials.password.as_str()
        ));
        let auths = config.entry("auths").or_insert_with(|| json!({}));
        let Some(auths) = auths.as_object_mut() else {
            return Err(self.malformed("`auths` is no object"));
        };
        auths.retain(|key, _| host_of(key) != registry);
        auths.insert(
            registry.to_owned(),
            json!({"auth": STANDARD.encode(pair.as_bytes())}),
        );
        self.write(&config)?;
        Ok(self.path.display().to_string())
    }

    /// Forgets the credentials for a registry; says whether there were any.
    ///
    /// # Errors
    /// [`CredentialError`] if the file or the program cannot be used.
    pub fn erase(&self, registry: &str) -> Result<bool, CredentialError> {
        let mut config = self.read()?;
        if let Some(helper) = self.helper(&config, registry)? {
            let known = find_with_helper(&helper, registry)?.is_some();
            if known {
                run_helper(&helper, "erase", registry)?;
            }
            return Ok(known);
        }
        let Some(auths) = config.get_mut("auths").and_then(Value::as_object_mut) else {
            return Ok(false);
        };
        let before = auths.len();
        auths.retain(|key, _| host_of(key) != registry);
        let known = auths.len() < before;
        if known {
            self.write(&config)?;
        }
        Ok(known)
    }

    fn read(&self) -> Result<Map<String, Value>, CredentialError> {
        let bytes = match file::read_bounded(&self.path, MAX_FILE_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Map::new()),
            Err(source) => {
                return Err(CredentialError::File {
                    path: self.path.clone(),
                    source,
                });
            }
        };
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Map::new());
        }
        serde_json::from_slice(&bytes).map_err(|error| self.malformed(&error.to_string()))
    }

    fn write(&self, config: &Map<String, Value>) -> Result<(), CredentialError> {
        let mut text = format!("{:#}", Value::Object(config.clone()));
        text.push('\n');
        file::write_private(&self.path, text.as_bytes()).map_err(|source| CredentialError::File {
            path: self.path.clone(),
            source,
        })
    }

    fn malformed(&self, reason: &str) -> CredentialError {
        CredentialError::Malformed {
            path: self.path.clone(),
            reason: reason.to_owned(),
        }
    }

    fn helper(
        &self,
        config: &Map<String, Value>,
        registry: &str,
    ) -> Result<Option<String>, CredentialError> {
        let of_registry = config
            .get("credHelpers")
            .and_then(|helpers| helpers.get(registry));
        let Some(name) = of_registry.or_else(|| config.get("credsStore")) else {
            return Ok(None);
        };
        let Some(name) = name.as_str() else {
            return Err(self.malformed("`credsStore` or a `credHelpers` entry is no text"));
        };
        if name.is_empty() {
            return Ok(None);
        }
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if name.len() <= 64 && name.bytes().all(fits) {
            Ok(Some(name.to_owned()))
        } else {
            Err(CredentialError::HelperName(name.chars().take(64).collect()))
        }
    }

    fn parse_entry(&self, entry: &Value) -> Result<Option<Credentials>, CredentialError> {
        let text = |key: &str| {
            entry
                .get(key)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        if let (Some(username), Some(password)) = (text("username"), text("password")) {
            return Ok(Some(Credentials::new(username, password)));
        }
        let Some(auth) = text("auth") else {
            return Ok(None);
        };
        let decoded = STANDARD
            .decode(auth)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .map(Zeroizing::new)
            .ok_or_else(|| self.malformed("an `auth` value is no base64 text"))?;
        let (username, password) = decoded.split_once(':').ok_or_else(|| {
            self.malformed("an `auth` value has no `:` between name and password")
        })?;
        Ok(Some(Credentials::new(username, password)))
    }
}

/// The host of a key of `auths`, which may be a URL.
fn host_of(key: &str) -> &str {
    let rest = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key);
    rest.split('/').next().unwrap_or_default()
}

fn find_with_helper(helper: &str, registry: &str) -> Result<Option<Credentials>, CredentialError> {
    let answer = match run_helper(helper, "get", registry) {
        Ok(answer) => answer,
        // The protocol has no code for "nothing here", only this sentence.
        Err(CredentialError::Helper { reason, .. }) if reason.contains("credentials not found") => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let answer: Value = serde_json::from_str(&answer).map_err(|error| CredentialError::Helper {
        helper: helper.to_owned(),
        action: "get",
        reason: format!("its answer is no JSON: {error}"),
    })?;
    let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
    Ok(Some(Credentials::new(text("Username"), text("Secret"))))
}

fn run_helper(
    helper: &str,
    action: &'static str,
    input: &str,
) -> Result<Zeroizing<String>, CredentialError> {
    let failed = |reason: String| CredentialError::Helper {
        helper: helper.to_owned(),
        action,
        reason,
    };
    let mut child = Command::new(format!("docker-credential-{helper}"))
        .arg(action)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read its input says why on its way out.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child
        .wait_with_output()
        .map_err(|error| failed(error.to_string()))?;
    let stdout = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() {
        Ok(Zeroizing::new(stdout))
    } else {
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(failed(if stdout.is_empty() { stderr } else { stdout }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn store_with(text: &str) -> (tempfile::TempDir, CredentialStore) {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("config.json");
        std::fs::write(&path, text).expect("file");
        (folder, CredentialStore::at(path))
    }

    #[test]
    fn what_is_stored_is_found_and_the_rest_of_the_file_stays() {
        let (_folder, store) =
            store_with(r#"{"psFormat": "table", "auths": {"https://old:5000/v1/": {}}}"#);
        store
            .store("old:5000", &Credentials::new("alice", "a:b c"))
            .expect("stored");
        let found = store.find("old:5000").expect("read").expect("known");
        assert_eq!(
            (found.username.as_str(), found.password.as_str()),
            ("alice", "a:b c")
        );
        assert!(store.find("other:5000").expect("read").is_none());
        assert!(store.erase("old:5000").expect("erased"));
        assert!(!store.erase("old:5000").expect("nothing left"));
        let text = std::fs::read_to_string(store.path()).expect("text");
        assert!(text.contains("psFormat"), "{text}");
        let mode = std::fs::metadata(store.path())
            .expect("metadata")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn damaged_files_are_refused_in_one_sentence() {
        for text in [
            "{",
            "[]",
            "null",
            "\"x\"",
            r#"{"auths":{"h":{"auth":"%%%"}}}"#,
            r#"{"auths":{"h":{"auth":"YWxpY2U="}}}"#,
            r#"{"credsStore":7}"#,
            r#"{"credsStore":"../../bin/sh"}"#,
            r#"{"credHelpers":{"h":"a b"}}"#,
            "\u{0}\u{1}",
            r#"{"credsStore":"no-such-program-here"}"#,
        ] {
            let (_folder, store) = store_with(text);
            let error = store.find("h").expect_err(text);
            assert!(
                !error.to_string().contains('\n') && error.exit_code() == exit::AUTH,
                "{error}"
            );
        }
        let (_folder, store) = store_with(&" ".repeat(2 << 20));
        assert!(
            store
                .find("h")
                .expect_err("too large")
                .to_string()
                .contains("limit")
        );
        let debug = format!("{:?}", Credentials::new("alice", "secret"));
        assert!(!debug.contains("secret"), "{debug}");
    }
}
