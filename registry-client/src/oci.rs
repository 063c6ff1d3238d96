// SPDX-License-Identifier: Apache-2.0
//! The parts of OCI manifests and indexes that packages and signatures use.
//!
//! Reading is lenient about members that are not listed here (other tools add
//! them) and strict about those that are: a digest is well formed or the document
//! is refused.

use std::collections::BTreeMap;

use registry_schema::{
    Digest,
    canonical::{self, CanonicalError},
    media_type,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Annotations, sorted so that they print the same way every time.
pub type Annotations = BTreeMap<String, String>;

/// A promise about bytes that are stored elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type of the bytes.
    pub media_type: String,
    /// Their digest.
    pub digest: Digest,
    /// Their length in bytes.
    pub size: u64,
    /// What kind of thing a referrer is; empty for everything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The platform of an image within an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Annotations of the entry.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
}

impl Descriptor {
    /// Describes `bytes`.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::sha256(bytes),
            size: bytes.len() as u64,
            artifact_type: None,
            platform: None,
            annotations: Annotations::new(),
        }
    }
}

/// An operating system and a processor architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// The architecture by Go's name, such as `amd64`.
    pub architecture: String,
    /// The operating system, such as `linux`.
    pub os: String,
}

/// An image index: the list of what a version holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// Always the OCI index's media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What kind of index this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The entries, in the order that other tools read them.
    #[serde(default)]
    pub manifests: Vec<Descriptor>,
    /// Annotations of the whole.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
}

/// An image manifest: a config and layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// Always the OCI manifest's media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What kind of manifest this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The config.
    pub config: Descriptor,
    /// The layers.
    #[serde(default)]
    pub layers: Vec<Descriptor>,
    /// What this manifest is about, for referrers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Annotations of the whole.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
}

/// The manifest behind a `.sig` tag with these layers, and its config.
pub(crate) fn simple_manifest(
    layers: Vec<Descriptor>,
) -> Result<(Vec<u8>, Vec<u8>), CanonicalError> {
    let diff_ids: Vec<_> = layers.iter().map(|layer| layer.digest.as_str()).collect();
    let config = canonical::to_vec(&json!({
        "architecture": "",
        "config": {},
        "created": "0001-01-01T00:00:00Z",
        "history": vec![json!({"created": "0001-01-01T00:00:00Z"}); layers.len()],
        "os": "",
        "rootfs": {"diff_ids": diff_ids, "type": "layers"},
    }))?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media_type::OCI_MANIFEST.to_owned()),
        artifact_type: None,
        config: Descriptor::of(media_type::OCI_CONFIG, &config),
        layers,
        subject: None,
        annotations: Annotations::new(),
    };
    Ok((canonical::to_vec(&manifest)?, config))
}
