// SPDX-License-Identifier: Apache-2.0
//! Client certificates as identities, as the TLS layer hands them over.

use axum::{Extension, body::Body, http::Request};
use rcgen::{CertificateParams, KeyPair, PublicKeyData, SanType};
use registry_schema::Digest;
use registry_server::http::{self, extract::ClientCertificate};
use reqwest::Method;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{TestRegistry, expect};

fn certificate(names: Vec<SanType>, key: &KeyPair) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names;
    params
        .self_signed(key)
        .expect("a certificate")
        .der()
        .to_vec()
}

/// Asks who one is, with a certificate.
async fn ask(
    registry: &TestRegistry,
    der: Vec<u8>,
    path: &str,
    authorization: Option<&str>,
) -> (u16, Value) {
    let router = http::router(registry.app.clone()).layer(Extension(ClientCertificate(der.into())));
    let mut request = Request::get(path);
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    let request = request.body(Body::empty()).expect("a request");
    let answer = router.oneshot(request).await.expect("an answer");
    let status = answer.status().as_u16();
    let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20)
        .await
        .expect("a body");
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

async fn map(registry: &TestRegistry, kind: &str, value: &str, account: &str) -> u16 {
    let body = json!({"kind": kind, "value": value, "account": account});
    let request = registry
        .admin
        .request(Method::POST, "/api/v1/certificates")
        .json(&body);
    request.send().await.expect("an answer").status().as_u16()
}

const URI: &str = "spiffe://example/ns/ci";
const MAIL: &str = "ci@example.org";
const HOST: &str = "ci.example.org";

/// A certificate with three names, and the hash of its key.
fn with_all_names() -> (Vec<u8>, String) {
    let key = KeyPair::generate().expect("a key");
    let names = vec![
        SanType::DnsName("CI.example.org".try_into().expect("ASCII")),
        SanType::Rfc822Name(MAIL.try_into().expect("ASCII")),
        SanType::URI(URI.try_into().expect("ASCII")),
    ];
    let spki = Digest::sha256(&key.subject_public_key_info());
    (certificate(names, &key), spki.hex().to_owned())
}

async fn who(registry: &TestRegistry, der: &[u8]) -> (u16, String) {
    let (status, body) = ask(registry, der.to_vec(), "/api/v1/account", None).await;
    (status, body["name"].as_str().unwrap_or_default().to_owned())
}

/// A registry that knows the certificate by each of its names and its key.
async fn knowing(spki: &str) -> TestRegistry {
    let registry = TestRegistry::start().await;
    for (kind, value, account) in [
        ("dns", HOST, "host"),
        ("email", MAIL, "mail"),
        ("uri", URI, "ci"),
        ("spki", spki, "key"),
    ] {
        registry.user(account, None).await;
        assert_eq!(map(&registry, kind, value, account).await, 201, "{kind}");
        assert_eq!(map(&registry, kind, value, account).await, 409, "{kind}");
    }
    registry
}

#[tokio::test]
async fn the_most_exact_name_of_a_certificate_counts() {
    let (all, spki) = with_all_names();
    assert_eq!(who(&TestRegistry::start().await, &all).await.0, 401);
    let registry = Box::pin(knowing(&spki)).await;
    for (kind, value, account) in [
        ("spki", spki.as_str(), "key"),
        ("uri", URI, "ci"),
        ("email", MAIL, "mail"),
        ("dns", HOST, "host"),
    ] {
        assert_eq!(
            who(&registry, &all).await,
            (200, account.to_owned()),
            "{kind}"
        );
        let path = format!("/api/v1/certificates/{kind}/{value}");
        expect(registry.admin.delete(&path).await, 204).await;
    }
    // Nobody is known by it any more: it is nobody.
    assert_eq!(who(&registry, &all).await.0, 401);
}

#[tokio::test]
async fn a_name_counts_whatever_the_key_and_only_as_it_is() {
    let registry = Box::pin(knowing(&with_all_names().1)).await;
    let other = KeyPair::generate().expect("a key");
    let named =
        |name: &str| certificate(vec![SanType::URI(name.try_into().expect("ASCII"))], &other);
    assert_eq!(who(&registry, &named(URI)).await, (200, "ci".to_owned()));
    for wrong in [
        "spiffe://example/ns/ci/",
        "spiffe://example/ns/CI",
        "spiffe://example/ns/c",
    ] {
        assert_eq!(who(&registry, &named(wrong)).await.0, 401, "{wrong}");
    }
}

#[tokio::test]
async fn a_certificate_gives_bearer_tokens_that_end_with_its_mapping() {
    let (all, spki) = with_all_names();
    let registry = Box::pin(knowing(&spki)).await;
    let path = "/token?scope=repository:demo/x:pull";
    let (_, answer) = ask(&registry, all.clone(), path, None).await;
    let bearer = format!("Bearer {}", answer["token"].as_str().expect("a token"));
    let ping = async || ask(&registry, Vec::new(), "/v2/", Some(&bearer)).await.0;
    assert_eq!(ping().await, 200);
    expect(
        registry
            .admin
            .delete(&format!("/api/v1/certificates/spki/{spki}"))
            .await,
        204,
    )
    .await;
    assert_eq!(ping().await, 401);
    // What stands in the header goes first, also if it is wrong.
    let wrong = ask(
        &registry,
        all.clone(),
        "/api/v1/account",
        Some("Bearer wrong"),
    )
    .await;
    assert_eq!(wrong.0, 401);
    // Who is disabled stays outside.
    let body = json!({"disabled": true});
    let request = registry
        .admin
        .request(Method::PATCH, "/api/v1/accounts/ci")
        .json(&body);
    expect(request.send().await.expect("an answer"), 200).await;
    assert_eq!(who(&registry, &all).await.0, 401);
    // What is no certificate is refused, never a fault of ours.
    for der in [
        vec![0x30],
        vec![0xff; 100],
        all[..all.len() - 1].to_vec(),
        [&all[..], b"x"].concat(),
    ] {
        assert_eq!(who(&registry, &der).await.0, 401);
    }
}

#[tokio::test]
async fn a_mapping_that_could_be_mistaken_is_refused() {
    let registry = TestRegistry::start().await;
    for (kind, value) in [
        ("dns", "CI.example.org"),
        ("dns", ""),
        ("uri", "spiffe://a b"),
        ("email", "a\u{0}@example.org"),
        ("spki", "abc"),
        ("spki", &"A".repeat(64)),
        ("serial", "1"),
        ("uri", &"x".repeat(513)),
    ] {
        assert_eq!(
            map(&registry, kind, value, "admin").await,
            400,
            "{kind} {value}"
        );
    }
    assert_eq!(map(&registry, "uri", "spiffe://x", "nobody").await, 404);
    expect(
        registry.admin.delete("/api/v1/certificates/uri/none").await,
        404,
    )
    .await;
    assert_eq!(map(&registry, "uri", "spiffe://x", "admin").await, 201);
    let listed = registry.admin.json("/api/v1/certificates").await;
    assert_eq!(listed[0]["value"], "spiffe://x");
    assert_eq!(listed[0]["added_by"], "admin");
}
