// SPDX-License-Identifier: Apache-2.0
//! Who refers to what: pages, and lists that other clients kept by hand.

use registry_schema::{Digest, media_type};
use serde_json::{Value, json};

use crate::support::{
    TestRegistry, User, expect, header,
    package::{EMPTY, descriptor},
};

const NAME: &str = "demo/referrers";

fn referrer(subject: &[u8], kind: &str, note: &str) -> Vec<u8> {
    json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "artifactType": kind,
        "config": descriptor(media_type::OCI_EMPTY, EMPTY),
        "layers": [],
        "annotations": {"note": note},
        "subject": descriptor(media_type::OCI_MANIFEST, subject),
    })
    .to_string()
    .into_bytes()
}

async fn push(user: &User, body: &[u8]) -> Digest {
    let digest = Digest::sha256(body);
    let put = user.put_manifest(NAME, digest.as_str(), media_type::OCI_MANIFEST, body);
    expect(put.await, 201).await;
    digest
}

/// All pages of a list, and how many they were.
async fn pages(user: &User, path: String) -> (Vec<Value>, usize) {
    let (mut all, mut count, mut next) = (Vec::new(), 0, Some(path));
    while let Some(path) = next {
        let answer = expect(user.get(&path).await, 200).await;
        let link = header(&answer, "link").to_owned();
        next = link
            .strip_prefix('<')
            .and_then(|rest| Some(rest.split_once(">; rel=\"next\"")?.0.to_owned()));
        let bytes = answer.bytes().await.expect("a body");
        assert!(bytes.len() <= 5 << 20, "a page of {} bytes", bytes.len());
        let page: Value = serde_json::from_slice(&bytes).expect("JSON");
        all.extend(page["manifests"].as_array().expect("a list").clone());
        count += 1;
    }
    (all, count)
}

#[tokio::test]
async fn one_page_until_clients_could_not_read_it() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    admin.push_blob(NAME, EMPTY).await;
    let subject = b"{\"never\":\"pushed\"}";
    let list = format!("/v2/{NAME}/referrers/{}", Digest::sha256(subject));
    for at in 0..100 {
        push(admin, &referrer(subject, "a/small", &at.to_string())).await;
    }
    let (all, count) = pages(admin, list.clone()).await;
    assert_eq!((all.len(), count), (100, 1));
    for at in 0..6 {
        push(
            admin,
            &referrer(subject, "a/large+json", &at.to_string().repeat(1 << 20)),
        )
        .await;
    }
    let (all, count) = pages(&registry.anonymous, list.clone()).await;
    assert_eq!((all.len(), count), (106, 2));
    let mut digests: Vec<_> = all
        .iter()
        .map(|entry| entry["digest"].to_string())
        .collect();
    digests.dedup();
    assert_eq!(digests.len(), 106, "none twice");
    let (some, count) = pages(admin, format!("{list}?artifactType=a/large+json")).await;
    assert_eq!((some.len(), count), (6, 2));
}

#[tokio::test]
async fn lists_kept_by_hand_are_taken_over_from_the_manifests_themselves() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    admin.push_blob(NAME, EMPTY).await;
    let subject = b"{\"some\":\"image\"}";
    let digest = Digest::sha256(subject);
    let (one, two) = (
        referrer(subject, "a/one", "1"),
        referrer(subject, "a/two", "2"),
    );
    let other = referrer(b"another image", "a/one", "3");
    for body in [&one, &two, &other] {
        push(admin, body).await;
    }
    // What a client without the referrers API leaves behind: an entry twice, with a wrong
    // type and without annotations, and one that refers to something else.
    let mut wrong = descriptor(media_type::OCI_MANIFEST, &one);
    wrong["artifactType"] = json!(media_type::OCI_EMPTY);
    let index = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "manifests": [
            wrong,
            descriptor(media_type::OCI_MANIFEST, &one),
            descriptor(media_type::OCI_MANIFEST, &other),
        ],
    });
    let tag = format!("sha256-{}", digest.hex());
    let index = index.to_string();
    let put = admin.put_manifest(NAME, &tag, media_type::OCI_INDEX, index.as_bytes());
    expect(put.await, 201).await;
    let (all, _) = pages(admin, format!("/v2/{NAME}/referrers/{digest}")).await;
    let mut said: Vec<_> = all
        .iter()
        .map(|entry| {
            (
                entry["artifactType"].clone(),
                entry["annotations"]["note"].clone(),
            )
        })
        .collect();
    said.sort_by_key(|(kind, _)| kind.to_string());
    assert_eq!(
        said,
        [(json!("a/one"), json!("1")), (json!("a/two"), json!("2"))]
    );
    // The list by hand is a tag like any other, and goes without taking anything along.
    expect(
        admin.delete(&format!("/v2/{NAME}/manifests/{tag}")).await,
        202,
    )
    .await;
    let (all, _) = pages(admin, format!("/v2/{NAME}/referrers/{digest}")).await;
    assert_eq!(all.len(), 2);
}
