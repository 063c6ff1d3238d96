// SPDX-License-Identifier: Apache-2.0
//! The records of decisions that this registry signs.

use registry_schema::{
    Digest, media_type,
    name::RepositoryName,
    review::{Decided, REVIEW_PREDICATE},
    signature::{IN_TOTO, attestation, bundle, pre_authentication_encoding},
};
use serde_json::json;

use super::{
    ServiceError,
    access::Caller,
    manifest::{self, Given, NewManifest},
    tag, upload,
};
use crate::{
    app::App,
    store::{self, reviews::Review},
};

/// The signed record of a decision, as a bundle.
pub(super) fn sign(app: &App, decided: &Decided) -> String {
    let payload = attestation(&decided.digest, REVIEW_PREDICATE, &json!(decided));
    let message = pre_authentication_encoding(IN_TOTO, &payload);
    let key = &app.records;
    let bytes = bundle(&key.public().fingerprint(), &payload, &key.sign(&message));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Puts records of decisions among the referrers of what they are about. What fails is left
/// to the next time.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn attach_all(app: &App) -> Result<(), ServiceError> {
    for review in store::reviews::loose(&app.db).await? {
        if let Err(error) = attach(app, &review).await {
            let (package, version) = (&review.package, &review.version);
            tracing::warn!(%package, %version, %error, "a record is not among the referrers yet");
        }
    }
    Ok(())
}

async fn attach(app: &App, review: &Review) -> Result<(), ServiceError> {
    let repository = RepositoryName::from(&review.package);
    let subject = store::manifests::find(&app.db, &repository, &review.index_digest).await?;
    let Some(subject) = subject else {
        return Ok(());
    };
    let pusher = Caller::console();
    let empty = push(app, &repository, b"{}").await?;
    let layer = push(app, &repository, review.record.as_bytes()).await?;
    let describe = |kind: &str, digest: &Digest, size: usize| json!({"mediaType": kind, "digest": digest, "size": size});
    let body = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "artifactType": media_type::SIGSTORE_BUNDLE,
        "config": describe(media_type::OCI_EMPTY, &empty, 2),
        "layers": [describe(media_type::SIGSTORE_BUNDLE, &layer, review.record.len())],
        "subject": describe(&subject.media_type, &subject.digest, subject.body.len()),
        "annotations": {
            "dev.sigstore.bundle.content": "dsse-envelope",
            media_type::BUNDLE_PREDICATE: REVIEW_PREDICATE,
            "org.opencontainers.image.created": review.decided_at,
        },
    });
    let new = NewManifest {
        body: body.to_string().into_bytes(),
        media_type: Some(media_type::OCI_MANIFEST.to_owned()),
        digest: None,
        tags: Vec::new(),
        condition: tag::Condition::default(),
        given: Given::default(),
    };
    manifest::put(app, &pusher, &repository, new).await?;
    let mut tx = app.db.begin().await?;
    store::reviews::attached(&mut tx, &review.id, app.clock.now()).await?;
    Ok(tx.commit().await?)
}

async fn push(
    app: &App,
    repository: &RepositoryName,
    bytes: &[u8],
) -> Result<Digest, ServiceError> {
    let digest = Digest::sha256(bytes);
    if store::blobs::size(&app.db, repository, &digest)
        .await?
        .is_some()
    {
        return Ok(digest);
    }
    let pusher = Caller::console();
    let upload = upload::begin(app, &pusher, repository).await?;
    let bytes = bytes::Bytes::copy_from_slice(bytes);
    let body = Box::pin(futures::stream::once(async move { Ok(bytes) }));
    upload::finish(app, &pusher, repository, &upload.id, None, body, &digest).await?;
    Ok(digest)
}
