// SPDX-License-Identifier: Apache-2.0
//! Table `counters`: how often something happened in a window of time.

use chrono::{DateTime, Utc};

use super::{StoreError, Tx};

const ADD: &str = "insert into counters (action, subject, window_start, number) values ($1, $2, $3, 1) \
                   on conflict (action, subject, window_start) do update set number = counters.number + 1 \
                   returning number";

/// Counts `action` of `subject` once more in the window that began at `start`; gives how
/// often it was counted there, at least 1.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn add(
    tx: &mut Tx,
    action: &str,
    subject: &str,
    start: DateTime<Utc>,
) -> Result<i64, StoreError> {
    Ok(
        on!(Tx, tx, c => sqlx::query_scalar(ADD).bind(action).bind(subject).bind(start)
        .fetch_one(&mut **c).await)?,
    )
}

const FORGET: &str = "delete from counters where action = $1 and window_start < $2";

/// Forgets the windows of `action` that began before `start`.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn forget(tx: &mut Tx, action: &str, start: DateTime<Utc>) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(FORGET).bind(action).bind(start).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}
