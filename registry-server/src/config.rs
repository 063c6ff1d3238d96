// SPDX-License-Identifier: Apache-2.0
//! Command line and environment. No other file reads either. An option of [`Config`] is at
//! once a key of the configuration file; see `config_file.rs`.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, FromArgMatches, Parser, Subcommand};
use url::Url;

use crate::{
    config_access::AccessOptions,
    config_file::{ConfigError, Loaded, load},
    config_log::{PublishLogOptions, PublishLogVerb},
    config_policy::PolicyOptions,
    network::Network,
};

pub use crate::config_access::AdminVerb;
pub use crate::config_storage::{Bucket, Upkeep};
pub use crate::config_tls::{ClientAuth, TlsOptions, TlsVersion};

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
    /// What the program tells of itself.
    #[command(flatten)]
    pub log: LogOptions,
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

/// What the program tells of itself.
#[derive(Debug, Clone, Args)]
pub struct LogOptions {
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
    /// Collector that traces are sent to by OTLP over HTTP, for instance
    /// `http://127.0.0.1:4318`
    #[arg(long, global = true, env = "BPFPKG_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<Url>,
    /// Which part of the traces that begin here is sent, from 0 to 1; a trace that a client
    /// began is sent if the client sends it
    #[arg(
        long,
        global = true,
        env = "BPFPKG_OTLP_SAMPLE",
        value_name = "RATIO",
        default_value_t = 1.0
    )]
    pub otlp_sample: f64,
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
    /// Collect garbage now, beside a running registry or without one
    Gc {
        /// Only say what would be collected
        #[arg(long)]
        dry_run: bool,
        /// The settings.
        #[command(flatten)]
        config: Box<Config>,
    },
    /// Check that everything the database says is there
    Fsck {
        /// Print the report as JSON
        #[arg(long)]
        json: bool,
        /// The settings.
        #[command(flatten)]
        config: Box<Config>,
    },
    /// Read and hash everything that is stored; set aside and repair what is damaged
    Scrub(Box<Config>),
    /// Copy database and blobs into an empty directory, while the registry runs
    Backup {
        /// Where to
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// The settings.
        #[command(flatten)]
        config: Box<Config>,
    },
    /// Bring a backup into an empty registry, and check all of it
    Restore {
        /// Where from
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
        /// The settings.
        #[command(flatten)]
        config: Box<Config>,
    },
    /// Check or export the audit log
    #[command(subcommand)]
    Audit(AuditVerb),
    /// Check the publish log
    #[command(subcommand)]
    Log(PublishLogVerb),
    /// Let an administrator back in who has lost every token
    #[command(subcommand)]
    Admin(AdminVerb),
    /// Ask the registry on this machine whether it can do its work; exit code 0 if so
    Health(Health),
    /// Write the manual pages into a folder
    Man(Manual),
    /// Print a script that completes commands in a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Where the manual goes.
#[derive(Debug, Args)]
pub struct Manual {
    /// Folder for the pages; made if absent
    pub folder: PathBuf,
}

/// Where the registry of this machine is; taken from its configuration.
#[derive(Debug, Args)]
pub struct Health {
    /// Address it listens on
    #[arg(
        long,
        env = "BPFPKG_SERVER_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:5000"
    )]
    pub listen: SocketAddr,
    /// Where it answers probes by plain HTTP; if there is such an address, it is asked there
    #[arg(long, env = "BPFPKG_SERVER_PROBE_LISTEN", value_name = "ADDR")]
    pub probe_listen: Option<SocketAddr>,
    /// Its certificate; if there is one, it is asked by TLS
    #[arg(long, env = "BPFPKG_SERVER_TLS_CERTIFICATE", value_name = "FILE")]
    pub tls_certificate: Option<PathBuf>,
}

/// What can be done with the audit log, also while the registry runs.
#[derive(Debug, Subcommand)]
pub enum AuditVerb {
    /// Check that no entry was changed, added or taken out; exit code 20 if one was
    Verify {
        /// An entry that was noted earlier and must still be there, as `NUMBER:HASH`; may be repeated
        #[arg(long, value_name = "NUMBER:HASH", value_parser = noted)]
        noted: Vec<(i64, String)>,
        /// Where the registry is.
        #[command(flatten)]
        config: Box<Config>,
    },
    /// Write all entries to standard output, one JSON object per line, oldest first
    Export {
        /// Only entries after this number
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        after: i64,
        /// Where the registry is.
        #[command(flatten)]
        config: Box<Config>,
    },
}

