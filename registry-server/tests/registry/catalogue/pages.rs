// SPDX-License-Identifier: Apache-2.0
//! The pages, as somebody without scripts sees them.

use std::collections::BTreeSet;

use super::{html, page, publish};
use crate::support::{TestRegistry, administrator, expect, header, package::KeyPair};
use registry_server::service::namespace;

#[tokio::test]
async fn an_empty_catalogue_shows_how_to_publish_on_this_host() {
    let registry = TestRegistry::start().await;
    let html = page(&registry.anonymous, "/", 200).await;
    let host = registry.app.host();
    for line in [
        format!("bpfpkg login {host}"),
        format!("export BPFPKG_REGISTRY={host}"),
        "bpfpkg namespace create".to_owned(),
        "bpfpkg keygen".to_owned(),
        "bpfpkg init".to_owned(),
        "bpfpkg build".to_owned(),
        "bpfpkg push".to_owned(),
    ] {
        assert!(html.contains(&line), "{line}");
    }
    html::check("/", &html);
}

#[tokio::test]
async fn a_package_goes_from_unsigned_to_signed_to_unknown_key() {
    let registry = TestRegistry::start().await;
    let (admin, anonymous) = (&registry.admin, &registry.anonymous);
    let packed = publish(admin, "demo/shorten", "1.0.0").await;
    let path = "/packages/demo/shorten/1.0.0";

    let unsigned = page(anonymous, path, 200).await;
    assert!(unsigned.contains("Unsigned") && unsigned.contains("Nobody vouches for these bytes"));
    assert!(page(anonymous, "/", 200).await.contains("unsigned"));
    assert!(
        page(anonymous, "/search?q=shorten", 200)
            .await
            .contains("unsigned")
    );

    let key = KeyPair::new(7);
    key.push_bundle(admin, "demo/shorten", &packed.index).await;
    let unknown = page(anonymous, path, 200).await;
    assert!(unknown.contains("Signed by a key that demo has not registered"));

    let name = "demo".parse().unwrap();
    namespace::add_key(&registry.app, &administrator(), &name, &key.public.to_pem())
        .await
        .unwrap();
    let signed = page(anonymous, path, 200).await;
    let fingerprint = key.public.fingerprint();
    assert!(
        signed.contains("Signed by a key of demo") && signed.contains(&fingerprint.to_string())
    );
    assert!(signed.contains("registered by admin. It has signed 1 version here"));
    assert!(
        page(anonymous, "/search?signed=signed", 200)
            .await
            .contains("demo/shorten")
    );
    let of_namespace = page(anonymous, "/packages/demo", 200).await;
    assert!(
        of_namespace.contains(&fingerprint.to_string())
            && of_namespace.contains("BEGIN PUBLIC KEY")
    );

    namespace::remove_key(&registry.app, &administrator(), &name, &fingerprint)
        .await
        .unwrap();
    assert!(
        page(anonymous, path, 200)
            .await
            .contains("has not registered")
    );
    assert!(
        !page(anonymous, "/search?signed=signed", 200)
            .await
            .contains("demo/shorten")
    );
}

#[tokio::test]
async fn a_page_says_what_the_program_can_do_and_how_to_run_it() {
    let registry = TestRegistry::start().await;
    let packed = publish(&registry.admin, "demo/shorten", "1.0.0").await;
    let html = page(&registry.anonymous, "/packages/demo/shorten", 200).await;
    let (host, digest) = (registry.app.host(), packed.digest());
    for text in [
        "drop packets".to_owned(),
        "<code>shorten</code>".to_owned(),
        "map_lookup_elem".to_owned(),
        "<code>counters</code>".to_owned(),
        "<code>longest</code>".to_owned(),
        "u32, at least 64, in bytes".to_owned(),
        "<code>passed_total</code>".to_owned(),
        "GPL-2.0-only OR MIT".to_owned(),
        "Dual MIT/GPL".to_owned(),
        "5.15 or newer, declared".to_owned(),
        "Derived: at least".to_owned(),
        format!("bpfpkg trust add {host}/demo"),
        format!("bpfpkg pull {host}/demo/shorten:1.0.0@{digest}"),
        format!("package = &#34;{host}/demo/shorten:1.0.0@{digest}&#34;"),
        "cosign verify --key publisher.pub".to_owned(),
        "skopeo copy --all --preserve-digests".to_owned(),
        "0 stars".to_owned(),
        "<h3>Shorten</h3>".to_owned(),
    ] {
        assert!(html.contains(&text), "{text} is not in {html}");
    }
}

