// SPDX-License-Identifier: Apache-2.0
//! The hashes of unfinished uploads, so that nobody reads a blob again to hash it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use registry_schema::digest::{Algorithm, Hasher};

/// Of how many uploads the hash is remembered. One that is forgotten is hashed when it is
/// finished.
const REMEMBERED: usize = 1024;

/// Hashes by upload, each with how many bytes it has seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Running(Arc<Mutex<HashMap<String, (u64, Hasher)>>>);

impl Running {
    /// Takes the hash of the first `length` bytes of an upload: a new one if that is none,
    /// `None` if they were not seen.
    pub(super) fn take(&self, id: &str, length: u64, algorithm: Algorithm) -> Option<Hasher> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = running.remove(id);
        if length == 0 {
            return Some(Hasher::new(algorithm));
        }
        let (seen, hasher) = found?;
        (seen == length && hasher.algorithm() == algorithm).then_some(hasher)
    }

    /// Remembers the hash of the first `length` bytes of an upload.
    pub(super) fn keep(&self, id: &str, length: u64, hasher: Hasher) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if running.len() >= REMEMBERED {
            running.clear();
        }
        running.insert(id.to_owned(), (length, hasher));
    }

    /// Forgets an upload.
    pub(super) fn forget(&self, id: &str) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(id);
    }
}
