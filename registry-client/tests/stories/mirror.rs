// SPDX-License-Identifier: Apache-2.0
//! Registries that fetch from others, or list what others have.

use std::net::TcpListener;

use registry_client::registry::{ConnectOptions, Registry};
use registry_schema::{Digest, name::RepositoryName};

use crate::{
    gate::Gate,
    home::Home,
    liar::{Answer, Liar, packed},
    stage::{Plain, Stage},
};

/// A registry of ours whose operator lets it reach this machine, with an empty `demo`.
pub(crate) async fn mirror() -> Stage {
    let stage = Stage::set_with(|config| registry_server::Config {
        allow_private: vec!["127.0.0.0/8".parse().expect("a network")],
        ..config
    })
    .await;
    let login = [
        "login",
        &stage.host(),
        "--user",
        "admin",
        "--password-stdin",
    ];
    stage.admin.run_with(&login, stage.token(), &[]).exits(0);
    stage.admin.run(&["namespace", "create", "demo"]).exits(0);
    stage
}

/// Has `demo` fetched from these upstreams in this order, and tags asked for every time.
pub(crate) fn set_mirror(here: &Stage, upstreams: &[&str]) {
    let mut set = vec!["namespace", "mirror", "demo", "--tag-seconds", "0"];
    for upstream in upstreams {
        set.extend(["--upstream", upstream]);
    }
    here.admin.run(&set).exits(0);
}

/// `demo/counter` 0.1.0, signed by alice, in a docker-registry. Gives its digest and the
/// home of who made it.
pub(crate) async fn published(plain: &Plain) -> (String, Home) {
    let stage = Stage::set().await;
    stage.opened();
    stage.admin.package("counter");
    let push = ["push", "--key", "alice.key", "counter", "--output", "json"];
    let pushed = stage.admin.run(&push).exits(0).json();
    stage
        .admin
        .run(&["copy", "demo/counter:0.1.0", &plain.host])
        .exits(0);
    let digest = pushed["digest"].as_str().expect("a digest").to_owned();
    stage.running.shutdown().await;
    (digest, stage.admin)
}

