// SPDX-License-Identifier: Apache-2.0
//! Asks witnesses for cosignatures: `add-checkpoint` of C2SP `tlog-witness`, as the log.

use std::time::Duration;

use registry_schema::transparency::{
    Checkpoint, SignedCheckpoint, note::MAX_NOTE, tile::needed_for_consistency,
};

use super::{LogError, read, witness};
use crate::{app::App, config_log::Witness, service::ServiceError, store};

/// How long a witness may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Shows the last checkpoint to every witness that has an address and has not seen it. One
/// that does not answer is asked again the next time.
pub(super) async fn ask_all(app: &App) -> Result<(), ServiceError> {
    for witness in &app.config.publish_log.publish_log_witness {
        if witness.url.is_none() {
            continue;
        }
        if let Err(error) = ask(app, witness).await {
            let name = witness.key.name();
            tracing::warn!(witness = name, %error, "no cosignature of the publish log");
        }
    }
    Ok(())
}

async fn ask(app: &App, witness: &Witness) -> Result<(), ServiceError> {
    let head = read::checkpoint(app).await?;
    let size = head.checkpoint().size;
    let seen = store::log::last_cosigned(&app.db, witness.key.name()).await?;
    let mut old = seen.map_or(0, |(seen, _)| seen);
    // The second time with the size that the witness itself remembers.
    for _ in 0..2 {
        if old >= size {
            return Ok(());
        }
        match show(app, witness, old, &head).await? {
            Shown::Cosigned(note) => {
                witness::cosign(app, note.as_bytes()).await?;
                return Ok(());
            }
            Shown::Knows(known) => old = known,
        }
    }
    Err(refused(witness, "it remembers another size each time").into())
}

/// What a witness says to a checkpoint.
enum Shown {
    /// The checkpoint with the lines that it gave.
    Cosigned(String),
    /// It has seen the log at another size than we thought.
    Knows(u64),
}

async fn show(
    app: &App,
    witness: &Witness,
    old: u64,
    head: &SignedCheckpoint,
) -> Result<Shown, ServiceError> {
    let Checkpoint { size, .. } = *head.checkpoint();
    let tiles = read::tiles(app, needed_for_consistency(old, size)).await?;
    let proof = tiles.consistency(old, size).map_err(LogError::Tile)?;
    let mut lines = vec![format!("old {old}")];
    lines.extend(proof.iter().map(ToString::to_string));
    let body = format!("{}\n\n{}", lines.join("\n"), head.note());
    let Some(url) = &witness.url else {
        return Err(refused(witness, "it has no address").into());
    };
    let failed = |error: &dyn std::fmt::Display| refused(witness, &error.to_string());
    let address = format!("{}/add-checkpoint", url.as_str().trim_end_matches('/'));
    let outbound = &app.remotes.outbound;
    outbound.check(url).await.map_err(|error| failed(&error))?;
    let client = outbound.client(PATIENCE).map_err(|error| failed(&error))?;
    let asked = client.post(address).timeout(PATIENCE).body(body).send();
    let mut answer = asked.await.map_err(|error| failed(&error))?;
    let (status, mut bytes) = (answer.status().as_u16(), Vec::new());
    while let Some(piece) = answer.chunk().await.map_err(|error| failed(&error))? {
        if bytes.len() + piece.len() > MAX_NOTE {
            return Err(refused(witness, "its answer is too large").into());
        }
        bytes.extend_from_slice(&piece);
    }
    let text = String::from_utf8_lossy(&bytes);
    match status {
        200 => Ok(Shown::Cosigned(format!("{}{text}", head.note()))),
        409 => match text.trim_end().parse() {
            Ok(known) if known <= size => Ok(Shown::Knows(known)),
            _ => Err(refused(
                witness,
                "it has seen more than there is: the log was rolled back",
            )
            .into()),
        },
        status => Err(refused(witness, &format!("it answered {status}")).into()),
    }
}

fn refused(witness: &Witness, reason: &str) -> LogError {
    LogError::Witness {
        name: witness.key.name().to_owned(),
        reason: reason.chars().take(300).collect(),
    }
}
