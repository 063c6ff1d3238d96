// SPDX-License-Identifier: Apache-2.0
//! What all verbs share: options, the configuration file, connections, trust.

use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Args, ValueEnum, ValueHint};
use registry_schema::{Reference, reference::check_host, trust::policy::Policy};
use serde::Deserialize;

use super::{clock, failure::Failure, output};
use crate::{
    auth::CredentialStore,
    cache::Cache,
    file,
    memory::MemoryStore,
    registry::{ConnectOptions, Registry},
    trust::{Refreshed, TrustStore, default_policy_path, load_policy, refresh},
};

/// Options that every verb understands
#[derive(Debug, Clone, Args)]
pub(super) struct Global {
    /// Registry to use for names without one, `host` or `host:port`
    #[arg(
        long,
        global = true,
        env = "BPFPKG_REGISTRY",
        value_name = "HOST",
        help_heading = "Global options"
    )]
    pub(super) registry: Option<String>,
    /// Speak plain http to the registry, although it is not this machine
    #[arg(long, global = true, help_heading = "Global options")]
    pub(super) plain_http: bool,
    /// Longest wait for a connection and for the next byte, such as `30s`
    #[arg(long, global = true, default_value = "30s", value_name = "TIME", value_parser = humantime::parse_duration, help_heading = "Global options")]
    pub(super) timeout: Duration,
    /// File of trusted keys
    #[arg(long, global = true, env = "BPFPKG_TRUST", value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Global options")]
    pub(super) trust_file: Option<PathBuf>,
    /// File of rules that packages must keep
    #[arg(long, global = true, env = "BPFPKG_POLICY", value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Global options")]
    pub(super) policy_file: Option<PathBuf>,
    /// Colour of messages; `NO_COLOR` and `CLICOLOR_FORCE` are understood
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        help_heading = "Global options"
    )]
    pub(super) color: Color,
    /// Say nothing but errors
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub(super) quiet: bool,
    /// Say more; repeat for still more
    #[arg(long, short, global = true, action = ArgAction::Count, conflicts_with = "quiet", help_heading = "Global options")]
    pub(super) verbose: u8,
}

/// When to colour
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// `config.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// The default registry.
    pub(super) registry: Option<String>,
    /// Registries that are searched besides the default one.
    #[serde(default)]
    pub(super) registries: Vec<String>,
    /// Registries to speak plain http to.
    #[serde(default)]
    pub(super) plain_http: Vec<String>,
}

/// One run of the command.
pub(super) struct Session {
    pub(super) global: Global,
    pub(super) config: Config,
}

impl Session {
    /// Reads the configuration.
    pub(super) fn new(global: Global) -> Result<Self, Failure> {
        Ok(Self {
            global,
            config: read_config()?,
        })
    }

    /// The registry for names without one.
    pub(super) fn default_registry(&self) -> Result<String, Failure> {
        let chosen = self
            .global
            .registry
            .clone()
            .or_else(|| self.config.registry.clone());
        chosen.ok_or_else(|| {
            Failure::usage(
                "no registry is named",
                "write `host/namespace/name`, add `--registry HOST`, set BPFPKG_REGISTRY, or run `bpfpkg login HOST`",
            )
        })
    }

    /// The registries that are searched: the one that the command line names, or all that the
    /// configuration lists, the default one first.
    pub(super) fn searched(&self) -> Result<Vec<String>, Failure> {
        let listed = match &self.global.registry {
            Some(_) => &[][..],
            None => &self.config.registries,
        };
        let mut hosts = Vec::new();
        if self.config.registry.is_some() || listed.is_empty() {
            hosts.push(self.default_registry()?);
        }
        for host in listed {
            if !hosts.contains(host) {
                hosts.push(host.clone());
            }
        }
        Ok(hosts)
    }

    /// The registry that a reference names or means.
    pub(super) fn registry_of(&self, reference: &Reference) -> Result<String, Failure> {
        reference
            .registry
            .clone()
            .map_or_else(|| self.default_registry(), Ok)
    }

    /// How to connect to `host`, with the credentials that are stored for it.
    pub(super) fn options(&self, host: &str) -> Result<ConnectOptions, Failure> {
        let credentials = match CredentialStore::from_environment() {
            Ok(store) => store.find(host)?,
            Err(_) => None,
        };
        Ok(ConnectOptions {
            plain_http: self.global.plain_http
                || self.config.plain_http.iter().any(|plain| plain == host),
            credentials,
            timeout: self.global.timeout,
            cache: Cache::of_user(),
            ..ConnectOptions::default()
        })
    }

    /// Prepares a connection to `host`.
    pub(super) fn connect(&self, host: &str) -> Result<Registry, Failure> {
        Ok(Registry::connect(host, &self.options(host)?)?)
    }

