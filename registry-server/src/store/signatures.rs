// SPDX-License-Identifier: Apache-2.0
//! Table `signatures`: what arrived, and what checking it said.

use chrono::{DateTime, Utc};
use registry_schema::{Digest, PackageName, name::RepositoryName};

use super::{Db, StoreError, Tx, cell};

/// A signature that arrived, with the verdict over it.
#[derive(Debug, Clone)]
pub struct Signature {
    /// Where it was pushed.
    pub repository: RepositoryName,
    /// What it says it signs.
    pub subject: Digest,
    /// The manifest that carries it.
    pub manifest: Digest,
    /// The layer that is the signature.
    pub layer: Digest,
    /// The signature in base64 if the layer is only its payload (simple signing).
    pub simple_signature: Option<String>,
    /// `verified`, `unknown_key`, `revoked` or `invalid`.
    pub state: String,
    /// The key that verified it, or that it claims.
    pub fingerprint: Option<String>,
    /// The identity of the namespace that it is by, if it is by one.
    pub signer: Option<String>,
    /// Why it is not verified.
    pub reason: Option<String>,
    /// When it arrived.
    pub seen_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct Row {
    repository: String,
    subject: String,
    manifest: String,
    layer: String,
    simple_signature: Option<String>,
    state: String,
    fingerprint: Option<String>,
    signer: Option<String>,
    reason: Option<String>,
    seen_at: DateTime<Utc>,
}

impl TryFrom<Row> for Signature {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        const TABLE: &str = "signatures";
        Ok(Self {
            repository: cell(TABLE, "repository", &row.repository)?,
            subject: cell(TABLE, "subject", &row.subject)?,
            manifest: cell(TABLE, "manifest", &row.manifest)?,
            layer: cell(TABLE, "layer", &row.layer)?,
            simple_signature: row.simple_signature,
            state: row.state,
            fingerprint: row.fingerprint,
            signer: row.signer,
            reason: row.reason,
            seen_at: row.seen_at,
        })
    }
}

const UPSERT: &str = "insert into signatures \
     (repository, subject, manifest, layer, simple_signature, state, fingerprint, signer, reason, seen_at) \
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
     on conflict (repository, manifest, layer) do update \
     set state = excluded.state, fingerprint = excluded.fingerprint, \
     signer = excluded.signer, reason = excluded.reason";

/// Records a signature, or a new verdict over one that is known.
///
/// # Errors
/// [`StoreError::Statement`], also if its manifest is not stored.
pub async fn upsert(tx: &mut Tx, signature: &Signature) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(UPSERT).bind(signature.repository.as_str()).bind(signature.subject.as_str())
        .bind(signature.manifest.as_str()).bind(signature.layer.as_str()).bind(&signature.simple_signature)
        .bind(&signature.state).bind(&signature.fingerprint).bind(&signature.signer).bind(&signature.reason).bind(signature.seen_at)
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const SEEN_AT: &str =
    "select seen_at from signatures where repository = $1 and manifest = $2 and layer = $3";

/// When a signature arrived, if it did before.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn seen_at(
    tx: &mut Tx,
    repository: &RepositoryName,
    manifest: &Digest,
    layer: &Digest,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    Ok(
        on!(Tx, tx, c => sqlx::query_scalar(SEEN_AT).bind(repository.as_str())
        .bind(manifest.as_str()).bind(layer.as_str()).fetch_optional(&mut **c).await)?,
    )
}

const LIST: &str = "select repository, subject, manifest, layer, simple_signature, state, fingerprint, signer, reason, seen_at \
                    from signatures where repository = $1 and subject = $2 order by seen_at, manifest, layer";

/// The signatures that arrived for a digest, oldest first.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn list(
    db: &Db,
    repository: &RepositoryName,
    subject: &Digest,
) -> Result<Vec<Signature>, StoreError> {
    let rows: Vec<Row> = on!(Db, db, c => sqlx::query_as(LIST).bind(repository.as_str())
        .bind(subject.as_str()).fetch_all(c).await)?;
    rows.into_iter().map(Signature::try_from).collect()
}

const LIST_NAMESPACE: &str = "select s.repository, s.subject, s.manifest, s.layer, s.simple_signature, s.state, s.fingerprint, \
     s.signer, s.reason, s.seen_at from signatures s join repositories r on r.name = s.repository \
     where r.namespace = $1 order by s.seen_at";

/// All signatures in the repositories of a namespace.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn list_namespace(tx: &mut Tx, namespace: &str) -> Result<Vec<Signature>, StoreError> {
    let rows: Vec<Row> = on!(Tx, tx, c => sqlx::query_as(LIST_NAMESPACE).bind(namespace)
        .fetch_all(&mut **c).await)?;
    rows.into_iter().map(Signature::try_from).collect()
}

const SIGNED_BY: &str = "select count(*) from versions v join packages p on p.package = v.package \
     where p.namespace = $1 and exists (select 1 from signatures s where s.repository = v.package \
     and s.subject = v.index_digest and s.state = 'verified' and s.fingerprint = $2)";

/// How many versions of the namespace the key has signed.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn signed_by(db: &Db, namespace: &str, fingerprint: &str) -> Result<u64, StoreError> {
    let number: i64 = on!(Db, db, c => sqlx::query_scalar(SIGNED_BY).bind(namespace).bind(fingerprint)
        .fetch_one(c).await)?;
    Ok(super::uncount(number))
}

const PACKAGES: &str = "select distinct p.package from packages p join versions v on v.package = p.package \
     join signatures s on s.repository = p.package and s.subject = v.index_digest where p.namespace = $1";

/// The packages of a namespace that have a signed version: those whose pages change
/// when its keys do.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn packages(tx: &mut Tx, namespace: &str) -> Result<Vec<PackageName>, StoreError> {
    let names: Vec<String> = on!(Tx, tx, c => sqlx::query_scalar(PACKAGES).bind(namespace)
        .fetch_all(&mut **c).await)?;
    names
        .iter()
        .map(|name| cell("packages", "package", name))
        .collect()
}