async fn get(url: &str) -> reqwest::Response {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    client.get(url).send().await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pulled_is_fetched_checked_kept_and_listed() {
    let plain = Plain::start();
    let (digest, alice) = published(&plain).await;
    let key = alice.path("alice.pub");
    let key = key.to_str().expect("a path");
    let here = mirror().await;
    set_mirror(&here, &[&format!("http://{}", plain.host)]);
    let listed = here
        .admin
        .run(&["namespace", "mirror", "demo", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(listed[0]["host"], plain.host.as_str());

    let user = Home::with_registry(&here.host());
    user.run(&["info", "demo/counter"]).exits(3);
    // Not even `latest` is known there; the mirror finds out.
    let verify = ["verify", "demo/counter", "--key", key, "--output", "json"];
    assert_eq!(user.run(&verify).exits(0).json()["digest"], digest.as_str());
    user.run(&["pull", "demo/counter:0.1.0", "--key", key])
        .exits(0);
    let info = user
        .run(&["info", "demo/counter:0.1.0", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(info["digest"], digest.as_str());
    user.run(&["verify", "demo/nothing", "--key", key]).exits(3);

    // The same bytes under another name are no version of it: served, and not listed.
    alice
        .run(&[
            "copy",
            &format!("{}/demo/counter:0.1.0", plain.host),
            &format!("{}/demo/other", plain.host),
        ])
        .exits(0);
    let other = get(&format!(
        "http://{}/v2/demo/other/manifests/0.1.0",
        here.host()
    ))
    .await;
    assert_eq!(other.status(), 200);
    user.run(&["info", "demo/other"]).exits(3);
    let bytes = other.bytes().await.expect("a manifest");
    assert_eq!(Digest::sha256(&bytes).as_str(), digest);

    // Nobody answers any more: what is here stays, and says so.
    drop(plain);
    user.run(&verify).exits(0);
    let stale = get(&format!(
        "http://{}/v2/demo/counter/manifests/0.1.0",
        here.host()
    ))
    .await;
    let warning = stale.headers().get("warning").expect("a warning");
    assert_eq!(warning, "110 - \"Response is Stale\"");
    let never = get(&format!(
        "http://{}/v2/demo/counter/manifests/9.9.9",
        here.host()
    ))
    .await;
    assert_eq!(never.status(), 503, "nobody can say that it does not exist");

    here.admin
        .run(&["namespace", "mirror", "demo", "--off"])
        .exits(0);
    let never = get(&format!(
        "http://{}/v2/demo/counter/manifests/9.9.9",
        here.host()
    ))
    .await;
    assert_eq!(never.status(), 404);
    user.run(&verify).exits(0);
    here.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_lies_leaves_nothing_and_the_next_one_is_asked() {
    let plain = Plain::start();
    let (_, alice) = published(&plain).await;
    let key = alice.path("alice.pub");
    let key = key.to_str().expect("a path");
    let liar = Liar::start();
    let version = packed(&alice.path("counter"));
    let object = version.blobs.keys().next().expect("a blob").clone();
    let path = format!("counter/blobs/{object}");
    let good = version.blobs[&object].to_vec();
    let kind = "application/octet-stream".to_owned();
    let mut flipped = good.clone();
    flipped[0] ^= 1;
    for answer in [
        Answer::Bytes(kind.clone(), flipped),
        Answer::Bytes(kind.clone(), good[..good.len() - 1].to_vec()),
        Answer::Endless,
    ] {
        let here = mirror().await;
        liar.publish("counter", &version, "0.1.0");
        liar.put(&path, answer);
        let lying = format!("http://{}", liar.host);
        set_mirror(&here, &[&lying]);
        let user = Home::with_registry(&here.host());
        let verify = ["verify", "demo/counter:0.1.0", "--key", key];
        assert_ne!(user.run(&verify).code, 0);
        let kept = here.data().join("blobs");
        let stored = find(&kept, object.hex());
        assert!(!stored, "nothing is stored under the promised digest");

        // One that never answers, one that has nothing, one that has it.
        let deaf = TcpListener::bind("127.0.0.1:0").expect("a port");
        let deaf = format!("http://{}", deaf.local_addr().expect("an address"));
        let empty = Plain::start();
        let (empty, right) = (
            format!("http://{}", empty.host),
            format!("http://{}", plain.host),
        );
        set_mirror(&here, &[&lying, &deaf, &empty, &right]);
        user.run(&verify).exits(0);
        here.running.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_the_upstream_has_changed_is_refused() {
    let alice = Home::new();
    alice.keygen("alice");
    let folder = alice.package("counter");
    let version = packed(&folder);
    let (entry, manifest) = &version.manifests[0];
    let digest = version.digest();
    // One bit of the index under its digest, or of the manifest that it leads to.
    for (path, flipped) in [
        (format!("counter/manifests/{digest}"), digest.clone()),
        (
            format!("counter/manifests/{}", entry.digest),
            entry.digest.clone(),
        ),
    ] {
        let (liar, here) = (Liar::start(), mirror().await);
        liar.publish("counter", &version, "0.1.0");
        liar.change(&path, |bytes| {
            let last = bytes.len() - 3;
            bytes[last] ^= 1;
        });
        set_mirror(&here, &[&format!("http://{}", liar.host)]);
        let url = |name: &str| format!("http://{}/v2/demo/counter/manifests/{name}", here.host());
        let answer = get(&url(flipped.as_str())).await;
        assert_ne!(answer.status(), 200, "{path}");
        // By its name it is not believed either, as far as it is the one that was changed.
        let user = Home::with_registry(&here.host());
        let key = alice.path("alice.pub");
        let key = key.to_str().expect("a path");
        let verify = ["verify", &format!("demo/counter@{digest}"), "--key", key];
        assert_ne!(user.run(&verify).code, 0, "{path}");
        user.run(&["info", "demo/counter:0.1.0"]).exits(3);
        // Another upstream tells the truth: nothing of the lie was kept.
        let honest = Liar::start();
        honest.publish("counter", &version, "0.1.0");
        set_mirror(&here, &[&format!("http://{}", honest.host)]);
        let bytes = get(&url(entry.digest.as_str())).await.bytes().await;
        assert_eq!(bytes.expect("a manifest"), manifest);
        assert_eq!(get(&url(digest.as_str())).await.status(), 200);
        here.running.shutdown().await;
    }
}

/// Whether a file of that name is anywhere below a folder.
fn find(folder: &std::path::Path, name: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return false;
    };
    entries.flatten().any(|entry| {
        entry.file_name().to_str() == Some(name)
            || (entry.path().is_dir() && find(&entry.path(), name))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_version_is_listed_and_its_bytes_stay_where_they_are() {
    let plain = Plain::start();
    let (digest, alice) = published(&plain).await;
    let key = alice.path("alice.pub");
    let key = key.to_str().expect("a path");
    let here = mirror().await;
    here.admin
        .run(&["namespace", "key", "add", "demo", key])
        .exits(0);
    let source = format!("http://{}/demo/counter:0.1.0", plain.host);
    let listed = here
        .admin
        .run(&[
            "namespace",
            "foreign",
            "demo/counter",
            &source,
            "--output",
            "json",
        ])
        .exits(0)
        .json();
    assert_eq!(listed["digest"], digest.as_str());
    assert_eq!(
        listed["source"],
        format!("{}/demo/counter@{digest}", plain.host)
    );

    let user = Home::with_registry(&here.host());
    let info = user
        .run(&["info", "demo/counter:0.1.0", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(info["digest"], digest.as_str());
    assert_eq!(
        info["signature"], "signed",
        "judged by the keys of the namespace here"
    );
    let version = packed(&alice.path("counter"));
    let object =
        Digest::sha256(&std::fs::read(alice.path("counter/counter.bpf.o")).expect("the object"));
    assert!(version.blobs.contains_key(&object));
    assert!(
        !find(&here.data().join("blobs"), object.hex()),
        "the object is not kept"
    );
    let answer = get(&format!(
        "http://{}/v2/demo/counter/blobs/{object}",
        here.host()
    ))
    .await;
    assert_eq!(answer.status(), 307);
    let place = answer.headers().get("location").expect("a place");
    assert_eq!(
        place.to_str().ok(),
        Some(
            format!(
                "{}/v2/demo/counter/blobs/{object}",
                source.trim_end_matches("/demo/counter:0.1.0")
            )
            .as_str()
        )
    );
    let verified = user
        .run(&[
            "verify",
            "demo/counter:0.1.0",
            "--key",
            key,
            "--output",
            "json",
        ])
        .exits(0)
        .json();
    assert_eq!(verified["digest"], digest.as_str());

    here.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_wants_a_token_from_everybody_is_asked_for_one() {
    let plain = Plain::start();
    let gate = Gate::before(&plain.host);
    let (digest, alice) = published(&plain).await;
    let key = alice.path("alice.pub");
    let key = key.to_str().expect("a path");
    let here = mirror().await;
    let source = format!("http://{}/demo/counter@{digest}", gate.host);
    here.admin
        .run(&["namespace", "foreign", "demo/counter", &source])
        .exits(0);
    let user = Home::with_registry(&here.host());
    let verify = ["verify", "demo/counter:0.1.0", "--key", key];
    user.run(&verify).exits(0);
    let info = user
        .run(&["info", "demo/counter:0.1.0", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(info["place"], format!("{}/demo/counter", gate.host));
    let page = get(&format!("http://{}/packages/demo/counter", here.host())).await;
    let page = page.text().await.expect("a page");
    assert!(page.contains(&format!("{}/demo/counter", gate.host)));
    here.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_versions_are_listed_and_only_under_their_own_name() {
    let plain = Plain::start();
    published(&plain).await;
    let here = mirror().await;
    let source = format!("http://{}/demo/counter:0.1.0", plain.host);
    let user = Home::with_registry(&here.host());
    here.admin
        .run(&["namespace", "foreign", "demo/other", &source])
        .exits(1)
        .says(&["must be the same"]);
    here.admin
        .run(&[
            "namespace",
            "foreign",
            "demo/counter",
            &format!("http://{}/demo/no:1", plain.host),
        ])
        .exits(3);
    user.run(&["namespace", "foreign", "demo/counter", &source])
        .exits(4);
    here.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_does_not_connect_to_the_network_behind_it() {
    let stage = Stage::set().await;
    stage.opened();
    for place in [
        "http://127.0.0.1:1",
        "169.254.169.254",
        "[::1]:443",
        "10.0.0.1",
        "localhost",
    ] {
        stage
            .admin
            .run(&["namespace", "mirror", "demo", "--upstream", place])
            .exits(1)
            .says(&["--allow-private"]);
        stage
            .admin
            .run(&[
                "namespace",
                "foreign",
                "demo/counter",
                &format!("{place}/demo/counter:0.1.0"),
            ])
            .exits(1);
    }
    stage.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_of_a_mirror_keeps_signatures_that_come_later() {
    let (first, second) = (mirror().await, mirror().await);
    first.admin.keygen("alice");
    first.admin.package("counter");
    first.admin.run(&["push", "--no-sign", "counter"]).exits(0);
    set_mirror(&second, &[&format!("http://{}", first.host())]);
    let key = first.admin.path("alice.pub");
    let key = key.to_str().expect("a path");
    let user = Home::with_registry(&second.host());
    user.run(&["verify", "demo/counter:0.1.0", "--key", key])
        .exits(21);
    first
        .admin
        .run(&["push", "--key", "alice.key", "counter"])
        .exits(0);
    user.run(&["verify", "demo/counter:0.1.0", "--key", key])
        .exits(0);
    let registry =
        Registry::connect(&second.host(), &ConnectOptions::default()).expect("a registry");
    let repository: RepositoryName = "demo/counter".parse().expect("a name");
    let tags = registry.tags(&repository).await.expect("listed");
    assert!(
        tags.iter()
            .any(|tag| tag.as_str().strip_suffix(".sig").is_some()),
        "{tags:?}"
    );
    first.running.shutdown().await;
    second.running.shutdown().await;
}
