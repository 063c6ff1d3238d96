// SPDX-License-Identifier: Apache-2.0
//! Table `transfers`: namespaces that are, or were, handed over.

use chrono::{DateTime, Utc};

use super::{Db, StoreError, Tx};

/// A transfer as it is kept.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Transfer {
    /// Its identifier.
    pub id: String,
    /// The namespace.
    pub namespace: String,
    /// Who offered it.
    pub from_account: String,
    /// Whom it was offered to.
    pub to_account: String,
    /// When.
    pub offered_at: DateTime<Utc>,
    /// When it was accepted.
    pub accepted_at: Option<DateTime<Utc>>,
    /// When it is done, or was to be.
    pub due_at: Option<DateTime<Utc>>,
}

const INSERT: &str = "insert into transfers (id, namespace, from_account, to_account, offered_at) values ($1, $2, $3, $4, $5)";

/// Adds an offer.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn insert(tx: &mut Tx, transfer: &Transfer) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(INSERT).bind(&transfer.id).bind(&transfer.namespace)
        .bind(&transfer.from_account).bind(&transfer.to_account).bind(transfer.offered_at)
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const OPEN: &str = "select id, namespace, from_account, to_account, offered_at, accepted_at, due_at from transfers \
     where namespace = $1 and completed_at is null and cancelled_at is null order by offered_at desc limit 1";

/// The transfer of a namespace that is not done.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn open(db: &Db, namespace: &str) -> Result<Option<Transfer>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(OPEN).bind(namespace).fetch_optional(c).await)?)
}

/// The same within a transaction.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn open_in(tx: &mut Tx, namespace: &str) -> Result<Option<Transfer>, StoreError> {
    Ok(on!(Tx, tx, c => sqlx::query_as(OPEN).bind(namespace).fetch_optional(&mut **c).await)?)
}

const ACCEPT: &str = "update transfers set accepted_at = $2, due_at = $3 where id = $1";

/// Notes that the new owner has accepted.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn accept(
    tx: &mut Tx,
    id: &str,
    now: DateTime<Utc>,
    due: DateTime<Utc>,
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(ACCEPT).bind(id).bind(now).bind(due)
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const CANCEL: &str = "update transfers set cancelled_at = $2 where id = $1";

/// Notes that somebody has called it off.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn cancel(tx: &mut Tx, id: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(CANCEL).bind(id).bind(now).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const COMPLETE: &str = "update transfers set completed_at = $2, vouched = $3 where id = $1";

/// Notes that it is done; `vouched`: an old identity named who goes on.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn complete(
    tx: &mut Tx,
    id: &str,
    vouched: bool,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(COMPLETE).bind(id).bind(now).bind(vouched)
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const DUE: &str = "select namespace from transfers where completed_at is null and cancelled_at is null \
                   and due_at <= $1 order by due_at limit 100";

/// Up to 100 namespaces whose transfer is due.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn due(db: &Db, now: DateTime<Utc>) -> Result<Vec<String>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_scalar(DUE).bind(now).fetch_all(c).await)?)
}

const DONE: &str = "select completed_at, vouched from transfers where namespace = $1 \
                    and completed_at is not null order by completed_at";

/// When a namespace was handed over, and whether an old identity named who goes on.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn done(tx: &mut Tx, namespace: &str) -> Result<Vec<(DateTime<Utc>, bool)>, StoreError> {
    Ok(on!(Tx, tx, c => sqlx::query_as(DONE).bind(namespace).fetch_all(&mut **c).await)?)
}

const CLEAR_MEMBERS: &str = "delete from namespace_members where namespace = $1";
const CLEAR_PUBLISHERS: &str = "delete from trusted_publishers where namespace = $1";

/// Takes all members and trusted publishers away from a namespace.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn clear(tx: &mut Tx, namespace: &str) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(CLEAR_MEMBERS).bind(namespace).execute(&mut **c).await.map(|_| ()))?;
    on!(Tx, tx, c => sqlx::query(CLEAR_PUBLISHERS).bind(namespace).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}
