// SPDX-License-Identifier: Apache-2.0
//! Table `namespace_identities`: who may sign for a namespace on an issuer's word.

use chrono::{DateTime, Utc};

use super::{Db, StoreError, Tx};

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
