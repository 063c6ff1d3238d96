// SPDX-License-Identifier: Apache-2.0
//! Reading: manifests, blobs, tags, and what refers to a manifest.

use std::{sync::PoisonError, time::Duration};

use bytes::Bytes;
use registry_schema::{Digest, PackageName, Version, media_type, name::RepositoryName};
use reqwest::{
    Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, WARNING},
};

use tokio::time::Instant;

use super::{
    ConnectOptions, Context, MAX_MANIFEST_BYTES, Registry, RegistryError, clean, session::apply,
};
use crate::{
    oci::{Descriptor, Index},
    token::Access,
};

/// Most warnings of one answer that are kept.
const MAX_WARNINGS: usize = 8;
/// How much of an answer must come in the time for which the next byte is waited for, in bytes.
pub(super) const PIECE: usize = 32 << 10;

/// A manifest or index as the registry sent it.
#[derive(Debug, Clone)]
pub struct Document {
    /// The exact bytes.
    pub bytes: Bytes,
    /// The media type by the registry's word.
    pub media_type: String,
}

/// What is accepted as a manifest. Some registries pretend not to have what is not named.
pub(super) const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

impl Document {
    /// A document that says its own media type, as all current ones do.
    pub(crate) fn of(bytes: Bytes) -> Self {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Typed {
            media_type: Option<String>,
        }
        let said = serde_json::from_slice::<Typed>(&bytes)
            .ok()
            .and_then(|typed| typed.media_type);
        Self {
            bytes,
            media_type: said.unwrap_or_else(|| media_type::OCI_MANIFEST.to_owned()),
        }
    }

    /// The sha256 digest of the bytes.
    pub fn digest(&self) -> Digest {
        Digest::sha256(&self.bytes)
    }
}

