// SPDX-License-Identifier: Apache-2.0
//! The publish log: everything that changes what anybody may fetch, or whom it is signed by,
//! becomes an entry of a tree that only grows and that anybody can read and check.
//!
//! Who changes something calls [`append`] in the transaction of the change and [`settle`]
//! after it. The entry waits in a table until `sequence` numbers it; so that writers need not
//! wait for each other, and after a crash nothing is lost: what was committed is in the table.
//!
//! The log says nothing about namespaces that not everybody may read: their entries wait until
//! they are public. A log that hid them behind hashes would also hide from a publisher what is
//! done in its name.

mod ask;
mod attach;
mod read;
mod sequence;
pub mod verify;
mod witness;
mod write;

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    time::Duration,
};

use registry_schema::{
    PackageName, Version,
    transparency::{
        CheckpointError, Entry, EntryError, NoteError, SigningKey, TileError, VerifierKey,
        note::KeyKind,
    },
};
use tokio::sync::Mutex;

pub use read::{Event, LARGEST_PAGE, PAGE, Part, checkpoint, detail, entries, place, proof, tile};
pub use witness::cosign;
pub use write::{published, role, say, signed};

use super::{ServiceError, start};
use crate::{
    app::App,
    clock::Random,
    config_log::PublishLogOptions,
    store::{self, Db, Tx},
};

/// How long a request waits for its entry to be in the log.
const PATIENCE: Duration = Duration::from_secs(5);
/// Largest key file, in bytes.
const MAX_KEY_FILE: u64 = 16 * 1024;

/// Why the log did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum LogError {
    /// The log has another name already.
    #[error(
        "this registry's publish log is called `{fixed}` and not `{given}`; its name never changes, since whoever keeps a checkpoint keeps it by that name"
    )]
    Origin { given: String, fixed: String },
    /// The log has another key already.
    #[error(
        "this registry's publish log has key {fixed}, but {given} was given; with another key nobody would accept it any more"
    )]
    Key { given: String, fixed: String },
    /// A key file cannot be used.
    #[error("key file `{}` cannot be used: {reason}", path.display())]
    KeyFile { path: PathBuf, reason: String },
    /// A name or a witness's key is malformed.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// What is to be logged is no entry.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The stored tree is not whole.
    #[error("the stored tree of the publish log is damaged: {0}")]
    Tile(#[from] TileError),
    /// The stored checkpoint is not ours.
    #[error("the stored checkpoint of the publish log is damaged: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The stored tree does not have the root that was signed.
    #[error(
        "the stored tree of the publish log does not have the root that was signed for its {size} entries; it was changed, and nothing more is signed: run `bpfpkg-registry log verify`"
    )]
    Changed { size: u64 },
    /// The version is not in the log.
    #[error("{package} {version} is not in the publish log: it is not published, or not public")]
    NotLogged {
        package: PackageName,
        version: Version,
    },
    /// The version is not withdrawn.
    #[error("the publish log does not say that {package} {version} is withdrawn")]
    NotWithdrawn {
        package: PackageName,
        version: Version,
    },
    /// What was submitted is no checkpoint of this log.
    #[error("what was submitted is no checkpoint of this log: {0}")]
    Submitted(CheckpointError),
    /// A checkpoint that was signed by this log is not of this log.
    #[error("the checkpoint of {size} entries with root {root} is not of this log as it is here")]
    Forked { size: u64, root: String },
    /// A cosignature does not fit.
    #[error("cosignature refused: {0}")]
    Cosignature(NoteError),
    /// A witness did not cosign.
    #[error("witness `{name}`: {reason}")]
    Witness { name: String, reason: String },
    /// Nobody cosigned whose key is known.
    #[error(
        "no cosignature is by a witness that this registry knows; `--publish-log-witness` names them"
    )]
    NoWitness,
}

/// Name and key of the log, and the order in which requests wait for it.
#[derive(Debug)]
pub struct Log {
    key: SigningKey,
    verifier: VerifierKey,
    /// How many entries this process has written.
    appended: AtomicU64,
    /// How many requests have asked for all that is committed to be in the log.
    asked: AtomicU64,
    /// How many of them have got that.
    served: Mutex<u64>,
    /// Held while a proof is attached.
    attaching: Mutex<()>,
}

