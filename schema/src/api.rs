// SPDX-License-Identifier: Apache-2.0
//! Bodies of the REST API under `/api/v1`.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::identity::Identity;
use crate::manifest::PackageManifest;
use crate::name::{Namespace, PackageName};
use crate::namespace_identity::{Epoch, IdentityRevocation};
use crate::notice::Notice;
use crate::profile::{Finding, ObjectProfile};
use crate::reference::Reference;
use crate::review::Pending;
use crate::signature::Fingerprint;
use crate::trust::revocation::Revoked;
use crate::trust_level::TrustLevel;
use crate::version::Version;

/// Media type of [`Problem`].
pub const PROBLEM: &str = "application/problem+json";

/// An error, by RFC 9457.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Stable code of the kind of error, such as `package-unknown`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of error in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What went wrong here, with the values concerned and what to do.
    pub detail: String,
    /// Identifies the request in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// How a version's signature stands in the registry's own eyes. A client decides
/// for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureState {
    /// There is no signature.
    Unsigned,
    /// Signed by a key that the namespace has not registered.
    UnknownKey,
    /// Signed by an identity that the namespace has revoked.
    Revoked,
    /// Signed by an identity that the namespace has registered.
    Signed,
}

/// A package in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PackageSummary {
    /// `namespace/name`.
    pub name: PackageName,
    /// The version `latest` means.
    pub version: Version,
    /// One sentence.
    pub summary: String,
    /// SPDX expression.
    pub license: String,
    /// Words to be found by.
    pub keywords: Vec<String>,
    /// Categories.
    pub categories: Vec<String>,
    /// Types of its programs, without repetition.
    pub program_types: Vec<String>,
    /// How the version is signed.
    pub signature: SignatureState,
    /// Pulls of all versions.
    pub pulls: u64,
    /// Stars.
    pub stars: u64,
    /// When the version was published.
    pub published_at: DateTime<Utc>,
    /// Whether every version is withdrawn, and `version` with them.
    #[serde(default)]
    pub yanked: bool,
    /// What the publisher advises instead of the package, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<Deprecation>,
}

/// A page of packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PackageList {
    /// How many there are in all.
    pub total: u64,
    /// Those of this page, in order.
    pub packages: Vec<PackageSummary>,
    /// `offset` of the next page; none on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u64>,
}

/// A page of found packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SearchResult {
    /// How many were found in all.
    pub total: u64,
    /// Those of this page, in order.
    pub packages: Vec<PackageSummary>,
    /// `offset` of the next page; none on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u64>,
    /// Whether no package holds all words of the query, and these hold some.
    #[serde(default)]
    pub relaxed: bool,
    /// How many of all found packages have which property.
    #[serde(default)]
    pub facets: Vec<FacetCount>,
}

/// How many packages have one value of one property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FacetCount {
    /// `hook`, `signed`, `licence`, `can` or `map`: also the name of the filter.
    pub facet: String,
    /// The value to filter by.
    pub value: String,
    /// Number of packages.
    pub packages: u64,
}

/// A package with its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PackageDetail {
    /// What a list shows.
    #[serde(flatten)]
    pub summary: PackageSummary,
    /// Its versions, highest first.
    pub versions: Vec<VersionSummary>,
    /// Its signer epochs, the first one first; stars count for the last.
    #[serde(default)]
    pub epochs: Vec<Epoch>,
}

/// A version in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VersionSummary {
    /// The version.
    pub version: Version,
    /// Digest of its index: what is signed, logged and pinned.
    pub digest: Digest,
    /// When it was published.
    pub published_at: DateTime<Utc>,
    /// How it is signed.
    pub signature: SignatureState,
    /// Whether it is withdrawn: never chosen, still pullable by its own name and digest.
    pub yanked: bool,
    /// Why it was withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yank_reason: Option<Notice>,
    /// What the publisher advises instead of this version, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<Deprecation>,
    /// Pulls.
    pub pulls: u64,
    /// What it waits for, if only those who may publish in its namespace see it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
}

