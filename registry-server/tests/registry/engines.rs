// SPDX-License-Identifier: Apache-2.0
//! The same stories on SQLite and on PostgreSQL, and every statement prepared on both.

use std::{path::Path, process::Command, sync::OnceLock};

use registry_schema::{api::NewDeprecation, media_type};
use registry_server::{
    config::Config,
    job::Claim,
    service::{
        ServiceError, fsck, gc, lifecycle, namespace, retention,
        scrub::{self, Scrub},
        upload,
    },
    store::{self, Db},
};
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};
use tempfile::TempDir;

use crate::support::{
    TestRegistry, administrator, expect, header,
    package::{KeyPair, PackageBuilder},
};

/// A private PostgreSQL in a temporary directory, reached through a socket there.
pub(crate) struct Cluster {
    pub(crate) dir: TempDir,
}

pub(crate) fn binaries() -> Option<&'static Path> {
    [
        "/usr/lib/postgresql/15/bin",
        "/usr/lib/postgresql/16/bin",
        "/usr/lib/postgresql/17/bin",
    ]
    .into_iter()
    .map(Path::new)
    .find(|path| path.join("initdb").exists())
}

/// Runs a program of PostgreSQL, which refuses to be root.
fn run(program: &str, arguments: &[&str]) {
    let path = binaries().expect("PostgreSQL is installed").join(program);
    let root = rustix::process::geteuid().is_root();
    let mut command = if root {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(path);
        command
    } else {
        Command::new(path)
    };
    let output = command
        .args(arguments)
        .current_dir("/")
        .output()
        .expect("it runs");
    assert!(
        output.status.success() || std::thread::panicking(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let dir = TempDir::new().expect("a directory");
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(dir.path(), everybody).expect("permissions");
        let (data, log) = (dir.path().join("data"), dir.path().join("log"));
        let (data, log) = (data.to_str().expect("UTF-8"), log.to_str().expect("UTF-8"));
        run(
            "initdb",
            &["-D", data, "-A", "trust", "-U", "postgres", "--no-sync"],
        );
        let cluster = Self { dir };
        cluster.run(log, data);
        cluster
    }

    /// Starts the server again, after somebody killed it.
    pub(crate) fn restart(&self) {
        // A process that was killed looks alive until its parent has noticed.
        for left in ["data/postmaster.pid", ".s.PGSQL.5432.lock"] {
            std::fs::remove_file(self.dir.path().join(left)).expect("a mark of the server");
        }
        let (data, log) = (self.dir.path().join("data"), self.dir.path().join("log"));
        let (data, log) = (data.to_str().expect("UTF-8"), log.to_str().expect("UTF-8"));
        self.run(log, data);
    }

    fn run(&self, log: &str, data: &str) {
        let options = format!(
            "-k {} -c listen_addresses='' -c max_connections=200",
            self.dir.path().display()
        );
        run(
            "pg_ctl",
            &["-D", data, "-l", log, "-w", "-o", &options, "start"],
        );
    }

    /// A fresh database.
    pub(crate) async fn database(&self, name: &'static str) -> String {
        let url = |database: &str| {
            format!(
                "postgres://postgres@localhost/{database}?host={}",
                self.dir.path().display()
            )
        };
        let pool = sqlx::PgPool::connect(&url("postgres"))
            .await
            .expect("the cluster");
        pool.execute(AssertSqlSafe(format!("create database {name}")))
            .await
            .expect("a database");
        pool.close().await;
        url(name)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.dir.path().join("data");
        run(
            "pg_ctl",
            &[
                "-D",
                data.to_str().unwrap_or_default(),
                "-m",
                "immediate",
                "stop",
            ],
        );
    }
}

/// A private PostgreSQL; none, said loudly, where it is not installed.
pub(crate) fn cluster() -> Option<Cluster> {
    if binaries().is_none() {
        skip();
        return None;
    }
    Some(Cluster::start())
}

/// A registry on a fresh database of a private PostgreSQL, which lives as long as the cluster.
pub(crate) async fn postgresql(
    change: impl FnOnce(Config) -> Config,
) -> Option<(Cluster, TestRegistry)> {
    let cluster = cluster()?;
    let url = cluster.database("registry").await;
    let registry = TestRegistry::start_with(|config| {
        let mut config = change(config);
        config.database = Some(url);
        config
    })
    .await;
    Some((cluster, registry))
}

/// Says, once and loudly, that half of the tests did not run.
pub(crate) fn skip() {
    static SAID: OnceLock<()> = OnceLock::new();
    SAID.get_or_init(|| {
        eprintln!("\n*** PostgreSQL is not installed: its tests are SKIPPED. apt-get install postgresql ***\n");
    });
}

/// The whole life of a package.
async fn story(registry: &TestRegistry) {
    let admin = &registry.admin;
    let key = KeyPair::new(7);
    let demo = "demo".parse().expect("a name");
    for version in ["1.0.0", "1.1.0"] {
        let packed = PackageBuilder::new("demo/pass", version).pack();
        expect(packed.push(admin, version).await, 201).await;
        expect(packed.push_tag(admin, version).await, 201).await;
        key.push_bundle(admin, "demo/pass", &packed.index).await;
        // The signature, and the proof that it is in the publish log.
        let path = format!("/v2/demo/pass/referrers/{}", packed.digest());
        assert_eq!(
            registry.anonymous.json(&path).await["manifests"]
                .as_array()
                .expect("a list")
                .len(),
            2
        );
    }
    namespace::add_key(&registry.app, &administrator(), &demo, &key.public.to_pem())
        .await
        .expect("a key");
    let keys = namespace::keys(&registry.app, &administrator(), &demo)
        .await
        .expect("keys");
    assert_eq!(keys[0].versions_signed, 2);
    let latest = registry
        .anonymous
        .get("/v2/demo/pass/manifests/latest")
        .await;
    let newest = PackageBuilder::new("demo/pass", "1.1.0").pack();
    assert_eq!(latest.bytes().await.expect("a body"), newest.index);
    assert_eq!(
        registry.anonymous.json("/v2/demo/pass/tags/list").await["tags"],
        json!(["1.0.0", "1.1.0"])
    );
    let catalogue = registry.anonymous.json("/v2/_catalog").await;
    assert_eq!(catalogue, json!({"repositories": ["demo/pass"]}));
    let detail = namespace::get(&registry.app, &administrator(), &demo)
        .await
        .expect("a namespace");
    assert_eq!(detail.packages, 1);
    let metrics = registry
        .anonymous
        .get("/metrics")
        .await
        .text()
        .await
        .expect("text");
    assert!(metrics.contains("\nbpfpkg_versions 2\n"), "{metrics}");
    namespace::remove_key(
        &registry.app,
        &administrator(),
        &demo,
        &key.public.fingerprint(),
    )
    .await
    .expect("a removed key");
    second_thoughts(registry).await;
}

/// A version is yanked, deprecated, and both are taken back.
async fn second_thoughts(registry: &TestRegistry) {
    let (app, admin) = (&registry.app, administrator());
    let package = "demo/pass".parse().expect("a name");
    let version = "1.1.0".parse().expect("a version");
    let notice = || "counts twice".parse().expect("a notice");
    let latest = async || {
        let path = "/v2/demo/pass/manifests/latest";
        let answer = expect(registry.anonymous.head(path).await, 200).await;
        let warned = answer.headers().get_all("warning").iter().count();
        (header(&answer, "docker-content-digest").to_owned(), warned)
    };
    let digest = |version: &str| {
        let packed = PackageBuilder::new("demo/pass", version).pack();
        packed.digest().to_string()
    };
    let done = lifecycle::yank(app, &admin, &package, &version, &notice()).await;
    done.expect("a yank");
    assert_eq!(latest().await, (digest("1.0.0"), 0));
    let advice = NewDeprecation {
        message: notice(),
        replacement: Some("demo/next@^2".parse().expect("a reference")),
    };
    for about in [None, Some(&version)] {
        let done = lifecycle::deprecate(app, &admin, &package, about, &advice).await;
        done.expect("a deprecation");
    }
    assert_eq!(latest().await, (digest("1.0.0"), 1));
    let done = lifecycle::unyank(app, &admin, &package, &version).await;
    done.expect("no yank");
    assert_eq!(latest().await, (digest("1.1.0"), 2));
    let detail = registry.anonymous.json("/api/v1/packages/demo/pass").await;
    assert_eq!(detail["deprecated"]["replacement"], "demo/next@^2");
    assert_eq!(
        detail["versions"][0]["deprecated"]["message"],
        "counts twice"
    );
    for about in [None, Some(&version), None] {
        let done = lifecycle::restore(app, &admin, &package, about).await;
        done.expect("no deprecation");
    }
    assert_eq!(latest().await, (digest("1.1.0"), 0));
}

/// What background work does to the tables.
async fn upkeep(registry: &TestRegistry) {
    let admin = &registry.admin;
    let loose = admin.push_blob("demo/upkeep", b"loose").await;
    let path = "/api/v1/namespaces/demo/storage";
    let rules = json!({"quota_bytes": 1 << 30, "untagged_days": 1, "keep_tags": 1});
    let set = admin
        .request(reqwest::Method::PUT, path)
        .json(&rules)
        .send();
    expect(set.await.expect("an answer"), 200).await;
    expect(admin.post(&format!("{path}/expire")).await, 200).await;
    retention::run(&registry.app).await.expect("rules");
    registry.later(chrono::Duration::hours(25));
    upload::sweep(&registry.app).await.expect("a sweep");
    let collected = gc::run(&registry.app, false).await.expect("a collection");
    assert!(collected.blobs > 0);
    registry.later(chrono::Duration::hours(2));
    let collected = gc::run(&registry.app, false).await.expect("a collection");
    assert!(collected.contents > 0);
    assert_eq!(
        registry.app.blobs.size(&loose).await.expect("an answer"),
        None
    );
    let scrub = Scrub {
        before: registry.app.clock.now(),
        bytes_per_second: None,
        repair_from: None,
    };
    let report = scrub::run(&registry.app, &scrub).await.expect("a scrub");
    assert!(
        report.contents > 0 && report.damaged.is_empty(),
        "{report:?}"
    );
    let report = fsck::run(&registry.app).await.expect("a check");
    assert_eq!(report.problems, Vec::new());
    let claim = Claim::take(&registry.app, "test").await.expect("an answer");
    let claim = claim.expect("a claim");
    assert!(
        Claim::take(&registry.app, "test")
            .await
            .expect("an answer")
            .is_none()
    );
    let done = claim.release(std::time::Duration::ZERO, &Ok::<_, ServiceError>(()));
    done.await.expect("released");
}

/// Many at once: none fails, none is lost, and the feed has each number once.
async fn crowd(registry: &TestRegistry) {
    let pushes = (0..20).map(async |at: u32| {
        let name = format!("demo/crowd{at}");
        let packed = PackageBuilder::new(&name, "1.0.0").pack();
        expect(packed.push(&registry.admin, "1.0.0").await, 201).await;
    });
    let before = store::changes::list(&registry.app.db, 0, 1000)
        .await
        .expect("changes")
        .len();
    futures::future::join_all(pushes).await;
    let changes = store::changes::list(&registry.app.db, 0, 1000)
        .await
        .expect("changes");
    assert_eq!(changes.len(), before + 20);
    let numbers: Vec<i64> = changes.iter().map(|change| change.sequence).collect();
    let expected: Vec<i64> = (1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected);
    // Of two that publish the same version, one does, and the tag is what it published.
    for at in 0..5 {
        let name = format!("demo/race{at}");
        let one = PackageBuilder::new(&name, "1.0.0").pack();
        let mut two = PackageBuilder::new(&name, "1.0.0");
        "MIT OR GPL-2.0-only".clone_into(&mut two.license);
        let two = two.pack();
        let admin = &registry.admin;
        tokio::join!(one.push_content(admin), two.push_content(admin));
        let (first, second) =
            tokio::join!(one.push_tag(admin, "1.0.0"), two.push_tag(admin, "1.0.0"));
        let mut statuses = [first.status().as_u16(), second.status().as_u16()];
        let winner = if statuses[0] == 201 { &one } else { &two };
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
        let path = format!("/v2/{name}/manifests/1.0.0");
        let tag = registry.anonymous.get(&path).await;
        assert_eq!(tag.bytes().await.expect("a body"), winner.index);
    }
    // Of one image that everybody deletes, one deletion is the one.
    registry.admin.push_blob("demo/image", b"{}").await;
    let index = json!({"schemaVersion": 2, "manifests": []}).to_string();
    let put =
        registry
            .admin
            .put_manifest("demo/image", "one", media_type::OCI_INDEX, index.as_bytes());
    expect(put.await, 201).await;
    let deletions = (0..10).map(|_| registry.admin.delete("/v2/demo/image/manifests/one"));
    let answers = futures::future::join_all(deletions).await;
    assert_eq!(
        answers
            .iter()
            .filter(|answer| answer.status() == 202)
            .count(),
        1
    );
}

/// All stories, and that a restart forgets nothing.
async fn stories(registry: TestRegistry) -> TestRegistry {
    story(&registry).await;
    crowd(&registry).await;
    upkeep(&registry).await;
    let registry = registry.restart().await;
    expect(
        registry
            .anonymous
            .get("/v2/demo/pass/manifests/1.0.0")
            .await,
        200,
    )
    .await;
    registry
}

#[tokio::test]
async fn stories_on_sqlite() {
    stories(TestRegistry::start().await).await;
}

#[tokio::test]
async fn stories_on_postgresql() {
    if binaries().is_none() {
        return skip();
    }
    let cluster = Cluster::start();
    let url = cluster.database("stories").await;
    let registry = TestRegistry::start_with(|mut config| {
        config.database = Some(url);
        config
    })
    .await;
    let registry = stories(registry).await;
    crate::audit::story(&registry).await;
    let whole = crate::log::verified(&registry).await.expect("a whole log");
    assert!(whole.entries > 20 && whole.versions > 20, "{whole:?}");
    crate::webhooks::story(&registry).await;
    registry.app.db.close().await;
}

/// The name and text of every SQL constant of a source file.
fn constants(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for part in source.split("const ").skip(1) {
        let Some((name, rest)) = part.split_once(": &str =") else {
            continue;
        };
        let Some(literal) = rest.trim_start().strip_prefix('"') else {
            continue;
        };
        let text = literal.split('"').next().unwrap_or_default();
        let words = ["select ", "insert ", "update ", "delete ", "with "];
        if words.iter().any(|word| text.starts_with(word)) {
            found.push((name.to_owned(), text.replace("\\\n", " ")));
        }
    }
    found
}

fn sources(folder: &Path, into: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() {
            sources(&entry.path(), into);
        } else {
            let text = std::fs::read_to_string(entry.path()).expect("a source");
            let file = entry.file_name().to_string_lossy().into_owned();
            into.extend(
                constants(&text)
                    .into_iter()
                    .map(|(name, sql)| (format!("{file} {name}"), sql)),
            );
        }
    }
}

