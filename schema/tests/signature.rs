// SPDX-License-Identifier: Apache-2.0
//! Signatures that fit, and each way in which they do not.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use p256::ecdsa::DerSignature;
use p256::pkcs8::EncodePublicKey as _;
use registry_schema::Digest;
use registry_schema::signature::{
    Bundle, Fingerprint, IN_TOTO, KeyType, MAX_BUNDLE, PublicKey, Purpose, SignatureError, Subject,
    attestation, bundle, message_bundle, pre_authentication_encoding, simple_signing, statement,
};

use p256::ecdsa::{SigningKey, signature::Signer as _};

fn pair(seed: u8) -> (SigningKey, PublicKey) {
    let secret = SigningKey::from_slice(&[seed; 32]).expect("a valid scalar");
    let pem = secret
        .verifying_key()
        .to_public_key_pem(p256::pkcs8::LineEnding::CRLF)
        .expect("PEM");
    (secret, PublicKey::from_pem(&pem).expect("public key"))
}

fn signed(secret: &SigningKey, key: &PublicKey, subject: &Digest) -> Vec<u8> {
    let statement = statement(subject);
    let message = pre_authentication_encoding(IN_TOTO, &statement);
    let signature: DerSignature = secret.sign(&message);
    bundle(&key.fingerprint(), &statement, signature.as_bytes())
}

#[test]
fn a_bundle_verifies_with_its_key_and_subject_only() {
    let (secret, key) = pair(7);
    let (_, other) = pair(8);
    let subject = Digest::sha256(b"index");
    let parsed = Bundle::parse(&signed(&secret, &key, &subject)).expect("bundle");
    assert_eq!(parsed.key(), Some(key.fingerprint()));
    assert_eq!(parsed.verify(&key, &subject), Ok(()));
    assert!(matches!(
        parsed.verify(&other, &subject),
        Err(SignatureError::OtherKey { .. })
    ));
    let elsewhere = Digest::sha256(b"other");
    assert!(matches!(
        parsed.verify(&key, &elsewhere),
        Err(SignatureError::OtherSubject { .. })
    ));
}

#[test]
fn every_flipped_byte_is_noticed() {
    let (secret, key) = pair(7);
    let subject = Digest::sha256(b"index");
    let good = signed(&secret, &key, &subject);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let verdict = Bundle::parse(&bad).and_then(|bundle| bundle.verify(&key, &subject));
        assert!(
            verdict.is_err(),
            "byte {at} of {}",
            String::from_utf8_lossy(&bad)
        );
    }
}

#[test]
fn simple_signing_verifies() {
    let (secret, key) = pair(9);
    let subject = Digest::sha256(b"index");
    let payload = simple_signing("localhost/a/b", &subject);
    let signature: DerSignature = secret.sign(&payload);
    let parsed =
        Bundle::parse_simple_signing(&payload, &BASE64_STANDARD.encode(signature.as_bytes()))
            .expect("payload");
    assert_eq!(parsed.key(), None);
    assert_eq!(parsed.verify(&key, &subject), Ok(()));
}

fn ed25519(seed: u8) -> (ed25519_dalek::SigningKey, PublicKey) {
    use ed25519_dalek::pkcs8::EncodePublicKey as _;
    let secret = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
    let pem = secret
        .verifying_key()
        .to_public_key_pem(ed25519_dalek::pkcs8::spki::der::pem::LineEnding::LF)
        .expect("PEM");
    (secret, PublicKey::from_pem(&pem).expect("public key"))
}

