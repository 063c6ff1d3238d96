// SPDX-License-Identifier: Apache-2.0
//! Checkpoints (C2SP `tlog-checkpoint`): the size and root of a log at one moment, as a signed
//! note in the name of the log.

use super::{
    decimal,
    merkle::{Hash, MerkleError},
    note::{Note, NoteError, SigningKey, VerifierKey},
};
use crate::digest::shorten;

/// Why a checkpoint is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum CheckpointError {
    /// It is no note, or not signed as it must be.
    #[error("checkpoint: {0}")]
    Note(#[from] NoteError),
    /// The text of the note is no checkpoint.
    #[error("checkpoint is malformed: {0}")]
    Malformed(&'static str),
    /// The root is no hash.
    #[error("checkpoint: {0}")]
    Root(#[from] MerkleError),
    /// It is of another log.
    #[error("checkpoint is of log `{actual}`, not of `{expected}`")]
    OtherLog { expected: String, actual: String },
}

/// What a checkpoint says, signed or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of the log, which never changes.
    pub origin: String,
    /// How many entries it has.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, self.root)
    }

    /// Reads the text of a note. Extension lines may follow and say nothing.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`], [`CheckpointError::Root`].
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.split_terminator('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Malformed("it has fewer than three lines"));
        };
        if origin.is_empty() || lines.any(str::is_empty) {
            return Err(CheckpointError::Malformed("it has an empty line"));
        }
        let size = decimal(size).ok_or(CheckpointError::Malformed("its size is no number"))?;
        if size > i64::MAX.unsigned_abs() {
            return Err(CheckpointError::Malformed("its size is beyond 2^63"));
        }
        let (origin, root) = (origin.to_owned(), root.parse()?);
        Ok(Self { origin, size, root })
    }

    /// Signs it in the name of the log.
    pub fn sign(self, key: &SigningKey) -> SignedCheckpoint {
        let mut note = Note::new(self.text())
            .unwrap_or_else(|_| unreachable!("a key's name, a number and base64 make a note"));
        note.add(key.sign(note.text()));
        SignedCheckpoint {
            checkpoint: self,
            note,
        }
    }
}

/// A checkpoint with signatures, of which that of the log was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

/// A witness that saw a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    /// The name of its key.
    pub witness: String,
    /// When, in seconds since 1970.
    pub time: u64,
}

impl SignedCheckpoint {
    /// Reads a checkpoint, and demands that it is of the log that `key` is named after and
    /// signed by it.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn open(bytes: &[u8], key: &VerifierKey) -> Result<Self, CheckpointError> {
        let note = Note::parse(bytes)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        if checkpoint.origin != key.name() {
            return Err(CheckpointError::OtherLog {
                expected: key.name().to_owned(),
                actual: shorten(&checkpoint.origin),
            });
        }
        note.verify(key)?;
        Ok(Self { checkpoint, note })
    }

    /// What it says.
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note that says it, with all signatures.
    pub const fn note(&self) -> &Note {
        &self.note
    }

    /// Adds a signature, which is not checked here.
    pub fn add(&mut self, signature: super::note::SignatureLine) {
        self.note.add(signature);
    }

    /// Which of `witnesses` signed it; those of others do not count.
    ///
    /// # Errors
    /// [`NoteError::Invalid`] if a signature in the name of one of them does not fit.
    pub fn cosignatures(&self, witnesses: &[VerifierKey]) -> Result<Vec<Cosignature>, NoteError> {
        let mut found = Vec::new();
        for key in witnesses {
            match self.note.verify(key) {
                Ok(time) => found.extend(time.map(|time| Cosignature {
                    witness: key.name().to_owned(),
                    time,
                })),
                Err(NoteError::NotSigned(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transparency::{merkle, note::KeyKind};

    fn signed(size: u64) -> (SignedCheckpoint, SigningKey) {
        let key = SigningKey::new("registry.example/log", &[1; 32]).expect("name");
        let checkpoint = Checkpoint {
            origin: "registry.example/log".to_owned(),
            size,
            root: merkle::leaf(b"x"),
        };
        (checkpoint.sign(&key), key)
    }

    #[test]
    fn a_checkpoint_opens_with_its_key_only() {
        let (signed, key) = signed(20_852_163);
        let bytes = signed.note().to_string().into_bytes();
        let opened = SignedCheckpoint::open(&bytes, &key.verifier(KeyKind::Text)).expect("opens");
        assert_eq!(opened, signed);
        let other = SigningKey::new("registry.example/log", &[2; 32]).expect("name");
        assert!(matches!(
            SignedCheckpoint::open(&bytes, &other.verifier(KeyKind::Text)),
            Err(CheckpointError::Note(NoteError::NotSigned(_)))
        ));
        let other = SigningKey::new("registry.example/other", &[1; 32]).expect("name");
        assert!(matches!(
            SignedCheckpoint::open(&bytes, &other.verifier(KeyKind::Text)),
            Err(CheckpointError::OtherLog { .. })
        ));
    }

    #[test]
    fn witnesses_count_when_they_are_known() {
        let (mut signed, _) = signed(3);
        let witness = SigningKey::new("witness.example", &[3; 32]).expect("name");
        let key = witness.verifier(KeyKind::Witness);
        assert_eq!(signed.cosignatures(std::slice::from_ref(&key)), Ok(vec![]));
        let text = signed.note().text().to_owned();
        signed.add(witness.cosign(&text, 12));
        assert_eq!(signed.cosignatures(&[]), Ok(vec![]));
        let found = signed
            .cosignatures(std::slice::from_ref(&key))
            .expect("fits");
        assert_eq!(
            (found[0].witness.as_str(), found[0].time),
            ("witness.example", 12)
        );
        signed.add(witness.cosign("another text\n", 12));
        signed
            .cosignatures(&[key])
            .expect_err("one signature does not fit");
    }

    #[test]
    fn hostile_texts_are_refused() {
        let root = merkle::empty();
        Checkpoint::parse(&format!("o\n0\n{root}\nextension\n")).expect("extensions may follow");
        for text in [
            String::new(),
            "o\n".into(),
            "o\n1\n".into(),
            format!("\n1\n{root}\n"),
            format!("o\n01\n{root}\n"),
            format!("o\n-1\n{root}\n"),
            format!("o\n\n{root}\n"),
            format!("o\n9223372036854775808\n{root}\n"),
            format!("o\n99999999999999999999\n{root}\n"),
            "o\n1\nAAAA\n".into(),
            "o\n1\n\n".into(),
            format!("o\n1\n{root}\n\nx\n"),
            format!("o\n1 \n{root}\n"),
            format!("o\n1\n{root} \n"),
        ] {
            Checkpoint::parse(&text).expect_err(&text);
        }
    }

    proptest! {
        #[test]
        fn one_flipped_bit_is_noticed(at: prop::sample::Index, bit in 0..8) {
            let (signed, key) = signed(12);
            let mut bytes = signed.note().to_string().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert!(SignedCheckpoint::open(&bytes, &key.verifier(KeyKind::Text)).is_err());
        }

        #[test]
        fn no_text_panics(text in "(.|\n){0,80}") {
            let _ = Checkpoint::parse(&text);
        }
    }
}