/// A version with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VersionDetail {
    /// `namespace/name`.
    pub name: PackageName,
    /// What a list shows.
    #[serde(flatten)]
    pub summary: VersionSummary,
    /// The manifest as published.
    pub manifest: PackageManifest,
    /// What the registry derived from each object, by target.
    pub profiles: Vec<TargetProfile>,
    /// Who signed.
    pub signatures: Vec<Signature>,
    /// Bytes of all blobs.
    pub size: u64,
    /// README in Markdown; empty if there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub readme: String,
    /// Stars of the package in its signer epoch.
    pub stars: u64,
    /// Of those, the ones that were given on this version.
    #[serde(default)]
    pub version_stars: u64,
    /// Stars that were earned under earlier signers, and count nothing.
    #[serde(default)]
    pub former_stars: u64,
    /// The signer epoch of the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// How far the version can be trusted, worked out from signatures, identities and the
    /// log.
    #[serde(default)]
    pub level: TrustLevel,
    /// Why it is not higher, or what it rests on, a sentence each.
    #[serde(default)]
    pub level_reasons: Vec<String>,
    /// What the package's name is like, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub name_notes: Vec<String>,
    /// Where its objects are, `host/repository`, if they are in another registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Why it is revoked, if it is: the version, or the digest of its index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revoked>,
}

/// What was derived from the object for one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetProfile {
    /// `bpfel`, `bpfeb` or `os/arch`.
    pub target: String,
    /// Digest of the object.
    pub object: Digest,
    /// The profile; none for an object that is no eBPF.
    pub profile: Option<ObjectProfile>,
    /// What was found when object and manifest were compared.
    pub findings: Vec<Finding>,
}

/// A signature of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Signature {
    /// The key it was made with; none if it names none and no registered key fits.
    pub key: Option<Fingerprint>,
    /// The identity of the namespace that made it, if it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<Identity>,
    /// Why it does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether the namespace has registered that key and the signature fits.
    pub registered: bool,
    /// When the registry received it.
    pub received_at: DateTime<Utc>,
}

/// Asks for a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNamespace {
    /// The name.
    pub name: Namespace,
    /// Who may read.
    #[serde(default)]
    pub visibility: Visibility,
}

/// Who may read a namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Everyone.
    #[default]
    Public,
    /// Only those who hold a token for it.
    Private,
}

/// A namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamespaceDetail {
    /// The name.
    pub name: Namespace,
    /// Who may read.
    pub visibility: Visibility,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// How many packages it has.
    pub packages: u64,
    /// How many of its identities must sign a version of a public registry.
    #[serde(default = "one")]
    pub threshold: u64,
}

const fn one() -> u64 {
    1
}

/// Registers a key for a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// SPKI PEM.
    pub pem: String,
}

/// A key registered for a namespace, with the evidence a user weighs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamespaceKey {
    /// The key's fingerprint.
    pub fingerprint: Fingerprint,
    /// SPKI PEM.
    pub pem: String,
    /// When it was registered.
    pub registered_at: DateTime<Utc>,
    /// Who registered it.
    pub registered_by: String,
    /// How many versions of the namespace it signed.
    pub versions_signed: u64,
    /// That it signs no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<IdentityRevocation>,
}

/// Withdraws a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Yank {
    /// Why, for those who use it.
    pub reason: Notice,
}

/// Advises against a version, or against all of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDeprecation {
    /// Why, or what to do.
    pub message: Notice,
    /// What to use instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub replacement: Option<Reference>,
}

/// A publisher's advice against a version, or against all of a package. What it is about
/// is chosen and pulled as before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deprecation {
    /// Why, or what to do.
    pub message: Notice,
    /// What to use instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub replacement: Option<Reference>,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// Stars of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stars {
    /// How many accounts gave one.
    pub stars: u64,
    /// Whether the caller did.
    pub starred: bool,
}
