// SPDX-License-Identifier: Apache-2.0
//! `kill -9` at any moment of a push leaves the whole version, or none of it.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use registry_schema::{Digest, media_type};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    package::{EMPTY, KeyPair, PackageBuilder, descriptor},
    process::{Process, demand_clean},
};

/// How often, unless `BPFPKG_KILLS` says otherwise: `make faults` does.
const KILLS: u32 = 50;
pub(crate) const NAME: &str = "demo/pass";

/// A publisher whose server may die at any moment.
pub(crate) struct Publisher {
    pub(crate) client: Client,
    pub(crate) origin: String,
    pub(crate) token: String,
}

impl Publisher {
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> Option<StatusCode> {
        let request = self
            .client
            .request(method, format!("{}{path}", self.origin));
        let request = request
            .basic_auth("admin", Some(&self.token))
            .header("content-type", kind);
        Some(request.body(body.to_vec()).send().await.ok()?.status())
    }

    pub(crate) async fn blob(&self, bytes: &[u8]) -> Option<()> {
        let start = format!("{}/v2/{NAME}/blobs/uploads/", self.origin);
        let request = self
            .client
            .post(start)
            .basic_auth("admin", Some(&self.token))
            .body("");
        let answer = request.send().await.ok()?;
        let location = answer.headers().get("location")?.to_str().ok()?.to_owned();
        for (at, part) in bytes.chunks(4096).enumerate() {
            let request = self.client.patch(format!("{}{location}", self.origin));
            let range = format!("{}-{}", at * 4096, at * 4096 + part.len() - 1);
            let request = request
                .basic_auth("admin", Some(&self.token))
                .header("content-range", range);
            request.body(part.to_vec()).send().await.ok()?;
        }
        let end = format!("{location}?digest={}", Digest::sha256(bytes));
        (self
            .send(Method::PUT, &end, "application/octet-stream", b"")
            .await?
            == 201)
            .then_some(())
    }

    pub(crate) async fn manifest(&self, reference: &str, kind: &str, bytes: &[u8]) -> Option<()> {
        let path = format!("/v2/{NAME}/manifests/{reference}");
        (self.send(Method::PUT, &path, kind, bytes).await? == 201).then_some(())
    }

    /// Pushes a signed version in the order of the client; `Some` if all of it was
    /// acknowledged.
    pub(crate) async fn publish(&self, version: &str) -> Option<()> {
        let packed = PackageBuilder::new(NAME, version).pack();
        let (bundle, signature) = KeyPair::new(7).bundle(&packed.index);
        for blob in packed
            .blobs
            .iter()
            .map(Vec::as_slice)
            .chain([EMPTY, &bundle])
        {
            self.blob(blob).await?;
        }
        for (kind, bytes) in [
            (media_type::OCI_MANIFEST, &packed.manifest),
            (media_type::OCI_INDEX, &packed.index),
            (media_type::OCI_MANIFEST, &signature),
        ] {
            self.manifest(Digest::sha256(bytes).as_str(), kind, bytes)
                .await?;
        }
        self.manifest(version, media_type::OCI_INDEX, &packed.index)
            .await
    }

    pub(crate) async fn bytes(&self, path: &str) -> Vec<u8> {
        let request = self.client.get(format!("{}{path}", self.origin));
        let answer = request
            .basic_auth("admin", Some(&self.token))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        answer.bytes().await.expect("a body").to_vec()
    }

    async fn tags(&self) -> BTreeSet<String> {
        let tags = self.json(&format!("/v2/{NAME}/tags/list")).await;
        serde_json::from_value(tags["tags"].clone()).expect("tags")
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&self.bytes(path).await).expect("JSON")
    }

    /// Follows every reference from `kind` `digest` and checks every byte.
    pub(crate) async fn check(&self, kind: &str, descriptor: &Value) {
        let digest: Digest = descriptor["digest"]
            .as_str()
            .expect("a digest")
            .parse()
            .expect("a digest");
        let bytes = self.bytes(&format!("/v2/{NAME}/{kind}/{digest}")).await;
        digest.check(&bytes).expect("the promised bytes");
        assert_eq!(descriptor["size"], bytes.len());
        if kind == "manifests" {
            let manifest: Value = serde_json::from_slice(&bytes).expect("JSON");
            for (kind, member) in [("manifests", "manifests"), ("blobs", "layers")] {
                for child in manifest[member].as_array().into_iter().flatten() {
                    Box::pin(self.check(kind, child)).await;
                }
            }
            if manifest["config"].is_object() {
                Box::pin(self.check("blobs", &manifest["config"])).await;
            }
        }
    }
}

