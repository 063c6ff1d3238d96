// SPDX-License-Identifier: Apache-2.0
//! Whom this user or node trusts: public keys and OIDC identities, each for one namespace
//! of one registry, and the trust roots of registries. A fresh store is empty, so that by
//! default nobody is trusted.

mod error;
mod identity;
mod key;
mod policy;
mod refresh;
mod root;

use std::{
    io,
    path::{Path, PathBuf},
};

use registry_schema::{Identity, Namespace, signature::Fingerprint};
use serde::{Deserialize, Serialize};

pub use self::{
    error::TrustError,
    identity::TrustedIdentity,
    key::TrustedKey,
    policy::{default_policy_path, load_policy},
    refresh::{RefreshError, Refreshed, refresh, refresh_from},
    root::TrustedRoot,
};
use crate::{file, verify::signature::Roots};

/// Largest trust file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 16 << 20;

/// Everybody who is trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustStore {
    #[serde(rename = "key", default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<TrustedKey>,
    #[serde(rename = "identity", default, skip_serializing_if = "Vec::is_empty")]
    identities: Vec<TrustedIdentity>,
    #[serde(rename = "root", default, skip_serializing_if = "Vec::is_empty")]
    roots: Vec<TrustedRoot>,
}

impl FromIterator<TrustedKey> for TrustStore {
    fn from_iter<T: IntoIterator<Item = TrustedKey>>(keys: T) -> Self {
        Self {
            keys: keys.into_iter().collect(),
            ..Self::default()
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
            .filter(move |key| key.registry() == registry && key.namespace() == namespace)
    }

    /// All trusted identities, in the order they were added.
    pub fn identities(&self) -> &[TrustedIdentity] {
        &self.identities
    }

    /// The identities trusted for what `namespace` of `registry` publishes.
    pub fn identities_for<'a>(
        &'a self,
        registry: &'a str,
        namespace: &'a Namespace,
    ) -> impl Iterator<Item = &'a TrustedIdentity> {
        self.identities
            .iter()
            .filter(move |one| one.registry() == registry && one.namespace() == namespace)
    }

    /// All pinned trust roots.
    pub fn roots(&self) -> &[TrustedRoot] {
        &self.roots
    }

    /// The pinned trust root of a registry.
    pub fn root_of(&self, registry: &str) -> Option<&TrustedRoot> {
        self.roots.iter().find(|root| root.registry() == registry)
    }

    /// The Sigstore roots that count for `namespace` of `registry`: those of its trust
    /// root, and those that were named with its identities. Parsed at most once.
    ///
    /// # Errors
    /// [`TrustError::Root`] if one cannot be used.
    pub fn sigstore_roots(
        &self,
        registry: &str,
        namespace: &Namespace,
    ) -> Result<Roots, TrustError> {
        let pinned = self.root_of(registry).map(TrustedRoot::sigstore);
        let named = self
            .identities_for(registry, namespace)
            .map(TrustedIdentity::sigstore);
        let all: Vec<_> = pinned.into_iter().chain(named).collect::<Result<_, _>>()?;
        Ok(Roots::join(all))
    }

    /// Whether the store itself trusts `identity` to sign for `namespace` of `registry`.
    pub fn accepts(&self, registry: &str, namespace: &Namespace, identity: &Identity) -> bool {
        match identity {
            Identity::Key(key) => self
                .keys_for(registry, namespace)
                .any(|trusted| trusted.fingerprint() == *key),
            Identity::Oidc(_) => self
                .identities_for(registry, namespace)
                .any(|trusted| trusted.signer().matches(identity)),
        }
    }

    /// Pins a trust root, in the place of the one that is pinned for its registry. Whether
    /// it may take that place is for the caller to check.
    pub fn pin(&mut self, root: TrustedRoot) {
        self.roots
            .retain(|other| other.registry() != root.registry());
        self.roots.push(root);
    }

    /// Takes a registry's trust root out; says whether there was one.
    pub fn unpin(&mut self, registry: &str) -> bool {
        let before = self.roots.len();
        self.roots.retain(|root| root.registry() != registry);
        self.roots.len() < before
    }

    /// Adds an identity; says whether it is new.
    pub fn add_identity(&mut self, identity: TrustedIdentity) -> bool {
        let known = self.identities.contains(&identity);
        if !known {
            self.identities.push(identity);
        }
        !known
    }

    /// Removes an identity from a namespace; says whether it was there.
    pub fn remove_identity(&mut self, registry: &str, namespace: &Namespace, signer: &str) -> bool {
        let before = self.identities.len();
        self.identities.retain(|one| {
            one.registry() != registry
                || one.namespace() != namespace
                || one.signer().to_string() != signer
        });
        self.identities.len() < before
    }

    /// Adds a key; says whether it is new.
    pub fn add(&mut self, key: TrustedKey) -> bool {
        let known = self
            .keys_for(key.registry(), key.namespace())
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
            key.registry() != registry
                || key.namespace() != namespace
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
            "x".repeat(17 << 20),
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
