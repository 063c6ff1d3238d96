// SPDX-License-Identifier: Apache-2.0
//! Table `namespace_proofs`: what shows who stands behind a namespace.

use chrono::{DateTime, Utc};

use super::{Db, StoreError, Tx};

/// A domain or account that a namespace says is its own.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Proof {
    /// The namespace.
    pub namespace: String,
    /// `domain` or `forge`.
    pub kind: String,
    /// The domain, or `issuer#subject`.
    pub subject: String,
    /// What is to be found at the domain.
    pub token: String,
    /// When it was added.
    pub added_at: DateTime<Utc>,
    /// Who added it.
    pub added_by: String,
    /// When it was last looked at.
    pub checked_at: Option<DateTime<Utc>>,
    /// When it was last seen to hold.
    pub proved_at: Option<DateTime<Utc>>,
    /// Why it did not hold the last time.
    pub failure: Option<String>,
}

const INSERT: &str = "insert into namespace_proofs (namespace, kind, subject, token, added_at, added_by) values ($1, $2, $3, $4, $5, $6) \
     on conflict (namespace, kind, subject) do nothing";

/// Adds one; `false` if it is there.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn insert(tx: &mut Tx, proof: &Proof) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(INSERT).bind(&proof.namespace).bind(&proof.kind)
        .bind(&proof.subject).bind(&proof.token).bind(proof.added_at).bind(&proof.added_by)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const LIST: &str = "select namespace, kind, subject, token, added_at, added_by, checked_at, proved_at, failure \
                    from namespace_proofs where namespace = $1 order by kind, subject";

/// Those of a namespace.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn list(db: &Db, namespace: &str) -> Result<Vec<Proof>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(LIST).bind(namespace).fetch_all(c).await)?)
}

const DUE: &str = "select namespace, kind, subject, token, added_at, added_by, checked_at, proved_at, failure \
                   from namespace_proofs where kind = 'domain' and (checked_at is null or checked_at <= $1) \
                   order by checked_at, namespace, subject limit 200";

/// Up to 200 domains that were not looked at since `before`.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn due(db: &Db, before: DateTime<Utc>) -> Result<Vec<Proof>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(DUE).bind(before).fetch_all(c).await)?)
}

const CHECKED: &str = "update namespace_proofs set checked_at = $4, failure = cast($5 as text), \
     proved_at = case when cast($5 as text) is null then $4 else proved_at end \
     where namespace = $1 and kind = $2 and subject = $3";

/// Notes what a look found: nothing wrong, or `failure`. `false` if it is gone.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn checked(
    tx: &mut Tx,
    proof: &Proof,
    failure: Option<&str>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(CHECKED).bind(&proof.namespace).bind(&proof.kind)
        .bind(&proof.subject).bind(now).bind(failure)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const REMOVE: &str =
    "delete from namespace_proofs where namespace = $1 and kind = $2 and subject = $3";

/// Removes one; `false` if there is none.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn remove(
    tx: &mut Tx,
    namespace: &str,
    kind: &str,
    subject: &str,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(REMOVE).bind(namespace).bind(kind).bind(subject)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}
