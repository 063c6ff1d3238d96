// SPDX-License-Identifier: Apache-2.0
//! Manifests, tags, referrers and the lists of them.

use registry_schema::{Digest, digest::Algorithm, media_type};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    TestRegistry, User, expect, header,
    package::{EMPTY, descriptor},
    refused,
};

const NAME: &str = "demo/deep/er/manifests";

/// A manifest with an empty config, and `extra` members.
fn manifest(extra: &Value) -> Vec<u8> {
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": descriptor(media_type::OCI_EMPTY, EMPTY),
        "layers": [],
    });
    for (key, value) in extra.as_object().expect("an object") {
        manifest[key] = value.clone();
    }
    manifest.to_string().into_bytes()
}

async fn put(user: &User, reference: &str, body: &[u8]) -> reqwest::Response {
    user.put_manifest(NAME, reference, media_type::OCI_MANIFEST, body)
        .await
}

#[tokio::test]
async fn exact_bytes_by_tag_and_by_digest() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    admin.push_blob(NAME, EMPTY).await;
    let body = format!(
        " {} \n",
        String::from_utf8(manifest(&json!({"x": 1}))).expect("UTF-8")
    );
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let digest = Digest::of(algorithm, body.as_bytes());
        let answer = expect(put(admin, digest.as_str(), body.as_bytes()).await, 201).await;
        assert_eq!(header(&answer, "docker-content-digest"), digest.as_str());
        let location = header(&answer, "location").to_owned();
        let got = expect(registry.anonymous.get(&location).await, 200).await;
        assert_eq!(header(&got, "content-type"), media_type::OCI_MANIFEST);
        assert_eq!(header(&got, "docker-content-digest"), digest.as_str());
        assert_eq!(got.text().await.expect("a body"), body);
    }
    expect(put(admin, "one", body.as_bytes()).await, 201).await;
    let head = expect(admin.head(&format!("/v2/{NAME}/manifests/one")).await, 200).await;
    assert_eq!(header(&head, "content-length"), body.len().to_string());
    assert_eq!(
        header(&head, "docker-content-digest"),
        Digest::sha256(body.as_bytes()).as_str()
    );
    // Whatever a client says it accepts.
    let request = admin.request(Method::GET, &format!("/v2/{NAME}/manifests/one"));
    let request = request
        .header("accept", "text/html")
        .header("accept", "image/png");
    expect(request.send().await.expect("an answer"), 200).await;
}

#[tokio::test]
async fn what_is_refused_and_why() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    admin.push_blob(NAME, EMPTY).await;
    let good = manifest(&json!({}));
    let other = Digest::sha256(b"other");
    refused(
        put(admin, other.as_str(), &good).await,
        400,
        "DIGEST_INVALID",
    )
    .await;
    refused(
        put(admin, "sha256:baddigeststring", &good).await,
        400,
        "DIGEST_INVALID",
    )
    .await;
    refused(put(admin, ".bad", &good).await, 400, "MANIFEST_INVALID").await;
    let missing = manifest(&json!({"layers": [descriptor("x/y", b"missing")]}));
    let message = refused(
        put(admin, "one", &missing).await,
        400,
        "MANIFEST_BLOB_UNKNOWN",
    )
    .await;
    assert!(
        message.contains(Digest::sha256(b"missing").as_str()),
        "{message}"
    );
    let mut size = descriptor(media_type::OCI_EMPTY, EMPTY);
    size["size"] = json!(3);
    refused(
        put(admin, "one", &manifest(&json!({"config": size}))).await,
        400,
        "SIZE_INVALID",
    )
    .await;
}

#[tokio::test]
async fn what_is_no_manifest_at_all() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    admin.push_blob(NAME, EMPTY).await;
    let good = manifest(&json!({}));
    for body in [
        &b"nonsense"[..],
        b"{}",
        b"[]",
        b"{\"schemaVersion\":2}",
        &"[".repeat(100_000).into_bytes(),
    ] {
        refused(put(admin, "one", body).await, 400, "MANIFEST_INVALID").await;
    }
    let twice = String::from_utf8(good.clone())
        .expect("UTF-8")
        .replacen('{', "{\"layers\":[],", 1);
    let message = refused(
        put(admin, "one", twice.as_bytes()).await,
        400,
        "MANIFEST_INVALID",
    )
    .await;
    assert!(message.contains("comes twice"), "{message}");
    let kind = "application/vnd.docker.distribution.manifest.v1+json";
    refused(
        admin.put_manifest(NAME, "one", kind, &good).await,
        400,
        "MANIFEST_INVALID",
    )
    .await;
    let huge = vec![b' '; (4 << 20) + 1];
    refused(put(admin, "one", &huge).await, 413, "SIZE_INVALID").await;
    let index = json!({"schemaVersion": 2, "manifests": [descriptor(media_type::OCI_MANIFEST, b"missing")]});
    let answer = admin
        .put_manifest(
            NAME,
            "one",
            media_type::OCI_INDEX,
            index.to_string().as_bytes(),
        )
        .await;
    refused(answer, 400, "MANIFEST_BLOB_UNKNOWN").await;
    refused(
        admin.get(&format!("/v2/{NAME}/manifests/one")).await,
        404,
        "MANIFEST_UNKNOWN",
    )
    .await;
}