impl Log {
    /// Opens the log: its name and key are fixed at the first start.
    ///
    /// # Errors
    /// [`LogError::Origin`], [`LogError::Key`], [`LogError::KeyFile`], [`LogError::Note`];
    /// [`ServiceError::Store`].
    pub async fn open(
        db: &Db,
        random: &Random,
        options: &PublishLogOptions,
        host: &str,
    ) -> Result<Self, ServiceError> {
        let given = options.publish_log_origin.clone();
        let origin = given.clone().unwrap_or_else(|| format!("{host}/log"));
        let fixed = start::fixed(db, "log-origin", &origin).await?;
        if let Some(given) = given
            && given != fixed
        {
            return Err(LogError::Origin { given, fixed }.into());
        }
        let key = if let Some(path) = &options.publish_log_key {
            from_file(path, &fixed)?
        } else {
            let secret = start::secret(db, random, "log-key").await?;
            let mut bytes = [0; 32];
            let read = hex::decode_to_slice(&secret, &mut bytes);
            let damaged = "the key of the publish log is damaged";
            read.map_err(|_| ServiceError::Unavailable(damaged))?;
            SigningKey::new(&fixed, &bytes).map_err(LogError::Note)?
        };
        let verifier = key.verifier(KeyKind::Text);
        let fixed = start::fixed(db, "log-verifier", &verifier.to_string()).await?;
        if fixed != verifier.to_string() {
            let given = verifier.to_string();
            return Err(LogError::Key { given, fixed }.into());
        }
        Ok(Self {
            key,
            verifier,
            appended: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            served: Mutex::new(0),
            attaching: Mutex::new(()),
        })
    }

    /// The name of the log, which is also that of its key.
    pub fn origin(&self) -> &str {
        self.verifier.name()
    }

    /// What checkpoints are checked with.
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }
}

fn from_file(path: &Path, name: &str) -> Result<SigningKey, LogError> {
    let wrong = |reason: String| LogError::KeyFile {
        path: path.to_owned(),
        reason,
    };
    let size = std::fs::metadata(path)
        .map_err(|error| wrong(error.to_string()))?
        .len();
    if size > MAX_KEY_FILE {
        return Err(wrong(format!(
            "it is {size} bytes; the limit is {MAX_KEY_FILE}"
        )));
    }
    let pem = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    SigningKey::from_pem(name, &pem).map_err(|error| wrong(error.to_string()))
}

/// Adds an entry in the transaction that makes true what it says: both happen or neither.
/// It waits for nobody, so it may be called at any point of a transaction. After the commit,
/// call [`settle`].
///
/// # Errors
/// [`LogError::Entry`] if it is too large; [`ServiceError::Store`].
pub async fn append(app: &App, tx: &mut Tx, entry: &Entry) -> Result<(), ServiceError> {
    let leaf = entry.to_bytes().map_err(LogError::Entry)?;
    let leaf = String::from_utf8_lossy(&leaf);
    // In the order of time, and of this process within one moment.
    let now = app.clock.now();
    let (time, number) = (
        now.timestamp_micros(),
        app.log.appended.fetch_add(1, SeqCst),
    );
    let id = format!("{time:016x}-{number:016x}-{}", app.random.id(now).simple());
    let namespace = entry.change().namespace().as_str();
    Ok(store::log::append(tx, &id, namespace, &leaf).await?)
}

/// Waits until everything that was committed before is in the log. Says whether it is: if
/// not, it is committed all the same and comes into the log later.
pub async fn settle(app: &App) -> bool {
    let mine = app.log.asked.fetch_add(1, SeqCst) + 1;
    match tokio::time::timeout(PATIENCE, Box::pin(catch_up(app, mine))).await {
        Ok(Ok(())) => {
            // Who fetches what was just published finds the proof beside it.
            if let Err(error) = Box::pin(attach::attach_rest(app)).await {
                tracing::warn!(%error, "a proof is not attached yet");
            }
            true
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "the publish log was not extended");
            false
        }
        Err(_) => {
            tracing::warn!("the publish log is slow; entries wait");
            false
        }
    }
}

/// Does what is left to do, again and again.
///
/// # Errors
/// [`ServiceError::Log`], [`ServiceError::Store`].
pub async fn run(app: &App) -> Result<(), ServiceError> {
    let mine = app.log.asked.fetch_add(1, SeqCst) + 1;
    catch_up(app, mine).await?;
    attach::attach_rest(app).await?;
    ask::ask_all(app).await
}

/// Whoever comes first extends the log for all that have asked meanwhile: a batch is what
/// arrived while the last one was written.
async fn catch_up(app: &App, mine: u64) -> Result<(), ServiceError> {
    let mut served = app.log.served.lock().await;
    if *served >= mine {
        return Ok(());
    }
    let asked = app.log.asked.load(SeqCst);
    while sequence::extend(app).await? == sequence::BATCH {}
    *served = asked;
    Ok(())
}
