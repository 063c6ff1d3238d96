// SPDX-License-Identifier: Apache-2.0
//! Table `tokens`: API tokens, known only by their hash.

use chrono::{DateTime, Utc};

use super::{Db, StoreError, Tx};

/// A token as it is kept.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Token {
    /// Hexadecimal SHA-256 of the token's text.
    pub hash: String,
    /// Whose it is.
    pub account: String,
    /// What the owner calls it.
    pub label: String,
    /// Whether the account is an administrator.
    pub administrator: bool,
    /// When it was issued.
    pub created_at: DateTime<Utc>,
    /// When it ends, if ever.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<DateTime<Utc>>,
}

const INSERT: &str = "insert into tokens (hash, account, label, created_at, expires_at) \
                      values ($1, $2, $3, $4, $5)";

/// Adds a token.
///
/// # Errors
/// [`StoreError::Statement`], also if the account does not exist.
pub async fn insert(
    tx: &mut Tx,
    hash: &str,
    account: &str,
    label: &str,
    now: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(INSERT).bind(hash).bind(account).bind(label).bind(now).bind(expires_at)
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const FIND: &str = "select t.hash, t.account, t.label, a.administrator, t.created_at, t.expires_at, t.revoked_at \
                    from tokens t join accounts a on a.name = t.account where t.hash = $1";

/// The token with this hash, revoked and expired ones included.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn find(db: &Db, hash: &str) -> Result<Option<Token>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(FIND).bind(hash).fetch_optional(c).await)?)
}

const LIST: &str = "select t.hash, t.account, t.label, a.administrator, t.created_at, t.expires_at, t.revoked_at \
                    from tokens t join accounts a on a.name = t.account where t.account = $1 order by t.created_at";

/// The tokens of an account, oldest first.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn list(db: &Db, account: &str) -> Result<Vec<Token>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(LIST).bind(account).fetch_all(c).await)?)
}

const REVOKE: &str =
    "update tokens set revoked_at = $3 where hash = $1 and account = $2 and revoked_at is null";

/// Revokes a token; `false` if the account has no such token, or it was revoked before.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn revoke(
    tx: &mut Tx,
    hash: &str,
    account: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(REVOKE).bind(hash).bind(account).bind(now)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}