    /// Where trusted keys are kept.
    pub(super) fn trust_path(&self) -> Result<PathBuf, Failure> {
        match &self.global.trust_file {
            Some(path) => Ok(path.clone()),
            None => Ok(TrustStore::default_path()?),
        }
    }

    /// The trusted keys.
    pub(super) fn trust(&self) -> Result<TrustStore, Failure> {
        Ok(TrustStore::load(&self.trust_path()?)?)
    }

    /// Where the rules are.
    pub(super) fn policy_path(&self) -> Result<PathBuf, Failure> {
        match &self.global.policy_file {
            Some(path) => Ok(path.clone()),
            None => Ok(default_policy_path()?),
        }
    }

    /// What is demanded of packages. A file that was named must be there.
    pub(super) fn policy(&self) -> Result<Policy, Failure> {
        let path = self.policy_path()?;
        match load_policy(&path)? {
            Some(policy) => Ok(policy),
            None if self.global.policy_file.is_none() => Ok(Policy::default()),
            None => Err(Failure::usage(
                format!("there is no policy file `{}`", path.display()),
                "name the file that holds your rules, or leave the option out",
            )),
        }
    }

    /// Brings what is pinned of a registry up to date, and says what did not work.
    pub(super) async fn refresh(
        &self,
        registry: &Registry,
        trust: &mut TrustStore,
        memory: &MemoryStore,
    ) -> Result<(), Failure> {
        let refreshed = refresh(registry, trust, memory, clock::now()).await;
        self.take_over(registry.host(), &refreshed, trust)
    }

    /// Keeps what a refresh brought, and says what did not work.
    pub(super) fn take_over(
        &self,
        host: &str,
        refreshed: &Refreshed,
        trust: &TrustStore,
    ) -> Result<(), Failure> {
        for problem in &refreshed.problems {
            self.say(format!("warning: {problem}"));
        }
        if let Some(version) = refreshed.root {
            self.say(format!(
                "the trust root of {host} went on to version {version}"
            ));
            trust.save(&self.trust_path()?)?;
        }
        Ok(())
    }

    /// Says what a registry wanted its users to know, and gives it.
    pub(super) fn pass_on(&self, registry: &Registry) -> Vec<String> {
        let warnings = registry.take_warnings();
        for warning in &warnings {
            self.say(format!("warning: {warning}"));
        }
        warnings
    }

    /// Says something on stderr, unless silence was asked for.
    pub(super) fn say(&self, text: impl AsRef<str>) {
        if !self.global.quiet {
            output::say(text);
        }
    }
}

/// Where it is noted what was seen of registries.
pub(super) fn memory() -> Result<MemoryStore, Failure> {
    MemoryStore::of_user().ok_or_else(|| {
        Failure::usage(
            "there is no folder to note in what was seen",
            "set HOME or XDG_STATE_HOME",
        )
    })
}

/// Where the configuration is.
pub(super) fn config_path() -> Option<PathBuf> {
    let named = std::env::var_os("BPFPKG_CONFIG")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from);
    named.or_else(|| {
        file::user_folder("XDG_CONFIG_HOME", ".config")
            .map(|folder| folder.join("bpfpkg/config.toml"))
    })
}

fn read_config() -> Result<Config, Failure> {
    let Some(path) = config_path() else {
        return Ok(Config::default());
    };
    let bytes = match file::read_bounded(&path, 1 << 20) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Config::default()),
        Err(error) => return Err(damaged(&path, &error.to_string())),
    };
    let text = String::from_utf8(bytes).map_err(|error| damaged(&path, &error.to_string()))?;
    let config: Config =
        toml::from_str(&text).map_err(|error| damaged(&path, error.to_string().trim_end()))?;
    let named = config.registry.iter().chain(&config.registries);
    for host in named.chain(&config.plain_http) {
        check_host(host).map_err(|error| damaged(&path, &error.to_string()))?;
    }
    Ok(config)
}

fn damaged(path: &std::path::Path, reason: &str) -> Failure {
    Failure::usage(
        format!(
            "configuration `{}` cannot be used: {reason}",
            path.display()
        ),
        "its keys are `registry`, `registries` and `plain_http`",
    )
}

/// Makes `host` the default registry if there is none; says whether it did.
pub(super) fn remember_registry(config: &Config, host: &str) -> Result<bool, Failure> {
    let Some(path) = config_path() else {
        return Ok(false);
    };
    if config.registry.is_some() {
        return Ok(false);
    }
    let old = file::read_bounded(&path, 1 << 20).unwrap_or_default();
    let text = format!("registry = \"{host}\"\n{}", String::from_utf8_lossy(&old));
    file::write_private(&path, text.as_bytes())
        .map_err(|error| damaged(&path, &error.to_string()))?;
    Ok(true)
}
