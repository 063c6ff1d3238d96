// SPDX-License-Identifier: Apache-2.0
//! How often somebody may do something, on all replicas together: counted in the database,
//! in windows of time that begin at whole multiples of their length.

use chrono::{DateTime, TimeDelta, Utc};

use super::ServiceError;
use crate::{
    app::App,
    store::{self, Tx},
};

/// What is counted, and for how long.
#[derive(Debug, Clone, Copy)]
struct Action {
    name: &'static str,
    window: TimeDelta,
}

const LOGIN: Action = Action {
    name: "login-failed",
    window: TimeDelta::minutes(10),
};
const PUBLISH: Action = Action {
    name: "version-publish",
    window: TimeDelta::hours(1),
};

/// Counts a version that `account` publishes, in the transaction that does it.
///
/// # Errors
/// [`ServiceError::TooMany`] if it is one more than the configuration allows in an hour;
/// [`ServiceError::Store`].
pub async fn publish(app: &App, tx: &mut Tx, account: &str) -> Result<(), ServiceError> {
    let most = app.config.limits.publishes_per_hour;
    if most == 0 {
        return Ok(());
    }
    let now = app.clock.now();
    let (number, end) = count(tx, PUBLISH, account, now).await?;
    if number <= most.into() {
        return Ok(());
    }
    Err(ServiceError::TooMany {
        what: "versions in an hour",
        limit: most,
        seconds: (end - now).num_seconds().unsigned_abs() + 1,
    })
}

/// Counts a log-in from `address` that failed. Gives until when it is not to be listened to,
/// if it failed too often.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn failed_login(app: &App, address: &str) -> Result<Option<DateTime<Utc>>, ServiceError> {
    let most = app.config.limits.failed_logins;
    if most == 0 {
        return Ok(None);
    }
    let mut tx = app.db.begin().await?;
    let (number, end) = count(&mut tx, LOGIN, address, app.clock.now()).await?;
    tx.commit().await?;
    Ok((number > most.into()).then_some(end))
}

/// Counts once; gives how often it was in this window, and when the window ends.
async fn count(
    tx: &mut Tx,
    action: Action,
    subject: &str,
    now: DateTime<Utc>,
) -> Result<(i64, DateTime<Utc>), ServiceError> {
    let length = action.window.num_seconds();
    let start = now.timestamp().div_euclid(length) * length;
    let start = DateTime::from_timestamp(start, 0).unwrap_or(now);
    let number = store::counters::add(tx, action.name, subject, start).await?;
    if number == 1 {
        store::counters::forget(tx, action.name, start).await?;
    }
    Ok((number, start + action.window))
}
