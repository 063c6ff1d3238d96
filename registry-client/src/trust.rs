// SPDX-License-Identifier: Apache-2.0
//! Whom this user or node trusts: public keys, each for one namespace of one
//! registry. A fresh store is empty, so that by default nobody is trusted.

use std::{
    io,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use registry_schema::{
    Namespace, exit,
    reference::check_host,
    signature::{Fingerprint, PublicKey},
};
use serde::{Deserialize, Serialize};

use crate::{Explain, file};

/// Largest trust file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// A key that is trusted to sign what one namespace of one registry publishes.
///
/// Its fields always agree: the fingerprint is that of the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Entry", into = "Entry")]
pub struct TrustedKey {
    registry: String,
    namespace: Namespace,
    key: PublicKey,
    added_at: Option<DateTime<Utc>>,
}

/// How a key is written in a file.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    registry: String,
    namespace: Namespace,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<Fingerprint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    added_at: Option<DateTime<Utc>>,
    pem: String,
}

impl TrustedKey {
    /// Trusts `pem` for what `namespace` of `registry` publishes.
    ///
    /// # Errors
    /// [`TrustError::Key`] if `pem` is no ECDSA P-256 public key, or `registry` is
    /// no host.
    pub fn new(
        registry: &str,
        namespace: Namespace,
        pem: &str,
        added_at: Option<DateTime<Utc>>,
    ) -> Result<Self, TrustError> {
        check_host(registry).map_err(|error| TrustError::Key(error.to_string()))?;
        let key = PublicKey::from_pem(pem).map_err(|error| TrustError::Key(error.to_string()))?;
        Ok(Self {
            registry: registry.to_owned(),
            namespace,
            key,
            added_at,
        })
    }

    /// Host and port of the registry.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The namespace.
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The key.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The key's fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        self.key.fingerprint()
    }

    /// When it was pinned; none if the entry was written by hand without a time.
    pub const fn added_at(&self) -> Option<DateTime<Utc>> {
        self.added_at
    }
}

impl TryFrom<Entry> for TrustedKey {
    type Error = TrustError;

    fn try_from(entry: Entry) -> Result<Self, TrustError> {
        let key = Self::new(&entry.registry, entry.namespace, &entry.pem, entry.added_at)?;
        match entry.fingerprint {
            Some(written) if written != key.fingerprint() => Err(TrustError::OtherFingerprint {
                written,
                actual: key.fingerprint(),
            }),
            _ => Ok(key),
        }
    }
}

impl From<TrustedKey> for Entry {
    fn from(key: TrustedKey) -> Self {
        Self {
            fingerprint: Some(key.fingerprint()),
            pem: key.key.to_pem(),
            registry: key.registry,
            namespace: key.namespace,
            added_at: key.added_at,
        }
    }
}

/// Why trust could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// There is no folder to keep the file in.
    #[error("there is no trust file to use: neither BPFPKG_TRUST, XDG_CONFIG_HOME nor HOME is set")]
    NoFile,
    /// The file cannot be read or written.
    #[error("trust file `{path}` cannot be used: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what it should be. Nobody is trusted by halves, so the whole
    /// file is refused.
    #[error("trust file `{path}` is damaged: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// A key or its registry is none.
    #[error("trusted key cannot be used: {0}")]
    Key(String),
    /// An entry's fingerprint is not that of its key.
    #[error("trusted key has fingerprint {actual}, but {written} is written beside it")]
    OtherFingerprint {
        /// What the entry says.
        written: Fingerprint,
        /// What the key has.
        actual: Fingerprint,
    },
    /// The store cannot be written as TOML.
    #[error("trusted keys cannot be written: {0}")]
    Write(#[from] toml::ser::Error),
}

impl Explain for TrustError {
    fn code(&self) -> &'static str {
        "trust"
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Key(_) | Self::OtherFingerprint { .. } | Self::Malformed { .. } => exit::USAGE,
            Self::NoFile | Self::File { .. } | Self::Write(_) => exit::FAILURE,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::NoFile => "set BPFPKG_TRUST to the file to use".to_owned(),
            Self::File { .. } | Self::Write(_) => "check the file's owner and mode".to_owned(),
            Self::Malformed { path, .. } => format!(
                "repair `{}`, or remove it and run `bpfpkg trust add` again",
                path.display()
            ),
            Self::Key(_) | Self::OtherFingerprint { .. } => {
                "ask the publisher for the right key and its fingerprint".to_owned()
            }
        })
    }
}

/// All trusted keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustStore {
    #[serde(rename = "key", default)]
    keys: Vec<TrustedKey>,
}

impl FromIterator<TrustedKey> for TrustStore {
    fn from_iter<T: IntoIterator<Item = TrustedKey>>(keys: T) -> Self {
        Self {
            keys: keys.into_iter().collect(),
        }
    }
}

impl TrustStore {
    /// `$BPFPKG_TRUST`, else `bpfpkg/trust.toml` in the user's configuration folder.
    ///
    /// # Errors
    /// [`TrustError::NoFile`] if no folder is known.
    pub fn default_path() -> Result<PathBuf, TrustError> {
        if let Some(path) = std::env::var_os("BPFPKG_TRUST").filter(|value| !value.is_empty()) {
            return Ok(path.into());
        }
        file::user_folder("XDG_CONFIG_HOME", ".config")
            .map(|folder| folder.join("bpfpkg/trust.toml"))
            .ok_or(TrustError::NoFile)
    }