impl Registry {
    /// Reads the manifest or index behind a tag or a digest.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] if there is none, [`RegistryError::TooLarge`]
    /// above [`MAX_MANIFEST_BYTES`], [`RegistryError::Damaged`] if a digest was
    /// asked for and other bytes came, and whatever talking reports.
    pub async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &str,
    ) -> Result<Document, RegistryError> {
        let what = format!("`{repository}:{reference}`").replace(":sha256:", "@sha256:");
        let context = self.context(&what);
        let path = format!("manifests/{reference}");
        let response = self.get(repository, &path, MANIFESTS, &context).await?;
        let content_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let media_type = content_type.unwrap_or_default().to_owned();
        // What the registry says the bytes are: a tag has no digest to hold them against.
        let said = response
            .headers()
            .get("docker-content-digest")
            .and_then(|value| value.to_str().ok());
        let said = said.and_then(|text| text.parse::<Digest>().ok());
        let bytes = read_body(response, MAX_MANIFEST_BYTES, &context).await?;
        for digest in [reference.parse::<Digest>().ok(), said]
            .into_iter()
            .flatten()
        {
            digest
                .check(&bytes)
                .map_err(|mismatch| RegistryError::Damaged {
                    registry: self.host.clone(),
                    what: what.clone(),
                    mismatch,
                })?;
        }
        Ok(Document { bytes, media_type })
    }

    /// Reads the manifest that a descriptor promises, at most its size.
    ///
    /// # Errors
    /// As [`Registry::manifest`].
    pub async fn manifest_of(
        &self,
        repository: &RepositoryName,
        descriptor: &Descriptor,
    ) -> Result<Bytes, RegistryError> {
        let document = self
            .manifest(repository, descriptor.digest.as_str())
            .await?;
        if document.bytes.len() as u64 > descriptor.size {
            return Err(self
                .context(descriptor.digest.as_str())
                .too_large(descriptor.size));
        }
        Ok(document.bytes)
    }

    /// The versions of a package that may be chosen: by the catalogue those that are not
    /// yanked, and where a registry has none, all tags that are versions.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] if there is no such package, and whatever talking
    /// reports.
    pub async fn versions(&self, package: &PackageName) -> Result<Vec<Version>, RegistryError> {
        match self.package(package).await {
            Ok(detail) => Ok(detail
                .versions
                .into_iter()
                .filter(|version| !version.yanked)
                .map(|version| version.version)
                .collect()),
            Err(RegistryError::Malformed { .. }) => {
                let tags = self.tags(&RepositoryName::from(package)).await?;
                Ok(tags
                    .iter()
                    .filter_map(|tag| tag.as_str().parse().ok())
                    .collect())
            }
            Err(error) => Err(error),
        }
    }

    /// What the registry wanted its users to know since this was last asked, each once.
    pub fn take_warnings(&self) -> Vec<String> {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *warnings).into_iter().collect()
    }

    pub(super) fn note_warnings(&self, response: &Response) {
        let values = response.headers().get_all(WARNING).iter();
        let texts = values.filter_map(|value| warning(&String::from_utf8_lossy(value.as_bytes())));
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.extend(texts.take(MAX_WARNINGS));
    }

    /// Reads a blob: not a byte more than `descriptor` promises, and never more
    /// than `limit`. One that is in the cache is not asked for.
    ///
    /// # Errors
    /// [`RegistryError::TooLarge`] if the promise or the answer exceeds a limit,
    /// [`RegistryError::Damaged`] if other bytes came, and whatever talking reports.
    pub async fn blob(
        &self,
        repository: &RepositoryName,
        descriptor: &Descriptor,
        limit: u64,
    ) -> Result<Bytes, RegistryError> {
        let what = format!("blob `{}` of `{repository}`", descriptor.digest);
        let context = self.context(&what);
        if descriptor.size > limit {
            return Err(context.too_large(limit));
        }
        let kept = self
            .cache
            .as_ref()
            .and_then(|cache| cache.find(&descriptor.digest, descriptor.size));
        if let Some(bytes) = kept {
            return Ok(bytes.into());
        }
        let path = format!("blobs/{}", descriptor.digest);
        let response = self.get(repository, &path, "*/*", &context).await?;
        let bytes = read_body(response, descriptor.size, &context).await?;
        descriptor
            .digest
            .check(&bytes)
            .map_err(|mismatch| RegistryError::Damaged {
                registry: self.host.clone(),
                what: what.clone(),
                mismatch,
            })?;
        if let Some(cache) = &self.cache
            && let Err(error) = cache.keep(&descriptor.digest, &bytes)
        {
            tracing::debug!(%error, "a blob was not kept");
        }
        Ok(bytes)
    }

    /// Lists what refers to a manifest, by the referrers API or, where a registry has
    /// none, by the fallback tag.
    ///
    /// # Errors
    /// Whatever talking reports; a registry that knows of nothing gives an empty list.
    pub async fn all_referrers(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let index = match self.referrers_api(repository, digest).await? {
            Some(index) => Some(index),
            None => self.referrers_tag(repository, digest).await?,
        };
        Ok(index.map(|index| index.manifests).unwrap_or_default())
    }

    /// The registry's own list, or nothing if it has no referrers API.
    pub(super) async fn referrers_api(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Index>, RegistryError> {
        let what = format!("the referrers of `{digest}`");
        let context = self.context(&what);
        match self
            .get(
                repository,
                &format!("referrers/{digest}"),
                media_type::OCI_INDEX,
                &context,
            )
            .await
        {
            Ok(response) => {
                let bytes = read_body(response, MAX_MANIFEST_BYTES, &context).await?;
                parse_index(&bytes, &context).map(Some)
            }
            Err(
                RegistryError::NotFound { .. }
                | RegistryError::Refused {
                    status: 400 | 405, ..
                },
            ) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The list under the fallback tag, or nothing if there is none.
    pub(super) async fn referrers_tag(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Index>, RegistryError> {
        match self.manifest(repository, &digest.tag("")).await {
            Ok(document) => {
                parse_index(&document.bytes, &self.context("the referrers' tag")).map(Some)
            }
            Err(RegistryError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The digest of what a tag names by the registry's word, or nothing if there is no
    /// such tag. Where the registry does not say it, the manifest is read.
    ///
    /// # Errors
    /// Whatever talking reports.
    pub async fn digest_at(
        &self,
        repository: &RepositoryName,
        tag: &str,
    ) -> Result<Option<Digest>, RegistryError> {
        let what = format!("`{repository}:{tag}`");
        let context = self.context(&what);
        let proof = self.prove(repository.as_str(), Access::Pull).await?;
        let url = format!("{}/v2/{repository}/manifests/{tag}", self.base_url());
        let request = self.http.head(url).header(ACCEPT, MANIFESTS);
        let response = apply(request, &proof)
            .send()
            .await
            .map_err(|error| context.transport(&error))?;
        let said = response
            .headers()
            .get("docker-content-digest")
            .and_then(|value| value.to_str().ok()?.parse().ok());
        match response.status() {
            StatusCode::NOT_FOUND => Ok(None),
            status if !status.is_success() => Err(context.status(status.as_u16(), b"")),
            _ if said.is_some() => Ok(said),
            _ => Ok(Some(self.manifest(repository, tag).await?.digest())),
        }
    }

    /// Whether a blob or manifest is there already.
    pub(crate) async fn exists(
        &self,
        repository: &RepositoryName,
        path: &str,
    ) -> Result<bool, RegistryError> {
        let context = self.context(path);
        let proof = self.prove(repository.as_str(), Access::Push).await?;
        let url = format!("{}/v2/{repository}/{path}", self.base_url());
        let accept = if path.starts_with("manifests/") {
            MANIFESTS
        } else {
            "*/*"
        };
        let request = self.http.head(url).header(ACCEPT, accept);
        let response = apply(request, &proof)
            .send()
            .await
            .map_err(|error| context.transport(&error))?;
        match response.status() {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            status => Err(context.status(status.as_u16(), b"")),
        }
    }

    pub(super) async fn get(
        &self,
        repository: &RepositoryName,
        path: &str,
        accept: &str,
        context: &Context<'_>,
    ) -> Result<Response, RegistryError> {
        let proof = self.prove(repository.as_str(), Access::Pull).await?;
        let url = format!("{}/v2/{repository}/{path}", self.base_url());
        let request = self.http.get(url).header(ACCEPT, accept);
        let response = apply(request, &proof)
            .send()
            .await
            .map_err(|error| context.transport(&error))?;
        let status = response.status();
        if status.is_success() {
            self.note_warnings(&response);
            return Ok(response);
        }
        if status == StatusCode::UNAUTHORIZED
            && let Some((there, repository, path)) = self.elsewhere(response.url())?
        {
            return Box::pin(there.get(&repository, &path, accept, context)).await;
        }
        let words = read_body(response, MAX_MANIFEST_BYTES, context)
            .await
            .unwrap_or_default();
        Err(context.status(status.as_u16(), &words))
    }

    /// The registry that a redirect has led to, and what is wanted there. It may ask even
    /// nobody in particular to fetch a token first, as it would if it were asked itself.
    fn elsewhere(
        &self,
        url: &url::Url,
    ) -> Result<Option<(Self, RepositoryName, String)>, RegistryError> {
        let authority = url.authority();
        let parts = url
            .path()
            .strip_prefix("/v2/")
            .and_then(|path| path.split_once("/blobs/"));
        let Some((Ok(repository), Ok(digest))) =
            parts.map(|(name, digest)| (name.parse(), digest.parse::<Digest>()))
        else {
            return Ok(None);
        };
        if self.led || authority == self.host || authority.contains('@') {
            return Ok(None);
        }
        let options = ConnectOptions {
            plain_http: url.scheme() == "http",
            encrypted_loopback: url.scheme() == "https",
            timeout: self.timeout,
            client: Some(self.http.clone()),
            ..ConnectOptions::default()
        };
        let mut there = Self::connect(authority, &options)?;
        there.led = true;
        Ok(Some((there, repository, format!("blobs/{digest}"))))
    }
}

/// Those of a list of referrers that are or may be of one kind.
pub(crate) fn of_type(mut found: Vec<Descriptor>, artifact_type: &str) -> Vec<Descriptor> {
    // Some clients write no type, or the config's, into the fallback list: then only
    // the manifest tells.
    found.retain(|entry| match entry.artifact_type.as_deref() {
        None | Some(media_type::OCI_EMPTY) => true,
        Some(found) => found == artifact_type,
    });
    found
}

/// The sentence in a `Warning` header of the form that the OCI specification prescribes.
fn warning(header: &str) -> Option<String> {
    let quoted = header.trim().strip_prefix("299 - \"")?.strip_suffix('"')?;
    let (mut text, mut letters) = (String::new(), quoted.chars());
    while let Some(letter) = letters.next() {
        text.extend(if letter == '\\' {
            letters.next()
        } else {
            Some(letter)
        });
    }
    Some(clean(&text))
}

fn parse_index(bytes: &[u8], context: &Context<'_>) -> Result<Index, RegistryError> {
    serde_json::from_slice(bytes).map_err(|error| context.malformed(error.to_string()))
}

/// Reads an answer's body, and stops at the first byte beyond `limit`, and where it comes too
/// slowly to ever end: who sends a byte now and then never exceeds the wait for the next one.
pub(crate) async fn read_body(
    mut response: Response,
    limit: u64,
    context: &Context<'_>,
) -> Result<Bytes, RegistryError> {
    if response
        .content_length()
        .is_some_and(|length| length > limit)
    {
        return Err(context.too_large(limit));
    }
    let mut bytes = Vec::new();
    let started = Instant::now();
    let wait = Duration::from_secs(context.timeout_seconds.max(1));
    loop {
        let pieces = u32::try_from(bytes.len() / PIECE).unwrap_or(u32::MAX);
        let until = started + wait.saturating_mul(pieces.saturating_add(2));
        let next = tokio::time::timeout_at(until, response.chunk()).await;
        let chunk = next.map_err(|_| context.slow())?;
        let Some(chunk) = chunk.map_err(|error| context.transport(&error))? else {
            break;
        };
        if (bytes.len() + chunk.len()) as u64 > limit {
            return Err(context.too_large(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings() {
        let text = |header: &str| warning(header);
        assert_eq!(text("299 - \"moved\"").as_deref(), Some("moved"));
        assert_eq!(
            text(r#"299 - "a \"b\" \\ c""#).as_deref(),
            Some(r#"a "b" \ c"#)
        );
        for other in ["", "199 - \"x\"", "299 host \"x\"", "299 - x", "299 - \""] {
            assert_eq!(text(other), None, "{other}");
        }
    }
}
