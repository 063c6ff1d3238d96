// SPDX-License-Identifier: Apache-2.0
//! Tables `audit_head` and `audit_log`.

use chrono::{DateTime, Utc};
use registry_schema::audit::AuditEntry;

use super::{Db, StoreError, Tx, cell};

#[derive(sqlx::FromRow)]
struct Row {
    sequence: i64,
    at: DateTime<Utc>,
    actor: String,
    credential: String,
    action: String,
    subject: String,
    detail: String,
    previous: String,
    hash: String,
}

impl TryFrom<Row> for AuditEntry {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            sequence: row.sequence,
            at: row.at,
            actor: row.actor,
            credential: row.credential,
            action: row.action,
            subject: row.subject,
            detail: cell("audit_log", "detail", &row.detail)?,
            previous: row.previous,
            hash: row.hash,
        })
    }
}

/// The number and hash of the last entry.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Head {
    /// How many entries there are.
    pub sequence: i64,
    /// Hash of the last.
    pub hash: String,
}

const TAKE: &str =
    "update audit_head set sequence = sequence + 1 where id = 1 returning sequence, hash";

/// Takes the number of the next entry, with the hash of the one before. The row stays locked
/// until the transaction ends.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn take(tx: &mut Tx) -> Result<Head, StoreError> {
    Ok(on!(Tx, tx, c => sqlx::query_as(TAKE).fetch_one(&mut **c).await)?)
}

const INSERT: &str = "insert into audit_log \
     (sequence, at, actor, credential, action, subject, namespace, detail, previous, hash) \
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
const MOVE: &str = "update audit_head set hash = $1 where id = 1";

/// Adds the entry whose number was taken.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn insert(
    tx: &mut Tx,
    entry: &AuditEntry,
    namespace: Option<&str>,
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(INSERT).bind(entry.sequence).bind(entry.at).bind(&entry.actor)
            .bind(&entry.credential).bind(&entry.action).bind(&entry.subject).bind(namespace)
            .bind(entry.detail.to_string()).bind(&entry.previous).bind(&entry.hash)
            .execute(&mut **c).await.map(|_| ()))?;
    on!(Tx, tx, c => sqlx::query(MOVE).bind(&entry.hash).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const HEAD: &str = "select sequence, hash from audit_head where id = 1";

/// The last entry, as the log itself notes it.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn head(db: &Db) -> Result<Head, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(HEAD).fetch_one(c).await)?)
}

const AFTER: &str = "select sequence, at, actor, credential, action, subject, detail, previous, hash from audit_log \
     where sequence > $1 and ($2 = '' or namespace = $2) order by sequence limit $3";

/// Up to `limit` entries after `sequence`, oldest first; of one namespace unless it is empty.
///
/// # Errors
/// [`StoreError::Statement`], [`StoreError::Corrupt`].
pub async fn after(
    db: &Db,
    sequence: i64,
    namespace: &str,
    limit: i64,
) -> Result<Vec<AuditEntry>, StoreError> {
    let rows: Vec<Row> = on!(Db, db, c => sqlx::query_as(AFTER).bind(sequence).bind(namespace)
        .bind(limit).fetch_all(c).await)?;
    rows.into_iter().map(AuditEntry::try_from).collect()
}

const BEFORE: &str = "select sequence, at, actor, credential, action, subject, detail, previous, hash from audit_log \
     where sequence < $1 and ($2 = '' or namespace = $2) order by sequence desc limit $3";

/// Up to `limit` entries before `sequence`, newest first; of one namespace unless it is empty.
///
/// # Errors
/// [`StoreError::Statement`], [`StoreError::Corrupt`].
pub async fn before(
    db: &Db,
    sequence: i64,
    namespace: &str,
    limit: i64,
) -> Result<Vec<AuditEntry>, StoreError> {
    let rows: Vec<Row> = on!(Db, db, c => sqlx::query_as(BEFORE).bind(sequence).bind(namespace)
        .bind(limit).fetch_all(c).await)?;
    rows.into_iter().map(AuditEntry::try_from).collect()
}