    /// Reads a store; a file that is not there is an empty store.
    ///
    /// # Errors
    /// [`TrustError::File`] if the file cannot be read or exceeds
    /// [`MAX_FILE_BYTES`], [`TrustError::Malformed`] if any entry is wrong.
    pub fn load(path: &Path) -> Result<Self, TrustError> {
        let bytes = match file::read_bounded(path, MAX_FILE_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => {
                return Err(TrustError::File {
                    path: path.to_owned(),
                    source,
                });
            }
        };
        let text = String::from_utf8(bytes).map_err(|error| error.to_string());
        text.and_then(|text| {
            toml::from_str(&text).map_err(|error| error.to_string().trim_end().to_owned())
        })
        .map_err(|reason| TrustError::Malformed {
            path: path.to_owned(),
            reason,
        })
    }

    /// Writes the store all at once, readable by its owner only.
    ///
    /// # Errors
    /// [`TrustError::File`] if the file cannot be replaced; the old one stays.
    pub fn save(&self, path: &Path) -> Result<(), TrustError> {
        let text = toml::to_string(self)?;
        file::write_private(path, text.as_bytes()).map_err(|source| TrustError::File {
            path: path.to_owned(),
            source,
        })
    }

    /// All keys, in the order they were added.
    pub fn keys(&self) -> &[TrustedKey] {
        &self.keys
    }

    /// The keys trusted for what `namespace` of `registry` publishes.
    pub fn keys_for<'a>(
        &'a self,
        registry: &'a str,
        namespace: &'a Namespace,
    ) -> impl Iterator<Item = &'a TrustedKey> {
        self.keys
            .iter()
            .filter(move |key| key.registry == registry && key.namespace == *namespace)
    }

    /// Adds a key; says whether it is new.
    pub fn add(&mut self, key: TrustedKey) -> bool {
        let known = self
            .keys_for(&key.registry, &key.namespace)
            .any(|other| other.fingerprint() == key.fingerprint());
        if !known {
            self.keys.push(key);
        }
        !known
    }

    /// Removes the keys of a namespace, or only the one with `fingerprint`; says
    /// how many there were.
    pub fn remove(
        &mut self,
        registry: &str,
        namespace: &Namespace,
        fingerprint: Option<&Fingerprint>,
    ) -> usize {
        let before = self.keys.len();
        self.keys.retain(|key| {
            key.registry != registry
                || key.namespace != *namespace
                || fingerprint.is_some_and(|wanted| *wanted != key.fingerprint())
        });
        before - self.keys.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n\
        6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n\
        -----END PUBLIC KEY-----\n";

    fn key(registry: &str, namespace: &str) -> TrustedKey {
        TrustedKey::new(registry, namespace.parse().expect("namespace"), PEM, None).expect("key")
    }

    #[test]
    fn what_is_saved_is_loaded_and_owned_by_the_user_alone() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("deep/er/trust.toml");
        assert_eq!(
            TrustStore::load(&path).expect("absent is empty"),
            TrustStore::default()
        );
        let mut store = TrustStore::default();
        assert!(store.add(key("localhost:5000", "netops")));
        assert!(!store.add(key("localhost:5000", "netops")), "twice is once");
        assert!(store.add(key("example.org", "netops")));
        store.save(&path).expect("saved");
        assert_eq!(TrustStore::load(&path).expect("loaded"), store);
        assert_eq!(
            std::fs::metadata(&path).expect("file").permissions().mode() & 0o777,
            0o600
        );
        let namespace = "netops".parse().expect("namespace");
        assert_eq!(store.keys_for("example.org", &namespace).count(), 1);
        assert_eq!(store.keys_for("example.org:443", &namespace).count(), 0);
        assert_eq!(store.remove("example.org", &namespace, None), 1);
        assert_eq!(store.keys().len(), 1);
    }

    #[test]
    fn a_store_that_contradicts_itself_is_refused_whole() {
        let good = toml::to_string(&TrustStore::from_iter([key("localhost:5000", "netops")]))
            .expect("text");
        let fingerprint = key("h", "n").fingerprint().to_string();
        let other = format!("SHA256:{}", "A".repeat(43));
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("trust.toml");
        for bad in [
            good.replace(&fingerprint, &other),
            good.replace("netops", "Net Ops"),
            good.replace("localhost:5000", "http://localhost"),
            good.replace("BEGIN PUBLIC", "BEGIN PRIVATE"),
            good.replace("registry", "regsitry"),
            good.replace("[[key]]", "[key]"),
            format!("{good}\u{0}"),
            "key = 1".to_owned(),
            "x".repeat(2 << 20),
        ] {
            std::fs::write(&path, bad).expect("written");
            assert!(TrustStore::load(&path).is_err());
        }
        std::fs::write(
            &path,
            good.replace(&format!("fingerprint = \"{fingerprint}\"\n"), ""),
        )
        .expect("written");
        assert_eq!(
            TrustStore::load(&path).expect("by hand").keys()[0]
                .fingerprint()
                .to_string(),
            fingerprint
        );
    }
}
