// SPDX-License-Identifier: Apache-2.0
//! Whatever a stranger calls a signature: no panic, and it never holds, since nobody can
//! make one for this subject.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use registry_client::{
    pull::{Blob, FetchedSignature, SimpleSigning},
    verify::signature::{Roots, judge, judge_attestation},
};
use registry_schema::{Digest, signature::PublicKey};
use sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT;

static ROOTS: LazyLock<Roots> =
    LazyLock::new(|| Roots::parse([SIGSTORE_PRODUCTION_TRUSTED_ROOT]).expect("the public root"));

fuzz_target!(|data: &[u8]| {
    let subject = Digest::sha256(b"nobody signed this");
    let bundle = FetchedSignature::Bundle(Blob(data.to_vec()));
    assert!(judge(&bundle, &subject, &[], &ROOTS).is_err());
    assert!(judge_attestation(data, &subject, &[], &ROOTS).is_err());
    // The input is also a payload and its annotations, with a zero byte between them.
    let mut parts = data.split(|byte| *byte == 0);
    let mut text = || parts.next().map(|part| String::from_utf8_lossy(part).into_owned());
    let simple = SimpleSigning {
        payload: Blob(text().unwrap_or_default().into_bytes()),
        signature: text().unwrap_or_default(),
        certificate: text(),
        log_entry: text(),
        timestamp: text(),
    };
    let simple = FetchedSignature::SimpleSigning(simple);
    assert!(judge(&simple, &subject, &[], &ROOTS).is_err());
    let _ = PublicKey::from_der(data);
    let _ = Roots::parse([data]);
});
