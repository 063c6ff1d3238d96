// SPDX-License-Identifier: Apache-2.0
//! Bodies of the REST API about content that is kept elsewhere, and about webhooks.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    name::{Namespace, PackageName},
    version::Version,
};

/// What a registry does with the content of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UpstreamMode {
    /// Fetches what is pulled, and keeps it.
    Cache,
    /// Lists versions that were named, and sends who pulls them on.
    Foreign,
}

/// A registry that a namespace's content comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Upstream {
    /// What is done with its content.
    pub mode: UpstreamMode,
    /// Host and optional port.
    pub host: String,
    /// Whether it is spoken to without encryption.
    pub plain_http: bool,
    /// What stands before the name of a package there; its namespace.
    pub prefix: String,
    /// For how many seconds a tag is believed before it is asked for again.
    pub tag_seconds: u32,
    /// When it was named.
    pub created_at: DateTime<Utc>,
    /// Who named it.
    pub created_by: String,
}

/// A registry to fetch a namespace's content from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUpstream {
    /// Host and optional port.
    pub host: String,
    /// Whether to speak to it without encryption; only where the operator allows its address.
    #[serde(default)]
    pub plain_http: bool,
    /// What stands before the name of a package there; the namespace itself if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// For how many seconds a tag is believed; 60 if absent, at most a day.
    #[serde(default = "default_tag_seconds")]
    pub tag_seconds: u32,
}

const fn default_tag_seconds() -> u32 {
    60
}

/// All upstreams of a namespace, in the order in which they are asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUpstreams {
    /// The upstreams; none to end mirroring. What was fetched stays.
    pub upstreams: Vec<NewUpstream>,
}

/// A version of another registry to list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewForeign {
    /// Where it is: `host/repository:tag` or `host/repository@sha256:…`.
    pub source: String,
    /// Whether to speak to it without encryption; only where the operator allows its address.
    #[serde(default)]
    pub plain_http: bool,
}

/// A version that was listed, and where its bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Foreign {
    /// The package.
    pub package: PackageName,
    /// The version.
    pub version: Version,
    /// The digest of its index.
    pub digest: Digest,
    /// Where its bytes are: `host/repository@sha256:…`.
    pub source: String,
}

/// What can be told of.
pub const EVENTS: [&str; 19] = [
    "version.publish",
    "version.yank",
    "version.unyank",
    "version.deprecate",
    "version.undeprecate",
    "key.add",
    "key.remove",
    "identity.add",
    "identity.remove",
    "identity.revoke",
    "identity.continue",
    "package.epoch",
    "transfer.offer",
    "transfer.accept",
    "transfer.cancel",
    "transfer.complete",
    "version.refuse",
    "version.expire",
    "webhook.test",
];

/// An address that is told of a namespace's events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Webhook {
    /// Identifies it.
    pub id: String,
    /// The namespace.
    pub namespace: Namespace,
    /// Where messages go.
    pub url: String,
    /// What it is told of.
    pub events: Vec<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Who made it.
    pub created_by: String,
    /// When it was switched off because nothing arrived; none while it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<DateTime<Utc>>,
    /// How many messages in a row could not be delivered.
    pub failures: u32,
}

/// A webhook, and the one time that its secret is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreatedWebhook {
    /// The webhook.
    #[serde(flatten)]
    pub webhook: Webhook,
    /// What messages are signed with, `whsec_` and base64. It is not shown again.
    pub secret: String,
}

/// An address to tell of a namespace's events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    /// Where messages go: https.
    pub url: String,
    /// What to tell of; all events if empty.
    #[serde(default)]
    pub events: Vec<String>,
}

/// A message to a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Delivery {
    /// Identifies it; the receiver sees it as `webhook-id`, in every attempt the same.
    pub id: String,
    /// What it tells of.
    pub event: String,
    /// When it happened.
    pub created_at: DateTime<Utc>,
    /// How often it was sent.
    pub attempts: u32,
    /// When it arrived; none if it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<DateTime<Utc>>,
    /// When it is sent next; none if it arrived or was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<DateTime<Utc>>,
    /// The receiver's last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}
