// SPDX-License-Identifier: Apache-2.0
//! Which keys speak for a log.

use registry_schema::{
    transparency::{
        NoteError, SignedCheckpoint, VerifierKey,
        checkpoint::{CheckpointError, Cosignature},
        note::KeyKind,
    },
    trust::root::LogTrust,
};

use super::LogFault;

/// A log that is trusted to grow and not to fork: its key, or several while it changes; and
/// the witnesses who watch it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKeys {
    keys: Vec<VerifierKey>,
    witnesses: Vec<VerifierKey>,
    threshold: usize,
}

impl From<VerifierKey> for LogKeys {
    fn from(key: VerifierKey) -> Self {
        Self {
            keys: vec![key],
            witnesses: Vec::new(),
            threshold: 0,
        }
    }
}

impl TryFrom<&LogTrust> for LogKeys {
    type Error = NoteError;

    /// Reads what a trust root says of the log.
    fn try_from(trust: &LogTrust) -> Result<Self, NoteError> {
        let read = |texts: &[String], kind| {
            let key = |text: &String| {
                let key: VerifierKey = text.parse()?;
                let fits =
                    key.kind() == kind && (kind == KeyKind::Witness || key.name() == trust.origin);
                fits.then_some(key).ok_or(NoteError::Key {
                    text: text.chars().take(100).collect(),
                    reason: "it is named after another log, or of another kind",
                })
            };
            texts.iter().map(key).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            keys: read(&trust.keys, KeyKind::Text)?,
            witnesses: read(&trust.witnesses, KeyKind::Witness)?,
            threshold: trust.witness_threshold as usize,
        })
    }
}

impl LogKeys {
    /// The same log, of whose `witnesses` at least `threshold` must have signed a checkpoint.
    #[must_use]
    pub fn with_witnesses(mut self, witnesses: Vec<VerifierKey>, threshold: usize) -> Self {
        (self.witnesses, self.threshold) = (witnesses, threshold);
        self
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        self.keys.first().map_or("", VerifierKey::name)
    }

    /// The keys.
    pub fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }

    /// Opens a checkpoint that one of the keys signed. Witnesses are not asked for.
    ///
    /// # Errors
    /// [`LogFault::Checkpoint`].
    pub fn open(&self, note: &[u8]) -> Result<SignedCheckpoint, LogFault> {
        let mut refused = CheckpointError::Malformed("no key is trusted for it");
        for key in &self.keys {
            match SignedCheckpoint::open(note, key) {
                Ok(signed) => return Ok(signed),
                Err(error) => refused = error,
            }
        }
        Err(refused.into())
    }

    /// Demands that enough witnesses signed, and says who did.
    ///
    /// # Errors
    /// [`LogFault::Witness`], [`LogFault::Witnesses`].
    pub fn witnessed(&self, signed: &SignedCheckpoint) -> Result<Vec<Cosignature>, LogFault> {
        let found = signed
            .cosignatures(&self.witnesses)
            .map_err(LogFault::Witness)?;
        let (wanted, actual) = (self.threshold, found.len());
        if actual < wanted {
            return Err(LogFault::Witnesses { wanted, actual });
        }
        Ok(found)
    }
}
