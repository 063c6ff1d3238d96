// SPDX-License-Identifier: Apache-2.0
//! Table `accounts`.

use chrono::{DateTime, Utc};

use super::{Db, StoreError, Tx};

/// An account as it is kept.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Whether it may do everything.
    pub administrator: bool,
    /// Whether it is a trusted publisher.
    pub robot: bool,
    /// Hash of its password, if it has one.
    pub password: Option<String>,
    /// Since when it may do nothing.
    pub disabled_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Whether it decides about versions that wait for review.
    pub reviewer: bool,
}

const INSERT: &str = "insert into accounts (name, administrator, robot, password, disabled_at, created_at, reviewer) \
     values ($1, $2, $3, $4, $5, $6, $7) on conflict (name) do nothing";

/// Adds an account; `false` if one of the same name stays as it is.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn insert(tx: &mut Tx, account: &Account) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(INSERT).bind(&account.name).bind(account.administrator)
        .bind(account.robot).bind(&account.password).bind(account.disabled_at).bind(account.created_at).bind(account.reviewer)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const COUNT: &str = "select count(*) from accounts";

/// How many accounts there are; none means that the server never started on this database.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn count(db: &Db) -> Result<i64, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_scalar(COUNT).fetch_one(c).await)?)
}

const FIND: &str = "select name, administrator, robot, password, disabled_at, created_at, reviewer \
                    from accounts where name = $1";

/// The account called `name`, disabled or not.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn find(db: &Db, name: &str) -> Result<Option<Account>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(FIND).bind(name).fetch_optional(c).await)?)
}

/// The same within a transaction.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn find_in(tx: &mut Tx, name: &str) -> Result<Option<Account>, StoreError> {
    Ok(on!(Tx, tx, c => sqlx::query_as(FIND).bind(name).fetch_optional(&mut **c).await)?)
}

const LIST: &str = "select name, administrator, robot, password, disabled_at, created_at, reviewer \
                    from accounts where name > $1 order by name limit $2";

/// Up to `limit` accounts after `last`, by name.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn list(db: &Db, last: &str, limit: i64) -> Result<Vec<Account>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(LIST).bind(last).bind(limit).fetch_all(c).await)?)
}

const UPDATE: &str = "update accounts set administrator = $2, password = $3, disabled_at = $4, reviewer = $5 where name = $1";

/// Writes what can change of an account.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn update(tx: &mut Tx, account: &Account) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(UPDATE).bind(&account.name).bind(account.administrator)
        .bind(&account.password).bind(account.disabled_at).bind(account.reviewer).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const ADMINISTRATORS: &str =
    "select count(*) from accounts where administrator and disabled_at is null and name <> $1";

/// How many administrators there are besides `name`.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn other_administrators(tx: &mut Tx, name: &str) -> Result<i64, StoreError> {
    Ok(on!(Tx, tx, c => sqlx::query_scalar(ADMINISTRATORS).bind(name).fetch_one(&mut **c).await)?)
}

const FIRST_ADMINISTRATOR: &str = "select name from accounts where administrator and disabled_at is null \
                                   and ($1 = '' or name = $1) order by created_at, name limit 1";

/// The administrator `name` if that is enabled; for the empty name, the oldest that is.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn first_administrator(tx: &mut Tx, name: &str) -> Result<Option<String>, StoreError> {
    Ok(
        on!(Tx, tx, c => sqlx::query_scalar(FIRST_ADMINISTRATOR).bind(name)
        .fetch_optional(&mut **c).await)?,
    )
}

const LINK: &str = "insert into identities (issuer, subject, account, created_at) values ($1, $2, $3, $4) \
     on conflict (issuer, subject) do nothing";

/// Notes that an identity of a login provider is an account; `false` if it is one already.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn link(
    tx: &mut Tx,
    issuer: &str,
    subject: &str,
    account: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(LINK).bind(issuer).bind(subject).bind(account).bind(now)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const LINKED: &str = "select account from identities where issuer = $1 and subject = $2";

/// The account that an identity is, if it is one.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn linked(db: &Db, issuer: &str, subject: &str) -> Result<Option<String>, StoreError> {
    Ok(
        on!(Db, db, c => sqlx::query_scalar(LINKED).bind(issuer).bind(subject).fetch_optional(c).await)?,
    )
}
