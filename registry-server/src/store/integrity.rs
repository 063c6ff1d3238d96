// SPDX-License-Identifier: Apache-2.0
//! Questions whose right answer is an empty list: rows that point at nothing. A blob that is
//! known to be in another registry is not nothing.

use registry_schema::{Digest, name::RepositoryName};

use super::{Db, StoreError, cell};

/// A row that points at nothing.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Dangling {
    /// What it is: a repository, mostly with a digest or a tag.
    pub subject: String,
    /// What it points at.
    pub target: String,
}

const BLOBS: &str = "select r.repository || '@' || r.manifest as subject, r.target from manifest_references r \
                     where r.kind <> 'manifest' and not exists \
                       (select 1 from blobs b where b.repository = r.repository and b.digest = r.target) \
                     and not exists (select 1 from remote_blobs e where e.repository = r.repository and e.digest = r.target) \
                     order by r.repository, r.manifest, r.target";
const MANIFESTS: &str = "select r.repository || '@' || r.manifest as subject, r.target from manifest_references r \
                         where r.kind = 'manifest' and not exists \
                           (select 1 from manifests m where m.repository = r.repository and m.digest = r.target) \
                         order by r.repository, r.manifest, r.target";
const TAGS: &str = "select t.repository || ':' || t.name as subject, t.digest as target from tags t where not exists \
                      (select 1 from manifests m where m.repository = t.repository and m.digest = t.digest) \
                    order by t.repository, t.name";
const VERSION_INDEXES: &str = "select v.package || ':' || v.version as subject, v.index_digest as target from versions v \
                               where not exists (select 1 from manifests m where m.repository = v.package and m.digest = v.index_digest) \
                               order by v.package, v.version";
const VERSION_TAGS: &str = "select v.package || ':' || v.version as subject, v.index_digest as target from versions v \
                            where not exists (select 1 from tags t where t.repository = v.package \
                              and t.name = v.version and t.digest = v.index_digest) order by v.package, v.version";
const VERSION_OBJECTS: &str = "select o.package || ':' || o.version as subject, o.object_digest as target from version_objects o \
                               where not exists (select 1 from blobs b where b.repository = o.package and b.digest = o.object_digest) \
                               and not exists (select 1 from remote_blobs e where e.repository = o.package and e.digest = o.object_digest) \
                               order by o.package, o.version, o.target";
const CONTENTS: &str = "select b.repository || '@' || b.digest as subject, b.digest as target from blobs b where not exists \
                          (select 1 from contents c where c.digest = b.digest and c.size_bytes = b.size_bytes \
                             and c.state in ('present', 'damaged')) order by b.repository, b.digest";

/// What may dangle: the name of the finding, and how to say it.
const QUESTIONS: [(&str, &str, &str); 7] = [
    ("blob-missing", "needs blob", BLOBS),
    ("manifest-missing", "needs manifest", MANIFESTS),
    ("tag-dangling", "names manifest", TAGS),
    ("version-index", "has the index", VERSION_INDEXES),
    ("version-tag", "is not the tag of", VERSION_TAGS),
    ("version-object", "has the object", VERSION_OBJECTS),
    (
        "content-unknown",
        "is held, but nothing is known of",
        CONTENTS,
    ),
];

/// All rows that point at nothing: the kind of each, how to say what it does, and itself.
///
/// # Errors
/// [`StoreError::Statement`].
pub async fn dangling(db: &Db) -> Result<Vec<(&'static str, &'static str, Dangling)>, StoreError> {
    let mut found = Vec::new();
    for (kind, words, question) in QUESTIONS {
        let rows: Vec<Dangling> = on!(Db, db, c => sqlx::query_as(question).fetch_all(c).await)?;
        found.extend(rows.into_iter().map(|row| (kind, words, row)));
    }
    Ok(found)
}

const BODIES: &str = "select repository, digest, body from manifests \
                      where (repository > $1 or (repository = $1 and digest > $2)) \
                      order by repository, digest limit $3";

/// Up to `limit` manifests after `last`, with their bytes.
///
/// # Errors
/// [`StoreError::Statement`] or [`StoreError::Corrupt`].
pub async fn bodies(
    db: &Db,
    last: (&str, &str),
    limit: i64,
) -> Result<Vec<(RepositoryName, Digest, Vec<u8>)>, StoreError> {
    let rows: Vec<(String, String, Vec<u8>)> = on!(Db, db, c => sqlx::query_as(BODIES).bind(last.0)
        .bind(last.1).bind(limit).fetch_all(c).await)?;
    rows.into_iter()
        .map(|(repository, digest, body)| {
            Ok((
                cell("manifests", "repository", &repository)?,
                cell("manifests", "digest", &digest)?,
                body,
            ))
        })
        .collect()
}