#[test]
fn an_ed25519_key_signs_statements_and_files() {
    use ed25519_dalek::Signer as _;
    let (secret, key) = ed25519(7);
    assert_eq!(key.key_type(), KeyType::Ed25519);
    assert_eq!(PublicKey::from_pem(&key.to_pem()).expect("own PEM"), key);
    let subject = Digest::sha256(b"file");
    let claim = statement(&subject);
    let signature = secret.sign(&pre_authentication_encoding(IN_TOTO, &claim));
    let good = bundle(&key.fingerprint(), &claim, &signature.to_bytes());
    let parsed = Bundle::parse(&good).expect("bundle");
    assert_eq!(parsed.verify(&key, &subject), Ok(()));
    let (_, other) = ed25519(8);
    let stolen = bundle(&other.fingerprint(), &claim, &signature.to_bytes());
    let stolen = Bundle::parse(&stolen).expect("bundle");
    assert_eq!(
        stolen.verify(&other, &subject),
        Err(SignatureError::Invalid(other.fingerprint()))
    );

    // Over a file, the whole file is needed.
    let signature = secret.sign(b"file");
    let bytes = message_bundle(&key.fingerprint(), &subject, &signature.to_bytes());
    let parsed = Bundle::parse(&bytes).expect("bundle");
    assert_eq!(
        parsed.fits(&key, (&subject).into()),
        Err(SignatureError::NeedsContent)
    );
    for (content, fits) in [(b"file", true), (b"fool", false)] {
        let subject = Subject {
            digest: &subject,
            content: Some(content),
        };
        assert_eq!(parsed.fits(&key, subject).is_ok(), fits);
    }
}

#[test]
fn a_key_that_anybody_can_sign_for_is_refused() {
    // The neutral element: every message has a signature for it.
    let mut der = vec![
        0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00, 1,
    ];
    der.resize(44, 0);
    assert!(matches!(
        PublicKey::from_der(&der),
        Err(SignatureError::Key(_))
    ));
}

#[test]
fn a_file_is_signed_by_its_digest() {
    let (secret, key) = pair(7);
    let subject = Digest::sha256(b"file");
    let signature: DerSignature = secret.sign(b"file");
    let bytes = message_bundle(&key.fingerprint(), &subject, signature.as_bytes());
    let parsed = Bundle::parse(&bytes).expect("bundle");
    assert_eq!(parsed.verify(&key, &subject), Ok(()));
    let other = Digest::sha256(b"fool");
    assert_eq!(
        parsed.verify(&key, &other),
        Err(SignatureError::Invalid(key.fingerprint()))
    );
    assert!(matches!(
        parsed.claims(&other, Purpose::Signature),
        Err(SignatureError::OtherSubject { .. })
    ));
}

/// A statement, signed rightly, whatever it says.
fn stating(payload: &str) -> Result<(), SignatureError> {
    let (secret, key) = pair(7);
    let message = pre_authentication_encoding(IN_TOTO, payload.as_bytes());
    let signature: DerSignature = secret.sign(&message);
    let bytes = bundle(&key.fingerprint(), payload.as_bytes(), signature.as_bytes());
    Bundle::parse(&bytes)?.verify(&key, &Digest::sha256(b"index"))
}

