// SPDX-License-Identifier: Apache-2.0
//! Who signs, who may, who goes on, and who stands behind a namespace, as anything: no panic,
//! what is read is written the same, and a statement of continuity names its successor's key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry_schema::{
    Identity, continuity::Continuity, namespace_identity::NewProof, signature::Statement,
    trust::policy::SignerPattern,
};

/// Whoever is named, is found by his own name.
fn named(text: &str) {
    if let Ok(identity) = text.parse::<Identity>() {
        assert_eq!(identity.to_string().parse(), Ok(identity));
    }
    // The input is also a pattern and somebody, with a zero byte between them.
    let (pattern, somebody) = text.split_once('\0').unwrap_or((text, text));
    let Ok(pattern) = pattern.parse::<SignerPattern>() else {
        return;
    };
    assert_eq!(pattern.to_string().parse(), Ok(pattern.clone()));
    if let Ok(somebody) = somebody.parse::<Identity>() {
        let fits = pattern.matches(&somebody);
        assert!(fits || pattern.to_string() != somebody.to_string());
    }
}

/// Whatever was said, is read again as it was written.
fn said(continuity: &Continuity) {
    let statement = Statement::parse(&continuity.statement()).expect("it is one");
    assert_eq!(Continuity::read(&statement).as_ref(), Ok(continuity));
    let Continuity { registry, namespace, signer, successor, at, .. } = continuity;
    match continuity.check(registry, namespace, signer, *at) {
        Ok(Some(key)) => assert_eq!(Identity::Key(key.fingerprint()), *successor),
        Ok(None) => assert!(matches!(successor, Identity::Oidc(_))),
        Err(_) => {}
    }
    assert!(continuity.check("h", namespace, signer, *at).is_err() || registry == "h");
    let _ = continuity.check(registry, namespace, signer, chrono::DateTime::UNIX_EPOCH);
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        named(text);
    }
    if let Ok(statement) = Statement::parse(data)
        && let Ok(continuity) = Continuity::read(&statement)
    {
        said(&continuity);
    }
    // What a statement could hold is reached without the statement around it.
    if let Ok(continuity) = serde_json::from_slice::<Continuity>(data) {
        said(&continuity);
    }
    if let Ok(proof) = serde_json::from_slice::<NewProof>(data) {
        let written = serde_json::to_vec(&proof).expect("it was JSON");
        assert_eq!(serde_json::from_slice::<NewProof>(&written).expect("it was one"), proof);
    }
});
