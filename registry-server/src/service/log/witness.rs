// SPDX-License-Identifier: Apache-2.0
//! Cosignatures: what witnesses say who saw that the log only grew.

use registry_schema::transparency::{NoteError, SignedCheckpoint};

use super::{LogError, read};
use crate::{app::App, service::ServiceError, store};

/// Keeps the cosignatures of a checkpoint of this log, and says how many there were by
/// witnesses that are configured. Those of others do not count.
///
/// # Errors
/// [`LogError::Checkpoint`] if it is not ours; [`LogError::Forked`] if it is signed with our
/// key and is not of this log; [`LogError::Note`] if a cosignature does not fit;
/// [`LogError::NoWitness`] if nobody who is known cosigned.
pub async fn cosign(app: &App, note: &[u8]) -> Result<usize, ServiceError> {
    let signed = SignedCheckpoint::open(note, app.log.verifier()).map_err(LogError::Submitted)?;
    let given = signed.checkpoint();
    let here = store::log::head(&app.db).await?.size;
    let ours = if given.size <= here {
        Some(read::checkpoint_at(app, given.size).await?)
    } else {
        None
    };
    if ours.is_none_or(|ours| ours.checkpoint() != given) {
        let (size, root) = (given.size, given.root.to_string());
        tracing::error!(
            size,
            root,
            "somebody has a checkpoint with our signature that is not of this log"
        );
        return Err(LogError::Forked { size, root }.into());
    }
    let mut lines = Vec::new();
    let witnesses = &app.config.publish_log.publish_log_witness;
    for key in witnesses.iter().map(|witness| &witness.key) {
        match signed.note().verify(key) {
            Ok(_) => lines.extend(
                signed
                    .note()
                    .signatures()
                    .iter()
                    .filter(|line| line.is_by(key))
                    .map(|line| (key.name(), line.to_string())),
            ),
            Err(NoteError::NotSigned(_)) => {}
            Err(error) => return Err(LogError::Cosignature(error).into()),
        }
    }
    if lines.is_empty() {
        return Err(LogError::NoWitness.into());
    }
    let mut tx = app.db.begin().await?;
    for (witness, line) in &lines {
        store::log::cosign(&mut tx, given.size, witness, line, app.clock.now()).await?;
    }
    tx.commit().await?;
    Ok(lines.len())
}
