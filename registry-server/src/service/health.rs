// SPDX-License-Identifier: Apache-2.0
//! Whether the registry can do its work, and how much of everything there is.

use super::ServiceError;
use crate::{app::App, metrics::Gauge, store};

/// Asks the database and the blob directory for a sign of life.
///
/// # Errors
/// [`ServiceError::Store`] or [`ServiceError::Blob`], whichever does not answer.
pub async fn check(app: &App) -> Result<(), ServiceError> {
    app.db.ping().await?;
    app.blobs.probe().await?;
    Ok(())
}

/// What is measured when `/metrics` is asked.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn gauges(app: &App) -> Result<Vec<Gauge>, ServiceError> {
    let (blobs, blob_bytes) = store::blobs::total(&app.db).await?;
    let (packages, versions) = store::packages::total(&app.db).await?;
    let uploads = store::uploads::count(&app.db).await?;
    let writable = u64::from(app.blobs.writable());
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
            "1 while the blob directory takes writes.",
            writable,
        ),
    ])
}
