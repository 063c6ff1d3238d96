// SPDX-License-Identifier: Apache-2.0
//! Keyless signatures of a Sigstore instance of our own, with one fault at a time, each
//! refused for its own reason.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use registry_client::{
    pull::{Blob, FetchedSignature},
    sign::{Keyless, RekorVersion, Services, Signatory},
    verify::signature::{Roots, SignatureFault as Fault, Signer, judge, judge_attestation},
};
use registry_schema::{
    Digest,
    signature::{SignatureError, attestation, statement},
};
use serde_json::{Value, json};

use crate::instance::{Instance, SUBJECT, token};

const DSSE: &str = "/dsseEnvelope/signatures/0/sig";
const PAYLOAD: &str = "/dsseEnvelope/payload";
const CERTIFICATE: &str = "/verificationMaterial/certificate/rawBytes";
const ENTRY: &str = "/verificationMaterial/tlogEntries/0";
const STAMP: &str =
    "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp";

fn subject() -> Digest {
    Digest::sha256(b"index")
}

fn keyless(instance: &Instance, version: RekorVersion, path: &str) -> Signatory {
    let services = Services {
        fulcio: instance.url.clone(),
        rekor: format!("{}{path}", instance.url),
        rekor_version: version,
        tsa: (version == RekorVersion::V2).then(|| instance.tsa.clone()),
    };
    let keyless = Keyless::new(&services, &token(SUBJECT)).expect("a token");
    Signatory::Keyless(Box::new(keyless))
}

async fn sign(instance: &Instance, version: RekorVersion, statement: &[u8]) -> Value {
    let signatory = keyless(instance, version, "");
    let bundle = signatory.sign_statement(statement).await.expect("signed");
    serde_json::from_slice(&bundle).expect("JSON")
}

fn roots(instance: &Instance) -> Roots {
    let root = std::fs::read(&instance.root).expect("a root");
    Roots::parse([root]).expect("a root")
}

fn judged(bundle: &Value, roots: &Roots) -> Result<Signer, Fault> {
    let bundle = FetchedSignature::Bundle(Blob(bundle.to_string().into_bytes()));
    judge(&bundle, &subject(), &[], roots)
}

/// The bundle with one byte of the base64 at `pointer` flipped, counted from the end.
fn flipped(bundle: &Value, pointer: &str, from_end: usize) -> Value {
    let mut bundle = bundle.clone();
    let place = bundle.pointer_mut(pointer).expect(pointer);
    let mut bytes = BASE64_STANDARD
        .decode(place.as_str().expect("text"))
        .expect("base64");
    let at = bytes.len() - from_end;
    bytes[at] ^= 1;
    *place = BASE64_STANDARD.encode(bytes).into();
    bundle
}

fn with(bundle: &Value, pointer: &str, value: Value) -> Value {
    let mut bundle = bundle.clone();
    *bundle.pointer_mut(pointer).expect(pointer) = value;
    bundle
}

macro_rules! refused {
    ($bundle:expr, $roots:expr, $pattern:pat) => {
        let verdict = judged(&$bundle, &$roots);
        assert!(matches!(verdict, Err($pattern)), "{verdict:?}");
    };
}

