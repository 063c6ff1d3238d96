// SPDX-License-Identifier: Apache-2.0
//! The cases of sigstore-conformance's `bundle-verify`: one folder each, and those whose
//! name ends in `_fail` must be refused. They lie beside the checkout, in
//! `../shared/data`, or below the folder that `BPFPKG_SHARED` names.

use std::{
    fs,
    path::{Path, PathBuf},
};

use registry_client::verify::signature::{Roots, Signer, judge_attestation, judge_file};
use registry_schema::{
    Digest, Identity,
    identity::OidcIdentity,
    signature::{Bundle, PublicKey},
};
use sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT;

const IDENTITY: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";
const CASES: usize = 70;

fn cases() -> Option<PathBuf> {
    let shared = std::env::var_os("BPFPKG_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    // Also from a worktree that lies one folder deeper.
    let deeper = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    [shared, deeper]
        .into_iter()
        .map(|folder| folder.join("data/sigstore-conformance/bundle-verify"))
        .find(|folder| folder.is_dir())
}

#[test]
fn every_case_of_the_conformance_suite_is_judged_rightly() {
    let Some(folder) = cases() else {
        eprintln!("SKIPPED: no sigstore-conformance data; set BPFPKG_SHARED to its folder");
        return;
    };
    let public = Roots::parse([SIGSTORE_PRODUCTION_TRUSTED_ROOT]).expect("the public root");
    let mut names: Vec<_> = fs::read_dir(&folder)
        .expect("cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    names.sort();
    assert_eq!(names.len(), CASES, "cases in {}", folder.display());
    let mut wrong = Vec::new();
    for case in names {
        let name = case
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let verdict = verdict(&case, &public);
        println!("{name}: {verdict:?}");
        if verdict.is_ok() == name.ends_with("_fail") {
            wrong.push(format!("{name}: {verdict:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
}

fn verdict(case: &Path, public: &Roots) -> Result<Signer, String> {
    let read = |name: &str| fs::read(case.join(name)).ok();
    let text = |name: &str| fs::read_to_string(case.join(name)).ok();
    let bundle = read("bundle.sigstore.json").expect("a bundle");
    let content = read("artifact").unwrap_or_else(|| {
        fs::read(case.parent().expect("a parent").join("a.txt")).expect("the common artifact")
    });
    let roots = match read("trusted_root.json") {
        Some(root) => Roots::parse([root]).map_err(|error| error.to_string())?,
        None => public.clone(),
    };
    let keys = match text("key.pub") {
        Some(pem) => vec![PublicKey::from_pem(&pem).map_err(|error| error.to_string())?],
        None => Vec::new(),
    };
    let stated = Bundle::parse(&bundle).is_ok_and(|bundle| bundle.is_attestation());
    let signer = if stated {
        judge_attestation(&bundle, &Digest::sha256(&content), &keys, &roots).map(|a| a.signer)
    } else {
        judge_file(&bundle, &content, &keys, &roots)
    };
    let signer = signer.map_err(|fault| format!("{fault:?}"))?;
    let expected = if let Some(key) = keys.first() {
        key.fingerprint().into()
    } else {
        let subject = text("identity").unwrap_or_else(|| IDENTITY.to_owned());
        let issuer = text("issuer").unwrap_or_else(|| ISSUER.to_owned());
        Identity::Oidc(OidcIdentity::new(issuer.trim(), subject.trim()).expect("an identity"))
    };
    if signer.identity == expected {
        Ok(signer)
    } else {
        Err(format!("signed by {}", signer.identity))
    }
}
