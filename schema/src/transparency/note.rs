// SPDX-License-Identifier: Apache-2.0
//! Signed notes (C2SP `signed-note`): a text, and below it lines with signatures, each by a
//! named Ed25519 key. A key of type 1 signs the text itself; a key of type 4 is a witness,
//! which signs a time and the text (cosignature/v1 of C2SP `tlog-cosignature`).

use std::{fmt, str::FromStr};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signature, Signer as _, VerifyingKey, pkcs8::DecodePrivateKey as _};
use sha2::{Digest as _, Sha256};

use crate::digest::shorten;

/// Largest note, in bytes.
pub const MAX_NOTE: usize = 64 * 1024;
/// Most signatures of a note.
pub const MAX_SIGNATURES: usize = 100;
/// Longest name of a key, in bytes.
pub const MAX_NAME: usize = 255;
/// What stands before a signature.
const DASH: &str = "— ";

/// Why a note or a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum NoteError {
    /// The note is larger than the limit.
    #[error("the note is {actual} bytes; the limit is {MAX_NOTE}")]
    TooLarge { actual: usize },
    /// The bytes are no note.
    #[error("the note is malformed: {0}")]
    Malformed(&'static str),
    /// The text is no name of a key.
    #[error(
        "`{0}` is no name of a key: 1 to {MAX_NAME} bytes without white space and `+` are needed"
    )]
    Name(String),
    /// The text is no verifier key.
    #[error("`{text}` is no verifier key, `name+hash+base64` with an Ed25519 key: {reason}")]
    Key { text: String, reason: &'static str },
    /// Nobody signed the note who could be checked.
    #[error("the note is not signed by {0}")]
    NotSigned(String),
    /// A signature does not fit the text.
    #[error("the signature of {0} does not fit: the note or the signature was changed")]
    Invalid(String),
}

/// A signature of a note that is not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine {
    name: String,
    id: [u8; 4],
    bytes: Vec<u8>,
}

impl SignatureLine {
    /// The name of the key that it says it is by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it says that it is by `key`.
    pub fn is_by(&self, key: &VerifierKey) -> bool {
        self.name == key.name && self.id == key.id()
    }
}

impl fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<u8> = self.id.iter().chain(&self.bytes).copied().collect();
        write!(f, "{DASH}{} {}", self.name, BASE64_STANDARD.encode(bytes))
    }
}

impl FromStr for SignatureLine {
    type Err = NoteError;

    fn from_str(line: &str) -> Result<Self, NoteError> {
        let wrong = NoteError::Malformed("a signature is not `— name base64`");
        let parts = line
            .strip_prefix(DASH)
            .and_then(|rest| rest.split_once(' '));
        let (name, base64) = parts.ok_or_else(|| wrong.clone())?;
        check_name(name)?;
        let bytes = BASE64_STANDARD.decode(base64).map_err(|_| wrong.clone())?;
        match bytes.split_first_chunk() {
            Some((id, rest)) if !rest.is_empty() => Ok(Self {
                name: name.to_owned(),
                id: *id,
                bytes: rest.to_vec(),
            }),
            _ => Err(wrong),
        }
    }
}

/// A text with signatures that are not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<SignatureLine>,
}

impl Note {
    /// A note without signatures; `text` ends in a line feed.
    ///
    /// # Errors
    /// [`NoteError::Malformed`], [`NoteError::TooLarge`].
    pub fn new(text: String) -> Result<Self, NoteError> {
        check_text(&text)?;
        let signatures = Vec::new();
        Ok(Self { text, signatures })
    }