#[tokio::test]
async fn each_fault_of_a_signature_in_a_log_has_its_own_name() {
    let (Some(instance), Some(other)) = (Instance::start(), Instance::start()) else {
        return;
    };
    let trusted = roots(&instance);
    let good = sign(&instance, RekorVersion::V1, &statement(&subject())).await;
    judged(&good, &trusted).expect("the truth");

    refused!(flipped(&good, DSSE, 1), trusted, Fault::Invalid(_));
    refused!(flipped(&good, PAYLOAD, 5), trusted, Fault::Signature(_));
    refused!(
        flipped(&good, CERTIFICATE, 1),
        trusted,
        Fault::UntrustedCertificate(_)
    );
    let kind = with(
        &good,
        "/dsseEnvelope/payloadType",
        json!("application/json"),
    );
    refused!(
        kind,
        trusted,
        Fault::Signature(SignatureError::PayloadType { .. })
    );
    let promise = format!("{ENTRY}/inclusionPromise/signedEntryTimestamp");
    refused!(flipped(&good, &promise, 1), trusted, Fault::LogPromise(_));
    let time = with(
        &good,
        &format!("{ENTRY}/integratedTime"),
        json!("1700000000"),
    );
    refused!(time, trusted, Fault::LogPromise(_));
    let hash = format!("{ENTRY}/inclusionProof/hashes/0");
    refused!(flipped(&good, &hash, 1), trusted, Fault::LogProof(_));
    let index = with(
        &good,
        &format!("{ENTRY}/inclusionProof/logIndex"),
        json!("0"),
    );
    refused!(index, trusted, Fault::LogProof(_));
    let checkpoint = format!("{ENTRY}/inclusionProof/checkpoint/envelope");
    let note = good
        .pointer(&checkpoint)
        .and_then(Value::as_str)
        .expect("a note");
    let at = note.trim_end().len() - 6;
    let mut forged = note.to_owned();
    let byte = if &note[at..=at] == "A" { "B" } else { "A" };
    forged.replace_range(at..=at, byte);
    let forged = with(&good, &checkpoint, json!(forged));
    refused!(forged, trusted, Fault::Checkpoint(_));
    let bare = with(&good, "/verificationMaterial/tlogEntries", json!([]));
    refused!(bare, trusted, Fault::Form(_));
    let log = with(
        &good,
        &format!("{ENTRY}/logId/keyId"),
        json!("A".repeat(43) + "="),
    );
    refused!(log, trusted, Fault::UnknownLog(_));
    let entry = sign(
        &instance,
        RekorVersion::V1,
        &statement(&Digest::sha256(b"x")),
    )
    .await;
    let entry = entry.pointer(ENTRY).expect("an entry").clone();
    refused!(with(&good, ENTRY, entry), trusted, Fault::OtherLogEntry(_));

    refused!(good, Roots::default(), Fault::NoRoot);
    refused!(good, roots(&other), Fault::UnknownLog(_));
    // Beside the right root, a foreign one changes nothing.
    let documents = [&other.root, &instance.root].map(|path| std::fs::read(path).expect("a root"));
    let both = Roots::parse(documents).expect("roots");
    judged(&good, &both).expect("the truth");
    refused!(flipped(&good, DSSE, 1), both, Fault::Invalid(_));
}

#[tokio::test]
async fn a_root_must_name_every_authority() {
    let (Some(instance), Some(other)) = (Instance::start(), Instance::start()) else {
        return;
    };
    let read = |instance: &Instance| -> Value {
        serde_json::from_slice(&std::fs::read(&instance.root).expect("a root")).expect("JSON")
    };
    let (ours, theirs) = (read(&instance), read(&other));
    let mixed = |part: &str| {
        let mut root = ours.clone();
        root[part] = theirs[part].clone();
        Roots::parse([root.to_string()]).expect("a root")
    };
    let v1 = sign(&instance, RekorVersion::V1, &statement(&subject())).await;
    let v2 = sign(&instance, RekorVersion::V2, &statement(&subject())).await;
    refused!(
        v1,
        mixed("certificateAuthorities"),
        Fault::UntrustedCertificate(_)
    );
    refused!(v1, mixed("ctlogs"), Fault::CertificateLog(_));
    refused!(v1, mixed("tlogs"), Fault::UnknownLog(_));
    refused!(v2, mixed("timestampAuthorities"), Fault::Timestamp(_));
    // Whose certificates were issued before the authority began is nobody.
    let mut late = ours.clone();
    late["certificateAuthorities"][0]["validFor"]["start"] = json!("2090-01-01T00:00:00Z");
    let late = Roots::parse([late.to_string()]).expect("a root");
    refused!(v1, late, Fault::UntrustedCertificate(_));
    let mut ended = ours.clone();
    ended["timestampAuthorities"][0]["validFor"]["end"] = json!("2021-01-01T00:00:00Z");
    let ended = Roots::parse([ended.to_string()]).expect("a root");
    refused!(v2, ended, Fault::TimestampTime(_));

    // And be one.
    let hostile = [
        String::new(),
        "{}".to_owned(),
        "[".repeat(100_000),
        json!({"mediaType": "x"}).to_string(),
        " ".repeat((1 << 20) + 1),
        ours.to_string().replace("MFkw", "AAAA"),
    ];
    for text in hostile {
        assert!(
            Roots::parse([&text]).is_err(),
            "{}",
            &text[..text.len().min(80)]
        );
    }
}

