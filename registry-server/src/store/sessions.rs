// SPDX-License-Identifier: Apache-2.0
//! Tables `sessions` and `logins`.

use chrono::{DateTime, Utc};

use super::{Db, StoreError, Tx};

/// A session with what matters of its account.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Session {
    /// Whose it is.
    pub account: String,
    /// Whether the account is an administrator.
    pub administrator: bool,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

const INSERT: &str = "insert into sessions (hash, account, token, created_at, expires_at) values ($1, $2, $3, $4, $5)";

/// Begins a session.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn insert(
    tx: &mut Tx,
    hash: &str,
    account: &str,
    token: Option<&str>,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(INSERT).bind(hash).bind(account).bind(token).bind(now).bind(expires_at)
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const FIND: &str = "select s.account, a.administrator, s.expires_at from sessions s \
     join accounts a on a.name = s.account left join tokens t on t.hash = s.token \
     where s.hash = $1 and s.revoked_at is null and a.disabled_at is null and t.revoked_at is null";

/// A session that was not ended; it may have expired.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn find(db: &Db, hash: &str) -> Result<Option<Session>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(FIND).bind(hash).fetch_optional(c).await)?)
}

const END: &str = "update sessions set revoked_at = $2 where hash = $1 and revoked_at is null";

/// Ends a session; `false` if there is none.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn end(tx: &mut Tx, hash: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(END).bind(hash).bind(now)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const END_ALL: &str =
    "update sessions set revoked_at = $2 where account = $1 and revoked_at is null";

/// Ends all sessions of an account.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn end_all(tx: &mut Tx, account: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(END_ALL).bind(account).bind(now).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const FORGET: &str = "delete from sessions where expires_at < $1";
const FORGET_LOGINS: &str = "delete from logins where expires_at < $1";

/// Forgets what has expired.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn forget(tx: &mut Tx, now: DateTime<Utc>) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(FORGET).bind(now).execute(&mut **c).await.map(|_| ()))?;
    on!(Tx, tx, c => sqlx::query(FORGET_LOGINS).bind(now).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

/// A login that waits for the provider's answer.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Login {
    /// What the ID token must repeat.
    pub nonce: String,
    /// What proves to the provider that the answer is for who asked.
    pub verifier: String,
    /// When it is too late.
    pub expires_at: DateTime<Utc>,
}

const BEGIN: &str =
    "insert into logins (state, nonce, verifier, expires_at) values ($1, $2, $3, $4)";

/// Notes a login under its `state`.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn begin_login(tx: &mut Tx, state: &str, login: &Login) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(BEGIN).bind(state).bind(&login.nonce).bind(&login.verifier)
        .bind(login.expires_at).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const TAKE: &str = "delete from logins where state = $1 returning nonce, verifier, expires_at";

/// Takes a login out, so that its answer counts once.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn take_login(tx: &mut Tx, state: &str) -> Result<Option<Login>, StoreError> {
    Ok(on!(Tx, tx, c => sqlx::query_as(TAKE).bind(state).fetch_optional(&mut **c).await)?)
}