#[tokio::test]
async fn every_statement_prepares_on_both_engines() {
    let mut statements = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store"),
        &mut statements,
    );
    assert!(
        statements.len() > 40,
        "only {} statements found",
        statements.len()
    );
    let dir = TempDir::new().expect("a directory");
    let Db::Sqlite(sqlite, ..) = Db::sqlite(&dir.path().join("test.db"))
        .await
        .expect("SQLite")
    else {
        unreachable!("SQLite was asked for")
    };
    for (place, sql) in &statements {
        let prepared = sqlite
            .prepare(AssertSqlSafe(sql.clone()).into_sql_str())
            .await;
        assert!(
            prepared.is_ok(),
            "SQLite: {place}: {sql}: {:?}",
            prepared.err()
        );
    }
    if binaries().is_none() {
        return skip();
    }
    let cluster = Cluster::start();
    let url = cluster.database("statements").await;
    let Db::Postgres(postgres) = Db::postgres(&url).await.expect("PostgreSQL") else {
        unreachable!("PostgreSQL was asked for")
    };
    for (place, sql) in &statements {
        let prepared = postgres
            .prepare(AssertSqlSafe(sql.clone()).into_sql_str())
            .await;
        assert!(
            prepared.is_ok(),
            "PostgreSQL: {place}: {sql}: {:?}",
            prepared.err()
        );
    }
    postgres.close().await;
}
