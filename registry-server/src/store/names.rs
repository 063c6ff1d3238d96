// SPDX-License-Identifier: Apache-2.0
//! Table `given_names`: every name that was ever given, so that none is given twice, and none
//! that looks the same.

use chrono::{DateTime, Utc};
use registry_schema::PackageName;

use super::{Db, StoreError, Tx, cell};

const GIVE: &str = "insert into given_names (scope, skeleton, name, notes, given_at) values ($1, $2, $3, $4, $5) \
     on conflict (scope, skeleton) do nothing";

/// Gives a name; `false` if one that looks the same was given in this scope. `notes` is a JSON
/// array of what it is like.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn give(
    tx: &mut Tx,
    (scope, skeleton, name): (&str, &str, &str),
    notes: &[String],
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let notes =
        serde_json::to_string(notes).unwrap_or_else(|_| unreachable!("texts have a JSON form"));
    let rows = on!(Tx, tx, c => sqlx::query(GIVE).bind(scope).bind(skeleton).bind(name).bind(&notes)
        .bind(now).execute(&mut **c).await.map(|done| done.rows_affected()))?;
    Ok(rows > 0)
}

const FIND: &str = "select name from given_names where scope = $1 and skeleton = $2";

/// The name that was given in a scope and looks like this.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn find(tx: &mut Tx, scope: &str, skeleton: &str) -> Result<Option<String>, StoreError> {
    Ok(
        on!(Tx, tx, c => sqlx::query_scalar(FIND).bind(scope).bind(skeleton)
        .fetch_optional(&mut **c).await)?,
    )
}

const NOTES: &str = "select notes from given_names where scope = $1 and name = $2";

/// What a package's name is like, a sentence each.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn notes(db: &Db, package: &PackageName) -> Result<Vec<String>, StoreError> {
    let text: Option<String> = on!(Db, db, c => sqlx::query_scalar(NOTES)
        .bind(package.namespace().as_str()).bind(package.name()).fetch_optional(c).await)?;
    let Some(text) = text else {
        return Ok(Vec::new());
    };
    serde_json::from_str(&text).map_err(|error| StoreError::Corrupt {
        table: "given_names",
        column: "notes",
        value: text.chars().take(100).collect(),
        reason: error.to_string(),
    })
}

const KNOWN: &str = "select p.package from packages p join namespaces n on n.name = p.namespace \
     left join pulls l on l.package = p.package \
     where n.visibility = 'public' and n.deleted_at is null and p.namespace <> $1 \
     and not exists (select 1 from namespace_members a join namespace_members b on b.account = a.account \
       where a.namespace = $1 and b.namespace = p.namespace and a.role = 'owner' and b.role = 'owner') \
     group by p.package \
     order by max(case when exists (select 1 from namespace_proofs f where f.namespace = p.namespace and f.proved_at > $2) \
       then 1 else 0 end) desc, count(l.puller) desc, p.package limit $3";

/// The public packages that others may be taken for, those of verified namespaces and the
/// most pulled first. Those that share an owner with `namespace` are left out.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn known(
    tx: &mut Tx,
    namespace: &str,
    proved_since: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<PackageName>, StoreError> {
    let names: Vec<String> = on!(Tx, tx, c => sqlx::query_scalar(KNOWN).bind(namespace)
        .bind(proved_since).bind(limit).fetch_all(&mut **c).await)?;
    names
        .iter()
        .map(|name| cell("packages", "package", name))
        .collect()
}

const ALL: &str = "select '' as scope, name as given, created_at from namespaces \
     union all select namespace as scope, name as given, created_at from packages order by 3, 1, 2";

/// Every namespace and package there is: scope, name, and since when. For the first start
/// with this table.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn all(tx: &mut Tx) -> Result<Vec<(String, String, DateTime<Utc>)>, StoreError> {
    Ok(on!(Tx, tx, c => sqlx::query_as(ALL).fetch_all(&mut **c).await)?)
}