#[tokio::test]
async fn the_latest_version_is_the_highest_stable_one() {
    let registry = TestRegistry::start().await;
    for version in ["1.9.0", "1.10.0", "2.0.0-rc.1"] {
        publish(&registry.admin, "demo/shorten", version).await;
    }
    let latest = page(&registry.anonymous, "/packages/demo/shorten", 200).await;
    assert!(latest.contains("<title>demo/shorten 1.10.0"), "{latest}");
    let old = page(&registry.anonymous, "/packages/demo/shorten/1.9.0", 200).await;
    assert!(old.contains("The latest version is <a href=\"/packages/demo/shorten/1.10.0\">"));
    let candidate = page(
        &registry.anonymous,
        "/packages/demo/shorten/2.0.0-rc.1",
        200,
    )
    .await;
    assert!(candidate.contains("Pre-release"));
}

#[tokio::test]
async fn what_is_not_there_or_private_is_not_found() {
    let registry = TestRegistry::start().await;
    publish(&registry.admin, "secret/shorten", "1.0.0").await;
    for path in [
        "/packages/demo/nothing",
        "/packages/demo/nothing/1.0.0",
        "/packages/secret/shorten",
        "/packages/secret",
        "/packages/UPPER/case",
        "/packages/demo/..%2f..",
        "/packages/demo/shorten/one",
        "/nothing",
    ] {
        let html = page(&registry.anonymous, path, 404).await;
        html::check(path, &html);
        assert!(html.contains("<h1>Not found</h1>"), "{path}");
    }
    assert!(
        !page(&registry.anonymous, "/search?q=shorten", 200)
            .await
            .contains("secret/shorten")
    );
    assert!(
        page(&registry.admin, "/search?q=shorten", 200)
            .await
            .contains("secret/shorten")
    );
    page(&registry.admin, "/packages/secret/shorten", 200).await;
    let unclear = page(&registry.anonymous, "/search?offset=x", 400).await;
    html::check("/search?offset=x", &unclear);
}

#[tokio::test]
async fn every_page_is_well_formed_accessible_and_protected() {
    let registry = TestRegistry::start().await;
    publish(&registry.admin, "demo/shorten", "1.0.0").await;
    publish(&registry.admin, "demo/shorten", "1.1.0").await;
    publish(&registry.admin, "demo/other", "0.1.0").await;
    let mut titles = BTreeSet::new();
    for path in [
        "/",
        "/publish",
        "/search",
        "/search?q=shorten&hook=xdp",
        "/search?q=nowhere",
        "/search?signed=unsigned&kernel=6.1",
        "/packages/demo",
        "/packages/demo/shorten",
        "/packages/demo/shorten/1.0.0",
        "/packages/demo/other",
    ] {
        let response = expect(registry.anonymous.get(path).await, 200).await;
        let policy = header(&response, "content-security-policy").to_owned();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'self'; img-src 'self'"),
            "{path}: {policy}"
        );
        assert!(
            !policy.contains("unsafe") && !policy.contains("script-src"),
            "{path}: {policy}"
        );
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        let html = response.text().await.unwrap();
        html::check(path, &html);
        let title = html
            .split("<title>")
            .nth(1)
            .unwrap()
            .split("</title>")
            .next()
            .unwrap()
            .to_owned();
        assert!(titles.insert(title.clone()), "{path}: title {title} twice");
    }
}

#[tokio::test]
async fn links_of_a_search_add_and_remove_filters() {
    let registry = TestRegistry::start().await;
    publish(&registry.admin, "demo/shorten", "1.0.0").await;
    let all = page(&registry.anonymous, "/search?q=shorten", 200).await;
    assert!(
        all.contains("href=\"/search?q=shorten&#38;hook=xdp\""),
        "{all}"
    );
    let narrowed = page(&registry.anonymous, "/search?q=shorten&hook=xdp", 200).await;
    assert!(
        narrowed.contains("aria-current=\"true\"")
            && narrowed.contains("href=\"/search?q=shorten\"")
    );
    let kernel = page(&registry.anonymous, "/search?hook=xdp&kernel=5.4", 200).await;
    assert!(kernel.contains("Nothing matches") && kernel.contains("name=\"hook\" value=\"xdp\""));
    let newer = page(&registry.anonymous, "/search?kernel=6.1", 200).await;
    assert!(newer.contains("demo/shorten"));
    let none = page(&registry.anonymous, "/search?q=shorten&hook=tc", 200).await;
    assert!(none.contains("Nothing matches") && none.contains("Search again without filters"));
}

#[tokio::test]
async fn static_files_may_be_kept_for_ever() {
    let registry = TestRegistry::start().await;
    let html = page(&registry.anonymous, "/", 200).await;
    let style = html
        .split("href=\"")
        .find_map(|rest| rest.starts_with("/static/").then(|| rest.split('"').next()))
        .flatten();
    let response = expect(registry.anonymous.get(style.unwrap()).await, 200).await;
    assert!(header(&response, "cache-control").contains("immutable"));
    expect(
        registry
            .anonymous
            .get("/static/000000000000/style.css")
            .await,
        404,
    )
    .await;
}
