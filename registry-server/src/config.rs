// SPDX-License-Identifier: Apache-2.0
//! Command line and environment. No other file reads either. An option of [`Config`] is at
//! once a key of the configuration file; see `config_file.rs`.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use url::Url;

use crate::config_file::{ConfigError, Loaded, load};

/// The configuration file that is read if it is there and no other is given.
pub const DEFAULT_FILE: &str = "/etc/bpfpkg/registry.toml";

/// A registry for signed eBPF packages: OCI distribution, catalogue and search in one program.
#[derive(Debug, Parser)]
#[command(name = "bpfpkg-registry", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Configuration file: TOML with the options of `serve` as keys; /etc/bpfpkg/registry.toml
    /// if that is there
    #[arg(long, global = true, env = "BPFPKG_SERVER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Which messages to log, for instance `info` or `registry_server=debug`
    #[arg(long, global = true, env = "BPFPKG_LOG", default_value = "info")]
    pub log: String,
    /// How to write the log
    #[arg(
        long,
        global = true,
        env = "BPFPKG_LOG_FORMAT",
        value_enum,
        default_value = "text"
    )]
    pub log_format: LogFormat,
}

impl Cli {
    /// Reads the command line of this process, its environment and the configuration file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load() -> Result<Loaded, ConfigError> {
        let arguments: Vec<OsString> = std::env::args_os().collect();
        load(&arguments)
    }
}

/// The form of the log on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the registry until SIGINT or SIGTERM
    Serve(Box<Config>),
    /// Check or show the configuration
    #[command(subcommand)]
    Config(ConfigVerb),
}

/// What can be done with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Read everything that `serve` would read, and say what is wrong
    Check(Box<Config>),
    /// Print the settings as they are after file, environment and command line
    Show {
        /// Say behind each where it comes from
        #[arg(long)]
        origin: bool,
        /// The settings.
        #[command(flatten)]
        config: Box<Config>,
    },
}

/// How to serve.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Directory for the database, the blobs and the search index; made if absent
    #[arg(long, env = "BPFPKG_SERVER_DATA", value_name = "DIR")]
    pub data: PathBuf,
    /// Address to listen on; port 0 takes a free one
    #[arg(
        long,
        env = "BPFPKG_SERVER_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:5000"
    )]
    pub listen: SocketAddr,
    /// Where clients reach this registry, for instance `https://registry.example`
    #[arg(long, env = "BPFPKG_SERVER_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<Url>,
    /// PostgreSQL to use instead of SQLite, as `postgres://user@host/database`
    #[arg(
        long,
        env = "BPFPKG_SERVER_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    pub database: Option<String>,
    /// Largest blob that is accepted, in bytes
    #[arg(long, env = "BPFPKG_SERVER_MAX_BLOB", value_name = "BYTES", default_value_t = DEFAULT_MAX_BLOB)]
    pub max_blob_bytes: u64,
    /// Seconds after which an unfinished upload is forgotten
    #[arg(
        long,
        env = "BPFPKG_SERVER_UPLOAD_SECONDS",
        value_name = "SECONDS",
        default_value_t = 86_400
    )]
    pub upload_seconds: u32,
    /// Seconds to let running requests end after SIGTERM
    #[arg(
        long,
        env = "BPFPKG_SERVER_DRAIN_SECONDS",
        value_name = "SECONDS",
        default_value_t = 25
    )]
    pub drain_seconds: u32,
}

/// Largest blob unless configured: 512 MiB.
const DEFAULT_MAX_BLOB: u64 = 512 * 1024 * 1024;

impl Config {
    /// A registry under `data` on a free port of the loopback interface.
    pub fn local(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            public_url: None,
            database: None,
            max_blob_bytes: DEFAULT_MAX_BLOB,
            upload_seconds: 86_400,
            drain_seconds: 25,
        }
    }

    /// How long running requests may take after the signal to stop.
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds.into())
    }
}
