// SPDX-License-Identifier: Apache-2.0
//! Connections to others: whoever names an address to this server must not reach through it
//! what only this server can reach.
//!
//! Names are resolved here, addresses of private and special networks are refused, and the
//! connection goes to exactly the addresses that were looked at. What the operator allows
//! with `--allow-private` is excepted.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use reqwest::{
    Client,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use url::{Host, Url};

use crate::network::Network;

/// Most redirects that are followed.
const MAX_REDIRECTS: usize = 3;

/// Why nothing is sent to an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum OutboundError {
    /// The text is no address of the Web.
    #[error("`{0}` is no address to connect to; write `https://host/…`")]
    Form(String),
    /// The connection would not be encrypted.
    #[error("`{0}` is not encrypted; use https")]
    Plain(String),
    /// The address is of a network that only this server can reach.
    #[error(
        "`{host}` is at {address}, in a private or special network; the operator may allow it with `--allow-private`"
    )]
    Private { host: String, address: IpAddr },
    /// The name leads nowhere.
    #[error("`{host}` cannot be resolved: {reason}")]
    Unresolved { host: String, reason: String },
    /// No HTTP client can be made.
    #[error("no connection can be prepared: {0}")]
    Setup(String),
}

/// Turns a name into addresses; a test brings its own.
pub trait Lookup: Send + Sync {
    /// The addresses of a host name.
    fn lookup(
        &self,
        host: String,
    ) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>>;
}

/// The resolver of the machine.
#[derive(Debug, Clone, Copy)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(
        &self,
        host: String,
    ) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Decides where connections may go. Cloning is cheap.
#[derive(Clone)]
pub struct Outbound {
    allowed: Arc<[Network]>,
    lookup: Arc<dyn Lookup>,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound")
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}

impl Outbound {
    /// Allows public addresses, and those of `allowed`.
    pub fn new(allowed: &[Network], lookup: Arc<dyn Lookup>) -> Self {
        Self {
            allowed: allowed.into(),
            lookup,
        }
    }

    /// Whether a connection to an address may be made.
    pub fn permits(&self, address: IpAddr) -> bool {
        is_public(address) || self.is_excepted(address)
    }

    fn is_excepted(&self, address: IpAddr) -> bool {
        self.allowed.iter().any(|network| network.contains(address))
    }

    /// Whether something may be sent to a URL now: https, or plain http to addresses that
    /// the operator has allowed.
    ///
    /// # Errors
    /// [`OutboundError`] with the reason.
    pub async fn check(&self, url: &Url) -> Result<(), OutboundError> {
        let shown = || url.as_str().chars().take(200).collect::<String>();
        let host = url.host().ok_or_else(|| OutboundError::Form(shown()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(OutboundError::Form(shown()));
        }
        let (name, addresses) = match host {
            Host::Ipv4(address) => (address.to_string(), vec![IpAddr::V4(address)]),
            Host::Ipv6(address) => (address.to_string(), vec![IpAddr::V6(address)]),
            Host::Domain(name) => (name.to_owned(), self.resolve(name).await?),
        };
        if let Some(address) = addresses.iter().find(|address| !self.permits(**address)) {
            return Err(OutboundError::Private {
                host: name,
                address: *address,
            });
        }
        let excepted = addresses.iter().all(|address| self.is_excepted(*address));
        if url.scheme() == "https" || excepted {
            Ok(())
        } else {
            Err(OutboundError::Plain(shown()))
        }
    }

    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, OutboundError> {
        let unresolved = |reason: String| OutboundError::Unresolved {
            host: name.to_owned(),
            reason,
        };
        let found = self.lookup.lookup(name.to_owned()).await;
        let found = found.map_err(|error| unresolved(error.to_string()))?;
        if found.is_empty() {
            return Err(unresolved("it has no address".to_owned()));
        }
        Ok(found)
    }

    /// An HTTP client that connects only where it may. `wait` is how long it waits for a
    /// connection and for each further byte.
    ///
    /// # Errors
    /// [`OutboundError::Setup`].
    pub fn client(&self, wait: Duration) -> Result<Client, OutboundError> {
        let guard = self.clone();
        // A name in a redirect is looked at when it is resolved; a bare address is not
        // resolved, so it is looked at here.
        let redirects = Policy::custom(move |attempt| {
            let permitted = match attempt.url().host() {
                Some(Host::Ipv4(address)) => guard.permits(address.into()),
                Some(Host::Ipv6(address)) => guard.permits(address.into()),
                Some(Host::Domain(_)) => true,
                None => false,
            };
            let before = attempt.previous().last().map_or("", Url::scheme);
            let weaker = before == "https" && attempt.url().scheme() != "https";
            if permitted && !weaker && attempt.previous().len() <= MAX_REDIRECTS {
                attempt.follow()
            } else {
                attempt.error("it leads where this server sends nothing")
            }
        });
        self.build(wait, redirects)
    }

    /// The same, for messages that go nowhere but where they were sent: it follows no
    /// redirect.
    ///
    /// # Errors
    /// [`OutboundError::Setup`].
    pub fn straight_client(&self, wait: Duration) -> Result<Client, OutboundError> {
        self.build(wait, Policy::none())
    }

    fn build(&self, wait: Duration, redirects: Policy) -> Result<Client, OutboundError> {
        Client::builder()
            .user_agent(concat!("bpfpkg-registry/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(wait)
            .read_timeout(wait)
            .no_proxy()
            .redirect(redirects)
            .dns_resolver(Arc::new(Guarded(self.clone())))
            .build()
            .map_err(|error| OutboundError::Setup(error.to_string()))
    }
}

/// Gives connections only addresses that they may go to.
struct Guarded(Outbound);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.0.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = guard.resolve(&host).await?;
            let refused = found.first().copied();
            let permitted: Vec<_> = found
                .into_iter()
                .filter(|address| guard.permits(*address))
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            match refused {
                Some(address) if permitted.is_empty() => {
                    Err(OutboundError::Private { host, address }.into())
                }
                _ => Ok(Box::new(permitted.into_iter()) as Addrs),
            }
        })
    }
}

/// Whether an address is one that the whole Internet can reach. Everything that is set aside
/// for another purpose is not, also in the disguises that IPv6 has for IPv4.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19)))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Only this range is given out to anybody; parts of it carry other addresses within
    // (Teredo, 6to4) or are for books.
    (a & 0xe000) == 0x2000
        && !(a == 0x2001 && b < 0x0200)
        && !(a == 0x2001 && b == 0x0db8)
        && a != 0x2002
        && a != 0x3fff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_only_this_server_can_reach() {
        for text in [
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "192.88.99.1",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:a9fe:a9fe",
            "::127.0.0.1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "100::1",
            "3fff::1",
            "5f00::1",
        ] {
            assert!(!is_public(text.parse().expect(text)), "{text}");
        }
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:1.1.1.1",
        ] {
            assert!(is_public(text.parse().expect(text)), "{text}");
        }
    }
}
