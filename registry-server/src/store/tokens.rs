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
    /// What it is limited to, as a JSON array; none if all that the account may.
    pub scopes: Option<String>,
    /// When it was issued.
    pub created_at: DateTime<Utc>,
    /// When it ends, if ever.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<DateTime<Utc>>,
    /// The token that it was made with, if any.
    pub parent: Option<String>,
}

const INSERT: &str = "insert into tokens (hash, account, label, scopes, created_at, expires_at, parent) \
                      values ($1, $2, $3, $4, $5, $6, $7)";

/// Adds a token that was never used.
///
/// # Errors
/// [`StoreError::Statement`], also if the account does not exist.
pub async fn insert(tx: &mut Tx, token: &Token) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(INSERT).bind(&token.hash).bind(&token.account).bind(&token.label)
        .bind(&token.scopes).bind(token.created_at).bind(token.expires_at).bind(&token.parent)
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

/// A token with what matters of its account.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Holder {
    /// The token.
    #[sqlx(flatten)]
    pub token: Token,
    /// Whether the account is an administrator.
    pub administrator: bool,
    /// Since when the account may do nothing.
    pub disabled_at: Option<DateTime<Utc>>,
}

const FIND: &str = "select t.hash, t.account, t.label, t.scopes, t.created_at, t.expires_at, t.last_used_at, \
     t.revoked_at, t.parent, a.administrator, a.disabled_at \
     from tokens t join accounts a on a.name = t.account where t.hash = $1";

/// The token with this hash, revoked and expired ones included.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn find(db: &Db, hash: &str) -> Result<Option<Holder>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(FIND).bind(hash).fetch_optional(c).await)?)
}

const LIST: &str = "select hash, account, label, scopes, created_at, expires_at, last_used_at, revoked_at, parent \
                    from tokens where account = $1 order by created_at, hash";

/// The tokens of an account, oldest first.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn list(db: &Db, account: &str) -> Result<Vec<Token>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(LIST).bind(account).fetch_all(c).await)?)
}

const REVOKE: &str = "with recursive family (hash) as ( \
       select hash from tokens where hash = $1 and account = $2 \
       union select t.hash from tokens t join family f on t.parent = f.hash) \
     update tokens set revoked_at = $3 where revoked_at is null and hash in (select hash from family)";

/// Revokes a token and all that were made with it; `false` if the account has no such token,
/// or it was revoked before.
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

const FORGET: &str = "delete from tokens where (expires_at < $1 or revoked_at < $1) \
     and not exists (select 1 from tokens t where t.parent = tokens.hash) \
     and not exists (select 1 from sessions s where s.token = tokens.hash) \
     and not exists (select 1 from exchanged e where e.token = tokens.hash)";

/// Forgets tokens that ended before `before`, unless something is still known by them. Gives
/// how many; those they were made with may go after them.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn forget(tx: &mut Tx, before: DateTime<Utc>) -> Result<u64, StoreError> {
    Ok(
        on!(Tx, tx, c => sqlx::query(FORGET).bind(before).execute(&mut **c).await
        .map(|done| done.rows_affected()))?,
    )
}

const USED: &str = "update tokens set last_used_at = $2 where hash = $1";

/// Notes that a token was used.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn used(tx: &mut Tx, hash: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(USED).bind(hash).bind(now).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}
