// SPDX-License-Identifier: Apache-2.0
//! The part of the configuration that says who gets in.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::config::Config;

/// Who gets in.
#[derive(Debug, Clone, Args)]
pub struct AccessOptions {
    /// Who may make accounts
    #[arg(
        long,
        env = "BPFPKG_SERVER_REGISTRATION",
        value_enum,
        default_value = "closed"
    )]
    pub registration: Registration,
    /// Longest life of an API token, in days; what a token gets that asks for nothing else
    #[arg(
        long,
        env = "BPFPKG_SERVER_MAX_TOKEN_DAYS",
        value_name = "DAYS",
        default_value_t = 90,
        value_parser = clap::value_parser!(u32).range(1..=3650)
    )]
    pub max_token_days: u32,
    /// OIDC issuer whose ID tokens namespaces may trust for publishing; may be repeated
    #[arg(
        long = "oidc-issuer",
        env = "BPFPKG_SERVER_OIDC_ISSUERS",
        value_name = "URL",
        value_delimiter = ','
    )]
    pub oidc_issuers: Vec<String>,
    /// Sigstore root (`trusted_root.json`) that keyless signatures are checked with; may be
    /// repeated
    #[arg(
        long = "sigstore-root",
        env = "BPFPKG_SERVER_SIGSTORE_ROOTS",
        value_name = "FILE",
        value_delimiter = ','
    )]
    pub sigstore_roots: Vec<PathBuf>,
    /// OIDC issuer that people log in to the web pages with
    #[arg(long, env = "BPFPKG_SERVER_LOGIN_ISSUER", value_name = "URL")]
    pub login_issuer: Option<String>,
    /// What this registry is called at the login issuer
    #[arg(long, env = "BPFPKG_SERVER_LOGIN_CLIENT_ID", value_name = "ID")]
    pub login_client_id: Option<String>,
    /// File with this registry's secret at the login issuer; none for a public client
    #[arg(
        long,
        env = "BPFPKG_SERVER_LOGIN_CLIENT_SECRET_FILE",
        value_name = "FILE"
    )]
    pub login_client_secret_file: Option<PathBuf>,
}

/// Who may make accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Registration {
    /// Administrators.
    Closed,
    /// Also whoever logs in through the login issuer.
    Login,
    /// Anybody.
    Open,
}

/// What an operator can do for administrators.
#[derive(Debug, Subcommand)]
pub enum AdminVerb {
    /// Make a token for an administrator and print it, beside a running registry or without one
    Token {
        /// The administrator; the first one that is enabled if absent
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        /// How many hours the token lasts
        #[arg(long, value_name = "HOURS", default_value_t = 24,
            value_parser = clap::value_parser!(u32).range(1..=8760))]
        hours: u32,
        /// Where the registry is.
        #[command(flatten)]
        config: Box<Config>,
    },
}
