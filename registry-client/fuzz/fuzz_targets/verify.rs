// SPDX-License-Identifier: Apache-2.0
//! Whatever a registry serves: no panic, and never a verdict of "verified", since
//! nobody is trusted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry_client::{
    pull::{Blob, FetchedPackage, FetchedSignature, SimpleSigning, Target},
    trust::TrustStore,
    verify::{Asked, Basis, contents, verify},
};
use registry_schema::Digest;

fuzz_target!(|data: &[u8]| {
    // The input is seven documents, with a zero byte between them.
    let mut parts = data.split(|byte| *byte == 0).map(|part| Blob(part.to_vec()));
    let mut next = || parts.next().unwrap_or_default();
    let (index, manifest, config, object) = (next(), next(), next(), next());
    let (bundle, payload, proof) = (next(), next(), next());
    let package: registry_schema::PackageName = "a/b".parse().expect("a name");
    let asked = Asked {
        registry: "h".to_owned(),
        package: package.clone(),
        range: None,
        version: None,
        digest: Some(Digest::sha256(&index.0)),
        target: Target::native(),
    };
    let fetched = FetchedPackage {
        registry: "h".to_owned(),
        package,
        target: Target::native(),
        index,
        manifest,
        config,
        object,
        signatures: vec![
            FetchedSignature::Bundle(bundle),
            FetchedSignature::SimpleSigning(SimpleSigning {
                payload,
                signature: "AAAA".to_owned(),
                certificate: None,
                log_entry: None,
                timestamp: None,
            }),
        ],
        withdrawals: vec![proof.clone()],
        log_proofs: vec![proof],
    };
    let _ = contents(&fetched, &asked);
    assert!(verify(&fetched, &asked, &Basis::new(TrustStore::default(), chrono::DateTime::UNIX_EPOCH)).is_err());
});
