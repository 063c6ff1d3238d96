// SPDX-License-Identifier: Apache-2.0
//! Writing: blobs, manifests, and the fallback list of referrers.

use bytes::Bytes;
use oci_client::{Reference, RegistryOperation, secrets::RegistryAuth};
use registry_schema::{Digest, canonical, media_type, name::RepositoryName};
use reqwest::header::CONTENT_TYPE;

use super::{MAX_MANIFEST_BYTES, Registry, RegistryError, read::read_body, session::apply};
use crate::{
    oci::{Annotations, Descriptor, Index},
    token::Access,
};

/// What became of bytes that were to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// They were sent.
    Sent,
    /// The registry had them already.
    Skipped,
}

impl Registry {
    /// Stores a blob unless it is there.
    ///
    /// # Errors
    /// [`RegistryError::LoginNeeded`], [`RegistryError::WrongPassword`] or
    /// [`RegistryError::Forbidden`] if this account may not, and whatever talking reports.
    pub async fn push_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        bytes: Bytes,
    ) -> Result<Stored, RegistryError> {
        if self.exists(repository, &format!("blobs/{digest}")).await? {
            return Ok(Stored::Skipped);
        }
        let what = format!("blob `{digest}` in `{repository}`");
        let context = self.context(&what);
        let target = Reference::with_digest(
            self.host.clone(),
            repository.to_string(),
            digest.to_string(),
        );
        let proof = self.prove(repository.as_str(), Access::Push).await?;
        if proof != RegistryAuth::Anonymous {
            let handed = self
                .uploads
                .auth(&target, &proof, RegistryOperation::Push)
                .await;
            handed.map_err(|error| context.upload(error))?;
        }
        let sent = self
            .uploads
            .push_blob(&target, bytes, digest.as_str())
            .await;
        sent.map_err(|error| context.upload(error))?;
        Ok(Stored::Sent)
    }

    /// Stores a manifest or index under a tag or its digest, byte for byte.
    ///
    /// # Errors
    /// As [`Registry::push_blob`], and [`RegistryError::Conflict`] if the tag may
    /// not change.
    pub async fn push_manifest(
        &self,
        repository: &RepositoryName,
        reference: &str,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<(), RegistryError> {
        let what = format!("`{reference}` in `{repository}`");
        let context = self.context(&what);
        let proof = self.prove(repository.as_str(), Access::Push).await?;
        let url = format!("{}/v2/{repository}/manifests/{reference}", self.base_url());
        let request = self
            .http
            .put(url)
            .header(CONTENT_TYPE, media_type)
            .body(bytes);
        let response = apply(request, &proof)
            .send()
            .await
            .map_err(|error| context.transport(&error))?;
        let status = response.status();
        if status.is_success() {
            self.note_warnings(&response);
            return Ok(());
        }
        let words = read_body(response, MAX_MANIFEST_BYTES, &context)
            .await
            .unwrap_or_default();
        Err(context.status(status.as_u16(), &words))
    }

    /// Stores a manifest that refers to `subject`. Where the registry has no
    /// referrers API, the list under the fallback tag is kept up as well.
    ///
    /// # Errors
    /// As [`Registry::push_manifest`].
    pub async fn push_referrer(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        entry: Descriptor,
        bytes: Bytes,
    ) -> Result<(), RegistryError> {
        self.push_manifest(repository, entry.digest.as_str(), &entry.media_type, bytes)
            .await?;
        if self.referrers_api(repository, subject).await?.is_some() {
            return Ok(());
        }
        let mut list = self
            .referrers_tag(repository, subject)
            .await?
            .unwrap_or(Index {
                schema_version: 2,
                media_type: Some(media_type::OCI_INDEX.to_owned()),
                artifact_type: None,
                manifests: Vec::new(),
                annotations: Annotations::new(),
            });
        if list
            .manifests
            .iter()
            .any(|known| known.digest == entry.digest)
        {
            return Ok(());
        }
        list.manifests.push(entry);
        let bytes = canonical::to_vec(&list).map_err(|error| {
            self.context("the referrers' tag")
                .malformed(error.to_string())
        })?;
        self.push_manifest(
            repository,
            &subject.tag(""),
            media_type::OCI_INDEX,
            bytes.into(),
        )
        .await
    }
}