#[tokio::test]
async fn each_fault_of_a_timestamped_signature_has_its_own_name() {
    let Some(instance) = Instance::start() else {
        return;
    };
    let trusted = roots(&instance);
    let good = sign(&instance, RekorVersion::V2, &statement(&subject())).await;
    judged(&good, &trusted).expect("the truth");
    refused!(flipped(&good, STAMP, 1), trusted, Fault::Timestamp(_));
    let another = sign(&instance, RekorVersion::V2, &statement(&subject())).await;
    let stamp = another.pointer(STAMP).expect("a timestamp").clone();
    refused!(with(&good, STAMP, stamp), trusted, Fault::Timestamp(_));
    let stamps = "/verificationMaterial/timestampVerificationData/rfc3161Timestamps";
    refused!(with(&good, stamps, json!([])), trusted, Fault::NoTime(_));
    let hash = format!("{ENTRY}/inclusionProof/hashes/0");
    refused!(flipped(&good, &hash, 1), trusted, Fault::LogProof(_));
    // Without the timestamp that covers it, a changed signature is one of another entry.
    refused!(flipped(&good, DSSE, 1), trusted, Fault::Timestamp(_));
}

#[tokio::test]
async fn a_certificate_must_have_been_valid_when_the_log_saw_it() {
    let Some(instance) = Instance::start() else {
        return;
    };
    let trusted = roots(&instance);
    for (path, early) in [("/early", true), ("/late", false)] {
        let signatory = keyless(&instance, RekorVersion::V1, path);
        let bundle = signatory.sign_statement(&statement(&subject())).await;
        let bundle: Value = serde_json::from_slice(&bundle.expect("signed")).expect("JSON");
        let verdict = judged(&bundle, &trusted);
        let named = match &verdict {
            Err(Fault::CertificateTime(_)) => early,
            Err(Fault::LogTime(_)) => !early,
            _ => false,
        };
        assert!(named, "{path}: {verdict:?}");
    }
}

#[tokio::test]
async fn what_was_signed_must_be_about_exactly_this() {
    let Some(instance) = Instance::start() else {
        return;
    };
    let trusted = roots(&instance);
    let sign = async |text: &[u8]| sign(&instance, RekorVersion::V1, text).await;
    let other = sign(&statement(&Digest::sha256(b"other"))).await;
    refused!(other, trusted, Fault::OtherContent(_));
    let hex = subject().hex().to_owned();
    let two = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "predicate": {},
        "subject": [
            {"name": "a", "digest": {"sha256": hex}},
            {"name": "b", "digest": {"sha256": "0".repeat(64)}},
        ],
    });
    let two = sign(two.to_string().as_bytes()).await;
    refused!(
        two,
        trusted,
        Fault::Signature(SignatureError::Subjects { actual: 2 })
    );
    // A statement is no signature, and a signature no statement.
    let uri = "https://example.com/p";
    let stated = sign(&attestation(&subject(), uri, &json!({"a": 1}))).await;
    refused!(
        stated,
        trusted,
        Fault::Signature(SignatureError::PredicateType { .. })
    );
    let bytes = stated.to_string().into_bytes();
    let held = judge_attestation(&bytes, &subject(), &[], &trusted).expect("a statement");
    assert_eq!(held.statement.predicate_type, uri);
    let plain = sign(&statement(&subject())).await.to_string().into_bytes();
    assert!(matches!(
        judge_attestation(&plain, &subject(), &[], &trusted),
        Err(Fault::Signature(SignatureError::PredicateType { .. }))
    ));
}
