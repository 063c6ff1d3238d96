// SPDX-License-Identifier: Apache-2.0
//! In-toto statements: what a signature says about its subject.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{SIGN_PREDICATE, STATEMENT, STATEMENT_V01, SignatureError, json, malformed};
use crate::digest::{Digest, shorten};

/// A statement about exactly one subject (in-toto attestation framework, statement v1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    digests: BTreeMap<String, String>,
    /// The URI of what is said.
    pub predicate_type: String,
    /// What is said.
    pub predicate: Value,
}

impl Statement {
    /// Reads the payload of an envelope.
    ///
    /// # Errors
    /// [`SignatureError::StatementType`], [`SignatureError::Subjects`],
    /// [`SignatureError::TooLarge`] or [`SignatureError::Malformed`].
    pub fn parse(payload: &[u8]) -> Result<Self, SignatureError> {
        let mut statement = json::parse(payload)?;
        let kind = json::text(&statement, "/_type")?;
        if ![STATEMENT, STATEMENT_V01].contains(&kind) {
            let actual = shorten(kind);
            return Err(SignatureError::StatementType { actual });
        }
        let predicate_type = json::text(&statement, "/predicateType")?.to_owned();
        let subjects = statement.pointer("/subject").and_then(Value::as_array);
        let subjects = subjects.ok_or_else(|| malformed("`subject` is no list".to_owned()))?;
        let [subject] = subjects.as_slice() else {
            let actual = subjects.len();
            return Err(SignatureError::Subjects { actual });
        };
        let digests = subject.get("digest").and_then(Value::as_object);
        let digests = digests
            .into_iter()
            .flatten()
            .filter_map(|(algorithm, hex)| Some((algorithm.clone(), hex.as_str()?.to_owned())))
            .collect::<BTreeMap<_, _>>();
        if digests.is_empty() {
            return Err(malformed(
                "the statement's subject has no digest".to_owned(),
            ));
        }
        let predicate = statement.get_mut("predicate").map(Value::take);
        Ok(Self {
            digests,
            predicate_type,
            predicate: predicate.unwrap_or_default(),
        })
    }

    /// Checks that the statement is about `subject`.
    pub(super) fn check_subject(&self, subject: &Digest) -> Result<(), SignatureError> {
        let found = self.digests.get(subject.algorithm().as_str());
        if found.is_some_and(|hex| hex == subject.hex()) {
            return Ok(());
        }
        let first = found
            .map(|hex| (subject.algorithm().as_str(), hex.as_str()))
            .or_else(|| {
                let (algorithm, hex) = self.digests.iter().next()?;
                Some((algorithm.as_str(), hex.as_str()))
            });
        let actual =
            first.map_or_else(String::new, |(algorithm, hex)| format!("{algorithm}:{hex}"));
        Err(SignatureError::OtherSubject {
            expected: subject.clone(),
            actual: shorten(&actual),
        })
    }
}

/// The statement that says "this digest", exactly as it is signed.
pub fn statement(subject: &Digest) -> Vec<u8> {
    attestation(subject, SIGN_PREDICATE, &json!({}))
}

/// The statement that says `predicate` of a digest, exactly as it is signed.
pub fn attestation(subject: &Digest, predicate_type: &str, predicate: &Value) -> Vec<u8> {
    let name = subject.algorithm().as_str();
    let statement = json!({
        "_type": STATEMENT,
        "predicate": predicate,
        "predicateType": predicate_type,
        "subject": [{"annotations": {}, "digest": {name: subject.hex()}}],
    });
    statement.to_string().into_bytes()
}
