// SPDX-License-Identifier: Apache-2.0
//! Puts the proof of a publication beside what was published: as a referrer of its index, so
//! that it travels with it.

use registry_schema::{Digest, PackageName, media_type, name::RepositoryName};
use serde_json::json;

use super::read;
use crate::{
    app::App,
    service::{
        ServiceError,
        access::Caller,
        manifest::{self, Given, NewManifest},
        tag::Condition,
        upload,
    },
    store::{self, log::Logged},
};

/// How many proofs are attached at a time.
const BATCH: i64 = 100;

/// Attaches the proofs of publications that have none yet.
pub(super) async fn attach_rest(app: &App) -> Result<(), ServiceError> {
    for logged in store::log::unproven(&app.db, BATCH).await? {
        attach_one(app, &logged).await?;
    }
    Ok(())
}

async fn attach_one(app: &App, logged: &Logged) -> Result<(), ServiceError> {
    // One at a time: of two, each would be a proof up to another checkpoint.
    let _turn = app.log.attaching.lock().await;
    if !store::log::is_unproven(&app.db, logged.position).await? {
        return Ok(());
    }
    let attached = match read::published(&logged.leaf) {
        Some((package, digest)) => push(app, &package, &digest, logged).await,
        None => Ok(None),
    };
    let noted = match attached {
        Ok(proof) => proof.map(|proof| proof.to_string()).unwrap_or_default(),
        // What cannot be stored there is to be had by the API all the same.
        Err(error @ (ServiceError::Quota { .. } | ServiceError::ReferenceUnknown { .. })) => {
            tracing::warn!(%error, "a proof cannot be attached");
            String::new()
        }
        Err(error) => return Err(error),
    };
    let mut tx = app.db.begin().await?;
    store::log::set_proof(&mut tx, logged.position, &noted).await?;
    Ok(tx.commit().await?)
}

async fn push(
    app: &App,
    package: &PackageName,
    digest: &Digest,
    logged: &Logged,
) -> Result<Option<Digest>, ServiceError> {
    let repository = RepositoryName::from(package);
    let Some(subject) = store::manifests::find(&app.db, &repository, digest).await? else {
        return Ok(None);
    };
    let proof = read::prove(app, logged).await?.to_string();
    push_blob(app, &repository, b"{}").await?;
    push_blob(app, &repository, proof.as_bytes()).await?;
    let describe = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "digest": Digest::sha256(bytes), "size": bytes.len()});
    let body = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "artifactType": media_type::LOG_PROOF,
        "config": describe(media_type::OCI_EMPTY, b"{}"),
        "layers": [describe(media_type::LOG_PROOF, proof.as_bytes())],
        "subject": describe(&subject.media_type, &subject.body),
    });
    let new = NewManifest {
        body: body.to_string().into_bytes(),
        media_type: Some(media_type::OCI_MANIFEST.to_owned()),
        digest: None,
        tags: Vec::new(),
        condition: Condition::default(),
        given: Given::default(),
    };
    let stored = Box::pin(manifest::put(app, &Caller::console(), &repository, new)).await?;
    Ok(Some(stored.digest))
}

async fn push_blob(
    app: &App,
    repository: &RepositoryName,
    bytes: &[u8],
) -> Result<(), ServiceError> {
    let digest = Digest::sha256(bytes);
    let known = store::blobs::size(&app.db, repository, &digest).await?;
    if known.is_some() {
        return Ok(());
    }
    let us = Caller::console();
    let upload = upload::begin(app, &us, repository).await?;
    let bytes = bytes::Bytes::copy_from_slice(bytes);
    let body = Box::pin(futures::stream::once(async move { Ok(bytes) }));
    upload::finish(app, &us, repository, &upload.id, None, body, &digest).await
}
