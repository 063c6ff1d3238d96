// SPDX-License-Identifier: Apache-2.0
//! One request at a time continues an upload: within this process by a lock, between
//! replicas by a claim in the database. Neither is a transaction, so a slow body keeps
//! nobody else waiting.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use chrono::TimeDelta;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::ServiceError;
use crate::{
    app::App,
    blob::{Arrived, Part},
    store::{self, Tx},
};

/// How long a request that died keeps an upload from others.
const CLAIM: TimeDelta = TimeDelta::seconds(30);
/// How often a request says that it is still continuing an upload.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How often a request looks whether another has let go of an upload.
const LOOK: Duration = Duration::from_millis(50);
/// How often it looks before it gives up: for 30 seconds.
const LOOKS: u32 = 600;

/// One lock per upload in progress, so that of two requests that continue the same
/// upload the second sees what the first has written.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<HashMap<String, Weak<AsyncMutex<()>>>>);

impl Sessions {
    /// The lock of an upload. It lives as long as somebody holds it.
    pub(super) fn lock(&self, id: &str) -> Arc<AsyncMutex<()>> {
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

/// The right to continue an upload, until it is dropped.
pub(super) struct Session {
    app: App,
    id: String,
    /// The name of the claim, where replicas share the store.
    holder: Option<String>,
    _lock: OwnedMutexGuard<()>,
}

impl Session {
    /// Waits for the right to continue the upload.
    ///
    /// # Errors
    /// [`ServiceError::UploadUnknown`] if it ends meanwhile; [`ServiceError::Unavailable`]
    /// if another replica does not let go of it.
    pub(super) async fn begin(app: &App, id: &str) -> Result<Self, ServiceError> {
        let lock = app.sessions.lock(id).lock_owned().await;
        let mut session = Self {
            app: app.clone(),
            id: id.to_owned(),
            holder: None,
            _lock: lock,
        };
        if app.blobs.is_shared() {
            let holder = app.random.id(app.clock.now()).to_string();
            session.claim(&holder).await?;
            session.holder = Some(holder);
        }
        Ok(session)
    }

    async fn claim(&self, holder: &str) -> Result<(), ServiceError> {
        let Self { app, id, .. } = self;
        for _ in 0..LOOKS {
            let now = app.clock.now();
            let mut tx = app.db.begin().await?;
            let claimed = store::uploads::claim(&mut tx, id, holder, now + CLAIM, now).await?;
            tx.commit().await?;
            if claimed {
                return Ok(());
            }
            if store::uploads::find(&app.db, id).await?.is_none() {
                return Err(unknown(id));
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(ServiceError::Unavailable(
            "another request is continuing this upload",
        ))
    }

    /// What has arrived of the upload.
    ///
    /// # Errors
    /// [`ServiceError::UploadUnknown`] if it has ended.
    pub(super) async fn arrived(&self) -> Result<Arrived, ServiceError> {
        arrived(&self.app, &self.id).await
    }

    /// Does the work, and keeps the upload meanwhile.
    ///
    /// # Errors
    /// Those of the work; [`ServiceError::Unavailable`] if the upload was lost to another.
    pub(super) async fn during<T, E: Into<ServiceError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, ServiceError> {
        match &self.holder {
            None => work.await.map_err(Into::into),
            Some(holder) => tokio::select! {
                done = work => done.map_err(Into::into),
                lost = self.keep(holder) => Err(lost),
            },
        }
    }

    async fn keep(&self, holder: &str) -> ServiceError {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            match self.extend(holder).await {
                Ok(true) => {}
                Ok(false) => return lost(),
                Err(error) => return error,
            }
        }
    }

    async fn extend(&self, holder: &str) -> Result<bool, ServiceError> {
        let until = self.app.clock.now() + CLAIM;
        let mut tx = self.app.db.begin().await?;
        let kept = store::uploads::extend(&mut tx, &self.id, holder, until).await?;
        tx.commit().await?;
        Ok(kept)
    }

    /// Demands, within the transaction that changes the upload, that it is still ours.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`] if it is not.
    pub(super) async fn confirm(&self, tx: &mut Tx) -> Result<(), ServiceError> {
        match &self.holder {
            Some(holder) if !store::uploads::release(tx, &self.id, holder).await? => Err(lost()),
            _ => Ok(()),
        }
    }

    /// Makes new parts count.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`] if the upload was lost to another.
    pub(super) async fn keep_parts(&mut self, parts: &[Part]) -> Result<(), ServiceError> {
        if self.holder.is_none() {
            return Ok(());
        }
        let mut tx = self.app.db.begin().await?;
        self.confirm(&mut tx).await?;
        for part in parts {
            store::uploads::insert_part(&mut tx, &self.id, part).await?;
        }
        tx.commit().await?;
        self.holder = None;
        Ok(())
    }

    /// Nothing is left to let go of: the upload has ended.
    pub(super) fn ended(mut self) {
        self.holder = None;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(holder) = self.holder.take() else {
            return;
        };
        let (app, id) = (self.app.clone(), self.id.clone());
        tokio::spawn(async move {
            let release = async {
                let mut tx = app.db.begin().await?;
                store::uploads::release(&mut tx, &id, &holder).await?;
                tx.commit().await
            };
            // The claim runs out by itself soon.
            if let Err(error) = release.await {
                tracing::debug!(upload = id, %error, "an upload is not let go of");
            }
        });
    }
}

fn lost() -> ServiceError {
    ServiceError::Unavailable("another request has continued this upload")
}

/// The error for an upload that is not known to who asks.
pub(super) fn unknown(id: &str) -> ServiceError {
    ServiceError::UploadUnknown(id.chars().take(64).collect())
}

/// What has arrived of an upload.
///
/// # Errors
/// [`ServiceError::UploadUnknown`] if nothing is staged.
pub(super) async fn arrived(app: &App, id: &str) -> Result<Arrived, ServiceError> {
    if !app.blobs.is_shared() {
        let bytes = app
            .blobs
            .staged_bytes(id)
            .await?
            .ok_or_else(|| unknown(id))?;
        let parts = Vec::new();
        return Ok(Arrived { bytes, parts });
    }
    let parts = store::uploads::parts(&app.db, id).await?;
    let bytes = parts.iter().map(|part| part.size_bytes).sum();
    Ok(Arrived { bytes, parts })
}
