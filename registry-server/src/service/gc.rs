// SPDX-License-Identifier: Apache-2.0
//! Collection of garbage: blobs that no manifest refers to and whose lease has ended leave
//! their repository; bytes that no repository holds are removed; bytes that the database
//! knows nothing of, as a crash leaves them, are removed when they are old.

use chrono::TimeDelta;
use futures::StreamExt;
use serde::Serialize;
use serde_json::json;

use super::{ServiceError, access::Caller, audit, content::GRACE};
use crate::{
    app::App,
    store::{self, contents::Content},
};

/// Rows read, and changed in one transaction, at a time.
const BATCH: i64 = 200;
/// How long it is remembered that bytes were removed: longer than any push takes.
const REMEMBERED: TimeDelta = TimeDelta::days(7);
/// How old bytes without a row must be before they are garbage.
const ORPHAN: TimeDelta = TimeDelta::days(2);

/// What was collected, or would be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Blobs that left their repository.
    pub blobs: u64,
    /// The bytes of these blobs, counted in each repository.
    pub blob_bytes: u64,
    /// Contents removed from the store because no repository held them any more.
    pub contents: u64,
    /// Their bytes.
    pub content_bytes: u64,
    /// Contents removed that the database knew nothing of.
    pub orphans: u64,
    /// Their bytes.
    pub orphan_bytes: u64,
}

impl Report {
    fn is_empty(&self) -> bool {
        self.blobs + self.contents + self.orphans == 0
    }
}

/// Collects garbage. Who calls it holds the claim of the job, so that it runs once at a time.
///
/// # Errors
/// [`ServiceError::Store`], [`ServiceError::Blob`]; what was collected so far stays so.
pub async fn run(app: &App, dry_run: bool) -> Result<Report, ServiceError> {
    let mut report = Report {
        dry_run,
        ..Report::default()
    };
    collect_blobs(app, &mut report).await?;
    collect_contents(app, &mut report).await?;
    collect_orphans(app, &mut report).await?;
    if dry_run || report.is_empty() {
        return Ok(report);
    }
    let mut tx = app.db.begin().await?;
    store::contents::forget(&mut tx, app.clock.now() - REMEMBERED).await?;
    let nobody = Caller::default();
    audit::append(
        app,
        &mut tx,
        &nobody,
        "gc.run",
        "registry:gc",
        json!(report),
    )
    .await?;
    tx.commit().await?;
    Ok(report)
}

/// Takes unused blobs out of their repositories.
async fn collect_blobs(app: &App, report: &mut Report) -> Result<(), ServiceError> {
    let now = app.clock.now();
    let mut last = (String::new(), String::new());
    loop {
        let place = (last.0.as_str(), last.1.as_str());
        let unused = store::blobs::unused(&app.db, place, now, BATCH).await?;
        let Some(end) = unused.last() else {
            return Ok(());
        };
        last = (end.digest.to_string(), end.repository.to_string());
        if report.dry_run {
            report.blobs += unused.len() as u64;
            report.blob_bytes += unused.iter().map(|blob| blob.size_bytes).sum::<u64>();
            continue;
        }
        let mut tx = app.db.begin().await?;
        let (mut blobs, mut bytes) = (0, 0);
        for blob in &unused {
            if store::blobs::collect(&mut tx, blob, now).await? {
                store::contents::touch(&mut tx, &blob.digest, now).await?;
                blobs += 1;
                bytes += blob.size_bytes;
            }
        }
        tx.commit().await?;
        report.blobs += blobs;
        report.blob_bytes += bytes;
    }
}

/// Removes bytes that no repository has held for a while.
async fn collect_contents(app: &App, report: &mut Report) -> Result<(), ServiceError> {
    let before = app.clock.now() - GRACE;
    let mut last = String::new();
    loop {
        let unheld = store::contents::unheld(&app.db, &last, before, BATCH).await?;
        let Some(end) = unheld.last() else {
            return Ok(());
        };
        last = end.digest.to_string();
        for content in &unheld {
            if report.dry_run || collect_content(app, content).await? {
                report.contents += 1;
                report.content_bytes += content.size_bytes;
            }
        }
    }
}

async fn collect_content(app: &App, content: &Content) -> Result<bool, ServiceError> {
    let now = app.clock.now();
    if content.state != store::contents::State::Removing {
        let mut tx = app.db.begin().await?;
        if !store::contents::condemn(&mut tx, &content.digest, now - GRACE).await? {
            return Ok(false);
        }
        tx.commit().await?;
    }
    remove(app, content).await?;
    Ok(true)
}

/// Removes bytes that are marked for it. A crash in between leaves the mark, and the next
/// collection does it again.
async fn remove(app: &App, content: &Content) -> Result<(), ServiceError> {
    app.blobs.remove(&content.digest).await?;
    let mut tx = app.db.begin().await?;
    store::contents::removed(&mut tx, &content.digest, app.clock.now()).await?;
    Ok(tx.commit().await?)
}

/// Removes old bytes that the database knows nothing of.
async fn collect_orphans(app: &App, report: &mut Report) -> Result<(), ServiceError> {
    let now = app.clock.now();
    // An upload may rest for a while before it is finished, and its bytes with it.
    let age = ORPHAN.max(TimeDelta::seconds(app.config.upload_seconds.into()) * 2);
    let mut entries = app.blobs.list();
    while let Some(entry) = entries.next().await {
        let entry = entry?;
        let known = store::contents::find(&app.db, &entry.digest).await?;
        let gone = known
            .as_ref()
            .is_some_and(|content| content.state == store::contents::State::Removed);
        if (known.is_some() && !gone) || entry.modified_at > now - age {
            continue;
        }
        if !report.dry_run {
            let mut tx = app.db.begin().await?;
            let (digest, size) = (&entry.digest, entry.size_bytes);
            if !store::contents::condemn_orphan(&mut tx, digest, size, now).await? {
                continue;
            }
            tx.commit().await?;
            app.blobs.remove(digest).await?;
            let mut tx = app.db.begin().await?;
            store::contents::removed(&mut tx, digest, app.clock.now()).await?;
            tx.commit().await?;
        }
        report.orphans += 1;
        report.orphan_bytes += entry.size_bytes;
    }
    Ok(())
}
