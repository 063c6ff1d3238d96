// SPDX-License-Identifier: Apache-2.0
//! Numbers of this process, in the OpenMetrics text format.

mod text;

use std::{
    collections::HashMap,
    sync::{
        OnceLock, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

pub use text::Family;

/// The methods that are counted by name; all others are counted as `other`.
const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other",
];
/// The statuses that are counted by number; all others are counted as 0.
const STATUSES: [u16; 40] = [
    200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 406, 408, 409,
    410, 411, 412, 413, 415, 416, 421, 422, 423, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504,
    507, 0,
];
/// Upper bounds of the latency histogram, in microseconds.
const BOUNDS: [u64; 13] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 10_000_000,
];
const CELLS: usize = METHODS.len() * STATUSES.len();

/// What `/metrics` shows of requests and connections. Labels come from the route table,
/// never from a path, so that no client can make the table grow. Counting a request takes
/// one shared lock and three additions.
#[derive(Debug, Default)]
pub struct Metrics {
    routes: RwLock<HashMap<Box<str>, Route>>,
    /// Bytes of blobs and manifests that clients pushed.
    pub received: Counter,
    /// Bytes of blobs and manifests that clients pulled.
    pub sent: Counter,
    /// Requests that are being answered.
    pub in_flight: Counter,
    /// Connections that are open.
    pub open: Counter,
    /// Connections that were accepted.
    pub accepted: Counter,
    /// Connections that were closed at once because their address had too many.
    pub crowded: Counter,
    /// TLS handshakes that failed.
    pub handshake_failures: Counter,
    /// Certificate files that changed and could not be used.
    pub reload_failures: Counter,
    /// Requests that were refused because there were too many.
    pub limited: Counter,
}

/// A number that many threads change.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds.
    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Relaxed);
    }

    /// Adds one, and takes it back when the guard is dropped.
    pub fn hold(&self) -> Held<'_> {
        self.add(1);
        Held(self)
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// One of what a [`Counter`] counts, for as long as it lives.
#[derive(Debug)]
pub struct Held<'a>(&'a Counter);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

/// Requests of one row of the route table, by method and status.
#[derive(Debug)]
struct Route(Box<[OnceLock<Box<Series>>; CELLS]>);

#[derive(Debug, Default)]
struct Series {
    /// One for each bound, and one for all that took longer.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Route {
    fn new() -> Self {
        Self(Box::new([const { OnceLock::new() }; CELLS]))
    }

    fn note(&self, method: &str, status: u16, took: Duration) {
        let method = METHODS.iter().position(|known| *known == method);
        let status = STATUSES.iter().position(|known| *known == status);
        let method = method.unwrap_or(METHODS.len() - 1);
        let cell = method * STATUSES.len() + status.unwrap_or(STATUSES.len() - 1);
        let Some(cell) = self.0.get(cell) else {
            return;
        };
        let series = cell.get_or_init(Box::default);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        if let Some(bucket) = series.buckets.get(bucket) {
            bucket.fetch_add(1, Relaxed);
        }
        series.micros.fetch_add(micros, Relaxed);
    }
}

impl Metrics {
    /// Notes an answered request. `route` must come from the route table.
    pub fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        {
            let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(route) = routes.get(route) {
                return route.note(method, status, took);
            }
        }
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        let entry = routes.entry(route.into()).or_insert_with(Route::new);
        entry.note(method, status, took);
    }

    /// Notes bytes of content that clients pushed.
    pub fn received(&self, bytes: u64) {
        self.received.add(bytes);
    }

    /// Notes bytes of content that clients pulled.
    pub fn sent(&self, bytes: u64) {
        self.sent.add(bytes);
    }

    /// Everything as OpenMetrics text, with `more` that is measured when it is asked for.
    pub fn render(&self, more: &[Family]) -> String {
        text::render(self, more)
    }
}

/// A number that is measured when it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Gauge {
    /// Its name, without the prefix of the program.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    /// Its value now.
    pub value: u64,
}
