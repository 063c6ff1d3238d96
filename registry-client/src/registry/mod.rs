// SPDX-License-Identifier: Apache-2.0
//! A connection to one OCI registry.
//!
//! Every read is bounded before it begins: a document by what documents may
//! weigh, a blob by the size its descriptor promises. Blobs are uploaded through
//! `oci-client`; it reads manifests without a bound, so reading is done here.

mod error;
mod read;
mod session;
mod transfer;
mod write;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Mutex,
    time::Duration,
};

use registry_schema::reference::check_host;

use self::session::Session;
pub use self::{error::RegistryError, read::Document, write::Stored};
pub(crate) use self::{
    error::{Context, clean},
    read::{of_type, read_body},
    transfer::Begun,
};
use crate::{
    auth::Credentials,
    cache::Cache,
    token::{Access, Challenge},
};

/// Largest manifest or index, in bytes.
pub const MAX_MANIFEST_BYTES: u64 = 4 << 20;
/// Largest eBPF object, in bytes.
pub const MAX_OBJECT_BYTES: u64 = 16 << 20;

/// How to connect.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Speak plain http. A registry on a loopback address is always spoken to in
    /// plain http unless `encrypted_loopback` is set.
    pub plain_http: bool,
    /// Speak https to a loopback address too.
    pub encrypted_loopback: bool,
    /// Who asks; nobody, for public packages.
    pub credentials: Option<Credentials>,
    /// How long to wait for a connection, and for the next byte of an answer.
    pub timeout: Duration,
    /// Where blobs are kept, so that none is fetched twice.
    pub cache: Option<Cache>,
    /// The HTTP client to read with, for who must say where connections may go; one is
    /// made if absent. It then does not follow a registry to a bare address for its login.
    pub client: Option<reqwest::Client>,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            plain_http: false,
            encrypted_loopback: false,
            credentials: None,
            timeout: Duration::from_secs(30),
            cache: None,
            client: None,
        }
    }
}

/// A registry, and what is known about how to talk to it.
pub struct Registry {
    host: String,
    plain: bool,
    credentials: Option<Credentials>,
    timeout: Duration,
    cache: Option<Cache>,
    http: reqwest::Client,
    guarded: bool,
    /// Whether another registry has led here: it may not lead on.
    led: bool,
    uploads: oci_client::Client,
    challenge: tokio::sync::OnceCell<Option<Challenge>>,
    sessions: Mutex<HashMap<(String, Access), Session>>,
    warnings: Mutex<BTreeSet<String>>,
}

impl Registry {
    /// Prepares to talk to `host`, which is a name or address and an optional port.
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// [`RegistryError::Host`] if `host` is none, [`RegistryError::Setup`] if the
    /// HTTP client cannot start.
    pub fn connect(host: &str, options: &ConnectOptions) -> Result<Self, RegistryError> {
        check_host(host)?;
        let plain = options.plain_http || (is_loopback(host) && !options.encrypted_loopback);
        let setup = |error: &dyn std::fmt::Display| RegistryError::Setup {
            reason: clean(&error.to_string()),
        };
        let http = match &options.client {
            Some(client) => client.clone(),
            None => reqwest::Client::builder()
                .user_agent(concat!("bpfpkg/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(options.timeout.min(Duration::from_secs(10)))
                .read_timeout(options.timeout)
                .https_only(!plain)
                .redirect(reqwest::redirect::Policy::limited(5))
                .build()
                .map_err(|error| setup(&error))?,
        };
        let uploads = oci_client::Client::try_from(oci_client::client::ClientConfig {
            protocol: if plain {
                oci_client::client::ClientProtocol::Http
            } else {
                oci_client::client::ClientProtocol::Https
            },
            connect_timeout: Some(options.timeout.min(Duration::from_secs(10))),
            read_timeout: Some(options.timeout),
            user_agent: concat!("bpfpkg/", env!("CARGO_PKG_VERSION")),
            ..Default::default()
        })
        .map_err(|error| setup(&error))?;
        Ok(Self {
            host: host.to_owned(),
            plain,
            credentials: options.credentials.clone(),
            timeout: options.timeout,
            cache: options.cache.clone(),
            guarded: options.client.is_some(),
            led: false,
            http,
            uploads,
            challenge: tokio::sync::OnceCell::new(),
            sessions: Mutex::default(),
            warnings: Mutex::default(),
        })
    }

    /// Host and optional port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// `http://host` or `https://host`.
    pub fn base_url(&self) -> String {
        format!(
            "{}://{}",
            if self.plain { "http" } else { "https" },
            self.host
        )
    }

    pub(crate) const fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    pub(crate) const fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(crate) fn context<'a>(&'a self, what: &'a str) -> Context<'a> {
        Context {
            registry: &self.host,
            what,
            username: self
                .credentials
                .as_ref()
                .map(|credentials| credentials.username.as_str()),
            timeout_seconds: self.timeout.as_secs(),
        }
    }
}

/// Whether a host with an optional port is this machine.
pub fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost"
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        for host in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:5000",
            "127.9.9.9",
            "[::1]:5000",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "example.org",
            "localhost.example.org",
            "10.0.0.1:5000",
            "[::2]",
            "128.0.0.1",
            "127.0.0.1.example.org",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
        let url = |host: &str, options: &ConnectOptions| {
            Registry::connect(host, options).map(|registry| registry.base_url())
        };
        let default = ConnectOptions::default();
        assert_eq!(
            url("example.org", &default).expect("host"),
            "https://example.org"
        );
        assert_eq!(
            url("[::1]:5000", &default).expect("host"),
            "http://[::1]:5000"
        );
        let plain = ConnectOptions {
            plain_http: true,
            ..ConnectOptions::default()
        };
        assert_eq!(
            url("example.org", &plain).expect("host"),
            "http://example.org"
        );
        assert!(url("http://example.org", &default).is_err());
    }
}
