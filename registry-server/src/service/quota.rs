// SPDX-License-Identifier: Apache-2.0
//! How much a namespace may hold.

use super::ServiceError;
use crate::{
    app::App,
    blob::BlobError,
    store::{self, Tx},
};

/// What a namespace may still take.
#[derive(Debug)]
pub(super) struct Room {
    namespace: String,
    /// Its quota and how much it holds, in bytes; `None` without a quota.
    quota: Option<(u64, u64)>,
}

impl Room {
    fn left(&self) -> u64 {
        self.quota
            .map_or(u64::MAX, |(quota, used)| quota.saturating_sub(used))
    }

    /// How long a blob may be, if the registry takes blobs of up to `largest` bytes.
    pub(super) fn limit(&self, largest: u64) -> u64 {
        largest.min(self.left())
    }

    /// Demands that there is room at all.
    ///
    /// # Errors
    /// [`ServiceError::Quota`].
    pub(super) fn demand_any(&self) -> Result<(), ServiceError> {
        match self.left() {
            0 => Err(self.exceeded()),
            _ => Ok(()),
        }
    }

    /// Says that it was the quota, where a body was too long because of it.
    pub(super) fn explain(&self, error: ServiceError) -> ServiceError {
        match error {
            ServiceError::Blob(BlobError::TooLarge { limit }) if limit == self.left() => {
                self.exceeded()
            }
            error => error,
        }
    }

    fn exceeded(&self) -> ServiceError {
        let (quota, used) = self.quota.unwrap_or_default();
        let namespace = self.namespace.clone();
        ServiceError::Quota {
            namespace,
            quota,
            used,
        }
    }
}

/// What the namespace may still take.
///
/// # Errors
/// [`ServiceError::Store`].
pub(super) async fn room(app: &App, namespace: &str) -> Result<Room, ServiceError> {
    let rules = store::rules::find(&app.db, namespace).await?;
    let quota = match rules.quota_bytes {
        Some(quota) => Some((quota, store::rules::used(&app.db, namespace).await?)),
        None => None,
    };
    let namespace = namespace.to_owned();
    Ok(Room { namespace, quota })
}

/// Demands, within the transaction that adds something, that the namespace does not hold
/// too much with it.
///
/// # Errors
/// [`ServiceError::Quota`]; [`ServiceError::Store`].
pub(super) async fn check(tx: &mut Tx, namespace: &str) -> Result<(), ServiceError> {
    let Some(quota) = store::rules::lock(tx, namespace).await?.quota_bytes else {
        return Ok(());
    };
    let used = store::rules::used_in(tx, namespace).await?;
    if used <= quota {
        return Ok(());
    }
    let namespace = namespace.to_owned();
    Err(ServiceError::Quota {
        namespace,
        quota,
        used,
    })
}
