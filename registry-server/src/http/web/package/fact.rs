// SPDX-License-Identifier: Apache-2.0
//! What the publisher declares, beside what the registry derives.

use registry_schema::PackageManifest;
use registry_schema::manifest::{MetricKind, Parameter, ParameterValue};
use registry_schema::profile::ObjectProfile;

use crate::http::web::format::thousands;

/// A row of the table of parameters.
pub(super) struct ParameterRow {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) default: String,
    pub(super) help: String,
}

/// What an operator may set.
pub(super) fn parameters(manifest: &PackageManifest) -> Vec<ParameterRow> {
    let row = |parameter: &Parameter| ParameterRow {
        name: parameter.name.clone(),
        value: value(parameter),
        default: parameter
            .default
            .as_ref()
            .map_or_else(|| "–".to_owned(), written),
        help: parameter.help.clone(),
    };
    manifest.parameters.iter().map(row).collect()
}

/// Type, range and unit: `list of u16, at least 1`.
fn value(parameter: &Parameter) -> String {
    let kind = parameter.value_type.as_str();
    let many = if parameter.many { "list of " } else { "" };
    let range = match (parameter.min, parameter.max) {
        (Some(min), Some(max)) => format!(", {} to {}", signed(min), thousands(max)),
        (Some(min), None) => format!(", at least {}", signed(min)),
        (None, Some(max)) => format!(", at most {}", thousands(max)),
        (None, None) => String::new(),
    };
    let unit = parameter.unit.as_ref().map(|unit| format!(", in {unit}"));
    format!("{many}{kind}{range}{}", unit.unwrap_or_default())
}

fn signed(number: i64) -> String {
    let sign = if number < 0 { "−" } else { "" };
    format!("{sign}{}", thousands(number.unsigned_abs()))
}

/// A value as one would write it in a configuration.
fn written(value: &ParameterValue) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A row of the table of metrics.
pub(super) struct MetricRow {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) help: String,
}

/// What a node measures.
pub(super) fn metrics(manifest: &PackageManifest) -> Vec<MetricRow> {
    let rows = manifest.metrics.iter().map(|metric| MetricRow {
        name: metric.name.clone(),
        kind: match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
        },
        help: metric.help.clone(),
    });
    rows.collect()
}

/// What the object itself says of its licence.
pub(super) fn licence_note(profile: Option<&ObjectProfile>) -> String {
    match profile.map(|profile| (&profile.license, profile.gpl_compatible)) {
        None => String::new(),
        Some((None, _)) => "The object names no licence".to_owned(),
        Some((Some(text), true)) => format!("The object says “{text}”: it may use all helpers"),
        Some((Some(text), false)) => {
            format!("The object says “{text}”: it may not use GPL-only helpers")
        }
    }
}

/// The declared range of kernels beside the derived lower bound.
pub(super) struct Kernel {
    pub(super) declared: String,
    pub(super) derived: String,
}

impl Kernel {
    pub(super) fn new(manifest: &PackageManifest, profile: Option<&ObjectProfile>) -> Self {
        let kernel = manifest.kernel.as_ref();
        let range = kernel.map(|kernel| (kernel.minimum, kernel.maximum));
        let declared = match range {
            Some((Some(from), Some(to))) => format!("{from} to {to}, declared"),
            Some((Some(from), None)) => format!("{from} or newer, declared"),
            Some((None, Some(to))) => format!("up to {to}, declared"),
            Some((None, None)) | None => "No range declared".to_owned(),
        };
        let derived = match profile.and_then(|profile| profile.kernel_floor.as_ref()) {
            Some(floor) => format!("Derived: at least {}, for {}", floor.version, floor.reason),
            None => "Nothing in the object needs a certain version".to_owned(),
        };
        Self { declared, derived }
    }
}

/// A link that the publisher wrote.
pub(super) struct Link {
    pub(super) url: String,
    pub(super) label: String,
    /// Only web addresses are followed; others are shown as text.
    pub(super) follow: bool,
}

impl Link {
    pub(super) fn new(url: &str) -> Self {
        let follow = url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "https" | "http"));
        let label = url
            .trim_start_matches("https://")
            .trim_end_matches('/')
            .to_owned();
        Self {
            url: url.to_owned(),
            label,
            follow,
        }
    }
}
