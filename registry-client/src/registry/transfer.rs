// SPDX-License-Identifier: Apache-2.0
//! Moving content in pieces: what is larger than memory should hold goes from one
//! registry to another without ever being whole.

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use registry_schema::{
    Digest,
    name::{RepositoryName, Tag},
};
use reqwest::{
    Body, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, LINK, LOCATION},
};
use serde::Deserialize;
use url::Url;

use super::{
    Context, MAX_MANIFEST_BYTES, Registry, RegistryError, error::clean, read::read_body,
    session::apply,
};
use crate::token::Access;

/// Most pages of tags that are read.
const MAX_PAGES: usize = 1000;

/// What became of a question for a place to put a blob.
pub(crate) enum Begun {
    /// The registry has it from another of its repositories.
    Mounted,
    /// Bytes go here.
    At(Url),
}

#[derive(Deserialize)]
struct TagList {
    // Some registries write `null` for none.
    tags: Option<Vec<String>>,
}

impl Registry {
    /// All tags of a repository, in the registry's order; none if it is not known.
    ///
    /// # Errors
    /// Whatever talking reports; [`RegistryError::Malformed`] for an endless list.
    pub async fn tags(&self, repository: &RepositoryName) -> Result<Vec<Tag>, RegistryError> {
        let what = format!("the tags of `{repository}`");
        let context = self.context(&what);
        let mut path = "tags/list?n=1000".to_owned();
        let mut tags = Vec::new();
        for _ in 0..MAX_PAGES {
            let response = match self.get(repository, &path, "*/*", &context).await {
                Err(RegistryError::NotFound { .. }) => return Ok(tags),
                other => other?,
            };
            let next = next_page(&response);
            let bytes = read_body(response, MAX_MANIFEST_BYTES, &context).await?;
            let list: TagList = serde_json::from_slice(&bytes)
                .map_err(|error| context.malformed(error.to_string()))?;
            // What is no tag cannot be asked for.
            tags.extend(
                list.tags
                    .unwrap_or_default()
                    .iter()
                    .filter_map(|tag| tag.parse::<Tag>().ok()),
            );
            match next {
                Some(next) => path = next,
                None => return Ok(tags),
            }
        }
        Err(context.malformed(format!("the list has more than {MAX_PAGES} pages")))
    }

    /// The digest of what a tag names, or nothing if there is no such tag, or nobody may
    /// know.
    pub(crate) async fn digest_of(
        &self,
        repository: &RepositoryName,
        tag: &str,
    ) -> Result<Option<Digest>, RegistryError> {
        match self.manifest(repository, tag).await {
            Ok(document) => Ok(Some(document.digest())),
            // What nobody has seen yet may be hidden or absent: both mean "go on".
            Err(
                RegistryError::NotFound { .. }
                | RegistryError::LoginNeeded { .. }
                | RegistryError::Forbidden { .. },
            ) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A blob in pieces. Its digest is not compared here.
    ///
    /// # Errors
    /// Whatever talking reports, now or within the stream.
    pub async fn pieces(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<impl Stream<Item = Result<Bytes, RegistryError>> + Send + use<>, RegistryError>
    {
        let what = format!("blob `{digest}` of `{repository}`");
        let path = format!("blobs/{digest}");
        let response = self
            .get(repository, &path, "*/*", &self.context(&what))
            .await?;
        let (registry, seconds) = (self.host.clone(), self.timeout.as_secs());
        Ok(response.bytes_stream().map_err(move |error| {
            let context = Context {
                registry: &registry,
                what: &what,
                username: None,
                timeout_seconds: seconds,
            };
            context.transport(&error)
        }))
    }

    /// Asks for a place to put a blob. If the registry has it in `from`, it is there at
    /// once.
    pub(crate) async fn begin_upload(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        from: Option<&RepositoryName>,
    ) -> Result<Begun, RegistryError> {
        let what = format!("blob `{digest}` in `{repository}`");
        let context = self.context(&what);
        let url = format!("{}/v2/{repository}/blobs/uploads/", self.base_url());
        let mut request = self.http.post(url).header(CONTENT_LENGTH, 0);
        if let Some(from) = from {
            request = request.query(&[("mount", digest.as_str()), ("from", from.as_str())]);
        }
        let response = self.send_push(repository, request, &context).await?;
        if response.status() == StatusCode::CREATED {
            return Ok(Begun::Mounted);
        }
        location(&response, &context).map(Begun::At)
    }

    /// Sends the bytes of a blob, and only when all have come makes them a blob. If
    /// `body` ends with an error, nothing is stored.
    pub(crate) async fn upload(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        place: Url,
        body: Body,
    ) -> Result<(), RegistryError> {
        let what = format!("blob `{digest}` in `{repository}`");
        let context = self.context(&what);
        let octets = "application/octet-stream";
        let request = self
            .http
            .patch(place)
            .header(CONTENT_TYPE, octets)
            .body(body);
        let response = self.send_push(repository, request, &context).await?;
        let mut place = location(&response, &context)?;
        place
            .query_pairs_mut()
            .append_pair("digest", digest.as_str());
        let request = self
            .http
            .put(place)
            .header(CONTENT_TYPE, octets)
            .header(CONTENT_LENGTH, 0);
        self.send_push(repository, request, &context)
            .await
            .map(drop)
    }

    async fn send_push(
        &self,
        repository: &RepositoryName,
        request: reqwest::RequestBuilder,
        context: &Context<'_>,
    ) -> Result<Response, RegistryError> {
        let proof = self.prove(repository.as_str(), Access::Push).await?;
        let response = apply(request, &proof)
            .send()
            .await
            .map_err(|error| context.transport(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let words = read_body(response, MAX_MANIFEST_BYTES, context)
            .await
            .unwrap_or_default();
        Err(context.status(status.as_u16(), &words))
    }
}

/// Where an upload goes on. The proof of who asks goes along, so it must be here.
fn location(response: &Response, context: &Context<'_>) -> Result<Url, RegistryError> {
    let base = response.url();
    let text = response
        .headers()
        .get(LOCATION)
        .and_then(|value| value.to_str().ok())
        .ok_or_else(|| context.malformed("it names no place for the bytes"))?;
    let place = base
        .join(text)
        .map_err(|error| context.malformed(error.to_string()))?;
    if place.host() == base.host() && place.port_or_known_default() == base.port_or_known_default()
    {
        return Ok(place);
    }
    Err(context.malformed(format!(
        "it wants the bytes at another host, `{}`",
        clean(place.host_str().unwrap_or_default())
    )))
}

/// The query of the next page, as `Link: <…?n=…&last=…>; rel="next"` gives it. Where the
/// page is, is known; only from where it goes on is taken from the registry.
fn next_page(response: &Response) -> Option<String> {
    let link = response.headers().get(LINK)?.to_str().ok()?;
    let (address, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    if !rest.contains("next") {
        return None;
    }
    let (_, query) = address.split_once('?')?;
    Some(format!("tags/list?{query}"))
}