#[tokio::test]
async fn every_kind_of_content_is_taken() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    admin.push_blob(NAME, EMPTY).await;
    let annotations: Value = (0..390)
        .map(|at| (format!("a{at}"), json!("x".repeat(10_000))))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let large = manifest(&json!({"annotations": annotations}));
    assert!(large.len() > 3_900_000);
    let foreign = descriptor(
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        b"elsewhere",
    );
    for body in [
        large,
        manifest(&json!({"layers": [foreign]})),
        manifest(&json!({"artifactType": "application/x"})),
        manifest(
            &json!({"config": {"mediaType": "a/b", "digest": Digest::sha256(EMPTY), "size": 2, "data": "e30="}}),
        ),
        manifest(&json!({"subject": descriptor(media_type::OCI_MANIFEST, b"never pushed")})),
    ] {
        let answer = expect(put(admin, "any", &body).await, 201).await;
        let digest = header(&answer, "docker-content-digest").to_owned();
        let got = admin.get(&format!("/v2/{NAME}/manifests/any")).await;
        assert_eq!(header(&got, "docker-content-digest"), digest);
        assert_eq!(got.bytes().await.expect("a body"), body);
    }
    let child = manifest(&json!({"artifactType": "application/x"}));
    let inner = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [descriptor(media_type::OCI_MANIFEST, &child)]});
    let inner = inner.to_string();
    let outer = json!({"schemaVersion": 2, "manifests": [descriptor(media_type::OCI_INDEX, inner.as_bytes())]});
    for index in [
        json!({"schemaVersion": 2, "manifests": []}).to_string(),
        inner,
        outer.to_string(),
    ] {
        expect(
            admin
                .put_manifest(NAME, "index", media_type::OCI_INDEX, index.as_bytes())
                .await,
            201,
        )
        .await;
    }
}

#[tokio::test]
async fn deleting_a_tag_and_deleting_a_manifest() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    admin.push_blob(NAME, EMPTY).await;
    let body = manifest(&json!({}));
    let digest = Digest::sha256(&body);
    let path = |reference: &str| format!("/v2/{NAME}/manifests/{reference}");
    let answer = put(admin, &format!("{digest}?tag=a&tag=b&tag=c"), &body).await;
    let answer = expect(answer, 201).await;
    let tags: Vec<_> = answer
        .headers()
        .get_all("oci-tag")
        .iter()
        .filter_map(|tag| tag.to_str().ok())
        .collect();
    assert_eq!(tags, ["a", "b", "c"]);
    expect(admin.delete(&path("a")).await, 202).await;
    refused(admin.get(&path("a")).await, 404, "MANIFEST_UNKNOWN").await;
    expect(admin.get(&path("b")).await, 200).await;
    expect(admin.delete(&path(digest.as_str())).await, 202).await;
    for reference in ["b", "c", digest.as_str()] {
        assert_eq!(admin.head(&path(reference)).await.status(), 404);
        refused(
            admin.delete(&path(reference)).await,
            404,
            "MANIFEST_UNKNOWN",
        )
        .await;
    }
}

