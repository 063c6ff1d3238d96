// SPDX-License-Identifier: Apache-2.0
//! Counters of this process, in the OpenMetrics text format.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// What `/metrics` shows of requests. Labels come from the route table, never from a
/// path, so that no client can make the table grow.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: Mutex<BTreeMap<(&'static str, String, u16), Requests>>,
    received: AtomicU64,
    sent: AtomicU64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Requests {
    number: u64,
    seconds: f64,
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

impl Metrics {
    /// Notes an answered request.
    pub fn request(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = requests
            .entry((method, route.to_owned(), status))
            .or_default();
        entry.number += 1;
        entry.seconds += took.as_secs_f64();
    }

    /// Notes bytes of content that clients pushed.
    pub fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Notes bytes of content that clients pulled.
    pub fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Everything as OpenMetrics text.
    pub fn render(&self, gauges: &[Gauge]) -> String {
        let mut text = String::new();
        let requests = self
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        text.push_str(
            "# TYPE bpfpkg_requests counter\n# HELP bpfpkg_requests Answered requests.\n",
        );
        for ((method, route, status), entry) in &requests {
            let _ = writeln!(
                text,
                "bpfpkg_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}} {}",
                entry.number
            );
        }
        text.push_str(
            "# TYPE bpfpkg_request_seconds counter\n# UNIT bpfpkg_request_seconds seconds\n",
        );
        text.push_str(
            "# HELP bpfpkg_request_seconds Time spent on answering, until the first byte.\n",
        );
        for ((method, route, status), entry) in &requests {
            let _ = writeln!(
                text,
                "bpfpkg_request_seconds_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}} {}",
                entry.seconds
            );
        }
        for (name, help, value) in [
            (
                "received_bytes",
                "Bytes of blobs and manifests that clients pushed.",
                &self.received,
            ),
            (
                "sent_bytes",
                "Bytes of blobs and manifests that clients pulled.",
                &self.sent,
            ),
        ] {
            let value = value.load(Ordering::Relaxed);
            let _ = writeln!(
                text,
                "# TYPE bpfpkg_{name} counter\n# UNIT bpfpkg_{name} bytes\n# HELP bpfpkg_{name} {help}\nbpfpkg_{name}_total {value}"
            );
        }
        for Gauge { name, help, value } in gauges {
            let _ = writeln!(
                text,
                "# TYPE bpfpkg_{name} gauge\n# HELP bpfpkg_{name} {help}\nbpfpkg_{name} {value}"
            );
        }
        text.push_str("# EOF\n");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_ends_as_openmetrics_must() {
        let metrics = Metrics::default();
        metrics.request("GET", "/healthz", 200, Duration::from_millis(250));
        metrics.received(7);
        let text = metrics.render(&[Gauge {
            name: "packages",
            help: "Packages.",
            value: 3,
        }]);
        assert!(text.contains(
            "bpfpkg_requests_total{method=\"GET\",route=\"/healthz\",status=\"200\"} 1\n"
        ));
        assert!(text.contains("bpfpkg_received_bytes_total 7\n"));
        assert!(text.contains("bpfpkg_packages 3\n"));
        assert!(text.ends_with("# EOF\n"));
    }
}
