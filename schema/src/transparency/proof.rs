// SPDX-License-Identifier: Apache-2.0
//! Proofs that travel (C2SP `tlog-proof`): an entry's place in the log, the way from it to the
//! root, and the signed checkpoint with that root, in one text. Ours carry the entry itself as
//! `extra`, so that whoever has a proof has all it needs.

use std::{fmt, str::FromStr};

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{
    decimal,
    entry::MAX_ENTRY,
    merkle::{Hash, MAX_PROOF},
    note::MAX_NOTE,
};

/// First line of a proof.
const HEAD: &str = "c2sp.org/tlog-proof@v1";
/// Largest proof, in bytes.
pub const MAX_TEXT: usize = 2 * MAX_ENTRY + MAX_NOTE + 4096;

/// Why a text is no proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ProofError {
    /// The text is larger than the limit.
    #[error("the proof is {actual} bytes; the limit is {MAX_TEXT}")]
    TooLarge { actual: usize },
    /// The text has another form.
    #[error("the proof is malformed: {0}")]
    Malformed(&'static str),
}

/// A proof as it was read; [`super::merkle::check_inclusion`] and
/// [`super::SignedCheckpoint::open`] say what it is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// What belongs to the proof and is not covered by it; ours: the entry.
    pub extra: Option<Vec<u8>>,
    /// The entry's place in the log, from 0.
    pub index: u64,
    /// The way from the entry to the root.
    pub path: Vec<Hash>,
    /// The signed checkpoint, as the note it is.
    pub checkpoint: String,
}

impl Proof {
    /// Reads a proof.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofError> {
        let actual = bytes.len();
        if actual > MAX_TEXT {
            return Err(ProofError::TooLarge { actual });
        }
        let text = str::from_utf8(bytes).map_err(|_| ProofError::Malformed("it is not UTF-8"))?;
        text.parse()
    }
}

impl FromStr for Proof {
    type Err = ProofError;

    fn from_str(text: &str) -> Result<Self, ProofError> {
        let wrong = ProofError::Malformed;
        let (head, checkpoint) = text
            .split_once("\n\n")
            .ok_or(wrong("it has no blank line"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEAD) {
            return Err(wrong("its first line is not `c2sp.org/tlog-proof@v1`"));
        }
        let extra = lines.peek().and_then(|line| line.strip_prefix("extra "));
        let extra = match extra {
            Some(base64) => {
                lines.next();
                let bytes = BASE64_STANDARD.decode(base64);
                Some(bytes.map_err(|_| wrong("its extra data is no base64"))?)
            }
            None => None,
        };
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index.and_then(decimal).ok_or(wrong("it has no index"))?;
        let mut path = Vec::new();
        for line in lines {
            if path.len() == MAX_PROOF {
                return Err(wrong("it has more than 63 hashes"));
            }
            path.push(line.parse().map_err(|_| wrong("a line of it is no hash"))?);
        }
        let checkpoint = checkpoint.to_owned();
        Ok(Self {
            extra,
            index,
            path,
            checkpoint,
        })
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", BASE64_STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.path
            .iter()
            .try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transparency::merkle;

    #[test]
    fn a_proof_reads_as_it_is_written() {
        for (extra, path) in [
            (None, vec![]),
            (
                Some(b"entry".to_vec()),
                vec![merkle::empty(), merkle::leaf(b"")],
            ),
        ] {
            let checkpoint = "o\n1\nroot\n\n— o AAAAAAA=\n".to_owned();
            let proof = Proof {
                extra,
                index: 73_894,
                path,
                checkpoint,
            };
            assert_eq!(proof.to_string().parse(), Ok(proof));
        }
    }

    #[test]
    fn hostile_proofs_are_refused() {
        let hash = merkle::empty();
        let deep = format!("{HEAD}\nindex 0\n{}\no\n", format!("{hash}\n").repeat(64));
        let large = format!("{HEAD}\nextra {}\nindex 0\n\no\n", "A".repeat(MAX_TEXT));
        for text in [
            "",
            "\n\n",
            HEAD,
            "c2sp.org/tlog-proof@v1\n\no\n",
            "c2sp.org/tlog-proof@v2\nindex 0\n\no\n",
            "c2sp.org/tlog-proof@v1\nindex 00\n\no\n",
            "c2sp.org/tlog-proof@v1\nindex -1\n\no\n",
            "c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\no\n",
            "c2sp.org/tlog-proof@v1\nindex 0\n",
            "c2sp.org/tlog-proof@v1\nindex 0\nextra AAAA\n\no\n",
            "c2sp.org/tlog-proof@v1\nextra %\nindex 0\n\no\n",
            "c2sp.org/tlog-proof@v1\nextra AAAA\nextra AAAA\nindex 0\n\no\n",
            "c2sp.org/tlog-proof@v1\r\nindex 0\r\n\r\no\n",
            &deep,
            &large,
        ] {
            Proof::parse(text.as_bytes()).expect_err(text);
        }
        Proof::parse(b"c2sp.org/tlog-proof@v1\nindex 0\n\n\xff").expect_err("not UTF-8");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(.|\n){0,80}") {
            let _ = Proof::parse(text.as_bytes());
            let _ = format!("{HEAD}\n{text}").parse::<Proof>();
        }
    }
}
