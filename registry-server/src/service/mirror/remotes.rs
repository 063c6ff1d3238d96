// SPDX-License-Identifier: Apache-2.0
//! What this process knows of other registries: which there are, who answers, and when
//! something was asked last. All of it may be forgotten at any time.

use std::{
    collections::HashMap,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use registry_client::{
    auth::CredentialStore,
    copy::CopyError,
    registry::{ConnectOptions, Registry, RegistryError},
};
use url::Url;

use super::{ServiceError, UpstreamError};
use crate::{
    app::App,
    service::outbound::{Outbound, OutboundError},
    store::{self, upstreams::Upstream},
};

/// How long the list of upstreams is believed: so long may a change on another replica take
/// to be noticed here.
const LISTED: TimeDelta = TimeDelta::seconds(5);
/// How long a registry that did not answer is left alone.
const DOWN: TimeDelta = TimeDelta::seconds(15);
/// How long a registry may take to connect, and between two bytes.
const WAIT: Duration = Duration::from_secs(8);
/// How many questions are remembered.
const MAX_REMEMBERED: usize = 10_000;

type Listed = Arc<HashMap<String, Vec<Upstream>>>;

/// Other registries, as this process sees them.
pub struct Remotes {
    /// Where connections may go.
    pub outbound: Outbound,
    credentials: Option<CredentialStore>,
    listed: Mutex<Option<(DateTime<Utc>, Listed)>>,
    connections: Mutex<HashMap<(String, bool), Arc<Registry>>>,
    asked: Mutex<HashMap<String, DateTime<Utc>>>,
    down: Mutex<HashMap<String, DateTime<Utc>>>,
}

impl fmt::Debug for Remotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remotes")
            .field("outbound", &self.outbound)
            .finish_non_exhaustive()
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Remotes {
    /// Knows nobody yet. `credentials` is a file of logins, as `docker login` writes it.
    pub fn new(outbound: Outbound, credentials: Option<PathBuf>) -> Self {
        Self {
            outbound,
            credentials: credentials.map(CredentialStore::at),
            listed: Mutex::default(),
            connections: Mutex::default(),
            asked: Mutex::default(),
            down: Mutex::default(),
        }
    }

    /// The upstreams of a namespace, in their order. Most namespaces have none, and most
    /// requests do not look into the database for it.
    pub(super) async fn of(
        &self,
        app: &App,
        namespace: &str,
    ) -> Result<Vec<Upstream>, ServiceError> {
        let now = app.clock.now();
        let known = held(&self.listed)
            .as_ref()
            .filter(|(at, _)| now - *at < LISTED && now >= *at)
            .map(|(_, listed)| Arc::clone(listed));
        if let Some(listed) = known {
            return Ok(listed.get(namespace).cloned().unwrap_or_default());
        }
        let mut listed = HashMap::<String, Vec<Upstream>>::new();
        for upstream in store::upstreams::list(&app.db).await? {
            let namespace = upstream.namespace.clone();
            listed.entry(namespace).or_default().push(upstream);
        }
        let own = listed.get(namespace).cloned().unwrap_or_default();
        *held(&self.listed) = Some((now, Arc::new(listed)));
        Ok(own)
    }

    /// Forgets everything, after something was changed here.
    pub fn forget(&self) {
        *held(&self.listed) = None;
        held(&self.asked).clear();
        held(&self.down).clear();
    }

    /// Whether this server connects to a registry.
    pub(crate) async fn check(&self, host: &str, plain_http: bool) -> Result<(), UpstreamError> {
        let scheme = if plain_http { "http" } else { "https" };
        let text = format!("{scheme}://{host}/");
        let url = Url::parse(&text)
            .ok()
            .filter(|url| url.path() == "/" && url.username().is_empty())
            .ok_or_else(|| OutboundError::Form(text.chars().take(200).collect()))?;
        Ok(self.outbound.check(&url).await?)
    }

    /// A connection to a registry; one per registry for all requests.
    pub(crate) fn connect(&self, host: &str, plain_http: bool) -> Result<Arc<Registry>, CopyError> {
        let key = (host.to_owned(), plain_http);
        if let Some(known) = held(&self.connections).get(&key) {
            return Ok(Arc::clone(known));
        }
        let registry = self.connect_with(host, plain_http, self.credentials.as_ref())?;
        held(&self.connections).insert(key, Arc::clone(&registry));
        Ok(registry)
    }

    /// A connection for somebody who may not use this server's credentials.
    pub(crate) fn connect_anonymous(
        &self,
        host: &str,
        plain_http: bool,
    ) -> Result<Arc<Registry>, CopyError> {
        self.connect_with(host, plain_http, None)
    }

    fn connect_with(
        &self,
        host: &str,
        plain_http: bool,
        credentials: Option<&CredentialStore>,
    ) -> Result<Arc<Registry>, CopyError> {
        let found = match credentials {
            Some(store) => store.find(host).map_err(RegistryError::from)?,
            None => None,
        };
        let setup = |error: OutboundError| RegistryError::Setup {
            reason: error.to_string(),
        };
        let client = self.outbound.client(WAIT).map_err(setup)?;
        let options = ConnectOptions {
            plain_http,
            encrypted_loopback: !plain_http,
            credentials: found,
            timeout: WAIT,
            cache: None,
            client: Some(client),
        };
        Ok(Arc::new(Registry::connect(host, &options)?))
    }

    /// Whether something was asked less than `within` ago.
    pub(super) fn asked_within(&self, key: &str, within: TimeDelta, now: DateTime<Utc>) -> bool {
        held(&self.asked)
            .get(key)
            .is_some_and(|at| now >= *at && now - *at < within)
    }

    /// Notes that something was asked now.
    pub(super) fn note(&self, key: String, now: DateTime<Utc>) {
        let mut asked = held(&self.asked);
        if asked.len() >= MAX_REMEMBERED {
            asked.clear();
        }
        asked.insert(key, now);
    }

    /// Whether a registry is left alone, because it did not answer a moment ago.
    pub(super) fn is_down(&self, host: &str, now: DateTime<Utc>) -> bool {
        held(&self.down)
            .get(host)
            .is_some_and(|at| now >= *at && now - *at < DOWN)
    }

    /// Notes that a registry did not answer.
    pub(super) fn note_down(&self, host: &str, now: DateTime<Utc>) {
        held(&self.down).insert(host.to_owned(), now);
    }
}
