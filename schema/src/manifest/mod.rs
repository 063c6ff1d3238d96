// SPDX-License-Identifier: Apache-2.0
//! `package.toml`: what a package declares about itself.
//!
//! The same structures are read from TOML (written by a publisher) and from
//! canonical JSON (the config of a package manifest in a registry).

mod check;
mod parse;
mod value;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hook::ProgramType;
use crate::kernel::KernelVersion;
use crate::name::PackageName;
use crate::version::Version;

pub use parse::{MAX_MANIFEST, ManifestError};
pub use value::{ParameterValue, ValueType};

/// A whole `package.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PackageManifest {
    /// Name, version, licence and what a catalogue shows.
    pub package: Package,
    /// The eBPF objects, one per target.
    #[serde(rename = "object")]
    pub objects: Vec<Object>,
    /// Kernels the publisher promises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Kernel>,
    /// The programs of the objects.
    #[serde(rename = "program")]
    pub programs: Vec<Program>,
    /// What an operator may set.
    #[serde(rename = "parameter", default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// What a node measures.
    #[serde(rename = "metric", default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    /// Sizes and life of maps, by map name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub maps: BTreeMap<String, MapSettings>,
    /// Whether a node may weave the programs into a chain.
    #[serde(default, skip_serializing_if = "Weave::is_allow")]
    pub weave: Weave,
    /// Who attests the right to publish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal: Option<Legal>,
    /// Price and terms of use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
    /// How to build the objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<Build>,
    /// Tables for named consumers; opaque to everyone else.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub compat: BTreeMap<String, serde_json::Value>,
}

/// `[package]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// `namespace/name`.
    pub name: PackageName,
    /// SemVer without build metadata.
    pub version: Version,
    /// One sentence, at most 200 characters.
    pub summary: String,
    /// SPDX expression; must agree with the object's licence section.
    pub license: String,
    /// Where the source is; absent is shown as "no source".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Where users read more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documentation: Option<String>,
    /// At most 10 words to be found by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// At most 5 categories, such as `security` or `observability`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// File shown on the package's page; `README.md` if it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readme: Option<String>,
}

/// `[[object]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// File name of the object; built from `<stem>.bpf.c` beside the manifest if that exists.
    pub path: String,
    /// `bpfel`, `bpfeb`, or `os/arch` for an object that is no portable eBPF.
    #[serde(default = "default_target")]
    pub target: String,
}

fn default_target() -> String {
    "bpfel".to_owned()
}

/// `[kernel]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// Oldest kernel that is promised to work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<KernelVersion>,
    /// Newest kernel that is promised to work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<KernelVersion>,
}

/// `[[program]]`: one function of the object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// The function's name in the object.
    pub function: String,
    /// What kind of program it is.
    #[serde(rename = "type")]
    pub program_type: ProgramType,
    /// For `tc`: the only direction it is meant for; absent means both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// What it attaches to where the type alone does not say: `group/name` of a
    /// tracepoint, a symbol, `path:symbol`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attach: Option<String>,
    /// Whether the package is of no use without it.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub required: bool,
    /// Verdicts after which a chain goes on; absent means the hook's default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proceed_on: Vec<String>,
    /// Default place in a chain, 0 (first) to 1000; the operator's order wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u16>,
    /// Program array through which it tail-calls the next program by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_map: Option<String>,
}

const fn yes() -> bool {
    true
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
const fn is_true(value: &bool) -> bool {
    *value
}

/// Which packets a `tc` program is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Received packets.
    Ingress,
    /// Sent packets.
    Egress,
}

/// `[[parameter]]`: a value the operator may set, kept in a map or a global.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// The name an operator uses.
    pub name: String,
    /// Type and width of the value.
    #[serde(rename = "type")]
    pub value_type: ValueType,
    /// Whether it is a list.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub many: bool,
    /// Unit of the value, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Value when the operator sets none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<ParameterValue>,
    /// Smallest value of a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    /// Largest value of a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// Map that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<ParameterMap>,
    /// Read-only global variable that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global: Option<String>,
    /// What it does, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
}

/// Where in a map a parameter lies. Exactly one of `key` and `value` is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParameterMap {
    /// The map's name in the object.
    pub name: String,
    /// The parameter is the value of this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<u64>,
    /// The parameter is a key (each of a list is one), and this is its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<u64>,
}

/// `[[metric]]`: a number that a node reads from a map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Name in OpenMetrics form, without the package's prefix.
    pub name: String,
    /// Counter or gauge.
    pub kind: MetricKind,
    /// Unit of the value, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What it counts, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
    /// Where it lies.
    pub map: MetricMap,
}

/// Kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    /// Only rises, and begins at 0.
    Counter,
    /// Rises and falls.
    Gauge,
}

/// Where in a map a metric lies. Values of per-CPU maps are summed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricMap {
    /// The map's name in the object.
    pub name: String,
    /// The one key to read. Without `key` and `keys`, every entry of the map is one
    /// sample and its key is the label's value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<u64>,
    /// Several keys to read: value of the label → key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, u64>,
    /// Name of the label that tells samples apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Member of the value's struct, by the object's BTF; nested with dots. Absent
    /// means the whole value is one number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// `[maps.<name>]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MapSettings {
    /// Entries to make room for, instead of what the object says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_entries: Option<u32>,
    /// Whether a new version of the package takes the entries over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_on_upgrade: Option<bool>,
}

/// Whether the programs may be woven into a chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Weave {
    /// A node may weave them.
    #[default]
    Allow,
    /// They run alone on their hook.
    Deny,
}

impl Weave {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde's skip_serializing_if passes a reference"
    )]
    const fn is_allow(&self) -> bool {
        matches!(self, Self::Allow)
    }
}

/// `[legal]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Legal {
    /// Who attests the right to publish, `Name <mail>`, as in a Developer
    /// Certificate of Origin.
    pub attested_by: String,
}

/// `[terms]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Price, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<String>,
    /// Where the terms are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// `[build]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// The C compiler; `clang` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compiler: Option<String>,
    /// Further flags for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Include directories, relative to the manifest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// The commit or tag the objects were built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}
