// SPDX-License-Identifier: Apache-2.0
//! Signatures by key: one fault at a time, and bytes from strangers.

use registry_client::{
    pull::{Blob, FetchedSignature, SimpleSigning},
    sign::KeyPair,
    verify::signature::{Evidence, Roots, SignatureFault as Fault, Signer, judge, judge_file},
};
use registry_schema::{
    Digest,
    signature::{
        KeyType, MAX_BUNDLE, PublicKey, SignatureError, bundle, simple_signing, statement,
    },
};
use sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT;

fn pair(kind: KeyType) -> (KeyPair, PublicKey) {
    let pair = KeyPair::generate(kind).expect("a key");
    let public = pair.public().clone();
    (pair, public)
}

fn judged(bundle: &[u8], keys: &[PublicKey]) -> Result<Signer, Fault> {
    let bundle = FetchedSignature::Bundle(Blob(bundle.to_vec()));
    judge(&bundle, &Digest::sha256(b"index"), keys, &Roots::default())
}

#[test]
fn each_fault_of_a_signature_by_key_has_its_own_name() {
    let subject = Digest::sha256(b"index");
    for kind in [KeyType::EcdsaP256, KeyType::Ed25519] {
        let (alice, a) = pair(kind);
        let (_, b) = pair(kind);
        let good = alice.sign_statement(&statement(&subject)).expect("signed");
        let signer = judged(&good, &[b.clone(), a.clone()]).expect("the truth");
        assert_eq!(signer.identity, a.fingerprint().into());
        assert_eq!(signer.evidence, [Evidence::Key].into());
        assert_eq!(signer.signed_at, None);

        let named = a.fingerprint();
        assert!(matches!(
            judged(&good, std::slice::from_ref(&b)),
            Err(Fault::UnknownKey { named: Some(key) }) if key == named
        ));
        let text = String::from_utf8(good).expect("UTF-8");
        let stolen = text.replace(&named.hint(), &b.fingerprint().hint());
        assert!(matches!(
            judged(stolen.as_bytes(), &[a.clone(), b.clone()]),
            Err(Fault::Signature(SignatureError::Invalid(key))) if key == b.fingerprint()
        ));
        let claim = statement(&Digest::sha256(b"other"));
        let elsewhere = alice.sign_statement(&claim).expect("signed");
        assert!(matches!(
            judged(&elsewhere, std::slice::from_ref(&a)),
            Err(Fault::Signature(SignatureError::OtherSubject { .. }))
        ));
        let garbled = bundle(&named, &statement(&subject), b"no signature");
        assert!(matches!(
            judged(&garbled, &[a]),
            Err(Fault::Signature(SignatureError::Invalid(_)))
        ));
    }
}

/// A key that signs one kind of document must not be taken to have signed another (T11).
#[test]
fn one_kind_of_signature_is_not_another() {
    let subject = Digest::sha256(b"index");
    for kind in [KeyType::EcdsaP256, KeyType::Ed25519] {
        let (alice, key) = pair(kind);
        // The raw statement, not its encoding; and a payload that stands in for it.
        let claim = statement(&subject);
        let raw = bundle(
            &key.fingerprint(),
            &claim,
            &alice.sign(&claim).expect("signed"),
        );
        assert!(matches!(
            judged(&raw, std::slice::from_ref(&key)),
            Err(Fault::Signature(SignatureError::Invalid(_)))
        ));
        let payload = simple_signing("localhost/demo/counter", &subject);
        let signature = alice.sign(&payload).expect("signed");
        let swapped = bundle(&key.fingerprint(), &payload, &signature);
        assert!(matches!(
            judged(&swapped, std::slice::from_ref(&key)),
            Err(Fault::Signature(_))
        ));
        let bytes = bundle(&key.fingerprint(), &claim, &signature);
        let file = judge_file(&bytes, &payload, &[key], &Roots::default());
        assert!(matches!(
            file,
            Err(Fault::Signature(SignatureError::Invalid(_)))
        ));
    }
}

#[test]
fn bytes_from_strangers_are_refused_and_nothing_else_happens() {
    let (alice, key) = pair(KeyType::EcdsaP256);
    let good = alice
        .sign_statement(&statement(&Digest::sha256(b"index")))
        .expect("signed");
    let good = String::from_utf8(good).expect("UTF-8");
    let keyless = good.replace("\"publicKey\"", "\"certificate\"");
    let roots = Roots::parse([SIGSTORE_PRODUCTION_TRUSTED_ROOT]).expect("the public root");
    let texts = [
        String::new(),
        "null".to_owned(),
        "{".repeat(100_000),
        "[".repeat(100_000) + &"]".repeat(100_000),
        " ".repeat(MAX_BUNDLE + 1),
        good.replace("\"payloadType\"", "\"payloadType\":\"a\",\"payloadType\""),
        good.replace("\"signatures\":[", "\"signatures\":[{},"),
        good.replace("\"verificationMaterial\"", "\"verificationMateriel\""),
        keyless.clone(),
        keyless.replace("\"hint\"", "\"rawBytes\""),
        format!("\u{feff}{good}"),
    ];
    for text in texts {
        let bundle = FetchedSignature::Bundle(Blob(text.clone().into_bytes()));
        let verdict = judge(
            &bundle,
            &Digest::sha256(b"index"),
            std::slice::from_ref(&key),
            &roots,
        );
        assert!(verdict.is_err(), "{}", &text[..text.len().min(120)]);
    }

    let subject = Digest::sha256(b"index");
    let payload = simple_signing("localhost/demo/counter", &subject);
    let simple = SimpleSigning {
        payload: Blob(payload),
        signature: "AAAA".to_owned(),
        certificate: None,
        log_entry: None,
        timestamp: None,
    };
    let some = |text: &str| Some(text.to_owned());
    let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let entry = r#"{"SignedEntryTimestamp":"","Payload":{"body":"e30=","integratedTime":-1,"logIndex":-1,"logID":"zz"}}"#;
    for change in [
        (some("no certificate"), None, None),
        (some(certificate), None, None),
        (some(certificate), some("{}"), None),
        (some(certificate), some(entry), None),
        (None, some(&"[".repeat(100_000)), None),
        (None, None, some("{\"SignedRFC3161Timestamp\":\"AAAA\"}")),
        (None, None, some(&" ".repeat(MAX_BUNDLE + 1))),
        (None, None, None),
    ] {
        let (certificate, log_entry, timestamp) = change;
        let simple = SimpleSigning {
            certificate,
            log_entry,
            timestamp,
            ..simple.clone()
        };
        let verdict = judge(
            &FetchedSignature::SimpleSigning(simple),
            &subject,
            std::slice::from_ref(&key),
            &roots,
        );
        assert!(verdict.is_err());
    }
}
