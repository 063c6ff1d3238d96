// SPDX-License-Identifier: Apache-2.0
//! Tables `namespaces`, `namespace_members` and `namespace_keys`.

use chrono::{DateTime, Utc};
use registry_schema::PackageName;

use super::{Db, StoreError, Tx, cell};

/// A namespace as it is kept.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// `public` or `private`.
    pub visibility: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// How many packages it has.
    pub packages: i64,
    /// How many identities must sign a version.
    pub threshold: i64,
}

/// A public key of a namespace.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Key {
    /// `SHA256:…` of the key.
    pub fingerprint: String,
    /// The key as SubjectPublicKeyInfo PEM.
    pub pem: String,
    /// Since when its signatures count.
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

const INSERT: &str = "insert into namespaces (name, visibility, created_at, created_by) values ($1, $2, $3, $4) \
     on conflict (name) do nothing";

/// Adds a namespace; `false` if the name is taken.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn insert(
    tx: &mut Tx,
    name: &str,
    visibility: &str,
    account: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(INSERT).bind(name).bind(visibility).bind(now).bind(account)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const FIND: &str = "select n.name, n.visibility, n.created_at, n.threshold, \
     (select count(*) from packages p where p.namespace = n.name) as packages \
     from namespaces n where n.name = $1 and n.deleted_at is null";

/// The namespace called `name`.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn find(db: &Db, name: &str) -> Result<Option<Namespace>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(FIND).bind(name).fetch_optional(c).await)?)
}

const LIST: &str = "select n.name, n.visibility, n.created_at, n.threshold, \
     (select count(*) from packages p where p.namespace = n.name) as packages \
     from namespaces n where n.deleted_at is null order by n.name";

/// All namespaces, by name.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn list(db: &Db) -> Result<Vec<Namespace>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(LIST).fetch_all(c).await)?)
}

const SET_MEMBER: &str = "insert into namespace_members (namespace, account, role, added_at) values ($1, $2, $3, $4) \
     on conflict (namespace, account) do update set role = excluded.role";

/// Gives `account` a role in the namespace: `owner`, `maintainer`, `publisher` or `viewer`.
///
/// # Errors
/// [`StoreError::Statement`], also if namespace or account does not exist.
pub async fn set_member(
    tx: &mut Tx,
    namespace: &str,
    account: &str,
    role: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(SET_MEMBER).bind(namespace).bind(account).bind(role).bind(now)
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const ROLE: &str = "select role from namespace_members where namespace = $1 and account = $2";

/// The role of `account` in the namespace, if it has one.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn role(db: &Db, namespace: &str, account: &str) -> Result<Option<String>, StoreError> {
    Ok(
        on!(Db, db, c => sqlx::query_scalar(ROLE).bind(namespace).bind(account).fetch_optional(c).await)?,
    )
}

const ADD_KEY: &str = "insert into namespace_keys (namespace, fingerprint, pem, added_at, added_by) values ($1, $2, $3, $4, $5) \
     on conflict (namespace, fingerprint) do update \
     set removed_at = null, added_at = excluded.added_at, added_by = excluded.added_by \
     where namespace_keys.removed_at is not null";

/// Adds a key, also one that was removed before; `false` if it is there already.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn add_key(tx: &mut Tx, namespace: &str, key: &Key) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(ADD_KEY).bind(namespace).bind(&key.fingerprint).bind(&key.pem)
        .bind(key.added_at).bind(&key.added_by).execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const REMOVE_KEY: &str = "update namespace_keys set removed_at = $3 where namespace = $1 and fingerprint = $2 \
     and removed_at is null and revoked_since is null";

/// Removes a key; `false` if the namespace has none of that fingerprint, or it was revoked: that
/// stays known.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn remove_key(
    tx: &mut Tx,
    namespace: &str,
    fingerprint: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(REMOVE_KEY).bind(namespace).bind(fingerprint).bind(now)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const REVOKE_KEY: &str = "update namespace_keys set revocation = $3, revoked_since = $4, revocation_reason = $5 \
     where namespace = $1 and fingerprint = $2 and removed_at is null \
     and (revoked_since is null or ($3 = 'compromised' and (revocation = 'superseded' or revoked_since > $4)))";

/// Revokes a key; `false` if there is none, or it was revoked more strictly.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn revoke_key(
    tx: &mut Tx,
    namespace: &str,
    fingerprint: &str,
    end: &str,
    since: DateTime<Utc>,
    note: &str,
) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(REVOKE_KEY).bind(namespace).bind(fingerprint).bind(end)
        .bind(since).bind(note).execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const KEYS: &str = "select fingerprint, pem, added_at, added_by, revoked_since, revocation, revocation_reason \
                    from namespace_keys \
                    where namespace = $1 and removed_at is null order by added_at, fingerprint";

/// The keys of a namespace that count today, oldest first.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn keys(db: &Db, namespace: &str) -> Result<Vec<Key>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_as(KEYS).bind(namespace).fetch_all(c).await)?)
}

/// The same within a transaction, so that a key added meanwhile is not missed.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn keys_in(tx: &mut Tx, namespace: &str) -> Result<Vec<Key>, StoreError> {
    Ok(on!(Tx, tx, c => sqlx::query_as(KEYS).bind(namespace).fetch_all(&mut **c).await)?)
}

const SET_VISIBILITY: &str = "update namespaces set visibility = $2 where name = $1";

/// Changes who may read a namespace.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn set_visibility(tx: &mut Tx, name: &str, visibility: &str) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(SET_VISIBILITY).bind(name).bind(visibility)
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const DELETE: &str = "update namespaces set deleted_at = $2 where name = $1 and deleted_at is null \
     and not exists (select 1 from repositories r where r.namespace = namespaces.name)";

/// Deletes a namespace that holds no repositories; its name stays taken. `false` if it holds
/// some.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn delete(tx: &mut Tx, name: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let rows = on!(Tx, tx, c => sqlx::query(DELETE).bind(name).bind(now)
        .execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const PACKAGES: &str = "select package from packages where namespace = $1 order by package";

/// The packages of a namespace.
///
/// # Errors
/// [`StoreError::Statement`], [`StoreError::Corrupt`].
pub async fn packages(tx: &mut Tx, name: &str) -> Result<Vec<PackageName>, StoreError> {
    let names: Vec<String> =
        on!(Tx, tx, c => sqlx::query_scalar(PACKAGES).bind(name).fetch_all(&mut **c).await)?;
    let parse = |name: &String| cell("packages", "package", name);
    names.iter().map(parse).collect()
}
