// SPDX-License-Identifier: Apache-2.0
//! Everything a request needs.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use registry_client::verify::signature::Roots;
use url::Url;

use crate::{
    blob::Blobs,
    clock::{Clock, Random},
    config::Config,
    http::{limit::Limits, tls::Tls},
    index::Index,
    metrics::Metrics,
    service::{
        cache::Reads, document_key::DocumentKey, log::Log, mirror::Remotes, oidc::Providers,
        session::Sessions, token::BearerKey,
    },
    store::Db,
};

/// The registry, cloned into each handler; all clones are one.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The registry's parts.
pub struct Parts {
    /// How it was started.
    pub config: Config,
    /// Where clients reach it; without a trailing slash in [`Parts::origin`].
    pub public_url: Url,
    /// The database.
    pub db: Db,
    /// The content.
    pub blobs: Blobs,
    /// The searchable catalogue.
    pub index: Index,
    /// Held while the index catches up with the store.
    pub indexing: tokio::sync::Mutex<()>,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// What anybody may read, as it was read last.
    pub reads: Reads,
    /// What `/metrics` shows.
    pub metrics: Metrics,
    /// Signs the revocation feed.
    pub feed_key: DocumentKey,
    /// Name and key of the publish log.
    pub log: Log,
    /// Signs and checks bearer tokens.
    pub bearer: BearerKey,
    /// Signs records of decisions.
    pub records: DocumentKey,
    /// What OIDC providers said of themselves.
    pub providers: Providers,
    /// What keyless signatures are checked with.
    pub sigstore_roots: Roots,
    /// Keeps the hashes of pullers from being guessed.
    pub pull_salt: String,
    /// Keeps two requests from continuing one upload at the same time.
    pub sessions: Sessions,
    /// What is remembered of addresses, to keep them within limits.
    pub limits: Limits,
    /// TLS, if it is served.
    pub tls: Option<Tls>,
    /// Whether the registry was told to stop.
    pub stopping: AtomicBool,
    /// Other registries, and where else connections may go.
    pub remotes: Remotes,
}

impl From<Parts> for App {
    fn from(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Parts {
    /// Scheme, host and port under which clients reach the registry, as in
    /// `http://127.0.0.1:5000`.
    pub fn origin(&self) -> &str {
        self.public_url.as_str().trim_end_matches('/')
    }

    /// Says that no new work should be sent here.
    pub fn stop(&self) {
        self.stopping.store(true, Relaxed);
    }

    /// Whether the registry was told to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    /// Host and port, as in `127.0.0.1:5000`: what stands before a package in a reference.
    pub fn host(&self) -> &str {
        self.origin().split_once("://").map_or("", |(_, host)| host)
    }
}
