// SPDX-License-Identifier: Apache-2.0
//! Table `storage_rules`: how much a namespace may hold, and what of it may go.

use chrono::{DateTime, Utc};

use super::{Db, StoreError, Tx, count, uncount};

/// The rules of a namespace; `None` stands for no rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    /// How many bytes its blobs and manifests may have.
    pub quota_bytes: Option<u64>,
    /// After how many days a manifest without a tag is removed; at least 1.
    pub untagged_days: Option<u64>,
    /// How many of the tags of a repository that are no versions are kept; at least 1.
    pub keep_tags: Option<u64>,
}

type Row = (Option<i64>, Option<i64>, Option<i64>);

fn rules((quota, untagged, keep): Row) -> Rules {
    Rules {
        quota_bytes: quota.map(uncount),
        untagged_days: untagged.map(uncount),
        keep_tags: keep.map(uncount),
    }
}

const FIND: &str =
    "select quota_bytes, untagged_days, keep_tags from storage_rules where namespace = $1";

/// The rules of a namespace.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn find(db: &Db, namespace: &str) -> Result<Rules, StoreError> {
    let row: Option<Row> =
        on!(Db, db, c => sqlx::query_as(FIND).bind(namespace).fetch_optional(c).await)?;
    Ok(row.map(rules).unwrap_or_default())
}

const LOCK: &str = "update storage_rules set changed_at = changed_at where namespace = $1 \
                    returning quota_bytes, untagged_days, keep_tags";

/// The rules of a namespace, within a transaction; nobody else can look at them this way
/// until it ends, so that of two pushes that fill the last place one sees the other.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn lock(tx: &mut Tx, namespace: &str) -> Result<Rules, StoreError> {
    let row: Option<Row> =
        on!(Tx, tx, c => sqlx::query_as(LOCK).bind(namespace).fetch_optional(&mut **c).await)?;
    Ok(row.map(rules).unwrap_or_default())
}

const SET: &str = "insert into storage_rules (namespace, quota_bytes, untagged_days, keep_tags, changed_at, changed_by) \
                   values ($1, $2, $3, $4, $5, $6) on conflict (namespace) do update set \
                     quota_bytes = excluded.quota_bytes, untagged_days = excluded.untagged_days, \
                     keep_tags = excluded.keep_tags, changed_at = excluded.changed_at, changed_by = excluded.changed_by";

/// Sets the rules of a namespace.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn set(
    tx: &mut Tx,
    namespace: &str,
    rules: Rules,
    now: DateTime<Utc>,
    account: &str,
) -> Result<(), StoreError> {
    on!(Tx, tx, c => sqlx::query(SET).bind(namespace).bind(rules.quota_bytes.map(count))
        .bind(rules.untagged_days.map(count)).bind(rules.keep_tags.map(count)).bind(now).bind(account)
        .execute(&mut **c).await.map(|_| ()))?;
    Ok(())
}

const NAMESPACES: &str = "select namespace from storage_rules \
                          where untagged_days is not null or keep_tags is not null order by namespace";

/// The namespaces of which something may go.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn with_retention(db: &Db) -> Result<Vec<String>, StoreError> {
    Ok(on!(Db, db, c => sqlx::query_scalar(NAMESPACES).fetch_all(c).await)?)
}

const USED: &str = "select cast(coalesce(sum(size_bytes), 0) as bigint) from ( \
                      select b.size_bytes from blobs b join repositories r on r.name = b.repository where r.namespace = $1 \
                      union all \
                      select m.size_bytes from manifests m join repositories r on r.name = m.repository where r.namespace = $1 \
                    ) held";

/// How many bytes the blobs and manifests of a namespace have; what several of its
/// repositories hold counts in each.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn used(db: &Db, namespace: &str) -> Result<u64, StoreError> {
    let used: i64 = on!(Db, db, c => sqlx::query_scalar(USED).bind(namespace).fetch_one(c).await)?;
    Ok(uncount(used))
}

/// The same within a transaction.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn used_in(tx: &mut Tx, namespace: &str) -> Result<u64, StoreError> {
    let used: i64 =
        on!(Tx, tx, c => sqlx::query_scalar(USED).bind(namespace).fetch_one(&mut **c).await)?;
    Ok(uncount(used))
}
