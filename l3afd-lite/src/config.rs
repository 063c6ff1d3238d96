// SPDX-License-Identifier: Apache-2.0
//! The configuration file: the only place where the daemon's settings are read.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use registry_client::trust::{TrustError, TrustStore, load_policy};
use registry_schema::Digest;
pub use registry_schema::trust::policy::Mode;
use registry_schema::trust::policy::Policy;
use serde::{Deserialize, Serialize};

use crate::desired::{ChainSpec, Desired, DesiredError, ProbeSpec};

/// Where the configuration is looked for when none is named.
pub const DEFAULT_FILE: &str = "/etc/l3afd-lite/config.toml";
/// Largest configuration file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// A whole configuration file. Everything has a default but what shall run.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Journal, lock and cached packages; made for root alone.
    #[serde(default = "default_state_dir")]
    pub state_dir: PathBuf,
    /// Directory on a BPF file system for this daemon alone.
    #[serde(default = "default_bpffs")]
    pub bpffs: PathBuf,
    /// Whether unsigned packages are refused.
    #[serde(default)]
    pub mode: Mode,
    /// What becomes of the programs when the daemon is told to stop.
    #[serde(default)]
    pub on_stop: OnStop,
    /// What becomes of a program whose package is revoked while it runs.
    #[serde(default)]
    pub on_revoked: OnRevoked,
    /// Seconds between two looks at what is true, 1 to 3600.
    #[serde(default = "default_interval")]
    pub interval_seconds: u64,
    /// Milliseconds that a replaced generation is kept, 50 to 60000.
    #[serde(default = "default_grace")]
    pub grace_milliseconds: u64,
    /// Where packages come from.
    #[serde(default)]
    pub registry: RegistryConfig,
    /// Who is trusted to sign.
    #[serde(default)]
    pub trust: TrustConfig,
    /// The socket that commands use.
    #[serde(default)]
    pub api: ApiConfig,
    /// Where measurements are shown.
    #[serde(default)]
    pub metrics: MetricsConfig,
    /// Chains, at most one per interface, direction and namespace.
    #[serde(rename = "chain", default)]
    pub chains: Vec<ChainSpec>,
    /// Programs that observe and need no chain.
    #[serde(rename = "probe", default)]
    pub probes: Vec<ProbeSpec>,
}

/// What becomes of the programs when the daemon is told to stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnStop {
    /// They go on.
    #[default]
    Keep,
    /// They are detached and removed.
    Unload,
}

/// What becomes of a program that runs when its package is revoked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnRevoked {
    /// It goes on, and is marked wherever it is shown.
    #[default]
    Flag,
    /// It is taken out of its chain, or detached.
    Unload,
}

/// `[registry]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryConfig {
    /// Host and port for references that name none; `BPFPKG_REGISTRY` if absent.
    #[serde(default)]
    pub default: Option<String>,
    /// Hosts that are spoken to without encryption. Loopback always is.
    #[serde(default)]
    pub plain_http: Vec<String>,
    /// Seconds that a registry has for one package, 1 to 3600.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u64,
    /// Archives or folders in OCI image layout that are looked into before any registry is
    /// asked, in this order: for nodes that no network reaches. Trust stays with the
    /// registry that a reference names.
    #[serde(default)]
    pub layouts: Vec<PathBuf>,
}

impl RegistryConfig {
    /// How long a registry has for one package.
    pub const fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            default: None,
            plain_http: Vec::new(),
            timeout_seconds: default_timeout(),
            layouts: Vec::new(),
        }
    }
}

/// `[trust]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustConfig {
    /// A trust file as `bpfpkg trust add` writes it; its default place if absent.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// A policy file, for what else is demanded; nothing else if absent.
    #[serde(default)]
    pub policy: Option<PathBuf>,
    /// Further keys.
    #[serde(rename = "key", default)]
    pub keys: Vec<registry_client::trust::TrustedKey>,
}

/// `[api]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiConfig {
    /// A unix socket, open to root and its group.
    #[serde(default = "default_socket")]
    pub socket: PathBuf,
}

/// `[metrics]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsConfig {
    /// Address and port for `/metrics`; none means only through the socket.
    #[serde(default)]
    pub listen: Option<SocketAddr>,
}

fn default_state_dir() -> PathBuf {
    "/var/lib/l3afd-lite".into()
}

fn default_bpffs() -> PathBuf {
    "/sys/fs/bpf/l3afd-lite".into()
}

fn default_socket() -> PathBuf {
    "/run/l3afd-lite.sock".into()
}

const fn default_interval() -> u64 {
    5
}

const fn default_timeout() -> u64 {
    60
}

