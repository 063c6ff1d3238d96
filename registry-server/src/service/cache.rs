// SPDX-License-Identifier: Apache-2.0
//! What anybody may read, as it was read last.
//!
//! Each entry carries the number of commits that the database had seen when the entry was
//! read ([`Db::commits`](crate::store::Db::commits)), and counts only while that number
//! stands: a read after an acknowledged write never sees what was before it. Where other
//! processes write too there is no such number, and nothing is kept. Private content is
//! never kept, so that no right has to be checked on the way out.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use bytes::Bytes;
use quick_cache::{Equivalent, Weighter, sync::Cache};
use registry_schema::{Digest, name::RepositoryName};

use super::{
    blob,
    manifest::{self, ManifestName},
};

/// Most bytes of small blobs that are kept.
const CONTENT: u64 = 16 * 1024 * 1024;
/// Most bytes of manifests that are kept.
const MANIFESTS: u64 = 8 * 1024 * 1024;
/// What an entry takes besides its body, roughly, in bytes.
const ENTRY: u64 = 512;
/// Most entries of the small kinds.
const ENTRIES: u64 = 16 * 1024;
/// How many manifests the first tables are made for.
const EXPECTED: usize = 1024;

/// The public reads of this process.
#[derive(Debug)]
pub struct Reads {
    /// Manifests by repository and name.
    pub manifests: Kept<(RepositoryName, ManifestName), manifest::Found, BySize>,
    /// Blobs by repository and digest, without their bytes.
    pub blobs: Kept<(RepositoryName, Digest), blob::Found, ByNumber>,
    /// The bytes of small blobs, as they were read and checked: a digest never changes.
    pub content: Cache<Digest, Bytes, ByLength>,
    /// Pulls that need no counting, as text of who pulled what.
    pub counted: Kept<String, (), ByNumber>,
}

impl Default for Reads {
    fn default() -> Self {
        Self {
            manifests: Kept::new(MANIFESTS, BySize),
            blobs: Kept::new(ENTRIES, ByNumber),
            content: Cache::with_weighter(EXPECTED, CONTENT, ByLength),
            counted: Kept::new(ENTRIES, ByNumber),
        }
    }
}

/// A bounded cache whose entries end with the next write.
pub struct Kept<K, V, W>(Cache<K, (u64, V), W>);

impl<K, V, W> fmt::Debug for Kept<K, V, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

impl<K, V, W> Kept<K, V, W>
where
    K: Eq + Hash,
    V: Clone,
    W: Weighter<K, (u64, V)> + Clone,
{
    fn new(weight: u64, weighter: W) -> Self {
        Self(Cache::with_weighter(EXPECTED, weight, weighter))
    }

    /// The entry, if nothing was written since it was read. `commits` is the number of now.
    pub fn get<Q>(&self, key: &Q, commits: Option<u64>) -> Option<V>
    where
        Q: Hash + Equivalent<K>,
    {
        let (then, value) = self.0.get(key)?;
        (Some(then) == commits).then_some(value)
    }

    /// Keeps `value`; `commits` is the number from before it was read.
    pub fn keep(&self, key: K, value: &V, commits: Option<u64>) {
        if let Some(commits) = commits {
            self.0.insert(key, (commits, value.clone()));
        }
    }
}

/// Weighs a manifest by its bytes.
#[derive(Debug, Clone)]
pub struct BySize;

impl<K> Weighter<K, (u64, manifest::Found)> for BySize {
    fn weight(&self, _: &K, (_, found): &(u64, manifest::Found)) -> u64 {
        found.manifest.body.len() as u64 + ENTRY
    }
}

/// Weighs a blob by its bytes.
#[derive(Debug, Clone)]
pub struct ByLength;

impl Weighter<Digest, Bytes> for ByLength {
    fn weight(&self, _: &Digest, bytes: &Bytes) -> u64 {
        bytes.len() as u64 + ENTRY
    }
}

/// Weighs every entry the same.
#[derive(Debug, Clone)]
pub struct ByNumber;

impl<K, V> Weighter<K, V> for ByNumber {
    fn weight(&self, _: &K, _: &V) -> u64 {
        1
    }
}

/// A key of [`Reads::manifests`] that owns nothing.
pub struct ManifestKey<'a>(pub &'a RepositoryName, pub &'a ManifestName);

/// A key of [`Reads::blobs`] that owns nothing.
pub struct BlobKey<'a>(pub &'a RepositoryName, pub &'a Digest);

// Each hashes as the pair that it stands for.
impl Hash for ManifestKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0, self.1).hash(state);
    }
}

impl Hash for BlobKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0, self.1).hash(state);
    }
}

impl Equivalent<(RepositoryName, ManifestName)> for ManifestKey<'_> {
    fn equivalent(&self, key: &(RepositoryName, ManifestName)) -> bool {
        *self.0 == key.0 && *self.1 == key.1
    }
}

impl Equivalent<(RepositoryName, Digest)> for BlobKey<'_> {
    fn equivalent(&self, key: &(RepositoryName, Digest)) -> bool {
        *self.0 == key.0 && *self.1 == key.1
    }
}
