// SPDX-License-Identifier: Apache-2.0
//! Table `namespace_members`: who may do what in which namespace.

use chrono::{DateTime, Utc};

use super::{Db, StoreError, Tx};

/// A member as it is kept.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Member {
    /// The account.
    pub account: String,
    /// `owner`, `maintainer`, `publisher` or `viewer`.
    pub role: String,
    /// Since when.
    pub added_at: DateTime<Utc>,
}

const STANDING: &str = "select n.visibility, m.role from namespaces n \
     left join namespace_members m on m.namespace = n.name and m.account = $2 \
     where n.name = $1 and n.deleted_at is null";

/// The visibility of a namespace and the role of `account` in it; `None` if there is no such
/// namespace. One query, so that a private namespace takes as long as a missing one.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn standing(
    db: &Db,
    namespace: &str,
    account: &str,
) -> Result<Option<(String, Option<String>)>, StoreError> {
    Ok(
        on!(Db, db, c => sqlx::query_as(STANDING).bind(namespace).bind(account).fetch_optional(c).await)?,
    )
}

const LIST: &str =
    "select account, role, added_at from namespace_members where namespace = $1 order by account";

/// The members of a namespace, by name.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn list(db: &Db, namespace: &str) -> Result<Vec<Member>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(LIST).bind(namespace).fetch_all(c).await)?)
}

const OF_ACCOUNT: &str = "select m.namespace, m.role from namespace_members m \
     join namespaces n on n.name = m.namespace \
     where m.account = $1 and n.deleted_at is null order by m.namespace";

/// The namespaces of an account with its role in each, by name.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn of_account(db: &Db, account: &str) -> Result<Vec<(String, String)>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(OF_ACCOUNT).bind(account).fetch_all(c).await)?)
}

const REMOVE: &str = "delete from namespace_members where namespace = $1 and account = $2";

/// Removes a member; `false` if it was none.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn remove(tx: &mut Tx, namespace: &str, account: &str) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(REMOVE).bind(namespace).bind(account)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const LOCK: &str = "update namespaces set name = name where name = $1 and deleted_at is null";

/// Keeps others from changing the namespace's members until the transaction ends; `false` if
/// there is no such namespace.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn lock(tx: &mut Tx, namespace: &str) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(LOCK).bind(namespace)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const OWNERS: &str = "select count(*) from namespace_members where namespace = $1 and role = 'owner' and account <> $2";

/// How many owners the namespace has besides `account`.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn other_owners(tx: &mut Tx, namespace: &str, account: &str) -> Result<i64, StoreError> {
    Ok(
        on!(Tx, tx, c => sqlx::query_scalar(OWNERS).bind(namespace).bind(account)
        .fetch_one(&mut **c).await)?,
    )
}

const ROLE: &str = "select role from namespace_members where namespace = $1 and account = $2";

/// The role of `account` in the namespace, within a transaction.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn role_in(
    tx: &mut Tx,
    namespace: &str,
    account: &str,
) -> Result<Option<String>, StoreError> {
    Ok(
        on!(Tx, tx, c => sqlx::query_scalar(ROLE).bind(namespace).bind(account)
        .fetch_optional(&mut **c).await)?,
    )
}
