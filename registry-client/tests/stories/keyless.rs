// SPDX-License-Identifier: Apache-2.0
//! Signing without a key of one's own: certificate, log and timestamp instead.

use registry_client::{
    pull::fetch_signatures,
    registry::{ConnectOptions, Registry},
    verify::signature::{Evidence, Roots, SignatureFault, judge},
};
use registry_schema::{Digest, Identity, name::RepositoryName};

use crate::{
    home::{Ended, Home},
    instance::{ISSUER, Instance, SUBJECT},
    stage::Stage,
};

fn run(home: &Home, args: &[&str], variables: &[(String, String)]) -> Ended {
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    home.run_with(args, "", &variables)
}

fn verify<'a>(file: &'a str, root: &'a str, identity: &'a str, issuer: &'a str) -> Vec<&'a str> {
    vec![
        "verify-file",
        file,
        "--sigstore-root",
        root,
        "--identity",
        identity,
        "--issuer",
        issuer,
    ]
}

/// One fault at a time: the same file, the same signature, and everything else as it was.
#[test]
fn a_file_is_signed_and_verified_keyless() {
    let (Some(instance), Some(other)) = (Instance::start(), Instance::start()) else {
        return;
    };
    for version in ["1", "2"] {
        let home = Home::new();
        std::fs::write(home.path("prog.o"), b"\x7fELF or anything").expect("a file");
        let signing = instance.signing(SUBJECT, version);
        run(&home, &["sign", "--keyless", "prog.o"], &signing).exits(0);
        let root = instance.root();
        let good = verify("prog.o", root, SUBJECT, ISSUER);
        let json = [good.clone(), vec!["--output", "json"]].concat();
        let said = home.run(&json).exits(0).json();
        assert_eq!(said["signer"], format!("oidc:{ISSUER}#{SUBJECT}"));
        let evidence = match version {
            "1" => serde_json::json!(["certificate", "log-entry"]),
            _ => serde_json::json!(["certificate", "log-entry", "timestamp"]),
        };
        assert_eq!(said["evidence"], evidence);
        assert!(said["signed_at"].is_string());

        home.run(&verify("prog.o", other.root(), SUBJECT, ISSUER))
            .exits(20)
            .says(&["is not trusted"]);
        home.run(&verify("prog.o", root, SUBJECT, "https://other.example"))
            .exits(20)
            .says(&["not to be believed"]);
        home.run(&verify(
            "prog.o",
            root,
            "https://forge.example/mallory",
            ISSUER,
        ))
        .exits(20)
        .says(&["not to be believed"]);
        home.run(&[
            "verify-file",
            "prog.o",
            "--identity",
            SUBJECT,
            "--issuer",
            ISSUER,
        ])
        .exits(20)
        .says(&["no Sigstore root is trusted"]);
        std::fs::write(home.path("prog.o"), b"\x7fELF or anythinG").expect("a file");
        home.run(&good).exits(20).says(&["other content"]);
    }
}

#[test]
fn a_certificate_counts_only_while_it_was_valid() {
    let Some(instance) = Instance::start() else {
        return;
    };
    for (path, words) in [
        ("/early", "was not valid when the signature was made"),
        ("/late", "is in the future"),
    ] {
        let home = Home::new();
        std::fs::write(home.path("prog.o"), b"bytes").expect("a file");
        let signing = instance.signing_at(SUBJECT, "1", path);
        run(&home, &["sign", "--keyless", "prog.o"], &signing).exits(0);
        home.run(&verify("prog.o", instance.root(), SUBJECT, ISSUER))
            .exits(20)
            .says(&[words]);
    }
}

