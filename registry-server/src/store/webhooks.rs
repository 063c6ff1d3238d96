// SPDX-License-Identifier: Apache-2.0
//! Tables `webhooks`, `webhook_deliveries` and `webhook_progress`.

use chrono::{DateTime, Utc};

use super::{Db, StoreError, Tx, uncount};

/// An address that is told of a namespace's events.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Webhook {
    /// Identifies it.
    pub id: String,
    /// The namespace.
    pub namespace: String,
    /// Where messages go.
    pub url: String,
    /// What messages are signed with, `whsec_` and base64.
    pub secret: String,
    /// What it is told of, with spaces between.
    pub events: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Who made it.
    pub created_by: String,
    /// When it was switched off.
    pub disabled_at: Option<DateTime<Utc>>,
    /// How many attempts in a row failed.
    pub failures: i64,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Delivery {
    /// Identifies it.
    pub id: String,
    /// To which webhook.
    pub webhook: String,
    /// What it tells of.
    pub event: String,
    /// What is sent.
    pub payload: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// How often it was sent.
    pub attempts: i64,
    /// When it is sent next.
    pub next_at: Option<DateTime<Utc>>,
    /// When it arrived.
    pub delivered_at: Option<DateTime<Utc>>,
    /// The receiver's last answer.
    pub status: Option<i64>,
    /// Why the last attempt failed.
    pub failure: Option<String>,
}

const INSERT: &str = "insert into webhooks (id, namespace, url, secret, events, created_at, created_by, disabled_at, failures) \
     values ($1, $2, $3, $4, $5, $6, $7, null, 0)";

/// Adds a webhook.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn insert(tx: &mut Tx, new: &Webhook) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(INSERT).bind(&new.id).bind(&new.namespace).bind(&new.url)
        .bind(&new.secret).bind(&new.events).bind(new.created_at).bind(&new.created_by)
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const LIST: &str = "select id, namespace, url, secret, events, created_at, created_by, disabled_at, failures \
     from webhooks where namespace = $1 order by id";

/// The webhooks of a namespace.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn list(db: &Db, namespace: &str) -> Result<Vec<Webhook>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(LIST).bind(namespace).fetch_all(c).await)?)
}

const FIND: &str = "select id, namespace, url, secret, events, created_at, created_by, disabled_at, failures \
     from webhooks where id = $1";

/// A webhook.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn find(db: &Db, id: &str) -> Result<Option<Webhook>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(FIND).bind(id).fetch_optional(c).await)?)
}

const DELETE: &str = "delete from webhooks where id = $1";

/// Removes a webhook with its messages.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn delete(tx: &mut Tx, id: &str) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(DELETE).bind(id).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const RESET: &str = "update webhooks set failures = 0, disabled_at = null where id = $1";

/// Notes that a message has arrived, or that somebody wants to try again.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn reset(tx: &mut Tx, id: &str) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(RESET).bind(id).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const FAILED: &str = "update webhooks set failures = failures + 1 where id = $1 returning failures";

/// Notes a failed attempt, and gives how many there are in a row; none if the webhook is
/// gone.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn failed(tx: &mut Tx, id: &str) -> Result<Option<i64>, StoreError> {
    Ok(on!(Tx, tx, c => sqlx::query_scalar(FAILED).bind(id).fetch_optional(&mut **c).await)?)
}

const DISABLE: &str = "update webhooks set disabled_at = $2 where id = $1";

/// Switches a webhook off.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn disable(tx: &mut Tx, id: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(DISABLE).bind(id).bind(now).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const ENQUEUE: &str = "insert into webhook_deliveries (id, webhook, event, payload, created_at, attempts, next_at) \
     values ($1, $2, $3, $4, $5, 0, $5)";

/// Adds a message, due at once.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn enqueue(
    tx: &mut Tx,
    id: &str,
    webhook: &str,
    event: &str,
    payload: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(ENQUEUE).bind(id).bind(webhook).bind(event).bind(payload)
        .bind(now).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const DUE: &str = "select d.id, d.webhook, d.event, d.payload, d.created_at, d.attempts, d.next_at, d.delivered_at, d.status, d.failure \
     from webhook_deliveries d join webhooks w on w.id = d.webhook \
     where d.next_at <= $1 and w.disabled_at is null order by d.next_at limit $2";

/// Messages that are to be sent now.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn due(db: &Db, now: DateTime<Utc>, limit: i64) -> Result<Vec<Delivery>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(DUE).bind(now).bind(limit).fetch_all(c).await)?)
}

const DELIVERIES: &str = "select id, webhook, event, payload, created_at, attempts, next_at, delivered_at, status, failure \
     from webhook_deliveries where webhook = $1 order by id desc limit $2";

/// The newest messages to a webhook, newest first.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn deliveries(db: &Db, webhook: &str, limit: i64) -> Result<Vec<Delivery>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(DELIVERIES).bind(webhook).bind(limit).fetch_all(c).await)?)
}

const ATTEMPTED: &str = "update webhook_deliveries set attempts = attempts + 1, last_attempt_at = $2, next_at = $3, \
     delivered_at = $4, status = $5, failure = $6 where id = $1";

/// What became of an attempt.
#[derive(Debug, Clone, Default)]
pub struct Attempt {
    /// When it is tried again; none if it arrived or is given up.
    pub next_at: Option<DateTime<Utc>>,
    /// When it arrived.
    pub delivered_at: Option<DateTime<Utc>>,
    /// The receiver's answer.
    pub status: Option<i64>,
    /// Why it failed.
    pub failure: Option<String>,
}

/// Notes an attempt.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn attempted(
    tx: &mut Tx,
    id: &str,
    attempt: &Attempt,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(ATTEMPTED).bind(id).bind(now).bind(attempt.next_at)
        .bind(attempt.delivered_at).bind(attempt.status).bind(&attempt.failure)
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const FORGET: &str = "delete from webhook_deliveries where created_at < $1";

/// Forgets messages that are older than `before`.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn forget(tx: &mut Tx, before: DateTime<Utc>) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(FORGET).bind(before).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const PROGRESS: &str = "select audit_sequence from webhook_progress where id = 1";

/// How far the audit log was turned into messages; none before the first time.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn progress(db: &Db) -> Result<Option<u64>, StoreError> {
    let sequence: Option<i64> =
        on!(Db, db, c => sqlx::query_scalar(PROGRESS).fetch_optional(c).await)?;
    Ok(sequence.map(uncount))
}

const ADVANCE: &str = "insert into webhook_progress (id, audit_sequence) values (1, $1) \
     on conflict (id) do update set audit_sequence = excluded.audit_sequence \
     where webhook_progress.audit_sequence < excluded.audit_sequence";

/// Notes how far the audit log was turned into messages; `false` if somebody was further.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn advance(tx: &mut Tx, sequence: i64) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(ADVANCE).bind(sequence).execute(&mut **c).await
        .map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}