/// What the tables say: versions with an object, tags, and rows that point at nothing.
async fn tables(data: &Path) -> (BTreeSet<String>, i64) {
    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", data.join("registry.db").display()))
        .await
        .expect("the database");
    let versions: Vec<String> = sqlx::query_scalar(
        "select v.version from versions v join version_objects o using (package, version) \
         join tags t on t.repository = v.package and t.name = v.version and t.digest = v.index_digest",
    )
    .fetch_all(&pool)
    .await
    .expect("versions");
    let dangling: i64 = sqlx::query_scalar(
        "select (select count(*) from manifest_references r where kind <> 'manifest' and not exists \
            (select 1 from blobs b where b.repository = r.repository and b.digest = r.target)) \
         + (select count(*) from manifest_references r where kind = 'manifest' and not exists \
            (select 1 from manifests m where m.repository = r.repository and m.digest = r.target)) \
         + (select count(*) from versions v where not exists \
            (select 1 from version_objects o where o.package = v.package and o.version = v.version)) \
         + (select count(*) from versions v where not exists \
            (select 1 from log_entries e where e.package = v.package and e.version = v.version and e.kind = 'publish')) \
         + (select count(*) from versions v where not exists \
            (select 1 from tags t where t.repository = v.package and t.name = v.version))",
    )
    .fetch_one(&pool)
    .await
    .expect("a number");
    pool.close().await;
    (versions.into_iter().collect(), dangling)
}

#[tokio::test]
async fn killed_at_random_points_of_a_push() {
    let dir = TempDir::new().expect("a directory");
    let data = dir.path();
    let mut server = Process::start(data, &[]);
    let token = server.token().expect("the first start shows a token");
    let kills = std::env::var("BPFPKG_KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok());
    let kills: u32 = kills.unwrap_or(KILLS);
    let publisher = |origin: &str| Publisher {
        client: Client::new(),
        origin: origin.to_owned(),
        token: token.clone(),
    };
    let namespace = serde_json::json!({"name": "demo"}).to_string();
    let status = publisher(&server.origin)
        .send(
            Method::POST,
            "/api/v1/namespaces",
            "application/json",
            namespace.as_bytes(),
        )
        .await;
    assert_eq!(status.map(|status| status.is_success()), Some(true));
    let began = Instant::now();
    publisher(&server.origin)
        .publish("1.0.0")
        .await
        .expect("an undisturbed push");
    let whole = began.elapsed() + Duration::from_millis(2);

    let seed = StdRng::from_os_rng().random();
    println!("an undisturbed push takes {whole:?}; the seed is {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut acknowledged = BTreeSet::from(["1.0.0".to_owned()]);
    let (mut cut, mut watcher) = (0, crate::log::Watcher::new());
    for kill in 1..=kills {
        let version = format!("1.0.{kill}");
        let moment = whole.mul_f64(random.random_range(0.0..1.2));
        let pushing = publisher(&server.origin);
        let (done, ()) = tokio::join!(pushing.publish(&version), async {
            tokio::time::sleep(moment).await;
            server.kill();
        });
        match done {
            Some(()) => drop(acknowledged.insert(version)),
            None => cut += 1,
        }
        server = Process::start(data, &[]);
        let reader = publisher(&server.origin);
        // The publish log never forks and never shrinks, and what was acknowledged is in it.
        watcher.look(&server.origin).await.expect("one log");
        let (versions, dangling) = tables(data).await;
        assert_eq!(dangling, 0, "kill {kill} after {moment:?}");
        assert!(
            versions.is_superset(&acknowledged),
            "kill {kill}: an acknowledged version is gone"
        );
        let tags = reader.tags().await;
        assert_eq!(tags, versions, "kill {kill} after {moment:?}");
        let newest = format!("1.0.{kill}");
        if tags.contains(&newest) {
            follow(&reader, &newest).await;
        }
    }
    assert!(cut > 0, "no push was interrupted");
    // Everything that survived, and a push on top of all that was left behind.
    let reader = publisher(&server.origin);
    reader
        .publish("2.0.0")
        .await
        .expect("a push after all kills");
    let (versions, _) = tables(data).await;
    for version in &versions {
        follow(&reader, version).await;
    }
    demand_clean(data, &[]);
    println!(
        "{cut} of {kills} pushes were cut; {} versions are whole",
        versions.len()
    );
}

/// Checks a version and its signatures down to the last byte.
pub(crate) async fn follow(reader: &Publisher, version: &str) {
    let index = reader
        .bytes(&format!("/v2/{NAME}/manifests/{version}"))
        .await;
    reader
        .check("manifests", &descriptor(media_type::OCI_INDEX, &index))
        .await;
    let referrers = reader
        .json(&format!("/v2/{NAME}/referrers/{}", Digest::sha256(&index)))
        .await;
    for referrer in referrers["manifests"].as_array().expect("referrers") {
        reader.check("manifests", referrer).await;
    }
}