const fn default_grace() -> u64 {
    1000
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            socket: default_socket(),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("reading configuration {path}: {source}; name a file with --config")]
    Read { path: PathBuf, source: io::Error },
    /// The file is too large to be a configuration.
    #[error("configuration {path} is {actual} bytes; the limit is {MAX_FILE_BYTES}")]
    TooLarge { path: PathBuf, actual: u64 },
    /// The file is no TOML, or a key is unknown or of the wrong type.
    #[error("configuration {path}: {reason}")]
    Malformed { path: PathBuf, reason: String },
    /// A value is out of range.
    #[error("configuration {path}: {key} is {value}; {least} to {most} is allowed")]
    Range {
        path: PathBuf,
        key: &'static str,
        value: u64,
        least: u64,
        most: u64,
    },
    /// A path must not depend on where the daemon is started.
    #[error("configuration {path}: {key} is `{value}`; write an absolute path")]
    Relative {
        path: PathBuf,
        key: &'static str,
        value: PathBuf,
    },
    /// Chains or probes cannot be meant.
    #[error("configuration {path}: {reason}")]
    Desired { path: PathBuf, reason: DesiredError },
    /// The trust file cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl Config {
    /// Reads and checks a file; gives its digest too.
    ///
    /// # Errors
    /// [`ConfigError`] with the file, the key and what is allowed.
    pub fn read(path: &Path) -> Result<(Self, Digest), ConfigError> {
        let read = |source| ConfigError::Read {
            path: path.to_owned(),
            source,
        };
        let actual = fs::metadata(path).map_err(read)?.len();
        if actual > MAX_FILE_BYTES {
            return Err(ConfigError::TooLarge {
                path: path.to_owned(),
                actual,
            });
        }
        let text = fs::read_to_string(path).map_err(read)?;
        Ok((Self::parse(&text, path)?, Digest::sha256(text.as_bytes())))
    }

    /// Parses and checks the text of a file; `path` is for messages.
    ///
    /// # Errors
    /// [`ConfigError`] with the key and what is allowed.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| ConfigError::Malformed {
            path: path.to_owned(),
            reason: error.to_string().trim_end().to_owned(),
        })?;
        config.check(path)?;
        Ok(config)
    }

    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let path = || path.to_owned();
        let ranges = [
            ("interval_seconds", self.interval_seconds, 1, 3600),
            ("grace_milliseconds", self.grace_milliseconds, 50, 60_000),
            (
                "registry.timeout_seconds",
                self.registry.timeout_seconds,
                1,
                3600,
            ),
        ];
        for (key, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return Err(ConfigError::Range {
                    path: path(),
                    key,
                    value,
                    least,
                    most,
                });
            }
        }
        let paths = [
            ("state_dir", &self.state_dir),
            ("bpffs", &self.bpffs),
            ("api.socket", &self.api.socket),
        ];
        let layouts = &self.registry.layouts;
        for (key, value) in paths
            .into_iter()
            .chain(self.trust.file.iter().map(|file| ("trust.file", file)))
            .chain(layouts.iter().map(|path| ("registry.layouts", path)))
        {
            if !value.is_absolute() {
                return Err(ConfigError::Relative {
                    path: path(),
                    key,
                    value: value.clone(),
                });
            }
        }
        self.desired()
            .check()
            .map_err(|reason| ConfigError::Desired {
                path: path(),
                reason,
            })
    }

    /// What the file asks to run.
    pub fn desired(&self) -> Desired {
        Desired {
            chains: self.chains.clone(),
            probes: self.probes.clone(),
        }
    }

    /// How often to look at what is true.
    pub const fn interval(&self) -> Duration {
        Duration::from_secs(self.interval_seconds)
    }

    /// How long a replaced generation is kept.
    pub const fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_milliseconds)
    }

    /// Reads the keys that are trusted now: those of the trust file and those of the
    /// configuration itself.
    ///
    /// # Errors
    /// [`ConfigError::Trust`] if the trust file is malformed; one that is absent
    /// trusts nobody.
    pub fn trust(&self) -> Result<TrustStore, ConfigError> {
        let file = match &self.trust.file {
            Some(file) => Some(file.clone()),
            None => TrustStore::default_path().ok(),
        };
        let mut store =
            file.map_or_else(|| Ok(TrustStore::default()), |file| TrustStore::load(&file))?;
        for key in &self.trust.keys {
            store.add(key.clone());
        }
        Ok(store)
    }

    /// Keeps what is trusted, after a registry's trust root went on: in the trust file, which
    /// then holds the keys of the configuration too.
    ///
    /// # Errors
    /// [`ConfigError::Trust`] if it cannot be written; what is in use goes on.
    pub fn keep_trust(&self, trust: &TrustStore) -> Result<(), ConfigError> {
        let file = match &self.trust.file {
            Some(file) => file.clone(),
            None => TrustStore::default_path()?,
        };
        Ok(trust.save(&file)?)
    }

    /// Reads what is demanded of packages now: the rules of the policy file, and `mode`
    /// where they say none.
    ///
    /// # Errors
    /// [`ConfigError::Trust`] if the policy file is malformed, or named and absent.
    pub fn policy(&self) -> Result<Policy, ConfigError> {
        let policy = match &self.trust.policy {
            Some(path) => load_policy(path)?.ok_or_else(|| TrustError::File {
                path: path.clone(),
                source: io::ErrorKind::NotFound.into(),
            })?,
            None => Policy::default(),
        };
        Ok(policy.with_mode(self.mode))
    }
}