#[test]
fn what_is_stated_must_be_a_signature_of_one_subject() {
    let subject = Digest::sha256(b"index");
    let good = String::from_utf8(statement(&subject)).expect("UTF-8");
    assert_eq!(stating(&good), Ok(()));
    let hex = subject.hex();
    let two = format!(r#"[{{"digest":{{"sha256":"{hex}"}}}},{{"digest":{{"sha256":"{hex}"}}}}]"#);
    let of = |from: &str, to: &str| {
        let changed = good.replace(from, to);
        assert_ne!(changed, good, "{from}");
        stating(&changed).expect_err(to)
    };
    let one = format!(r#"[{{"annotations":{{}},"digest":{{"sha256":"{hex}"}}}}]"#);
    assert_eq!(of(&one, &two), SignatureError::Subjects { actual: 2 });
    assert_eq!(of(&one, "[]"), SignatureError::Subjects { actual: 0 });
    assert!(matches!(
        of(&one, r#"[{"digest":{}}]"#),
        SignatureError::Malformed(_)
    ));
    assert!(matches!(
        of("cosign/sign/v1", "cosign/sign/v2"),
        SignatureError::PredicateType { .. }
    ));
    assert!(matches!(
        of("in-toto.io/Statement/v1", "in-toto.io/Statement/v9"),
        SignatureError::StatementType { .. }
    ));
    assert!(matches!(
        of(hex, &"0".repeat(64)),
        SignatureError::OtherSubject { .. }
    ));
    // One reader would see the first, another the last.
    let double = format!(r#""sha256":"{}","sha256":"#, "0".repeat(64));
    assert!(matches!(
        of(r#""sha256":"#, &double),
        SignatureError::Malformed(_)
    ));
}

#[test]
fn an_attestation_is_no_signature() {
    let (secret, key) = pair(7);
    let subject = Digest::sha256(b"index");
    let claim = attestation(
        &subject,
        "https://example.com/p",
        &serde_json::json!({"a": 1}),
    );
    let signature: DerSignature = secret.sign(&pre_authentication_encoding(IN_TOTO, &claim));
    let bytes = bundle(&key.fingerprint(), &claim, signature.as_bytes());
    let parsed = Bundle::parse(&bytes).expect("bundle");
    assert!(matches!(
        parsed.verify(&key, &subject),
        Err(SignatureError::PredicateType { .. })
    ));
    assert_eq!(parsed.claims(&subject, Purpose::Attestation), Ok(()));
    let stated = parsed.statement().expect("a statement");
    assert_eq!(stated.predicate, serde_json::json!({"a": 1}));
    // And the other way round.
    let plain = Bundle::parse(&signed(&secret, &key, &subject)).expect("bundle");
    assert!(matches!(
        plain.claims(&subject, Purpose::Attestation),
        Err(SignatureError::PredicateType { .. })
    ));
}

#[test]
fn the_envelope_must_hold_a_statement() {
    let (secret, key) = pair(7);
    let good = signed(&secret, &key, &Digest::sha256(b"index"));
    let good = String::from_utf8(good).expect("UTF-8");
    let of = |from: &str, to: &str| {
        let changed = good.replace(from, to);
        assert_ne!(changed, good, "{from}");
        Bundle::parse(changed.as_bytes()).expect_err(to)
    };
    assert!(matches!(
        of("vnd.in-toto+json", "vnd.other+json"),
        SignatureError::PayloadType { .. }
    ));
    for (from, to) in [
        ("bundle.v0.3+json", "bundle.v9.9+json"),
        (r#""publicKey""#, r#""certificate":{},"publicKey""#),
        (r#""publicKey""#, r#""publicKez""#),
        (r#""hint""#, r#""hind""#),
        (
            r#""dsseEnvelope""#,
            r#""messageSignature":{},"dsseEnvelope""#,
        ),
        (r#""payload""#, r#""payload":"AAAA","payload""#),
        (r#""sig""#, r#""gis""#),
    ] {
        assert!(matches!(of(from, to), SignatureError::Malformed(_)), "{to}");
    }
}

#[test]
fn keys_and_fingerprints_round_trip() {
    let (_, key) = pair(7);
    assert_eq!(PublicKey::from_pem(&key.to_pem()).expect("own PEM"), key);
    let fingerprint = key.fingerprint();
    assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    assert_eq!(Fingerprint::from_hint(&fingerprint.hint()), Ok(fingerprint));
    for text in ["", "SHA256:", "SHA256:AAAA", "sha256:x", "MD5:00"] {
        assert!(text.parse::<Fingerprint>().is_err(), "{text}");
    }
}

#[test]
fn hostile_bundles_are_refused() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    for bytes in [
        "",
        "{}",
        "[]",
        "null",
        "{\"mediaType\":1}",
        "\u{feff}{}",
        &deep,
        &" ".repeat(MAX_BUNDLE + 1),
    ] {
        assert!(Bundle::parse(bytes.as_bytes()).is_err());
    }
}
