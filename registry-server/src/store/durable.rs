// SPDX-License-Identifier: Apache-2.0
//! When a write to SQLite is on the disk.
//!
//! A committed transaction is in SQLite's log, and SQLite would wait for the disk there while
//! nobody else may write. It is told not to: whoever needs to know that a write is durable
//! asks [`Writes::flush`] after the commit, and all who ask at the same time share one sync of
//! the log. After a crash the log counts up to its first gap, so whatever was committed before
//! a synced transaction is there with it.

use std::{
    fs::File,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::sync::Mutex;

use super::StoreError;

/// What happened to the writes of a SQLite database.
#[derive(Debug)]
pub struct Writes {
    /// SQLite's log of the database.
    log: PathBuf,
    /// How many were tried.
    commits: AtomicU64,
    /// Up to which of them the log is synced; held while it is being synced.
    flushed: Arc<Mutex<u64>>,
    /// Set by the first sync that failed: a second one might report success for pages that
    /// the kernel has dropped.
    failed: AtomicBool,
}

impl Writes {
    /// Those of the database at `path`, whose log is there already. It stays there: the pools
    /// never close their last connection.
    ///
    /// # Errors
    /// What the system says if the directory cannot be synced.
    pub(super) fn of(path: &Path) -> std::io::Result<Self> {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        // SQLite would do it with the first sync of a new log.
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(Self {
            log: log.into(),
            commits: AtomicU64::new(0),
            flushed: Arc::default(),
            failed: AtomicBool::new(false),
        })
    }

    /// How often the database was written.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    /// Counts a write that is in the log, or of which nobody knows whether it is. Gives its
    /// number.
    pub(super) fn count(&self) -> u64 {
        self.commits.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Whether writes are still safe.
    pub(super) fn are_safe(&self) -> bool {
        !self.failed.load(Ordering::Relaxed)
    }

    /// Takes no more writes.
    pub(super) fn fail(&self, error: &dyn std::fmt::Display) -> StoreError {
        tracing::error!(%error, "the database is not written any more");
        self.failed.store(true, Ordering::Relaxed);
        StoreError::Unsafe
    }

    /// Waits until the write of that number is on the disk.
    ///
    /// # Errors
    /// [`StoreError::Unsafe`] if a sync has failed.
    pub(super) async fn flush(self: &Arc<Self>, number: u64) -> Result<(), StoreError> {
        let mut flushed = self.flushed.clone().lock_owned().await;
        if *flushed >= number {
            return Ok(());
        }
        if !self.are_safe() {
            return Err(StoreError::Unsafe);
        }
        let writes = self.clone();
        // The lock goes along: also if nobody waits any more, the next sync must not come
        // before it is known whether this one has failed.
        let work = move || {
            let all = writes.commits();
            sync(&writes.log).map_err(|error| writes.fail(&error))?;
            *flushed = all;
            Ok(())
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|error| Err(self.fail(&error)))
    }
}

fn sync(log: &Path) -> std::io::Result<()> {
    match File::open(log) {
        Ok(log) => log.sync_data(),
        // Whoever removed it has synced all of it into the database before.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writes(log: PathBuf) -> Arc<Writes> {
        Arc::new(Writes {
            log,
            commits: AtomicU64::new(0),
            flushed: Arc::default(),
            failed: AtomicBool::new(false),
        })
    }

    #[tokio::test]
    async fn one_sync_is_for_all_who_committed_before_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = dir.path().join("log");
        std::fs::write(&log, "all of it").expect("a file");
        let writes = writes(log);
        let (first, second) = (writes.count(), writes.count());
        writes.flush(first).await.expect("synced");
        assert_eq!(*writes.flushed.lock().await, second);
    }

    #[tokio::test]
    async fn a_sync_that_failed_is_not_tried_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("file");
        std::fs::write(&file, "").expect("a file");
        // A log below a file cannot be opened, and that is not because it was removed.
        let writes = writes(file.join("log"));
        let number = writes.count();
        for _ in 0..2 {
            let flushed = writes.flush(number).await;
            assert!(matches!(flushed, Err(StoreError::Unsafe)), "{flushed:?}");
            assert!(!writes.are_safe());
            // The disk recovers; nobody knows what of the lost writes it holds.
            let _ = std::fs::remove_file(&file);
        }
    }
}
