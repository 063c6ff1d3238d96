// SPDX-License-Identifier: Apache-2.0
//! Signatures that fit, and each way in which they do not.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use p256::ecdsa::DerSignature;
use p256::pkcs8::EncodePublicKey as _;
use registry_schema::Digest;
use registry_schema::signature::{
    Bundle, Fingerprint, IN_TOTO, MAX_BUNDLE, PublicKey, SignatureError, bundle,
    pre_authentication_encoding, simple_signing, statement,
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
