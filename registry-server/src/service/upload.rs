// SPDX-License-Identifier: Apache-2.0
//! Uploads: begin, continue, ask, finish, cancel.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::Mutex as AsyncMutex;

/// One lock per upload in progress, so that of two requests that continue the same
/// upload the second sees what the first has written.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<HashMap<String, Weak<AsyncMutex<()>>>>);

impl Sessions {
    /// The lock of an upload. It lives as long as somebody holds it.
    pub fn lock(&self, id: &str) -> Arc<AsyncMutex<()>> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = sessions.get(id).and_then(Weak::upgrade) {
            return lock;
        }
        sessions.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::new(AsyncMutex::new(()));
        sessions.insert(id.to_owned(), Arc::downgrade(&lock));
        lock
    }
}
