// SPDX-License-Identifier: Apache-2.0
//! Who may come in, how often, and under which address.

use std::{
    collections::HashMap,
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DashMapStateStore,
};
use tokio::sync::watch;

use super::{
    error::{Failure, WRONG_CREDENTIALS, WRONG_ID_TOKEN},
    extract::Peer,
    serve::stopped,
};
use crate::{
    app::App,
    clock::Clock,
    config::LimitOptions,
    network::{Network, neighbourhood},
    service,
};

/// How often addresses that were not seen for long are forgotten.
const FORGET: Duration = Duration::from_mins(1);

type Rate =
    RateLimiter<IpAddr, DashMapStateStore<IpAddr>, DefaultClock, StateInformationMiddleware>;

/// What this replica remembers of addresses.
#[derive(Debug)]
pub struct Limits {
    connections: Arc<Mutex<HashMap<IpAddr, usize>>>,
    most: usize,
    trusted: Vec<Network>,
    rate: Option<(NonZeroU32, Rate)>,
    /// Addresses that failed to log in too often, and until when they are not listened to.
    /// Other replicas learn it from the database at their first failure there.
    shut_out: RwLock<HashMap<IpAddr, DateTime<Utc>>>,
    any_shut_out: AtomicBool,
}

/// A connection that an address holds, until dropped.
#[derive(Debug)]
pub struct Slot {
    /// The other end.
    pub peer: IpAddr,
    connections: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut connections = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let of = neighbourhood(self.peer);
        if let Some(number) = connections.get_mut(&of) {
            *number -= 1;
            if *number == 0 {
                connections.remove(&of);
            }
        }
    }
}

impl Limits {
    /// Nothing is remembered yet.
    pub fn new(options: &LimitOptions) -> Self {
        let rate = NonZeroU32::new(options.requests_per_second).map(|most| {
            let quota = Quota::per_second(most).allow_burst(most);
            (most, RateLimiter::keyed(quota).with_middleware())
        });
        Self {
            connections: Arc::default(),
            most: options.max_connections_per_address,
            trusted: options.trusted_proxy.clone(),
            rate,
            shut_out: RwLock::default(),
            any_shut_out: AtomicBool::new(false),
        }
    }

    /// Takes a connection of `peer` into account; none if it has as many as it may have.
    /// A trusted proxy has as many as it wants.
    pub fn connect(&self, peer: IpAddr) -> Option<Slot> {
        let mut connections = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let number = connections.entry(neighbourhood(peer)).or_default();
        if *number >= self.most && !trusts(&self.trusted, peer) {
            return None;
        }
        *number += 1;
        Some(Slot {
            peer,
            connections: self.connections.clone(),
        })
    }

    /// Lets a request of `client` in, and gives the headers that tell it how much is left.
    ///
    /// # Errors
    /// [`Failure`] 429 if it makes too many requests, or failed to log in too often and
    /// tries again.
    pub fn admit(
        &self,
        client: IpAddr,
        has_credentials: bool,
        clock: &Clock,
    ) -> Result<Option<Remaining>, Failure> {
        let client = neighbourhood(client);
        if has_credentials && self.any_shut_out.load(Relaxed) {
            let now = clock.now();
            let shut_out = self.shut_out.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(until) = shut_out.get(&client).filter(|until| **until > now) {
                let seconds = (*until - now).num_seconds().unsigned_abs() + 1;
                let detail = "too many log-ins failed from your address; wait before you try again";
                return Err(too_many(detail, seconds));
            }
        }
        let Some((most, rate)) = &self.rate else {
            return Ok(None);
        };
        match rate.check_key(&client) {
            Ok(state) => Ok(Some(Remaining {
                most: most.get(),
                left: state.remaining_burst_capacity(),
            })),
            Err(wait) => {
                let wait = wait.wait_time_from(DefaultClock::default().now());
                let detail = format!("your address may make {most} requests per second");
                let remaining = Remaining {
                    most: most.get(),
                    left: 0,
                };
                let seconds = wait.as_secs() + 1;
                let mut failure = too_many(&detail, seconds);
                failure.headers.extend(remaining.headers());
                Err(failure)
            }
        }
    }

    /// Does not listen to log-ins of `client` any more.
    fn shut_out(&self, client: IpAddr, until: DateTime<Utc>, now: DateTime<Utc>) {
        let mut shut_out = self
            .shut_out
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        shut_out.retain(|_, until| *until > now);
        shut_out.insert(client, until);
        self.any_shut_out.store(true, Relaxed);
    }

