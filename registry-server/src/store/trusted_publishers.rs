// SPDX-License-Identifier: Apache-2.0
//! Tables `trusted_publishers` and `exchanged`.

use chrono::{DateTime, Utc};

use super::{Db, StoreError, Tx};

/// A trusted publisher as it is kept.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct TrustedPublisher {
    /// The robot that publishes for it.
    pub account: String,
    /// The namespace that trusts it.
    pub namespace: String,
    /// What the namespace calls it.
    pub name: String,
    /// Who vouches for it.
    pub issuer: String,
    /// Pattern of the subject.
    pub subject: String,
    /// Patterns of further claims, as a JSON object.
    pub claims: String,
    /// Pattern of package names.
    pub packages: String,
    /// When it was added.
    pub added_at: DateTime<Utc>,
    /// By whom.
    pub added_by: String,
}

const INSERT: &str = "insert into trusted_publishers \
     (account, namespace, name, issuer, subject, claims, packages, added_at, added_by) \
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (account) do nothing";

/// Adds a trusted publisher; `false` if there is one of the same name.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn insert(tx: &mut Tx, row: &TrustedPublisher) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(INSERT).bind(&row.account).bind(&row.namespace)
        .bind(&row.name).bind(&row.issuer).bind(&row.subject).bind(&row.claims).bind(&row.packages)
        .bind(row.added_at).bind(&row.added_by)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const LIST: &str = "select account, namespace, name, issuer, subject, claims, packages, added_at, added_by \
                    from trusted_publishers where namespace = $1 order by name";

/// The trusted publishers of a namespace, by name.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn list(db: &Db, namespace: &str) -> Result<Vec<TrustedPublisher>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(LIST).bind(namespace).fetch_all(c).await)?)
}

const BY_ISSUER: &str = "select account, namespace, name, issuer, subject, claims, packages, added_at, added_by \
                         from trusted_publishers where issuer = $1 order by account";

/// All that an issuer vouches for.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn by_issuer(db: &Db, issuer: &str) -> Result<Vec<TrustedPublisher>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(BY_ISSUER).bind(issuer).fetch_all(c).await)?)
}

const DELETE: &str = "delete from trusted_publishers where account = $1";

/// Removes a trusted publisher; `false` if there is none.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn delete(tx: &mut Tx, account: &str) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(DELETE).bind(account)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const TAKE: &str = "insert into exchanged (issuer, jti, token, direct, expires_at) values ($1, $2, $3, $4, $5) \
     on conflict (issuer, jti) do nothing";

/// Notes that an ID token was exchanged; `false` if it was before. `direct`: it came as a
/// password, and the same client may show it again.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn take(
    tx: &mut Tx,
    issuer: &str,
    jti: &str,
    token: &str,
    direct: bool,
    expires_at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(TAKE).bind(issuer).bind(jti).bind(token).bind(direct)
        .bind(expires_at).execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const TAKEN: &str = "select token from exchanged where issuer = $1 and jti = $2 and direct";

/// The token that was given for an ID token that came as a password.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn taken(db: &Db, issuer: &str, jti: &str) -> Result<Option<String>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_scalar(TAKEN).bind(issuer).bind(jti).fetch_optional(c).await)?)
}

const FORGET: &str = "delete from exchanged where expires_at < $1";

/// Forgets ID tokens that have expired.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn forget(tx: &mut Tx, now: DateTime<Utc>) -> Result<u64, StoreError> {
    Ok(on!(Tx, tx, c => sqlx::query(FORGET).bind(now)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?)
}
