// SPDX-License-Identifier: Apache-2.0
//! The bytes behind blobs: stored by whoever brings them, removed by the collection of
//! garbage, and never both at the same time.
//!
//! Bytes are stored before the database learns of them, so for a moment they look unheld.
//! Two things keep them: what was stored or let go of less than [`GRACE`] ago is not
//! removed, and who stored bytes that were removed meanwhile notices and fails.

use std::time::Duration;

use chrono::TimeDelta;
use registry_schema::Digest;

use super::ServiceError;
use crate::{
    app::App,
    store::{self, Tx, contents::State},
};

/// How long bytes stay after the last repository has let go of them.
pub(super) const GRACE: TimeDelta = TimeDelta::hours(1);
/// How often a push looks again at bytes that are being removed.
const LOOK: Duration = Duration::from_millis(50);
/// How often it looks before it gives up: for 5 seconds.
const LOOKS: u32 = 100;

/// What bytes were before somebody stored them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    removals: i64,
}

/// Looks at a content that is about to be stored, and keeps it from being removed meanwhile.
///
/// # Errors
/// [`ServiceError::Unavailable`] while it is being removed; [`ServiceError::Store`].
pub(super) async fn look(app: &App, digest: &Digest) -> Result<Seen, ServiceError> {
    for _ in 0..LOOKS {
        let now = app.clock.now();
        let Some(found) = store::contents::find(&app.db, digest).await? else {
            return Ok(Seen { removals: 0 });
        };
        let removals = found.removals;
        if found.state == State::Removed {
            return Ok(Seen { removals });
        }
        if found.state != State::Removing {
            if found.held || found.changed_at > now - GRACE / 2 {
                return Ok(Seen { removals });
            }
            let mut tx = app.db.begin().await?;
            let kept = store::contents::touch(&mut tx, digest, now).await?;
            tx.commit().await?;
            if kept {
                return Ok(Seen { removals });
            }
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(ServiceError::Unavailable(
        "the same content is being removed",
    ))
}

/// Notes that a content was stored and is held; the row in `blobs` is there already.
///
/// # Errors
/// [`ServiceError::Unavailable`] if it was taken away since `seen`; [`ServiceError::Store`].
pub(super) async fn hold(
    app: &App,
    tx: &mut Tx,
    digest: &Digest,
    size_bytes: u64,
    seen: Seen,
) -> Result<(), ServiceError> {
    let now = app.clock.now();
    let (state, removals) = store::contents::hold(tx, digest, size_bytes, now).await?;
    if state == State::Present && removals == seen.removals {
        Ok(())
    } else {
        Err(ServiceError::Unavailable(
            "the same content was removed meanwhile",
        ))
    }
}