    /// Forgets addresses that were not seen for long, now and then until `stop`.
    pub(super) async fn forget_idle(&self, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(FORGET) => {}
                () = stopped(&mut stop) => return,
            }
            if let Some((_, rate)) = &self.rate {
                rate.retain_recent();
                rate.shrink_to_fit();
            }
        }
    }
}

/// How many requests an address may make, and how many more just now.
#[derive(Debug, Clone, Copy)]
pub struct Remaining {
    most: u32,
    left: u32,
}

impl Remaining {
    /// `RateLimit-Policy` and `RateLimit`, as structured fields.
    pub fn headers(self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let Self { most, left } = self;
        let policy = format!("\"address\";q={most};w=1");
        let rest = format!("\"address\";r={left};t=1");
        [("ratelimit-policy", policy), ("ratelimit", rest)]
            .into_iter()
            .filter_map(|(name, value)| {
                let name = HeaderName::from_static(name);
                Some((name, HeaderValue::try_from(value).ok()?))
            })
    }
}

fn too_many(detail: &str, seconds: u64) -> Failure {
    Failure::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too-many-requests",
        "TOOMANYREQUESTS",
        detail,
    )
    .with_header(header::RETRY_AFTER, &seconds.to_string())
}

/// An answer to a log-in that failed, where it is a page of its own and no [`Failure`].
#[derive(Debug, Clone, Copy)]
pub struct WrongLogin;

/// Keeps the limits of requests, and notices log-ins that fail.
pub(super) async fn enforce(app: &App, request: Request, next: Next) -> Response {
    let Some(Peer(client)) = request.extensions().get().copied() else {
        return next.run(request).await;
    };
    let in_body = request.method() == Method::POST
        && matches!(
            request.uri().path(),
            "/login" | "/token" | "/api/v1/oidc/exchange"
        );
    let has_credentials = in_body || request.headers().contains_key(header::AUTHORIZATION);
    let remaining = match app.limits.admit(client, has_credentials, &app.clock) {
        Ok(remaining) => remaining,
        Err(failure) => {
            app.metrics.limited.add(1);
            return failure.into_response();
        }
    };
    let mut response = next.run(request).await;
    let failure = response.extensions().get::<Failure>();
    let refused =
        failure.is_some_and(|failure| matches!(failure.kind, WRONG_CREDENTIALS | WRONG_ID_TOKEN));
    if refused || response.extensions().get::<WrongLogin>().is_some() {
        login_failed(app, client).await;
    }
    if let Some(remaining) = remaining {
        response.extensions_mut().insert(remaining);
    }
    response
}

/// Counts a log-in of `client` that failed, for all replicas.
pub(super) async fn login_failed(app: &App, client: IpAddr) {
    let client = neighbourhood(client);
    match service::limit::failed_login(app, &client.to_string()).await {
        Ok(Some(until)) => app.limits.shut_out(client, until, app.clock.now()),
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "a failed log-in could not be counted"),
    }
}

fn trusts(proxies: &[Network], address: IpAddr) -> bool {
    proxies.iter().any(|network| network.contains(address))
}

/// Who makes the request: the other end of the connection, or the right-most address in
/// `X-Forwarded-For` that is not one of our proxies. What stands left of it the client may
/// have made up.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[Network]) -> IpAddr {
    if proxies.is_empty() || !trusts(proxies, peer) {
        return peer;
    }
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    let hops = lines.flat_map(|line| line.to_str().unwrap_or("?").rsplit(',').map(str::trim));
    let mut client = peer;
    for hop in hops {
        let Some(address) = address(hop) else {
            break;
        };
        client = address;
        if !trusts(proxies, address) {
            break;
        }
    }
    client
}

/// An address with or without a port, IPv6 with or without brackets.
fn address(hop: &str) -> Option<IpAddr> {
    hop.parse()
        .or_else(|_| hop.parse().map(|socket: std::net::SocketAddr| socket.ip()))
        .or_else(|_| hop.trim_matches(['[', ']']).parse())
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxy_may_say_who_the_client_is() {
        let proxies = ["10.0.0.0/8".parse().expect("a network")];
        let cases: [(&str, &[&str], &str); 8] = [
            ("192.0.2.1", &["203.0.113.9"], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
            (
                "10.0.0.1",
                &["1.1.1.1", "203.0.113.9, 10.0.0.2"],
                "203.0.113.9",
            ),
            ("10.0.0.1", &["1.1.1.1, nonsense"], "10.0.0.1"),
            ("10.0.0.1", &["[2001:db8::1]:443"], "2001:db8::1"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ];
        for (peer, lines, expected) in cases {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", line.parse().expect("a header"));
            }
            let found = client(peer.parse().expect("an address"), &headers, &proxies);
            assert_eq!(found.to_string(), expected, "{peer} {lines:?}");
        }
    }
}