impl Default for Config {
    fn default() -> Self {
        // Every key has a default, so the empty file is a configuration.
        toml::from_str("").unwrap_or_else(|_| unreachable!("the empty configuration is valid"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("test.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn the_empty_file_trusts_only_signatures_and_runs_nothing() {
        let config = parse("").unwrap();
        assert_eq!(config.mode, Mode::Trusted);
        assert_eq!(config.on_stop, OnStop::Keep);
        assert_eq!(config.desired(), Desired::default());
    }

    #[test]
    fn the_page_about_it_shows_it_whole() {
        let page = include_str!("../../docs/node.md");
        let example = page.split("```toml\n").nth(1).unwrap();
        let example = example.split("```").next().unwrap();
        let config = parse(example).unwrap();
        let default = Config::default();
        assert_eq!(config.state_dir, default.state_dir);
        assert_eq!(config.bpffs, default.bpffs);
        assert_eq!(config.mode, default.mode);
        assert_eq!(config.on_stop, default.on_stop);
        assert_eq!(config.on_revoked, default.on_revoked);
        assert_eq!(config.interval(), default.interval());
        assert_eq!(config.grace(), default.grace());
        assert_eq!(config.registry.timeout(), default.registry.timeout());
        assert_eq!(config.api, default.api);
        assert_eq!(config.registry.layouts.len(), 1);
        assert_eq!((config.chains.len(), config.probes.len()), (1, 1));
    }

    #[test]
    fn a_chain_is_read_in_order() {
        let config = parse(
            r#"
            mode = "normal"
            [[chain]]
            interface = "eth0"
            netns = "red"
            hook = "xdp"
            mode = "generic"
            [[chain.program]]
            package = "127.0.0.1:5000/netops/ratelimiting:1.0.0"
            proceed_on = ["pass"]
            [chain.program.parameters]
            ports = [80, 443]
            rate = 10
            [[chain.program]]
            package = "netops/packet-count"
            function = "count_xdp"
            "#,
        )
        .unwrap();
        let programs = &config.chains[0].programs;
        assert_eq!(
            programs[0].package.package.to_string(),
            "netops/ratelimiting"
        );
        assert_eq!(programs[0].parameters.len(), 2);
        assert_eq!(programs[1].function.as_deref(), Some("count_xdp"));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("stat_dir = \"/x\"", "unknown field `stat_dir`"),
            ("state_dir = \"x\"", "write an absolute path"),
            ("interval_seconds = 0", "1 to 3600"),
            (
                "[registry]\ntimeout_seconds = 0",
                "registry.timeout_seconds",
            ),
            (
                "[registry]\nlayouts = [\"x.tar\"]",
                "registry.layouts is `x.tar`",
            ),
            (
                "[[chain]]\ninterface = \"a/b\"\nhook = \"xdp\"",
                "`a/b` cannot be an interface",
            ),
            (
                "[[chain]]\ninterface = \"a\"\nhook = \"xdb\"",
                "unknown variant `xdb`",
            ),
            (
                "[[chain]]\ninterface = \"a\"\nhook = \"tc-egress\"\nmode = \"native\"",
                "xdp chains only",
            ),
            ("[[probe]]\npackage = \"exec-trace\"", "names no package"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let twice = "[[chain]]\ninterface = \"a\"\nhook = \"xdp\"\n".repeat(2);
        assert!(parse(&twice).unwrap_err().contains("two chains"));
        let chain = "[[chain]]\ninterface = \"a\"\nhook = \"xdp\"\n[[chain.program]]\npackage = \"a/b\"\nproceed_on = [\"shot\"]";
        assert!(
            parse(chain)
                .unwrap_err()
                .contains("`shot` is no verdict of xdp")
        );
    }
}
