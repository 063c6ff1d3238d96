// SPDX-License-Identifier: Apache-2.0
//! Whether the registry can do its work, and how much of everything there is.

use std::time::Duration;

use super::ServiceError;
use crate::{
    app::App,
    metrics::{Family, Gauge},
    store::{self, StoreError},
};

/// How long a sign of life may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks the database and the blob directory for a sign of life.
///
/// # Errors
/// [`ServiceError::Store`] or [`ServiceError::Blob`], whichever does not answer well;
/// [`ServiceError::Unavailable`] if one does not answer at all.
pub async fn check(app: &App) -> Result<(), ServiceError> {
    let answers = async {
        app.db.ping().await?;
        if !app.db.writable() {
            return Err(StoreError::Unsafe.into());
        }
        Ok(app.blobs.probe().await?)
    };
    match tokio::time::timeout(PATIENCE, answers).await {
        Ok(answers) => answers,
        Err(_) => Err(ServiceError::Unavailable(
            "database or blob store does not answer",
        )),
    }
}

/// What is measured when `/metrics` is asked.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn measure(app: &App) -> Result<Vec<Family>, ServiceError> {
    let mut families: Vec<Family> = gauges(app).await?.into_iter().map(Family::from).collect();
    families.extend(jobs(app).await?);
    Ok(families)
}

async fn gauges(app: &App) -> Result<Vec<Gauge>, ServiceError> {
    let (blobs, blob_bytes) = store::blobs::total(&app.db).await?;
    let (packages, versions) = store::packages::total(&app.db).await?;
    let uploads = store::uploads::count(&app.db).await?;
    let (contents, damaged, content_bytes) = store::contents::total(&app.db).await?;
    let writable = u64::from(app.blobs.writable() && app.db.writable());
    let gauge = |name, help, value| Gauge { name, help, value };
    Ok(vec![
        gauge("packages", "Packages with at least one version.", packages),
        gauge("versions", "Published versions.", versions),
        gauge(
            "blobs",
            "Blobs, counted in each repository that holds them.",
            blobs,
        ),
        gauge(
            "blob_bytes",
            "Bytes of blobs, counted in each repository that holds them.",
            blob_bytes,
        ),
        gauge("uploads", "Uploads in progress.", uploads),
        gauge(
            "storage_writable",
            "1 while database and blob directory take writes.",
            writable,
        ),
        gauge("contents", "Stored contents, each counted once.", contents),
        gauge(
            "content_bytes",
            "Bytes of stored contents, each counted once.",
            content_bytes,
        ),
        gauge(
            "contents_damaged",
            "Contents that a scrub found damaged.",
            damaged,
        ),
    ])
}

/// Background jobs: how late each is, and whether its last run failed.
#[expect(clippy::cast_precision_loss, reason = "seconds, far below 2^53")]
async fn jobs(app: &App) -> Result<[Family; 2], ServiceError> {
    let now = app.clock.now();
    let jobs = store::jobs::list(&app.db).await?;
    let late = jobs.iter().map(|job| {
        let seconds = (now - job.next_at).num_seconds().max(0);
        (job.name.clone(), seconds as f64)
    });
    let failed = jobs
        .iter()
        .map(|job| (job.name.clone(), f64::from(u8::from(job.failure.is_some()))));
    Ok([
        Family {
            name: "job_overdue_seconds",
            unit: "seconds",
            help: "Time since a background job became due, on all replicas together.",
            label: "job",
            values: late.collect(),
        },
        Family {
            name: "job_failed",
            unit: "",
            help: "1 if the last run of a background job failed.",
            label: "job",
            values: failed.collect(),
        },
    ])
}
