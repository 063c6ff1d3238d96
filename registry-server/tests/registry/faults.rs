// SPDX-License-Identifier: Apache-2.0
//! Disks that are full or fail, and a database that hangs and dies: nothing that was
//! acknowledged is lost, nothing half is visible, and the registry comes back.

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use registry_schema::{Digest, media_type};
use registry_server::service::fsck;
use reqwest::{Client, Method, StatusCode};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    crash::{NAME, Publisher, follow},
    engines::{self, Cluster},
    support::{
        TestRegistry, expect, header,
        package::PackageBuilder,
        process::{Process, demand_clean},
    },
};

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("\n*** not root: a test of disks is SKIPPED ***\n");
    }
    root
}

/// A small disk.
struct Tmpfs(TempDir);

impl Tmpfs {
    fn mount(mebibytes: u32) -> Self {
        let dir = TempDir::new().expect("a directory");
        let size = format!("size={mebibytes}m,mode=700");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(dir.path());
        assert!(mount.status().expect("mount runs").success(), "mount");
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills the disk until so many bytes are left.
    fn leave(&self, bytes: u64) {
        let statistics = rustix::fs::statvfs(self.path()).expect("statistics");
        let free = statistics.f_bavail * statistics.f_frsize;
        let filler = vec![0; usize::try_from(free.saturating_sub(bytes)).expect("a small disk")];
        std::fs::write(self.path().join("filler"), filler).expect("a filler");
    }

    fn free(&self) {
        std::fs::remove_file(self.path().join("filler")).expect("a filler");
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: whatever is still open goes with the process.
        drop(Command::new("umount").arg("-l").arg(self.path()).status());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_what_does_not_fit_and_keeps_the_rest() {
    if !is_root() {
        return;
    }
    let disk = Tmpfs::mount(8);
    let data = disk.path().to_owned();
    let registry = TestRegistry::start_with(|mut config| {
        config.data = data;
        config
    })
    .await;
    let admin = &registry.admin;
    let package = |version: &str| PackageBuilder::new(NAME, version).pack();
    expect(package("1.0.0").push(admin, "1.0.0").await, 201).await;
    let mut acknowledged = BTreeSet::from(["1.0.0".to_owned()]);
    let (mut refused, mut at) = (BTreeSet::new(), 0);
    // From no room at all to enough: each time another step is the first that fails.
    for free in (0..240).step_by(16).chain((240..3000).step_by(240)) {
        disk.leave(free * 1024);
        at += 1;
        let version = format!("1.0.{at}");
        match try_push(admin, &version).await {
            Ok(()) => drop(acknowledged.insert(version)),
            Err((step, status)) => {
                assert!(
                    [503, 507].contains(&status),
                    "{step}: {status} with {free} KiB left"
                );
                refused.insert((step, status, free));
            }
        }
        // What is there is still served.
        expect(registry.anonymous.get("/healthz").await, 200).await;
        expect(admin.get(&format!("/v2/{NAME}/manifests/1.0.0")).await, 200).await;
        disk.free();
        let report = fsck::run(&registry.app).await.expect("a check");
        assert_eq!(report.problems, Vec::new(), "with {free} KiB left");
        let tags = admin.json(&format!("/v2/{NAME}/tags/list")).await;
        let tags: BTreeSet<String> = serde_json::from_value(tags["tags"].clone()).expect("tags");
        assert_eq!(tags, acknowledged, "with {free} KiB left");
        expect(registry.anonymous.get("/readyz").await, 200).await;
    }
    let steps: BTreeSet<&str> = refused.iter().map(|(step, ..)| *step).collect();
    assert!(steps.contains("blob"), "{refused:?}");
    assert!(
        refused.iter().any(|(_, status, _)| *status == 507),
        "{refused:?}"
    );
    assert!(acknowledged.len() > 1, "nothing ever fitted: {refused:?}");
    // And a search, whose index is on the same disk.
    disk.leave(0);
    let found = registry
        .anonymous
        .get("/api/v1/search?q=pass")
        .await
        .status();
    disk.free();
    assert!(found != StatusCode::OK || acknowledged.len() > 1);
    let found = registry.anonymous.json("/api/v1/search?q=pass").await;
    assert_eq!(found["packages"][0]["name"], NAME, "{found}");
    println!(
        "refused at {refused:?}; {} of {at} fitted",
        acknowledged.len() - 1
    );
}

/// Pushes a version; where it is refused, says at which step and how.
async fn try_push(user: &crate::support::User, version: &str) -> Result<(), (&'static str, u16)> {
    let packed = PackageBuilder::new(NAME, version).pack();
    for blob in packed
        .blobs
        .iter()
        .map(Vec::as_slice)
        .chain([b"{}".as_slice()])
    {
        let digest = Digest::sha256(blob);
        let path = format!("/v2/{NAME}/blobs/uploads/?digest={digest}");
        let push = user.request(Method::POST, &path).body(blob.to_vec());
        let status = push.send().await.expect("an answer").status();
        if status != StatusCode::CREATED {
            return Err(("blob", status.as_u16()));
        }
    }
    let (manifest, index) = (Digest::sha256(&packed.manifest), packed.digest());
    for (reference, kind, body) in [
        (
            manifest.as_str(),
            media_type::OCI_MANIFEST,
            &packed.manifest,
        ),
        (index.as_str(), media_type::OCI_INDEX, &packed.index),
        (version, media_type::OCI_INDEX, &packed.index),
    ] {
        let answer = user.put_manifest(NAME, reference, kind, body).await;
        if answer.status() != StatusCode::CREATED {
            return Err(("manifest", answer.status().as_u16()));
        }
    }
    Ok(())
}

/// strace, which makes every sync of another process fail.
struct FailingSyncs(Child);

impl FailingSyncs {
    fn attach(process: &Process) -> Self {
        let child = Command::new("strace")
            .args([
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                "trace=fsync,fdatasync",
            ])
            .args(["-e", "inject=fsync,fdatasync:error=EIO", "-p"])
            .arg(process.id().to_string())
            .stderr(Stdio::null())
            .spawn()
            .expect("strace starts");
        let strace = Self(child);
        // It has attached when the kernel says who traces each thread.
        for _ in 0..500 {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", process.id())).expect("tasks");
            let traced = tasks.flatten().all(|task| {
                std::fs::read_to_string(task.path().join("status"))
                    .is_ok_and(|status| !status.contains("TracerPid:\t0\n"))
            });
            if traced {
                return strace;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("strace does not attach");
    }
}

impl Drop for FailingSyncs {
    fn drop(&mut self) {
        // SIGTERM, so that it lets go of the process first.
        let id = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_confirms_no_write_makes_the_registry_read_only() {
    if !is_root() || Command::new("strace").arg("-V").output().is_err() {
        eprintln!(
            "\n*** strace is not installed: the test of failing syncs is SKIPPED. make setup ***\n"
        );
        return;
    }
    // The first sync that fails is a blob's, or the database's.
    for database_first in [false, true] {
        let dir = TempDir::new().expect("a directory");
        let mut server = Process::start(dir.path(), &[]);
        let token = server.token().expect("a first start");
        let client = Client::new();
        let publisher = |server: &Process| Publisher {
            client: client.clone(),
            origin: server.origin.clone(),
            token: token.clone(),
        };
        let us = publisher(&server);
        let namespace = |name: &str| json!({ "name": name }).to_string();
        let make = async |us: &Publisher, name: &str| {
            let body = namespace(name);
            us.send(
                Method::POST,
                "/api/v1/namespaces",
                "application/json",
                body.as_bytes(),
            )
            .await
        };
        assert_eq!(make(&us, "demo").await, Some(StatusCode::CREATED));
        us.publish("1.0.0").await.expect("a push");
        let failing = FailingSyncs::attach(&server);
        if database_first {
            assert_eq!(
                make(&us, "lost").await,
                Some(StatusCode::SERVICE_UNAVAILABLE)
            );
        } else {
            assert!(
                us.blob(b"lost").await.is_none(),
                "acknowledged without a sync"
            );
        }
        let ready = async |us: &Publisher| {
            let answer = us.client.get(format!("{}/readyz", us.origin)).send().await;
            let answer = answer.expect("an answer");
            (answer.status(), answer.text().await.expect("text"))
        };
        let (status, text) = ready(&us).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{text}");
        assert!(text.contains("until it is restarted"), "{text}");
        // The disk recovers; nobody knows what of the lost writes it holds.
        drop(failing);
        assert_eq!(ready(&us).await.0, StatusCode::SERVICE_UNAVAILABLE);
        assert!(
            us.publish("1.0.1").await.is_none(),
            "written after a failed sync"
        );
        follow(&us, "1.0.0").await;
        server.kill();
        let server = Process::start(dir.path(), &[]);
        let us = publisher(&server);
        assert_eq!(ready(&us).await.0, StatusCode::OK);
        follow(&us, "1.0.0").await;
        us.publish("1.0.1").await.expect("a push after the restart");
        demand_clean(dir.path(), &[]);
    }
}

/// All processes of a PostgreSQL that this test started.
fn processes(cluster: &Cluster) -> Vec<rustix::process::Pid> {
    let text = std::fs::read_to_string(cluster.dir.path().join("data/postmaster.pid"));
    let first: i32 = text
        .expect("a running server")
        .lines()
        .next()
        .expect("a line")
        .parse()
        .expect("a number");
    let mut found = vec![first];
    for entry in std::fs::read_dir("/proc").expect("processes").flatten() {
        let Ok(status) = std::fs::read_to_string(entry.path().join("status")) else {
            continue;
        };
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|number| number.trim().parse::<i32>().ok())
        };
        if value("PPid:") == Some(first) {
            found.extend(value("Pid:"));
        }
    }
    found
        .into_iter()
        .filter_map(rustix::process::Pid::from_raw)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_hangs_and_dies_loses_nothing() {
    use rustix::process::{Signal, kill_process};
    let Some((cluster, registry)) = engines::postgresql(|config| config).await else {
        return;
    };
    let admin = &registry.admin;
    let mut acknowledged = BTreeSet::new();
    for at in 0..3 {
        let version = format!("1.0.{at}");
        try_push(admin, &version).await.expect("a push");
        acknowledged.insert(version);
    }
    let stopped = processes(&cluster);
    for process in &stopped {
        kill_process(*process, Signal::STOP).expect("SIGSTOP");
    }
    // Several at once, so that connections in every state hang.
    let pushes = (10..14).map(|at| async move {
        let version = format!("1.0.{at}");
        (try_push(admin, &version).await, version)
    });
    let asking = async {
        expect(registry.anonymous.get("/healthz").await, 200).await;
        let ready = expect(registry.anonymous.get("/readyz").await, 503).await;
        assert_eq!(header(&ready, "retry-after"), "5");
        let pull = admin.get(&format!("/v2/{NAME}/manifests/1.0.0")).await;
        assert_eq!(header(&expect(pull, 503).await, "retry-after"), "5");
    };
    let (outcomes, ()) = tokio::join!(futures::future::join_all(pushes), asking);
    for (outcome, _) in &outcomes {
        assert_eq!(*outcome, Err(("blob", 503)));
    }
    for process in stopped {
        let _ = kill_process(process, Signal::KILL);
    }
    // Gone altogether, it is the same.
    expect(registry.anonymous.get("/readyz").await, 503).await;
    expect(registry.anonymous.get("/healthz").await, 200).await;
    cluster.restart();
    // Back by itself, without a restart of the registry.
    for _ in 0..100 {
        if registry.anonymous.get("/readyz").await.status() == StatusCode::OK {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    try_push(admin, "2.0.0").await.expect("a push");
    acknowledged.insert("2.0.0".to_owned());
    let tags = admin.json(&format!("/v2/{NAME}/tags/list")).await;
    let tags: BTreeSet<String> = serde_json::from_value(tags["tags"].clone()).expect("tags");
    assert_eq!(tags, acknowledged);
    assert_eq!(
        fsck::run(&registry.app).await.expect("a check").problems,
        Vec::new()
    );
    registry.app.db.close().await;
}
