// SPDX-License-Identifier: Apache-2.0
//! The agent against a model of a kernel: killed before every call, refused, robbed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use chrono::{DateTime, TimeDelta, Utc};
use registry_client::memory::MemoryStore;
use registry_client::oci::Descriptor;
use registry_client::pull::{Blob, FetchedPackage, Target};
use registry_client::sign::KeyPair;
use registry_client::trust::{TrustStore, TrustedRoot};
use registry_schema::hook::Hook;
use registry_schema::signature::KeyType;
use registry_schema::trust::revocation::{Feed, Reason, Revoked};
use registry_schema::trust::root::{RevocationTrust, Root, SignedRoot};
use registry_schema::{PackageManifest, Reference, exit, media_type};

use super::*;
use crate::config::{Mode, OnRevoked};
use crate::desired::ProbeSpec;
use crate::desired::ProgramSpec;
use crate::fetch::Fetcher;
use crate::kernel::fake::{FakeChain, FakeKernel};

/// One node: its state on disk, and its kernel.
struct Node {
    dir: tempfile::TempDir,
    kernel: FakeKernel,
}

impl Node {
    fn new() -> Self {
        let (dir, kernel) = (tempfile::tempdir().unwrap(), FakeKernel::default());
        kernel.world().interfaces.insert("eth0".to_owned());
        Self { dir, kernel }
    }

    fn config(&self) -> Config {
        Config {
            state_dir: self.dir.path().into(),
            mode: Mode::Normal,
            grace_milliseconds: 0,
            ..Config::default()
        }
    }

    /// Starts an agent on what the last one left.
    fn agent(&self) -> Agent<FakeKernel> {
        Agent::new(self.kernel.clone(), self.config()).unwrap()
    }

    /// Keeps a package, so that it needs no registry; gives a reference to it.
    fn package(&self, name: &str) -> Reference {
        let package = unsigned(name);
        let fetcher = Fetcher::new(self.config().registry, self.dir.path().join("packages"));
        fetcher.keep(&package);
        format!("127.0.0.1:1/{name}:1.0.0@{}", package.digest())
            .parse()
            .unwrap()
    }

    fn chain(&self, names: &[&str]) -> ChainSpec {
        let program = |name: &&str| ProgramSpec {
            package: self.package(&format!("test/{name}")),
            function: None,
            proceed_on: None,
            parameters: BTreeMap::new(),
        };
        ChainSpec {
            interface: "eth0".to_owned(),
            netns: None,
            hook: Hook::Xdp,
            mode: crate::desired::XdpMode::Auto,
            programs: names.iter().map(program).collect(),
        }
    }
}

fn object() -> &'static [u8] {
    static OBJECT: OnceLock<Vec<u8>> = OnceLock::new();
    OBJECT.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/objects/seen.bpf.c");
        let object: PathBuf = tempfile::tempdir().unwrap().keep().join("object.o");
        let arguments = ["-O2", "-g", "-target", "bpf", "-mcpu=v2", "-c"];
        let status = Command::new("clang")
            .args(arguments)
            .arg(source)
            .arg("-o")
            .arg(&object)
            .status()
            .unwrap();
        assert!(status.success());
        let bytes = std::fs::read(&object).unwrap();
        std::fs::remove_dir_all(object.parent().unwrap()).unwrap();
        bytes
    })
}

/// A package as a registry would give it, without a signature.
fn unsigned(name: &str) -> FetchedPackage {
    let text = format!(
        r#"
        [package]
        name = "{name}"
        version = "1.0.0"
        summary = "Counts what it sees"
        license = "GPL-2.0-only OR MIT"
        [[object]]
        path = "seen.bpf.o"
        [[program]]
        function = "seen_xdp"
        type = "xdp"
        [[program]]
        function = "seen_tc"
        type = "tc"
        [[program]]
        function = "seen_exec"
        type = "tracepoint"
        attach = "sched/sched_process_exec"
        [[parameter]]
        name = "stop"
        type = "u32"
        max = 1
        map = {{ name = "stop", key = 0 }}
        [[parameter]]
        name = "verdict"
        type = "u32"
        global = "verdict"
        "#
    );
    let config = PackageManifest::from_toml(&text)
        .unwrap()
        .to_json()
        .unwrap();
    let layer = Descriptor::of(media_type::OBJECT, object());
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "artifactType": media_type::PACKAGE,
        "config": Descriptor::of(media_type::CONFIG, &config),
        "layers": [layer],
    });
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let mut entry = Descriptor::of(media_type::OCI_MANIFEST, &manifest);
    entry.annotations.insert(
        media_type::ANNOTATION_TARGET.to_owned(),
        Target::native().to_string(),
    );
    let index = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "artifactType": media_type::PACKAGE,
        "manifests": [entry],
    });
    FetchedPackage {
        registry: "127.0.0.1:1".to_owned(),
        package: name.parse().unwrap(),
        target: Target::native(),
        index: Blob(serde_json::to_vec(&index).unwrap()),
        manifest: Blob(manifest),
        config: Blob(config),
        object: Blob(object().to_vec()),
        signatures: Vec::new(),
        log_proofs: Vec::new(),
    }
}

