// SPDX-License-Identifier: Apache-2.0
//! Tables `epochs` and `continuity`: who vouches for a package, and whom they named.

use chrono::{DateTime, Utc};
use registry_schema::{Identity, PackageName, Version};

use super::{Db, StoreError, Tx, cell, uncount};

/// A signer epoch as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// From 1.
    pub number: u32,
    /// `first`, `signer` or `transfer`.
    pub cause: String,
    /// Who signed when it began.
    pub signers: Vec<Identity>,
    /// The version that it began with.
    pub version: Option<Version>,
    /// When it began.
    pub began_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct Row {
    number: i64,
    cause: String,
    signers: String,
    version: Option<String>,
    began_at: DateTime<Utc>,
}

impl TryFrom<Row> for Epoch {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        const TABLE: &str = "epochs";
        let version = row.version.as_deref();
        Ok(Self {
            number: u32::try_from(row.number).unwrap_or(u32::MAX),
            cause: row.cause,
            signers: serde_json::from_str(&row.signers).map_err(|error| StoreError::Corrupt {
                table: TABLE,
                column: "signers",
                value: row.signers.chars().take(100).collect(),
                reason: error.to_string(),
            })?,
            version: version
                .map(|version| cell(TABLE, "version", version))
                .transpose()?,
            began_at: row.began_at,
        })
    }
}

const LIST: &str = "select number, cause, signers, version, began_at from epochs where package = $1 order by number";

/// The epochs of a package, the first one first.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn list(db: &Db, package: &PackageName) -> Result<Vec<Epoch>, StoreError> {
    let rows: Vec<Row> =
        on!(Db, db, c => sqlx::query_as(LIST).bind(package.to_string()).fetch_all(c).await)?;
    rows.into_iter().map(Epoch::try_from).collect()
}

/// The same within a transaction.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn list_in(tx: &mut Tx, package: &PackageName) -> Result<Vec<Epoch>, StoreError> {
    let rows: Vec<Row> = on!(Tx, tx, c => sqlx::query_as(LIST).bind(package.to_string())
        .fetch_all(&mut **c).await)?;
    rows.into_iter().map(Epoch::try_from).collect()
}

const CLEAR: &str = "delete from epochs where package = $1";
const INSERT: &str = "insert into epochs (package, number, cause, signers, version, began_at) values ($1, $2, $3, $4, $5, $6)";

/// Writes the epochs of a package anew.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn replace(
    tx: &mut Tx,
    package: &PackageName,
    epochs: &[Epoch],
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(CLEAR).bind(package.to_string()).execute(&mut **c).await.map(|_| ()))?;
    for epoch in epochs {
        let signers = serde_json::to_string(&epoch.signers)
            .unwrap_or_else(|_| unreachable!("texts have a JSON form"));
        on!(Tx, tx, c => sqlx::query(INSERT).bind(package.to_string()).bind(i64::from(epoch.number))
            .bind(&epoch.cause).bind(&signers).bind(epoch.version.as_ref().map(ToString::to_string))
            .bind(epoch.began_at).execute(&mut **c).await.map(|_| ()))?;
    }
    Ok(())
}

/// A version with one of those who signed it, or none.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The version.
    pub version: Version,
    /// When it was published.
    pub published_at: DateTime<Utc>,
    /// An identity whose signature counts, and when that arrived.
    pub signer: Option<(Identity, DateTime<Utc>)>,
}

#[derive(sqlx::FromRow)]
struct SignedRow {
    version: String,
    published_at: DateTime<Utc>,
    signer: Option<String>,
    seen_at: Option<DateTime<Utc>>,
}

const HISTORY: &str = "select v.version, v.published_at, coalesce(s.signer, 'key:' || s.fingerprint) as signer, s.seen_at \
     from versions v left join signatures s on s.repository = v.package and s.subject = v.index_digest \
       and s.state = 'verified' \
     where v.package = $1 order by v.published_at, v.version, s.seen_at";

/// The versions of a package in the order in which they were published, a row for each
/// signature that counts.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn history(tx: &mut Tx, package: &PackageName) -> Result<Vec<Signed>, StoreError> {
    let rows: Vec<SignedRow> = on!(Tx, tx, c => sqlx::query_as(HISTORY).bind(package.to_string())
        .fetch_all(&mut **c).await)?;
    rows.into_iter()
        .map(|row| {
            let signer = row.signer.as_deref();
            let signer = signer
                .map(|signer| cell("signatures", "signer", signer))
                .transpose()?;
            Ok(Signed {
                version: cell("versions", "version", &row.version)?,
                published_at: row.published_at,
                signer: signer.zip(row.seen_at),
            })
        })
        .collect()
}

/// A continuity statement as it is kept.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Statement {
    /// Its identifier.
    pub id: String,
    /// Who signed it.
    pub signer: String,
    /// Whom it names.
    pub successor: String,
    /// Whether who signed it signs no more.
    pub retires: bool,
    /// The signed bundle.
    pub statement: String,
    /// When it was accepted.
    pub accepted_at: DateTime<Utc>,
    /// Who handed it in.
    pub accepted_by: String,
}

const INSERT_STATEMENT: &str = "insert into continuity \
     (id, namespace, signer, successor, retires, statement, accepted_at, accepted_by) \
     values ($1, $2, $3, $4, $5, $6, $7, $8)";

/// Adds a statement.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn insert_statement(
    tx: &mut Tx,
    namespace: &str,
    new: &Statement,
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(INSERT_STATEMENT).bind(&new.id).bind(namespace).bind(&new.signer)
        .bind(&new.successor).bind(new.retires).bind(&new.statement).bind(new.accepted_at)
        .bind(&new.accepted_by).execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const STATEMENTS: &str = "select id, signer, successor, retires, statement, accepted_at, accepted_by \
                          from continuity where namespace = $1 order by accepted_at, id";

/// The statements of a namespace, oldest first.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn statements(db: &Db, namespace: &str) -> Result<Vec<Statement>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(STATEMENTS).bind(namespace).fetch_all(c).await)?)
}

/// The same within a transaction.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn statements_in(tx: &mut Tx, namespace: &str) -> Result<Vec<Statement>, StoreError> {
    Ok(on!(Tx, tx, c => sqlx::query_as(STATEMENTS).bind(namespace).fetch_all(&mut **c).await)?)
}

/// Stars by whom they were earned under.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stars {
    /// In the epoch that runs.
    pub now: u64,
    /// Of those, on one version.
    pub on_version: u64,
    /// In earlier epochs.
    pub before: u64,
}

const STARS: &str = "select count(*), \
     coalesce(sum(case when s.version = $2 and not exists (select 1 from epochs e where e.package = s.package and e.began_at > s.starred_at) then 1 else 0 end), 0), \
     coalesce(sum(case when exists (select 1 from epochs e where e.package = s.package and e.began_at > s.starred_at) then 1 else 0 end), 0) \
     from stars s where s.package = $1";

/// The stars of a package; `version` is the one they are also counted for.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn stars(db: &Db, package: &PackageName, version: &Version) -> Result<Stars, StoreError> {
    let (all, on_version, before): (i64, i64, i64) = on!(Db, db, c => sqlx::query_as(STARS)
        .bind(package.to_string()).bind(version.to_string()).fetch_one(c).await)?;
    Ok(Stars {
        now: uncount(all - before),
        on_version: uncount(on_version),
        before: uncount(before),
    })
}