    /// Reads a note with at least one signature.
    ///
    /// # Errors
    /// [`NoteError::TooLarge`], [`NoteError::Malformed`], [`NoteError::Name`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        let actual = bytes.len();
        if actual > MAX_NOTE {
            return Err(NoteError::TooLarge { actual });
        }
        let whole = str::from_utf8(bytes).map_err(|_| NoteError::Malformed("it is not UTF-8"))?;
        check_text(whole)?;
        let end = whole
            .rfind("\n\n")
            .ok_or(NoteError::Malformed("there is no blank line"))?;
        let (text, lines) = (&whole[..=end], &whole[end + 2..]);
        if lines.is_empty() {
            return Err(NoteError::Malformed("it has no signature"));
        }
        let lines: Vec<_> = lines.split_terminator('\n').collect();
        if lines.len() > MAX_SIGNATURES {
            return Err(NoteError::Malformed("it has more than 100 signatures"));
        }
        let signatures = lines
            .into_iter()
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            text: text.to_owned(),
            signatures,
        })
    }

    /// The text, with its last line feed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, unchecked.
    pub fn signatures(&self) -> &[SignatureLine] {
        &self.signatures
    }

    /// Adds a signature, unless it is there.
    pub fn add(&mut self, signature: SignatureLine) {
        if !self.signatures.contains(&signature) {
            self.signatures.push(signature);
        }
    }

    /// Demands that `key` signed, and says when, if it is a witness: in seconds since 1970.
    ///
    /// # Errors
    /// [`NoteError::NotSigned`]; [`NoteError::Invalid`] if any signature in the name of the
    /// key does not fit.
    pub fn verify(&self, key: &VerifierKey) -> Result<Option<u64>, NoteError> {
        let mut found = None;
        for line in &self.signatures {
            if line.is_by(key) {
                found = Some(key.check(&self.text, &line.bytes)?);
            }
        }
        found.ok_or_else(|| NoteError::NotSigned(key.to_string()))
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures
            .iter()
            .try_for_each(|line| writeln!(f, "{line}"))
    }
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if text.len() > MAX_NOTE {
        return Err(NoteError::TooLarge { actual: text.len() });
    }
    if !text.ends_with('\n') {
        return Err(NoteError::Malformed("it does not end in a line feed"));
    }
    if text.bytes().any(|byte| byte < b' ' && byte != b'\n') {
        return Err(NoteError::Malformed("it has control characters"));
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), NoteError> {
    let strange = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if (1..=MAX_NAME).contains(&name.len()) && !name.contains(strange) {
        Ok(())
    } else {
        Err(NoteError::Name(shorten(name)))
    }
}

/// What the signatures of a key are over; its number is the type of C2SP `signed-note`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum KeyKind {
    /// The text of the note.
    Text = 1,
    /// A time and the text: a witness.
    Witness = 4,
}

/// A key that notes are checked with, written `name+hash+base64`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    key: VerifyingKey,
}

impl VerifierKey {
    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its signatures are over.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The first four bytes of SHA-256 over name, line feed, type and key.
    fn id(&self) -> [u8; 4] {
        let hash = Sha256::new()
            .chain_update(&self.name)
            .chain_update([b'\n', self.kind as u8])
            .chain_update(self.key.as_bytes())
            .finalize();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    fn check(&self, text: &str, bytes: &[u8]) -> Result<Option<u64>, NoteError> {
        let invalid = || NoteError::Invalid(self.name.clone());
        let signed = |message: &str, bytes: &[u8]| {
            let signature = Signature::from_slice(bytes).map_err(|_| invalid())?;
            let checked = self.key.verify_strict(message.as_bytes(), &signature);
            checked.map_err(|_| invalid())
        };
        match self.kind {
            KeyKind::Text => signed(text, bytes).map(|()| None),
            KeyKind::Witness => {
                let (time, rest) = bytes.split_first_chunk().ok_or_else(invalid)?;
                let time = u64::from_be_bytes(*time);
                if i64::try_from(time).is_err() {
                    return Err(invalid());
                }
                signed(&cosigned(time, text), rest)?;
                Ok(Some(time))
            }
        }
    }
}

/// What a witness signs.
fn cosigned(time: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![self.kind as u8];
        bytes.extend_from_slice(self.key.as_bytes());
        let id = hex::encode(self.id());
        write!(f, "{}+{id}+{}", self.name, BASE64_STANDARD.encode(bytes))
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let wrong = |reason| NoteError::Key {
            text: shorten(text),
            reason,
        };
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(base64)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong("it does not have three parts"));
        };
        check_name(name)?;
        let bytes = BASE64_STANDARD
            .decode(base64)
            .map_err(|_| wrong("the key is no base64"))?;
        let (kind, key) = match bytes.split_first() {
            Some((1, key)) => (KeyKind::Text, key),
            Some((4, key)) => (KeyKind::Witness, key),
            _ => return Err(wrong("its type is neither 1 nor 4")),
        };
        let key = key
            .try_into()
            .map_err(|_| wrong("the key is not 32 bytes long"))?;
        let key = VerifyingKey::from_bytes(key).map_err(|_| wrong("the key is no point"))?;
        let name = name.to_owned();
        let read = Self { name, kind, key };
        if hex::encode(read.id()) == id {
            Ok(read)
        } else {
            Err(wrong("its hash is not that of name and key"))
        }
    }
}

