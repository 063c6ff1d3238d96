// SPDX-License-Identifier: Apache-2.0
//! Table `namespace_identities`: who may sign for a namespace on an issuer's word.

use chrono::{DateTime, Utc};
use registry_schema::{PackageName, Version};

use super::{Db, StoreError, Tx, cell, count};

/// An issuer and a pattern of its subjects, as they are kept.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Identity {
    /// The issuer.
    pub issuer: String,
    /// The pattern.
    pub subject: String,
    /// Since when.
    pub added_at: DateTime<Utc>,
    /// The account that added it.
    pub added_by: String,
    /// Since when nothing that it signs counts.
    pub revoked_since: Option<DateTime<Utc>>,
    /// `superseded` or `compromised`, if it was revoked.
    pub revocation: Option<String>,
    /// What was said about that.
    pub revocation_reason: Option<String>,
}

const LIST: &str = "select issuer, subject, added_at, added_by, revoked_since, revocation, revocation_reason \
     from namespace_identities where namespace = $1 and removed_at is null order by added_at, issuer, subject";

/// Those of a namespace, oldest first, also revoked ones.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn list(db: &Db, namespace: &str) -> Result<Vec<Identity>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(LIST).bind(namespace).fetch_all(c).await)?)
}

/// The same within a transaction.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn list_in(tx: &mut Tx, namespace: &str) -> Result<Vec<Identity>, StoreError> {
    Ok(on!(Tx, tx, c => sqlx::query_as(LIST).bind(namespace).fetch_all(&mut **c).await)?)
}

const INSERT: &str = "insert into namespace_identities (namespace, issuer, subject, added_at, added_by) values ($1, $2, $3, $4, $5) \
     on conflict (namespace, issuer, subject) do update \
     set removed_at = null, added_at = excluded.added_at, added_by = excluded.added_by \
     where namespace_identities.removed_at is not null";

/// Adds one, also one that was removed before; `false` if it is there already.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn insert(
    tx: &mut Tx,
    namespace: &str,
    issuer: &str,
    subject: &str,
    account: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(INSERT).bind(namespace).bind(issuer).bind(subject)
        .bind(now).bind(account).execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const REMOVE: &str = "update namespace_identities set removed_at = $4 \
     where namespace = $1 and issuer = $2 and subject = $3 and removed_at is null and revoked_since is null";

/// Removes one; `false` if there is none, or it was revoked: that stays known.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn remove(
    tx: &mut Tx,
    namespace: &str,
    issuer: &str,
    subject: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(REMOVE).bind(namespace).bind(issuer).bind(subject)
        .bind(now).execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const REVOKE: &str = "update namespace_identities set revocation = $4, revoked_since = $5, revocation_reason = $6 \
     where namespace = $1 and issuer = $2 and subject = $3 and removed_at is null \
     and (revoked_since is null or ($4 = 'compromised' and (revocation = 'superseded' or revoked_since > $5)))";

/// Revokes one, given by issuer and subject; `false` if there is none, or it was revoked more
/// strictly.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn revoke(
    tx: &mut Tx,
    namespace: &str,
    (issuer, subject): (&str, &str),
    end: &str,
    since: DateTime<Utc>,
    note: &str,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(REVOKE).bind(namespace).bind(issuer).bind(subject)
        .bind(end).bind(since).bind(note).execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const UNBACKED: &str = "select v.package, v.version from versions v join packages p on p.package = v.package \
     where p.namespace = $1 and v.yanked_at is null \
     and exists (select 1 from signatures s where s.repository = v.package and s.subject = v.index_digest and s.state = 'revoked') \
     and (select count(distinct coalesce(s.signer, s.fingerprint)) from signatures s \
          where s.repository = v.package and s.subject = v.index_digest and s.state = 'verified') < $2 \
     order by v.package, v.version";

/// The versions of a namespace that a revoked identity has signed and fewer than `threshold`
/// others, unless they are withdrawn.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn unbacked(
    tx: &mut Tx,
    namespace: &str,
    threshold: u64,
) -> Result<Vec<(PackageName, Version)>, StoreError> {
    let rows: Vec<(String, String)> = on!(Tx, tx, c => sqlx::query_as(UNBACKED).bind(namespace)
        .bind(count(threshold)).fetch_all(&mut **c).await)?;
    rows.iter()
        .map(|(package, version)| {
            Ok((
                cell("versions", "package", package)?,
                cell("versions", "version", version)?,
            ))
        })
        .collect()
}

const SET_THRESHOLD: &str = "update namespaces set threshold = $2 where name = $1";

/// Sets how many identities of a namespace must sign a version.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn set_threshold(tx: &mut Tx, namespace: &str, threshold: u64) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(SET_THRESHOLD).bind(namespace).bind(count(threshold))
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}