#[tokio::test]
async fn lists_are_paged_in_the_order_of_bytes() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    admin.push_blob(NAME, EMPTY).await;
    for tag in ["b", "B", "a", "_x", "1.0", "a-b", "A"] {
        expect(put(admin, tag, &manifest(&json!({}))).await, 201).await;
    }
    let list = format!("/v2/{NAME}/tags/list");
    let all = ["1.0", "A", "B", "_x", "a", "a-b", "b"];
    assert_eq!(admin.json(&list).await, json!({"name": NAME, "tags": all}));
    let mut seen = Vec::new();
    let mut next = Some(format!("{list}?n=3"));
    while let Some(path) = next {
        let answer = expect(admin.get(&path).await, 200).await;
        let link = header(&answer, "link").to_owned();
        next = link
            .strip_prefix('<')
            .and_then(|rest| Some(rest.split_once(">; rel=\"next\"")?.0.to_owned()));
        let page: Value = answer.json().await.expect("JSON");
        seen.extend(page["tags"].as_array().expect("tags").clone());
    }
    assert_eq!(Value::from(seen), json!(all));
    let none = expect(admin.get(&format!("{list}?n=0")).await, 200).await;
    assert_eq!(header(&none, "link"), "");
    assert_eq!(none.json::<Value>().await.expect("JSON")["tags"], json!([]));
    for (n, tags) in [("9223372036854775808", 7), ("99999999999999999999999", 7)] {
        let page = admin.json(&format!("{list}?n={n}")).await;
        assert_eq!(page["tags"].as_array().expect("tags").len(), tags);
    }
    for n in ["-1", "x", "", "1e3", "+1"] {
        refused(
            admin.get(&format!("{list}?n={n}")).await,
            400,
            "UNSUPPORTED",
        )
        .await;
    }
    let after = admin.json(&format!("{list}?last=Zzz")).await;
    assert_eq!(after["tags"], json!(["_x", "a", "a-b", "b"]));
    refused(
        admin.get("/v2/demo/nothing/tags/list").await,
        404,
        "NAME_UNKNOWN",
    )
    .await;
}

#[tokio::test]
async fn the_catalogue_shows_what_the_caller_may_read() {
    let registry = TestRegistry::start().await;
    for name in ["demo/b", "demo/a", "secret/c"] {
        registry.admin.push_blob(name, EMPTY).await;
    }
    let all = registry.admin.json("/v2/_catalog").await;
    assert_eq!(
        all,
        json!({"repositories": ["demo/a", "demo/b", "secret/c"]})
    );
    let public = registry.anonymous.json("/v2/_catalog").await;
    assert_eq!(public, json!({"repositories": ["demo/a", "demo/b"]}));
    let page = registry.anonymous.get("/v2/_catalog?n=1").await;
    assert_eq!(
        header(&page, "link"),
        "</v2/_catalog?n=1&last=demo%2Fa>; rel=\"next\""
    );
}

#[tokio::test]
async fn twenty_referrers_pushed_at_once_are_all_listed() {
    let registry = TestRegistry::start().await;
    let admin = &registry.admin;
    admin.push_blob(NAME, EMPTY).await;
    let subject = manifest(&json!({}));
    let digest = Digest::sha256(&subject);
    let list = format!("/v2/{NAME}/referrers/{digest}");
    assert_eq!(admin.json(&list).await["manifests"], json!([]));
    let bodies: Vec<_> = (0..20)
        .map(|at| {
            manifest(&json!({
                "artifactType": if at % 2 == 0 { "application/even+json" } else { "application/odd" },
                "annotations": {"number": at.to_string()},
                "subject": descriptor(media_type::OCI_MANIFEST, &subject),
            }))
        })
        .collect();
    let answers = futures::future::join_all(bodies.iter().map(async |body| {
        let answer = expect(put(admin, Digest::sha256(body).as_str(), body).await, 201).await;
        assert_eq!(header(&answer, "oci-subject"), digest.as_str());
    }));
    answers.await;
    let answer = expect(registry.anonymous.get(&list).await, 200).await;
    assert_eq!(header(&answer, "content-type"), media_type::OCI_INDEX);
    let index: Value = answer.json().await.expect("JSON");
    let listed = index["manifests"].as_array().expect("manifests");
    assert_eq!(listed.len(), 20);
    for body in &bodies {
        let digest = json!(Digest::sha256(body));
        let entry = listed
            .iter()
            .find(|entry| entry["digest"] == digest)
            .expect("listed");
        let body: Value = serde_json::from_slice(body).expect("JSON");
        assert_eq!(entry["annotations"], body["annotations"]);
        assert_eq!(entry["artifactType"], body["artifactType"]);
    }
    for filter in ["application/even+json", "application%2Feven%2Bjson"] {
        let answer = expect(
            admin.get(&format!("{list}?artifactType={filter}")).await,
            200,
        )
        .await;
        assert_eq!(header(&answer, "oci-filters-applied"), "artifactType");
        let index: Value = answer.json().await.expect("JSON");
        assert_eq!(index["manifests"].as_array().expect("manifests").len(), 10);
    }
    let nobody = format!("/v2/{NAME}/referrers/sha256:{}", "0".repeat(64));
    assert_eq!(admin.json(&nobody).await["manifests"], json!([]));
    assert_eq!(
        admin.json(&nobody.replace(NAME, "demo/nothing")).await["manifests"],
        json!([])
    );
    refused(
        admin.get(&format!("/v2/{NAME}/referrers/sha256:00")).await,
        400,
        "DIGEST_INVALID",
    )
    .await;
}