impl TryFrom<String> for VerifierKey {
    type Error = NoteError;

    fn try_from(text: String) -> Result<Self, NoteError> {
        text.parse()
    }
}

impl From<VerifierKey> for String {
    fn from(key: VerifierKey) -> Self {
        key.to_string()
    }
}

impl serde::Serialize for VerifierKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for VerifierKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A named private key that signs notes.
#[derive(Clone)]
pub struct SigningKey {
    name: String,
    key: ed25519_dalek::SigningKey,
}

impl SigningKey {
    /// The key that RFC 8032 derives from 32 secret bytes.
    ///
    /// # Errors
    /// [`NoteError::Name`] if a key cannot be called `name`.
    pub fn new(name: &str, secret: &[u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        Ok(Self {
            name: name.to_owned(),
            key: ed25519_dalek::SigningKey::from_bytes(secret),
        })
    }

    /// Reads a PKCS #8 PEM with an Ed25519 key, as `openssl genpkey -algorithm ed25519`
    /// writes it.
    ///
    /// # Errors
    /// [`NoteError::Name`]; [`NoteError::Malformed`] if it is no such key.
    pub fn from_pem(name: &str, pem: &str) -> Result<Self, NoteError> {
        check_name(name)?;
        let key = ed25519_dalek::SigningKey::from_pkcs8_pem(pem)
            .map_err(|_| NoteError::Malformed("it is no PKCS #8 PEM with an Ed25519 key"))?;
        let name = name.to_owned();
        Ok(Self { name, key })
    }

    /// What its signatures are checked with.
    pub fn verifier(&self, kind: KeyKind) -> VerifierKey {
        VerifierKey {
            name: self.name.clone(),
            kind,
            key: self.key.verifying_key(),
        }
    }

    /// Signs the text of a note. The same text always gets the same signature.
    pub fn sign(&self, text: &str) -> SignatureLine {
        self.line(
            KeyKind::Text,
            self.key.sign(text.as_bytes()).to_bytes().to_vec(),
        )
    }

    /// Signs, as a witness, that the text was seen at `time`, in seconds since 1970.
    pub fn cosign(&self, text: &str, time: u64) -> SignatureLine {
        let signature = self.key.sign(cosigned(time, text).as_bytes());
        let mut bytes = time.to_be_bytes().to_vec();
        bytes.extend_from_slice(&signature.to_bytes());
        self.line(KeyKind::Witness, bytes)
    }

    fn line(&self, kind: KeyKind, bytes: Vec<u8>) -> SignatureLine {
        SignatureLine {
            name: self.name.clone(),
            id: self.verifier(kind).id(),
            bytes,
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of golang.org/x/mod/sumdb/note.
    const EXAMPLE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\
        \n\
        — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    #[test]
    fn the_known_example_verifies_and_is_made_again() {
        let note = Note::parse(EXAMPLE.as_bytes()).expect("note");
        let key: VerifierKey = KEY.parse().expect("key");
        assert_eq!(note.verify(&key), Ok(None));
        assert_eq!(note.to_string(), EXAMPLE);
        assert_eq!(key.to_string(), KEY);
        // PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz
        let secret = BASE64_STANDARD
            .decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")
            .expect("base64");
        let secret = secret[1..].try_into().expect("32 bytes");
        let signer = SigningKey::new("PeterNeumann", secret).expect("name");
        assert_eq!(signer.verifier(KeyKind::Text), key);
        let mut made = Note::new(note.text().to_owned()).expect("text");
        made.add(signer.sign(note.text()));
        made.add(signer.sign(note.text()));
        assert_eq!(made.to_string(), EXAMPLE);
    }

    #[test]
    fn a_witness_says_when() {
        let witness = SigningKey::new("witness.example/w1", &[7; 32]).expect("name");
        let log = SigningKey::new("log.example", &[8; 32]).expect("name");
        let mut note = Note::new("log.example\n1\nAAAA\n".to_owned()).expect("text");
        note.add(log.sign(note.text()));
        let key = witness.verifier(KeyKind::Witness);
        assert_eq!(
            note.verify(&key),
            Err(NoteError::NotSigned(key.to_string()))
        );
        note.add(witness.cosign(note.text(), 1_679_315_147));
        assert_eq!(note.verify(&key), Ok(Some(1_679_315_147)));
        // The same key as one that signs texts is another key.
        assert!(matches!(
            note.verify(&witness.verifier(KeyKind::Text)),
            Err(NoteError::NotSigned(_))
        ));
        let again = Note::parse(note.to_string().as_bytes()).expect("note");
        assert_eq!(again, note);
        // Another time with the same signature.
        let mut line = witness.cosign(note.text(), 5);
        line.bytes[7] ^= 1;
        let mut other = Note::new(note.text().to_owned()).expect("text");
        other.add(line);
        assert_eq!(
            other.verify(&key),
            Err(NoteError::Invalid(key.name.clone()))
        );
    }

    #[test]
    fn hostile_notes_are_refused() {
        let line = "— a AAAAAAA=\n";
        let many = format!("x\n\n{}", line.repeat(101));
        let large = format!("{}\n\n{line}", "x".repeat(MAX_NOTE));
        for text in [
            "",
            "\n",
            "\n\n",
            "x",
            "x\n",
            "x\n\n",
            "x\n\n\n",
            "x\n\n— a\n",
            "x\n\n— a \n",
            "x\n\n— a AAAA\n",
            "x\n\n— a AAAAAA==\n",
            "x\n\n— a %\n",
            "x\n\n-- a AAAAAAA=\n",
            "x\n\n— a+b AAAAAAA=\n",
            "x\n\n—  AAAAAAA=\n",
            "x\n\n— a AAAAAAA=",
            "x\r\n\n— a AAAAAAA=\n",
            "x\0\n\n— a AAAAAAA=\n",
            "x\n\n— a AAAAAAA=\n\n",
            "x\n\n— a\u{2003}b AAAAAAA=\n",
            &many,
            &large,
        ] {
            Note::parse(text.as_bytes()).expect_err(text);
        }
        Note::parse(b"x\xff\n\n\xe2\x80\x94 a AAAAAAA=\n").expect_err("not UTF-8");
        // A text may itself hold a blank line and what looks like a signature.
        let nested = format!("x\n\n{line}\n{line}");
        assert_eq!(
            Note::parse(nested.as_bytes()).expect("note").text(),
            format!("x\n\n{line}")
        );
    }

    #[test]
    fn hostile_keys_are_refused() {
        let zero = BASE64_STANDARD.encode([&[1_u8][..], &[0xff; 32]].concat());
        for text in [
            "",
            "+",
            "++",
            "a+b",
            "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "peterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T",
            "PeterNeumann+c74f20a3+AhpcOQcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "a+00000000+AQ==",
            &format!("a+00000000+{zero}"),
            &"a+".repeat(100_000),
        ] {
            assert!(
                text.parse::<VerifierKey>()
                    .expect_err(text)
                    .to_string()
                    .len()
                    < 700
            );
        }
        let long = "n".repeat(MAX_NAME + 1);
        for name in ["", "a b", "a+b", "a\nb", "a\u{a0}b", &long] {
            SigningKey::new(name, &[1; 32]).expect_err(name);
        }
    }

    proptest! {
        #[test]
        fn one_flipped_bit_is_noticed(at in 0..EXAMPLE.len(), bit in 0..8) {
            let mut bytes = EXAMPLE.as_bytes().to_vec();
            bytes[at] ^= 1_u8 << bit;
            let key: VerifierKey = KEY.parse().expect("key");
            let verdict = Note::parse(&bytes).and_then(|note| note.verify(&key));
            prop_assert!(verdict.is_err());
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, text in ".{0,80}") {
            let _ = Note::parse(&bytes);
            let _ = Note::parse(format!("{text}\n\n— {text}\n").as_bytes());
            let _ = text.parse::<VerifierKey>();
        }
    }
}
