// SPDX-License-Identifier: Apache-2.0
//! Fetching the signatures of a digest, and what is stated about it.

use registry_schema::{
    Digest, media_type,
    name::RepositoryName,
    signature::{Bundle, MAX_BUNDLE},
    transparency::proof::MAX_TEXT,
};
use serde::{Deserialize, Serialize};

use super::{Blob, MAX_SIGNATURES, PullError};
use crate::{
    oci::{Annotations, Manifest},
    source::Source,
};

/// A signature as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FetchedSignature {
    /// A Sigstore bundle, from a referrer.
    Bundle(Blob),
    /// A layer of a `.sig` tag.
    SimpleSigning(SimpleSigning),
}

/// A payload and what the annotations of its layer say of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimpleSigning {
    /// What was signed.
    pub payload: Blob,
    /// The signature in base64.
    pub signature: String,
    /// The signer's certificate in PEM, for keyless signing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// A log's promise to include the signature, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_entry: Option<String>,
    /// An RFC 3161 timestamp of the signature, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
}

impl SimpleSigning {
    /// The signature in a layer; none if the layer has none.
    pub fn of(payload: Vec<u8>, annotations: &Annotations) -> Option<Self> {
        let text = |name: &str| {
            annotations
                .get(name)
                .filter(|text| !text.is_empty())
                .cloned()
        };
        Some(Self {
            payload: Blob(payload),
            signature: text(media_type::SIMPLE_SIGNING_SIGNATURE)?,
            certificate: text(media_type::SIMPLE_SIGNING_CERTIFICATE),
            log_entry: text(media_type::SIMPLE_SIGNING_LOG_ENTRY),
            timestamp: text(media_type::SIMPLE_SIGNING_TIMESTAMP),
        })
    }
}

/// Fetches the signatures of a digest: bundles that refer to it, and where there
/// are none, those under its `.sig` tag.
///
/// # Errors
/// [`PullError::Registry`] if a signature is promised and does not come as promised.
pub async fn fetch_signatures(
    source: impl Into<Source<'_>>,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Vec<FetchedSignature>, PullError> {
    let source = source.into();
    let mut bundles = bundles(source, repository, digest).await?;
    bundles.retain(|bundle| !is_attestation(bundle));
    if bundles.is_empty() {
        return simple_signing(source, repository, digest).await;
    }
    Ok(bundles.into_iter().map(FetchedSignature::Bundle).collect())
}

/// Fetches the bundles that state something of a digest, besides signing it.
///
/// # Errors
/// [`PullError::Registry`] if one is promised and does not come as promised.
pub async fn fetch_attestations(
    source: impl Into<Source<'_>>,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Vec<Blob>, PullError> {
    let mut bundles = bundles(source.into(), repository, digest).await?;
    bundles.retain(is_attestation);
    Ok(bundles)
}

fn is_attestation(bundle: &Blob) -> bool {
    Bundle::parse(&bundle.0).is_ok_and(|bundle| bundle.is_attestation())
}

/// Fetches the proofs that a version is in the publish log.
///
/// # Errors
/// [`PullError::Registry`] if one is promised and does not come as promised.
pub async fn fetch_log_proofs(
    source: Source<'_>,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Vec<Blob>, PullError> {
    let limit = MAX_TEXT as u64;
    referring(source, repository, digest, media_type::LOG_PROOF, limit).await
}

/// The bundles that refer to a digest.
async fn bundles(
    source: Source<'_>,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Vec<Blob>, PullError> {
    let limit = MAX_BUNDLE as u64;
    referring(
        source,
        repository,
        digest,
        media_type::SIGSTORE_BUNDLE,
        limit,
    )
    .await
}

/// The first layer of type `kind`, at most `limit` bytes, of each manifest of that type that
/// refers to a digest.
async fn referring(
    source: Source<'_>,
    repository: &RepositoryName,
    digest: &Digest,
    kind: &str,
    limit: u64,
) -> Result<Vec<Blob>, PullError> {
    let mut found = Vec::new();
    let referrers = source.referrers_of_type(repository, digest, kind).await?;
    for referrer in referrers.iter().take(MAX_SIGNATURES) {
        let bytes = source.manifest_of(repository, referrer).await?;
        // What is no manifest, or has no such layer, says nothing.
        let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes) else {
            continue;
        };
        let layer = manifest
            .layers
            .iter()
            .find(|layer| layer.media_type == kind);
        if let Some(layer) = layer {
            found.push(Blob(source.blob(repository, layer, limit).await?.to_vec()));
        }
    }
    Ok(found)
}

async fn simple_signing(
    source: Source<'_>,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Vec<FetchedSignature>, PullError> {
    let document = match source.manifest(repository, &digest.tag(".sig")).await {
        Ok(document) => document,
        Err(error) if error.is_missing() => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let Ok(manifest) = serde_json::from_slice::<Manifest>(&document.bytes) else {
        return Ok(Vec::new());
    };
    let mut signatures = Vec::new();
    for layer in manifest.layers.iter().take(MAX_SIGNATURES) {
        if !layer
            .annotations
            .contains_key(media_type::SIMPLE_SIGNING_SIGNATURE)
        {
            continue;
        }
        let payload = source.blob(repository, layer, MAX_BUNDLE as u64).await?;
        let signature = SimpleSigning::of(payload.to_vec(), &layer.annotations);
        signatures.extend(signature.map(FetchedSignature::SimpleSigning));
    }
    Ok(signatures)
}
