// SPDX-License-Identifier: Apache-2.0
//! Reads everything that is stored again and hashes it. What is damaged is set aside, where
//! nobody reads it any more, and comes back by a push or from another registry.

use std::time::Duration;

use chrono::{DateTime, Utc};
use registry_schema::Digest;
use serde::Serialize;
use serde_json::json;
use url::Url;

use super::{ServiceError, access::Caller, audit, content};
use crate::{
    app::App,
    blob::{Addition, Arrived, BlobError},
    store::{self, contents::Content, contents::State},
};

/// Contents read from the database at a time.
const BATCH: i64 = 100;
/// How long another registry may take to begin an answer, or to go on with it.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to look at, how fast, and where to get what is damaged.
#[derive(Debug, Clone)]
pub struct Scrub {
    /// Only what was last looked at before.
    pub before: DateTime<Utc>,
    /// Bytes to read in a second; `None` for as fast as possible.
    pub bytes_per_second: Option<u64>,
    /// A registry that has the same packages.
    pub repair_from: Option<Url>,
}

/// Damage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// What was damaged.
    pub digest: Digest,
    /// What is wrong with it.
    pub reason: String,
    /// Whether the right bytes are in place again.
    pub repaired: bool,
}

/// What was read, and what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Contents that were hashed.
    pub contents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What was damaged, now or before, and not repaired since.
    pub damaged: Vec<Damage>,
}

/// Looks at everything that is due. Who calls it holds the claim of the job.
///
/// # Errors
/// [`ServiceError::Store`]; [`ServiceError::Blob`] if the blob store does not answer. What
/// was looked at so far stays so.
pub async fn run(app: &App, scrub: &Scrub) -> Result<Report, ServiceError> {
    let mut report = Report::default();
    loop {
        let due = store::contents::due(&app.db, scrub.before, BATCH).await?;
        if due.is_empty() {
            return Ok(report);
        }
        for content in &due {
            look(app, scrub, content, &mut report).await?;
        }
    }
}

async fn look(
    app: &App,
    scrub: &Scrub,
    content: &Content,
    report: &mut Report,
) -> Result<(), ServiceError> {
    let digest = &content.digest;
    let reason = if content.state == State::Damaged {
        "was found damaged before".to_owned()
    } else {
        match app.blobs.verify(digest, |bytes| pace(scrub, bytes)).await {
            Ok(bytes) => {
                report.contents += 1;
                report.bytes += bytes;
                let mut tx = app.db.begin().await?;
                store::contents::checked(&mut tx, digest, app.clock.now()).await?;
                return Ok(tx.commit().await?);
            }
            Err(error @ (BlobError::Damaged { .. } | BlobError::Missing(_))) => {
                if !quarantine(app, content, &error).await? {
                    return Ok(());
                }
                error.to_string()
            }
            Err(error) => return Err(error.into()),
        }
    };
    let repaired = repair(app, scrub, digest).await?;
    let mut tx = app.db.begin().await?;
    store::contents::checked(&mut tx, digest, app.clock.now()).await?;
    tx.commit().await?;
    report.damaged.push(Damage {
        digest: digest.clone(),
        reason,
        repaired,
    });
    Ok(())
}

/// Waits as long as reading so many bytes may take.
async fn pace(scrub: &Scrub, bytes: u64) {
    if let Some(rate) = scrub.bytes_per_second {
        let micros = bytes.saturating_mul(1_000_000) / rate.max(1);
        tokio::time::sleep(Duration::from_micros(micros)).await;
    }
}

/// Takes damaged bytes out of sight; `false` if somebody stored or removed them meanwhile.
async fn quarantine(app: &App, content: &Content, error: &BlobError) -> Result<bool, ServiceError> {
    let digest = &content.digest;
    let mut tx = app.db.begin().await?;
    if !store::contents::damage(&mut tx, content, app.clock.now()).await? {
        // Look at what is there now in the next round.
        store::contents::checked(&mut tx, digest, app.clock.now()).await?;
        tx.commit().await?;
        return Ok(false);
    }
    let (nobody, subject) = (Caller::default(), format!("content:{digest}"));
    let detail = json!({"reason": error.to_string()});
    audit::append(app, &mut tx, &nobody, "content.damage", &subject, detail).await?;
    tx.commit().await?;
    // From here on nobody reads it, and a push brings it back.
    app.blobs.set_aside(digest).await?;
    tracing::error!(%digest, %error, "a stored content is damaged and was set aside");
    Ok(true)
}

/// Fetches a damaged content from another registry, if there is one and it has it.
async fn repair(app: &App, scrub: &Scrub, digest: &Digest) -> Result<bool, ServiceError> {
    let Some(mirror) = &scrub.repair_from else {
        return Ok(false);
    };
    for repository in store::blobs::holders(&app.db, digest).await? {
        let path = format!("v2/{repository}/blobs/{digest}");
        let Ok(url) = mirror.join(&path) else {
            continue;
        };
        match fetch(app, url.clone(), digest).await {
            Ok(()) => {
                tracing::info!(%digest, %url, "a damaged content was repaired");
                return Ok(true);
            }
            Err(ServiceError::Blob(error @ (BlobError::Body(_) | BlobError::Digest { .. }))) => {
                tracing::warn!(%digest, %url, %error, "no repair from here");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

async fn fetch(app: &App, url: Url, digest: &Digest) -> Result<(), ServiceError> {
    let body = |error: reqwest::Error| BlobError::Body(error.without_url().to_string());
    let client = reqwest::Client::builder()
        .connect_timeout(PATIENCE)
        .read_timeout(PATIENCE)
        .build()
        .map_err(body)?;
    let answer = client.get(url).send().await.map_err(body)?;
    let answer = answer.error_for_status().map_err(body)?;
    let addition = Addition {
        body: Box::pin(futures::TryStreamExt::map_err(
            answer.bytes_stream(),
            std::io::Error::other,
        )),
        exactly: None,
        limit: app.config.max_blob_bytes,
    };
    let seen = content::look(app, digest).await?;
    let id = app.random.id(app.clock.now()).to_string();
    app.blobs.stage(&id).await?;
    let nothing = Arrived::default();
    let stored = app.blobs.publish(&id, &nothing, addition, digest);
    let size = match stored.await {
        Ok(size) => size,
        Err(error) => {
            app.blobs.discard(&id).await?;
            return Err(error.into());
        }
    };
    let mut tx = app.db.begin().await?;
    content::hold(app, &mut tx, digest, size, seen).await?;
    let (nobody, subject) = (Caller::default(), format!("content:{digest}"));
    audit::append(app, &mut tx, &nobody, "content.repair", &subject, json!({})).await?;
    Ok(tx.commit().await?)
}
