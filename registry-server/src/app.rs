// SPDX-License-Identifier: Apache-2.0
//! Everything a request needs, cloned into each handler.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
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

/// The registry's parts. Cloning is cheap.
#[derive(Clone)]
pub struct App {
    /// How it was started.
    pub config: Arc<Config>,
    /// Where clients reach it; without a trailing slash in [`App::origin`].
    pub public_url: Arc<Url>,
    /// The database.
    pub db: Db,
    /// The content.
    pub blobs: Blobs,
    /// The searchable catalogue.
    pub index: Arc<Index>,
    /// Held while the index catches up with the store.
    pub indexing: Arc<tokio::sync::Mutex<()>>,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// What anybody may read, as it was read last.
    pub reads: Arc<Reads>,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// Signs the revocation feed.
    pub feed_key: Arc<DocumentKey>,
    /// Name and key of the publish log.
    pub log: Arc<Log>,
    /// Signs and checks bearer tokens.
    pub bearer: Arc<BearerKey>,
    /// Signs records of decisions.
    pub records: Arc<DocumentKey>,
    /// What OIDC providers said of themselves.
    pub providers: Arc<Providers>,
    /// What keyless signatures are checked with.
    pub sigstore_roots: Roots,
    /// Keeps the hashes of pullers from being guessed.
    pub pull_salt: Arc<str>,
    /// Keeps two requests from continuing one upload at the same time.
    pub sessions: Arc<Sessions>,
    /// What is remembered of addresses, to keep them within limits.
    pub limits: Arc<Limits>,
    /// TLS, if it is served.
    pub tls: Option<Arc<Tls>>,
    /// Whether the registry was told to stop.
    pub stopping: Arc<AtomicBool>,
    /// Other registries, and where else connections may go.
    pub remotes: Arc<Remotes>,
}

impl App {
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
