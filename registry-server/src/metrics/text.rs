// SPDX-License-Identifier: Apache-2.0
//! The OpenMetrics text format, version 1.0.0.

use std::{
    fmt::{self, Write},
    sync::{PoisonError, atomic::Ordering::Relaxed},
};

use super::{BOUNDS, Counter, Gauge, METHODS, Metrics, STATUSES, Series};

/// A metric with its values by label: what is not counted here but measured elsewhere.
#[derive(Debug, Clone)]
pub struct Family {
    /// Its name, without the prefix of the program.
    pub name: &'static str,
    /// Its unit, which the name ends with; empty if it has none.
    pub unit: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Name of its label; empty if it has none.
    pub label: &'static str,
    /// The label's value, and the value.
    pub values: Vec<(String, f64)>,
}

impl From<Gauge> for Family {
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact up to 2^53, and the format has floats"
    )]
    fn from(gauge: Gauge) -> Self {
        Self {
            name: gauge.name,
            unit: if gauge.name.ends_with("_bytes") {
                "bytes"
            } else {
                ""
            },
            help: gauge.help,
            label: "",
            values: vec![(String::new(), gauge.value as f64)],
        }
    }
}

pub(super) fn render(metrics: &Metrics, more: &[Family]) -> String {
    let mut text = String::new();
    // A String takes every write.
    let _ = write_all(&mut text, metrics, more);
    text
}

fn write_all(text: &mut String, metrics: &Metrics, more: &[Family]) -> fmt::Result {
    head(text, "build", "info", "", "The program that runs.")?;
    let version = env!("CARGO_PKG_VERSION");
    writeln!(text, "bpfpkg_build_info{{version=\"{version}\"}} 1")?;
    latencies(text, metrics)?;
    for (name, unit, help, counter) in counters(metrics) {
        head(text, name, "counter", unit, help)?;
        writeln!(text, "bpfpkg_{name}_total {}", counter.get())?;
    }
    for (name, help, counter) in [
        (
            "requests_in_flight",
            "Requests that are being answered.",
            &metrics.in_flight,
        ),
        (
            "connections_open",
            "Connections that are open.",
            &metrics.open,
        ),
    ] {
        head(text, name, "gauge", "", help)?;
        writeln!(text, "bpfpkg_{name} {}", counter.get())?;
    }
    for Family {
        name,
        unit,
        help,
        label,
        values,
    } in more
    {
        head(text, name, "gauge", unit, help)?;
        for (of, value) in values {
            match *label {
                "" => writeln!(text, "bpfpkg_{name} {value}")?,
                label => writeln!(text, "bpfpkg_{name}{{{label}=\"{}\"}} {value}", escaped(of))?,
            }
        }
    }
    text.write_str("# EOF\n")
}

fn counters(metrics: &Metrics) -> [(&'static str, &'static str, &'static str, &Counter); 7] {
    [
        (
            "received_bytes",
            "bytes",
            "Bytes of blobs and manifests that clients pushed.",
            &metrics.received,
        ),
        (
            "sent_bytes",
            "bytes",
            "Bytes of blobs and manifests that clients pulled.",
            &metrics.sent,
        ),
        (
            "connections",
            "",
            "Connections that were accepted.",
            &metrics.accepted,
        ),
        (
            "connections_crowded",
            "",
            "Connections closed at once because their address had too many.",
            &metrics.crowded,
        ),
        (
            "tls_handshake_failures",
            "",
            "TLS handshakes that failed.",
            &metrics.handshake_failures,
        ),
        (
            "tls_reload_failures",
            "",
            "Certificate files that changed and could not be used.",
            &metrics.reload_failures,
        ),
        (
            "requests_limited",
            "",
            "Requests refused because there were too many.",
            &metrics.limited,
        ),
    ]
}

fn head(text: &mut String, name: &str, kind: &str, unit: &str, help: &str) -> fmt::Result {
    writeln!(text, "# TYPE bpfpkg_{name} {kind}")?;
    if !unit.is_empty() {
        writeln!(text, "# UNIT bpfpkg_{name} {unit}")?;
    }
    writeln!(text, "# HELP bpfpkg_{name} {}", escaped(help))
}

fn latencies(text: &mut String, metrics: &Metrics) -> fmt::Result {
    let help = "Time from a request's head to the first byte of its answer.";
    head(text, "request_seconds", "histogram", "seconds", help)?;
    let routes = metrics
        .routes
        .read()
        .unwrap_or_else(PoisonError::into_inner);
    let mut routes: Vec<_> = routes.iter().collect();
    routes.sort_by_key(|(route, _)| *route);
    for (route, cells) in routes {
        for (at, cell) in cells.0.iter().enumerate() {
            if let Some(series) = cell.get() {
                let method = METHODS[at / STATUSES.len()];
                let status = STATUSES[at % STATUSES.len()];
                let labels = format!(
                    "method=\"{method}\",route=\"{}\",status=\"{status}\"",
                    escaped(route)
                );
                histogram(text, &labels, series)?;
            }
        }
    }
    Ok(())
}

fn histogram(text: &mut String, labels: &str, series: &Series) -> fmt::Result {
    let mut below = 0;
    let bounds = BOUNDS.iter().map(|micros| Some(*micros)).chain([None]);
    for (bucket, bound) in series.buckets.iter().zip(bounds) {
        below += bucket.load(Relaxed);
        let bound = bound.map_or_else(|| "+Inf".to_owned(), seconds);
        writeln!(
            text,
            "bpfpkg_request_seconds_bucket{{{labels},le=\"{bound}\"}} {below}"
        )?;
    }
    let sum = seconds(series.micros.load(Relaxed));
    writeln!(text, "bpfpkg_request_seconds_count{{{labels}}} {below}")?;
    writeln!(text, "bpfpkg_request_seconds_sum{{{labels}}} {sum}")
}

/// Microseconds as seconds, in the canonical form of a bucket's bound: with a point.
fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    let short = text.trim_end_matches('0');
    if short.ends_with('.') {
        format!("{short}0")
    } else {
        short.to_owned()
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('\n', "\\n")
        .replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_text_is_openmetrics() {
        let metrics = Metrics::default();
        metrics.request("GET", "/healthz", 200, Duration::from_millis(3));
        metrics.request("GET", "/healthz", 200, Duration::from_mins(1));
        metrics.request("BREW", "/healthz", 418, Duration::ZERO);
        metrics.received(7);
        let packages = Gauge {
            name: "packages",
            help: "Packages.",
            value: 3,
        };
        let text = metrics.render(&[packages.into()]);
        let get = "method=\"GET\",route=\"/healthz\",status=\"200\"";
        for line in [
            format!("bpfpkg_request_seconds_bucket{{{get},le=\"0.0025\"}} 0"),
            format!("bpfpkg_request_seconds_bucket{{{get},le=\"0.005\"}} 1"),
            format!("bpfpkg_request_seconds_bucket{{{get},le=\"10.0\"}} 1"),
            format!("bpfpkg_request_seconds_bucket{{{get},le=\"+Inf\"}} 2"),
            format!("bpfpkg_request_seconds_sum{{{get}}} 60.003"),
            "bpfpkg_request_seconds_count{method=\"other\",route=\"/healthz\",status=\"0\"} 1"
                .to_owned(),
            "bpfpkg_received_bytes_total 7".to_owned(),
            "bpfpkg_packages 3".to_owned(),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