/// The packages that run, head first, and whether exactly one whole generation is there.
fn runs(agent: &Agent<FakeKernel>) -> (Vec<String>, bool) {
    let status = agent.status().unwrap();
    let Some(chain) = status.chains.first() else {
        return (Vec::new(), true);
    };
    let packages = chain
        .programs
        .iter()
        .map(|program| program.package.clone())
        .collect();
    let generations = agent
        .kernel
        .world()
        .chains
        .values()
        .map(|chain| chain.generations.len())
        .sum::<usize>();
    (packages, chain.state == "running" && generations == 1)
}

async fn settled(node: &Node) -> (Vec<String>, bool) {
    let agent = node.agent();
    agent.settle(Ask::Registry).await.unwrap();
    agent.settle(Ask::Kept).await.unwrap();
    runs(&agent)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_any_call_of_an_update_the_next_one_ends_with_old_or_new() {
    let old = ["test/a", "test/b"].map(str::to_owned).to_vec();
    let new = ["test/c", "test/a", "test/b"].map(str::to_owned).to_vec();
    let mut seen = std::collections::BTreeSet::new();
    for calls in 0.. {
        let node = Node::new();
        let (first, second) = (node.chain(&["a", "b"]), node.chain(&["c", "a", "b"]));
        node.agent().apply_chain(first).await.unwrap();
        node.kernel.world().calls_left = Some(calls);
        let agent = node.agent();
        let killed = tokio::spawn(async move { agent.apply_chain(second).await })
            .await
            .is_err();
        node.kernel.world().calls_left = None;

        let (packages, whole) = settled(&node).await;
        assert!(whole, "after {calls} calls");
        assert!(
            packages == old || packages == new,
            "after {calls} calls: {packages:?}"
        );
        seen.insert(packages);
        if !killed {
            break;
        }
    }
    assert!(
        seen.contains(&new),
        "the update succeeds when nobody is killed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_takes_over_what_runs_and_touches_nothing() {
    let node = Node::new();
    node.agent()
        .apply_chain(node.chain(&["a", "b"]))
        .await
        .unwrap();
    let heads = node.kernel.world().heads.clone();
    assert_eq!(
        settled(&node).await,
        (vec!["test/a".to_owned(), "test/b".to_owned()], true)
    );
    assert_eq!(
        node.kernel.world().heads,
        heads,
        "nothing was attached again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_verifier_refuses_leaves_the_running_chain_as_it_was() {
    let node = Node::new();
    let agent = node.agent();
    agent.apply_chain(node.chain(&["a"])).await.unwrap();
    node.kernel.world().refuses = Some("seen_xdp".to_owned());
    let report = agent.apply_chain(node.chain(&["a", "b"])).await.unwrap();
    let problem = report.worst().unwrap();
    assert_eq!(problem.exit_code, exit::KERNEL);
    assert!(
        problem
            .message
            .contains("the kernel refuses `seen_xdp` of test/a@1.0.0"),
        "{}",
        problem.message
    );
    assert_eq!(runs(&agent), (vec!["test/a".to_owned()], true));
    assert_eq!(
        agent.desired().chains[0].programs.len(),
        1,
        "what was refused is not wished again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_mended_at_the_next_interval() {
    let node = Node::new();
    let agent = node.agent();
    agent.apply_chain(node.chain(&["a", "b"])).await.unwrap();
    let detach = |chain: &mut FakeChain| chain.link = None;
    let empty_slot = |chain: &mut FakeChain| {
        let generation = chain.generations.values_mut().next().unwrap();
        generation.slots[1] = None;
    };
    for rob in [&detach as &dyn Fn(&mut FakeChain), &empty_slot] {
        node.kernel.world().chains.values_mut().for_each(rob);
        assert!(!runs(&agent).1);
        agent.settle(Ask::Kept).await.unwrap();
        assert_eq!(
            runs(&agent),
            (vec!["test/a".to_owned(), "test/b".to_owned()], true)
        );
    }
    assert_eq!(
        node.kernel.world().heads.len(),
        2,
        "attached at first, and when the link was gone"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_waits_for_its_interface() {
    let node = Node::new();
    node.kernel.world().interfaces.clear();
    let agent = node.agent();
    let report = agent.apply_chain(node.chain(&["a"])).await.unwrap();
    assert_eq!(report.outcomes[0].state, OutcomeState::Waiting);
    node.kernel.world().interfaces.insert("eth0".to_owned());
    agent.settle(Ask::Kept).await.unwrap();
    assert_eq!(runs(&agent), (vec!["test/a".to_owned()], true));
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_in_maps_change_in_place_and_globals_need_a_generation() {
    let node = Node::new();
    let agent = node.agent();
    let mut chain = node.chain(&["a"]);
    agent.apply_chain(chain.clone()).await.unwrap();
    let set = |chain: &mut ChainSpec, name: &str, value| {
        let value = registry_schema::manifest::ParameterValue::Integer(value);
        chain.programs[0].parameters.insert(name.to_owned(), value);
    };
    set(&mut chain, "stop", 1);
    agent.apply_chain(chain.clone()).await.unwrap();
    assert_eq!(
        node.kernel.world().heads.len(),
        1,
        "the program was not replaced"
    );
    let stop = node.kernel.world().maps.values().next().cloned().unwrap();
    assert_eq!(
        stop.values().next().map(Vec::as_slice),
        Some(&[1, 0, 0, 0][..])
    );

    set(&mut chain, "verdict", 1);
    agent.apply_chain(chain.clone()).await.unwrap();
    assert_eq!(
        node.kernel.world().heads.len(),
        2,
        "a global is set when the program is loaded"
    );

    set(&mut chain, "stop", 2);
    let report = agent.apply_chain(chain).await.unwrap();
    assert_eq!(
        report.worst().map(|problem| problem.exit_code),
        Some(exit::USAGE)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsigned_package_runs_only_where_that_is_allowed_and_is_marked() {
    let node = Node::new();
    let agent = node.agent();
    agent.apply_chain(node.chain(&["a"])).await.unwrap();
    assert_eq!(agent.status().unwrap().chains[0].programs[0].signer, None);
    assert!(
        agent
            .metrics()
            .unwrap()
            .contains("l3afd_lite_program_unsigned{interface=\"eth0\"")
    );
    drop(agent);

    let config = Config {
        mode: Mode::Trusted,
        ..node.config()
    };
    let agent = Agent::new(node.kernel.clone(), config).unwrap();
    let report = agent.apply_chain(node.chain(&["b"])).await.unwrap();
    let problem = report.worst().unwrap();
    assert_eq!(problem.exit_code, exit::POLICY);
    assert!(
        problem.message.contains("is unsigned"),
        "{}",
        problem.message
    );
    assert!(
        agent
            .metrics()
            .unwrap()
            .contains("l3afd_lite_refused_total{reason=\"verify::unsigned\"} 1")
    );
    assert_eq!(runs(&agent).0, ["test/a"], "what ran before still runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_comes_and_goes() {
    let node = Node::new();
    let agent = node.agent();
    let probe = ProbeSpec {
        package: node.package("test/a"),
        function: None,
        parameters: BTreeMap::new(),
    };
    let desired = Desired {
        chains: Vec::new(),
        probes: vec![probe],
    };
    agent.apply(&desired).await.unwrap();
    agent.apply(&desired).await.unwrap();
    assert_eq!(
        node.kernel
            .world()
            .probes
            .values()
            .copied()
            .collect::<Vec<_>>(),
        [1],
        "attached once"
    );
    agent.apply(&Desired::default()).await.unwrap();
    assert!(node.kernel.world().probes.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_journal_is_put_aside_and_the_chain_replaced_whole() {
    let node = Node::new();
    let chain = node.chain(&["a"]);
    node.agent().apply_chain(chain.clone()).await.unwrap();
    let journal = node.dir.path().join("journal.json");
    let mut bytes = std::fs::read(&journal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&journal, &bytes).unwrap();

    let agent = node.agent();
    assert_eq!(
        std::fs::read(node.dir.path().join("journal.damaged-1")).unwrap(),
        bytes
    );
    agent.apply_chain(chain).await.unwrap();
    agent.settle(Ask::Kept).await.unwrap();
    assert_eq!(runs(&agent), (vec!["test/a".to_owned()], true));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_agents_never_share_a_state() {
    let node = Node::new();
    let _first = node.agent();
    let second = Agent::new(node.kernel.clone(), node.config());
    assert!(matches!(
        second.err(),
        Some(AgentError::Journal(crate::journal::JournalError::Busy(_)))
    ));
}

/// A trust file that pins a root for `127.0.0.1:1`, whose feed `key` signs.
fn pinned(key: &KeyPair, now: DateTime<Utc>) -> (TrustStore, SignedRoot) {
    let pem = key.public().to_pem();
    let root = Root {
        format: 1,
        registry: "127.0.0.1:1".to_owned(),
        version: 1,
        issued_at: now,
        expires_at: now + TimeDelta::days(1),
        keys: vec![pem.clone()],
        threshold: 1,
        log: None,
        revocation: Some(RevocationTrust {
            keys: vec![pem],
            threshold: 1,
        }),
        issuers: Vec::new(),
        sigstore: Vec::new(),
    };
    let mut envelope = root.to_envelope().unwrap();
    let signature = key.sign(&envelope.signing_input()).unwrap();
    envelope.add(key.fingerprint(), signature);
    let signed = SignedRoot::open(&envelope.to_json()).unwrap();
    let mut trust = TrustStore::default();
    trust.pin(TrustedRoot::new(signed.clone(), None).unwrap());
    (trust, signed)
}

/// The feed that revokes these subjects.
fn feed(key: &KeyPair, version: u64, now: DateTime<Utc>, subjects: &[String]) -> Vec<u8> {
    let revoked = subjects.iter().map(|subject| Revoked {
        subject: subject.parse().unwrap(),
        at: now,
        reason: Reason::Malicious,
        note: String::new(),
    });
    let feed = Feed {
        format: 1,
        registry: "127.0.0.1:1".to_owned(),
        version,
        issued_at: now,
        expires_at: now + TimeDelta::days(1),
        revoked: revoked.collect(),
    };
    let mut envelope = feed.to_envelope().unwrap();
    let signature = key.sign(&envelope.signing_input()).unwrap();
    envelope.add(key.fingerprint(), signature);
    envelope.to_json()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_while_it_runs_is_marked_or_taken_out() {
    let (node, now) = (Node::new(), crate::clock::now());
    let key = KeyPair::generate(KeyType::EcdsaP256).unwrap();
    let (trust, root) = pinned(&key, now);
    let file = node.dir.path().join("trust.toml");
    trust.save(&file).unwrap();
    let memory = MemoryStore::at(node.dir.path().join("seen"));
    memory.take_feed(&root, &feed(&key, 1, now, &[])).unwrap();
    let config = |on_revoked| {
        let mut config = node.config();
        config.trust.file = Some(file.clone());
        config.on_revoked = on_revoked;
        config
    };
    let agent = Agent::new(node.kernel.clone(), config(OnRevoked::Flag)).unwrap();
    agent.apply_chain(node.chain(&["a", "b"])).await.unwrap();
    assert_eq!(runs(&agent).0, ["test/a", "test/b"]);

    let bad = ["version:test/a:1.0.0".to_owned()];
    memory.take_feed(&root, &feed(&key, 2, now, &bad)).unwrap();
    agent.judge_again().await;
    agent.settle(Ask::Kept).await.unwrap();
    let status = agent.status().unwrap();
    let marks: Vec<_> = status.chains[0].programs.iter().collect();
    assert!(marks[0].revoked.as_ref().unwrap().contains("malicious"));
    assert_eq!(marks[1].revoked, None);
    assert_eq!(runs(&agent).0, ["test/a", "test/b"], "it goes on");
    let page = agent.metrics().unwrap();
    assert!(page.contains("l3afd_lite_program_revoked"), "{page}");
    // Nothing that is revoked is loaded anew.
    let report = agent.apply_chain(node.chain(&["a"])).await.unwrap();
    assert_eq!(report.worst().unwrap().reason, "verify::revoked");
    drop(agent);

    let agent = Agent::new(node.kernel.clone(), config(OnRevoked::Unload)).unwrap();
    agent.settle(Ask::Kept).await.unwrap();
    agent.settle(Ask::Kept).await.unwrap();
    assert_eq!(runs(&agent).0, ["test/b"], "it is taken out of its chain");
}