fn noted(text: &str) -> Result<(i64, String), String> {
    let wrong = || format!("`{text}` is no `NUMBER:HASH` as `audit verify` prints it");
    let (number, hash) = text.split_once(':').ok_or_else(wrong)?;
    let number = number.parse().map_err(|_| wrong())?;
    Ok((number, hash.to_owned()))
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
    /// Address to answer /healthz, /readyz and /metrics on as well, by plain HTTP: for probes
    /// that have no client certificate
    #[arg(long, env = "BPFPKG_SERVER_PROBE_LISTEN", value_name = "ADDR")]
    pub probe_listen: Option<SocketAddr>,
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
    /// Where the bytes of blobs are kept, if not in the data directory
    #[command(flatten)]
    pub bucket: Bucket,
    /// How the content is kept whole
    #[command(flatten)]
    pub upkeep: Upkeep,
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
    /// Private networks that mirrors and webhooks may reach, as `10.0.0.0/8`; there also
    /// without encryption
    #[arg(
        long,
        env = "BPFPKG_SERVER_ALLOW_PRIVATE",
        value_name = "NETWORK",
        value_delimiter = ','
    )]
    pub allow_private: Vec<Network>,
    /// Logins for registries that are mirrored, a file as `docker login` writes it
    #[arg(long, env = "BPFPKG_SERVER_UPSTREAM_LOGINS", value_name = "FILE")]
    pub upstream_logins: Option<PathBuf>,
    /// Seconds to let running requests end after SIGTERM
    #[arg(
        long,
        env = "BPFPKG_SERVER_DRAIN_SECONDS",
        value_name = "SECONDS",
        default_value_t = 25
    )]
    pub drain_seconds: u32,
    /// Seconds to go on as before after SIGTERM while /readyz fails already, so that load
    /// balancers notice
    #[arg(
        long,
        env = "BPFPKG_SERVER_NOTICE_SECONDS",
        value_name = "SECONDS",
        default_value_t = 0
    )]
    pub notice_seconds: u32,
    /// TLS.
    #[command(flatten)]
    pub tls: TlsOptions,
    /// What protects the registry from too much.
    #[command(flatten)]
    pub limits: LimitOptions,
    /// Who gets in.
    #[command(flatten)]
    pub access: AccessOptions,
    /// The publish log.
    #[command(flatten)]
    pub publish_log: PublishLogOptions,
    /// What is demanded of a version.
    #[command(flatten)]
    pub policy: PolicyOptions,
}

/// What protects the registry from too much.
#[derive(Debug, Clone, Args)]
pub struct LimitOptions {
    /// Connections that are open at the same time; more wait
    #[arg(
        long,
        env = "BPFPKG_SERVER_MAX_CONNECTIONS",
        value_name = "NUMBER",
        default_value_t = 4096
    )]
    pub max_connections: usize,
    /// Connections of one address (IPv6: one /64) at the same time; more are closed
    #[arg(
        long,
        env = "BPFPKG_SERVER_MAX_CONNECTIONS_PER_ADDRESS",
        value_name = "NUMBER",
        default_value_t = 256
    )]
    pub max_connections_per_address: usize,
    /// Seconds that a client may take for a TLS handshake, for the head of a request, and
    /// between two requests
    #[arg(
        long,
        env = "BPFPKG_SERVER_HEAD_SECONDS",
        value_name = "SECONDS",
        default_value_t = 10
    )]
    pub head_seconds: u32,
    /// Seconds that a client may pause within a body, in sending and in reading
    #[arg(
        long,
        env = "BPFPKG_SERVER_PAUSE_SECONDS",
        value_name = "SECONDS",
        default_value_t = 30
    )]
    pub pause_seconds: u32,
    /// Bytes per second that a body must bring in the long run
    #[arg(
        long,
        env = "BPFPKG_SERVER_MIN_RATE",
        value_name = "BYTES",
        default_value_t = 512
    )]
    pub min_rate: u32,
    /// Requests that one address may make per second on each replica; 0 is any number
    #[arg(
        long,
        env = "BPFPKG_SERVER_REQUESTS_PER_SECOND",
        value_name = "NUMBER",
        default_value_t = 0
    )]
    pub requests_per_second: u32,
    /// Log-ins of one address that may fail in ten minutes, on all replicas together; 0 is
    /// any number
    #[arg(
        long,
        env = "BPFPKG_SERVER_FAILED_LOGINS",
        value_name = "NUMBER",
        default_value_t = 100
    )]
    pub failed_logins: u32,
    /// Versions that one account may publish in an hour, on all replicas together; 0 is any
    /// number
    #[arg(
        long,
        env = "BPFPKG_SERVER_PUBLISHES_PER_HOUR",
        value_name = "NUMBER",
        default_value_t = 0
    )]
    pub publishes_per_hour: u32,
    /// Addresses of proxies whose `X-Forwarded-For` is believed, as 192.0.2.1 or 10.0.0.0/8;
    /// may come more than once
    #[arg(
        long,
        env = "BPFPKG_SERVER_TRUSTED_PROXY",
        value_name = "NETWORK",
        value_delimiter = ','
    )]
    pub trusted_proxy: Vec<Network>,
}

impl LimitOptions {
    /// How long a client may take for the head of a request.
    pub fn head(&self) -> Duration {
        Duration::from_secs(self.head_seconds.into())
    }

    /// How long a client may pause within a body.
    pub fn pause(&self) -> Duration {
        Duration::from_secs(self.pause_seconds.into())
    }
}

/// Largest blob unless configured: 512 MiB.
const DEFAULT_MAX_BLOB: u64 = 512 * 1024 * 1024;

impl Config {
    /// A registry under `data` on a free port of the loopback interface, with everything
    /// else as it is unless configured. The environment is not looked at.
    pub fn local(data: impl Into<PathBuf>) -> Self {
        let data: PathBuf = data.into();
        let options = Self::augment_args(clap::Command::new("local").no_binary_name(true))
            .mut_args(|option| option.env(None::<&str>));
        let arguments = [
            "--listen".into(),
            "127.0.0.1:0".into(),
            "--data".into(),
            data.into_os_string(),
        ];
        let parsed = options
            .try_get_matches_from::<_, OsString>(arguments)
            .and_then(|matches| Self::from_arg_matches(&matches));
        parsed.unwrap_or_else(|error| unreachable!("the defaults are valid: {error}"))
    }

    /// How long running requests may take after the signal to stop.
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds.into())
    }

    /// How long to go on as before after the signal to stop.
    pub fn notice(&self) -> Duration {
        Duration::from_secs(self.notice_seconds.into())
    }
}