#[test]
fn what_is_missing_is_said_before_anybody_is_asked() {
    let home = Home::new();
    std::fs::write(home.path("prog.o"), b"bytes").expect("a file");
    let sign = ["sign", "--keyless", "prog.o"];
    home.run(&sign).exits(2).says(&["--fulcio-url"]);
    let mut services = vec![
        ("BPFPKG_FULCIO_URL", "http://127.0.0.1:1"),
        ("BPFPKG_REKOR_URL", "http://127.0.0.1:1"),
    ];
    home.run_with(&sign, "", &services)
        .exits(2)
        .says(&["identity token"]);
    services.push(("BPFPKG_IDENTITY_TOKEN", "not-a-token"));
    home.run_with(&sign, "", &services)
        .exits(2)
        .says(&["identity token"]);
    services.pop();
    let token = crate::instance::token(SUBJECT);
    services.push(("BPFPKG_IDENTITY_TOKEN", &token));
    home.run_with(&sign, "", &services).exits(6);
    services.push(("BPFPKG_REKOR_VERSION", "2"));
    home.run_with(&sign, "", &services)
        .exits(2)
        .says(&["timestamp authority"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_pushed_keyless_and_judged_by_registry_and_client() {
    let (Some(instance), Some(other)) = (Instance::start(), Instance::start()) else {
        return;
    };
    let trusted = instance.root.clone();
    let stage = Stage::set_with(|mut config| {
        config.access.sigstore_roots = vec![trusted];
        config
    })
    .await;
    stage.opened();
    let roots = Roots::parse([std::fs::read(&instance.root).expect("a root")]).expect("a root");
    let others = Roots::parse([std::fs::read(&other.root).expect("a root")]).expect("a root");
    for version in ["1", "2"] {
        let name = format!("counter{version}");
        let package = stage.admin.package(&name);
        let package = package.to_str().expect("UTF-8");
        let push = ["push", "--sign-keyless", package, "--output", "json"];
        let pushed = run(&stage.admin, &push, &instance.signing(SUBJECT, version))
            .exits(0)
            .json();
        assert_eq!(pushed["signed"], true);
        let digest: Digest = pushed["digest"]
            .as_str()
            .expect("a digest")
            .parse()
            .expect("a digest");
        let repository: RepositoryName = format!("demo/{name}").parse().expect("a name");
        let options = ConnectOptions {
            plain_http: true,
            ..ConnectOptions::default()
        };
        let registry = Registry::connect(&stage.host(), &options).expect("a registry");
        let found = fetch_signatures(&registry, &repository, &digest)
            .await
            .expect("signatures");
        assert_eq!(found.len(), 1);
        let signer = judge(&found[0], &digest, &[], &roots).expect("it holds");
        assert_eq!(
            signer.identity,
            format!("oidc:{ISSUER}#{SUBJECT}")
                .parse::<Identity>()
                .expect("an identity")
        );
        assert!(signer.evidence.contains(&Evidence::LogEntry));
        assert!(matches!(
            judge(&found[0], &digest, &[], &others),
            Err(SignatureFault::UnknownLog(_))
        ));
        assert!(matches!(
            judge(&found[0], &digest, &[], &Roots::default()),
            Err(SignatureFault::NoRoot)
        ));
        assert!(matches!(
            judge(&found[0], &Digest::sha256(b"other"), &[], &roots),
            Err(SignatureFault::OtherContent(_))
        ));
        simple_signing(&registry, &repository, &digest, version, &roots).await;
        // The registry knows who it is, and that nobody registered that identity.
        let shown = stage
            .admin
            .run(&["info", &format!("demo/{name}"), "--output", "json"]);
        let shown = shown.exits(0).stdout;
        assert!(shown.contains("\"signature\": \"unknown-key\""), "{shown}");
    }
}

/// The `.sig` tag holds the same for older verifiers, where the log gives a promise.
async fn simple_signing(
    registry: &Registry,
    repository: &RepositoryName,
    digest: &Digest,
    version: &str,
    roots: &Roots,
) {
    use registry_client::{
        oci::Manifest,
        pull::{FetchedSignature, SimpleSigning},
    };
    let tag = registry.manifest(repository, &digest.tag(".sig")).await;
    if version == "2" {
        assert!(tag.is_err(), "a promise from a log that gives none");
        return;
    }
    let manifest: Manifest = serde_json::from_slice(&tag.expect("a tag").bytes).expect("JSON");
    let layer = &manifest.layers[0];
    let payload = registry
        .blob(repository, layer, 1 << 20)
        .await
        .expect("the payload");
    let simple = SimpleSigning::of(payload.to_vec(), &layer.annotations).expect("a signature");
    let judged = |simple: &SimpleSigning| {
        judge(
            &FetchedSignature::SimpleSigning(simple.clone()),
            digest,
            &[],
            roots,
        )
    };
    let signer = judged(&simple).expect("it holds");
    assert!(signer.evidence.contains(&Evidence::Certificate));
    assert!(signer.signed_at.is_some());

    // One fault at a time.
    let mut changed = simple.clone();
    changed.log_entry = None;
    assert!(matches!(judged(&changed), Err(SignatureFault::Form(_))));
    let mut changed = simple.clone();
    changed.certificate = None;
    assert!(matches!(
        judged(&changed),
        Err(SignatureFault::UnknownKey { named: None })
    ));
    let mut changed = simple.clone();
    let entry = changed.log_entry.as_mut().expect("an entry");
    let at = entry.find("integratedTime\":").expect("a time") + 20;
    let digit = if &entry[at..=at] == "1" { "2" } else { "1" };
    entry.replace_range(at..=at, digit);
    assert!(matches!(
        judged(&changed),
        Err(SignatureFault::LogPromise(_))
    ));
    let mut changed = simple;
    changed.payload.0.push(b' ');
    assert!(matches!(
        judged(&changed),
        Err(SignatureFault::OtherContent(_) | SignatureFault::Invalid(_))
    ));
}
