// SPDX-License-Identifier: Apache-2.0
//! The trust root: signed offline, published by an administrator, served to everybody.

use bytes::Bytes;
use registry_schema::trust::root::{RootError, SignedRoot};
use serde_json::json;

use super::{
    ServiceError,
    access::{self, Caller},
    audit,
};
use crate::{app::App, store};

/// The newest root; none if none was published.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn latest(app: &App) -> Result<Option<Bytes>, ServiceError> {
    Ok(store::trust::latest_root(&app.db).await?.map(Bytes::from))
}

/// One version of the root; none if there is no such version.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn version(app: &App, version: u64) -> Result<Option<Bytes>, ServiceError> {
    let Ok(version) = i64::try_from(version) else {
        return Ok(None);
    };
    Ok(store::trust::root(&app.db, version).await?.map(Bytes::from))
}

/// Publishes the next version. What clients would refuse is refused here first.
///
/// # Errors
/// Those of [`access::demand_administrator`]; [`ServiceError::Root`].
pub async fn publish(app: &App, caller: &Caller, bytes: &[u8]) -> Result<u64, ServiceError> {
    access::demand_administrator(app, caller, "publish a trust root")?;
    let next = SignedRoot::open(bytes)?;
    next.check_registry(app.host())?;
    next.check_current(app.clock.now())?;
    let mut tx = app.db.begin().await?;
    match store::trust::latest_root_in(&mut tx).await? {
        Some(current) => SignedRoot::open(&current)?.check_next(&next)?,
        None if next.root().version == 1 => {}
        None => {
            let (actual, expected) = (next.root().version, 1);
            return Err(RootError::OutOfOrder { actual, expected }.into());
        }
    }
    let (version, body) = (next.root().version, next.to_json());
    let number = i64::try_from(version).unwrap_or(i64::MAX);
    let now = app.clock.now();
    if !store::trust::insert_root(&mut tx, number, &body, now, caller.name()).await? {
        return Err(ServiceError::Unavailable("another root is being published"));
    }
    let detail = json!({"version": version, "digest": next.digest(), "keys": next.fingerprints()});
    audit::append(
        app,
        &mut tx,
        caller,
        "root.publish",
        "registry:root",
        detail,
    )
    .await?;
    tx.commit().await?;
    Ok(version)
}
