// SPDX-License-Identifier: Apache-2.0
//! The agent against a model of a kernel: killed before every call, refused, robbed.

mod revoked;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use registry_client::oci::Descriptor;
use registry_client::pull::{Blob, FetchedPackage, Target};
use registry_schema::hook::Hook;
use registry_schema::{PackageManifest, Reference, exit, media_type};

use super::*;
use crate::config::Mode;
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
        withdrawals: Vec::new(),
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
