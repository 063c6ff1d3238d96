// SPDX-License-Identifier: Apache-2.0
//! Signing files and versions with keys: both kinds, several signers, and elsewhere.

use registry_schema::signature::BADGE_PREDICATE;

use crate::{home::Home, stage::Stage};

#[test]
fn a_file_is_signed_with_either_kind_of_key() {
    let home = Home::new();
    std::fs::write(home.path("prog.exe"), b"MZ or anything").expect("a file");
    for kind in ["ecdsa-p256", "ed25519"] {
        let prefix = format!("{kind}-key");
        home.run(&["keygen", "--type", kind, "--output", &prefix])
            .exits(0);
        home.run(&[
            "keygen",
            "--type",
            kind,
            "--output",
            &format!("other-{kind}"),
        ])
        .exits(0);
        let (private, public) = (format!("{prefix}.key"), format!("{prefix}.pub"));
        for form in [
            &["sign", "prog.exe", "--key", &private][..],
            &["sign", "--raw", "prog.exe", "--key", &private],
        ] {
            let signature = home.run(form).exits(0).stdout.trim().to_owned();
            let verify = |key: &str| {
                home.run(&[
                    "verify-file",
                    "prog.exe",
                    "--key",
                    key,
                    "--signature",
                    &signature,
                ])
            };
            verify(&public).exits(0);
            verify(&format!("other-{kind}.pub")).exits(20);
            // Several may be named; one is enough.
            home.run(&[
                "verify-file",
                "prog.exe",
                "--signature",
                &signature,
                "--key",
                &format!("other-{kind}.pub"),
                "--key",
                &public,
            ])
            .exits(0);
            std::fs::write(home.path("prog.exe"), b"MZ or anythinG").expect("a file");
            verify(&public).exits(20);
            std::fs::write(home.path("prog.exe"), b"MZ or anything").expect("a file");
        }
    }
    home.run(&["verify-file", "prog.exe"])
        .exits(2)
        .says(&["nobody is named"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_has_several_signers_and_some_of_them_sign_elsewhere() {
    let stage = Stage::set().await;
    stage.opened();
    let admin = &stage.admin;
    let package = admin.package("counter");
    let package = package.to_str().expect("UTF-8");
    admin.run(&["push", "--key", "alice.key", package]).exits(0);
    let signers = || {
        let shown = admin
            .run(&["inspect", "demo/counter", "--output", "json"])
            .exits(0)
            .json();
        shown["claimed_signers"].as_array().expect("a list").len()
    };
    assert_eq!(signers(), 1);

    // A co-maintainer, with a key of the other kind.
    admin
        .run(&["keygen", "--type", "ed25519", "--output", "bob"])
        .exits(0);
    admin
        .run(&["sign", "demo/counter", "--key", "bob.key"])
        .exits(0);
    assert_eq!(signers(), 2);
    let again = admin.run(&[
        "sign",
        "demo/counter",
        "--key",
        "bob.key",
        "--output",
        "json",
    ]);
    assert_eq!(again.exits(0).json()["signed"], false);
    admin
        .run(&["verify", "demo/counter", "--key", "bob.pub"])
        .exits(0);

    // Somebody without a network signs an archive; the signature is attached later.
    admin
        .run(&["export", "demo/counter", "--to", "counter.tar"])
        .exits(0);
    let carol = Home::new();
    carol.keygen("carol");
    std::fs::copy(admin.path("counter.tar"), carol.path("counter.tar")).expect("a copy");
    carol
        .run(&[
            "sign",
            "demo/counter",
            "--from",
            "counter.tar",
            "--key",
            "carol.key",
            "--output-file",
            "bundle.json",
        ])
        .exits(0);
    let bundle = carol.path("bundle.json");
    let bundle = bundle.to_str().expect("UTF-8");
    admin.run(&["attach", bundle, "demo/counter"]).exits(0);
    assert_eq!(signers(), 3);
    let carols = carol.path("carol.pub");
    admin
        .run(&[
            "verify",
            "demo/counter",
            "--key",
            carols.to_str().expect("UTF-8"),
        ])
        .exits(0);

    // To another version it cannot be attached.
    let other = admin.package("other");
    admin
        .run(&["push", "--key", "alice.key", other.to_str().expect("UTF-8")])
        .exits(0);
    admin
        .run(&["attach", bundle, "demo/other"])
        .exits(20)
        .says(&["signature is for"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stated_about_a_version_is_no_signature_of_it() {
    let stage = Stage::set().await;
    stage.opened();
    let admin = &stage.admin;
    let package = admin.package("counter");
    admin
        .run(&["push", "--no-sign", package.to_str().expect("UTF-8")])
        .exits(0);
    let badge = r#"{"platform": "Example", "badge": "tested", "issuedAt": "2026-11-01T00:00:00Z"}"#;
    std::fs::write(admin.path("badge.json"), badge).expect("a file");
    let attest = [
        "attest",
        "demo/counter",
        "--type",
        "badge",
        "--predicate",
        "badge.json",
        "--key",
        "alice.key",
    ];
    admin.run(&attest).exits(0);

    let shown = admin
        .run(&[
            "attestations",
            "demo/counter",
            "--key",
            "alice.pub",
            "--output",
            "json",
        ])
        .exits(0)
        .json();
    assert_eq!(shown["attestations"][0]["type"], BADGE_PREDICATE);
    assert_eq!(shown["attestations"][0]["predicate"]["platform"], "Example");
    let other = [
        "attestations",
        "demo/counter",
        "--key",
        "alice.pub",
        "--type",
        "https://example.com/p",
    ];
    admin.run(&other).exits(20);
    admin.keygen("mallory");
    admin
        .run(&["attestations", "demo/counter", "--key", "mallory.pub"])
        .exits(20);

    // Alice's key is trusted, and she stated something: the version is unsigned still.
    admin
        .run(&["verify", "demo/counter", "--key", "alice.pub"])
        .exits(21);
    let info = admin
        .run(&["info", "demo/counter", "--output", "json"])
        .exits(0);
    assert!(!info.stdout.contains("invalid"), "{}", info.stdout);

    // What the type asks for must be there.
    std::fs::write(admin.path("badge.json"), "{\"platform\": 1}").expect("a file");
    admin.run(&attest).exits(2).says(&["states nothing"]);
    let sign = "https://sigstore.dev/cosign/sign/v1";
    admin
        .run(&[
            "attest",
            "demo/counter",
            "--type",
            sign,
            "--predicate",
            "badge.json",
            "--key",
            "alice.key",
        ])
        .exits(2)
        .says(&["no type of attestation"]);
}
