// SPDX-License-Identifier: Apache-2.0
//! The daemon as an operator meets it: the real binary, a real registry, real packets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod away;
mod front;
mod layouts;
mod log;
mod node;
mod registry;
#[path = "../support/mod.rs"]
mod support;
mod trusted;

use node::Node;
use registry::TestRegistry;
use registry_client::sign::{KeyPair, Signatory};
use registry_schema::hook::Hook;
use registry_schema::signature::{KeyType, PublicKey};
use support::flood::{Flood, Sender};
use support::sandbox::{Sandbox, add_veth, ip, mount_tracefs, place, run, wait_until};

/// `[[chain]]` for the interface of the sandbox, with these packages.
fn chain(hook: &str, packages: &[&str]) -> String {
    let programs: String = packages
        .iter()
        .flat_map(|package| ["[[chain.program]]\npackage = \"", package, "\"\n"])
        .collect();
    format!("[[chain]]\ninterface = \"v1\"\nnetns = \"far\"\nhook = \"{hook}\"\n{programs}")
}

fn apply<'a>(hook: &'a str, packages: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec![
        "apply",
        "--interface",
        "v1",
        "--netns",
        "far",
        "--hook",
        hook,
    ];
    args.extend_from_slice(packages);
    args
}

struct World {
    sandbox: Sandbox,
    registry: TestRegistry,
    key: Signatory,
    public: PublicKey,
}

/// Somebody who signs, and the public half of the key.
fn somebody() -> (Signatory, PublicKey) {
    let key = KeyPair::generate(KeyType::EcdsaP256).unwrap();
    let public = key.public().clone();
    (Signatory::Key(Box::new(key)), public)
}

impl World {
    /// A sandbox, and a registry with signed packages `a`, `b` and `c`.
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let (registry, (key, public)) = (TestRegistry::start(), somebody());
        for name in ["a", "b", "c"] {
            registry.publish(name, "1.0.0", Some(&key));
        }
        Self {
            sandbox,
            registry,
            key,
            public,
        }
    }

    fn node(&self, rest: &str) -> Node<'_> {
        Node::new(
            &self.sandbox,
            self.registry.host(),
            &self.public.to_pem(),
            rest,
        )
    }
}

#[test]
fn a_signed_chain_runs_is_reordered_live_and_survives_the_daemon() {
    let world = World::new();
    let node = world.node(&chain("xdp", &["test/a", "test/b:1.0.0"]));
    let daemon = node.start();
    wait_until("the chain runs", || {
        node.packages("xdp") == ["test/a", "test/b"]
    });
    let shown = node.ok(&["chain", "show"]);
    assert!(
        shown.contains(&format!("signed by {}", world.public.fingerprint())),
        "{shown}"
    );

    let flood = Flood::start();
    node.ok(&apply("xdp", &["test/b", "test/c", "test/a"]));
    assert_eq!(node.packages("xdp"), ["test/b", "test/c", "test/a"]);
    let before = node.runs("xdp");
    daemon.kill();
    wait_until("packets go on while no daemon runs", || {
        node.runs("xdp")[2] > before[2]
    });
    let generation = node.chain("xdp")["generation"].clone();
    let daemon = node.start();
    assert_eq!(
        node.packages("xdp"),
        ["test/b", "test/c", "test/a"],
        "what was applied last counts, not the file"
    );
    assert_eq!(
        node.chain("xdp")["generation"],
        generation,
        "the chain was taken over, not loaded again"
    );
    assert!(flood.stop() > 0);
    wait_until(
        "both that were in every generation saw every packet",
        || {
            let runs = node.runs("xdp");
            runs[0] == runs[2] && runs[0] > before[0]
        },
    );
    assert!(daemon.terminate());
    assert_eq!(
        node.packages("xdp"),
        ["test/b", "test/c", "test/a"],
        "SIGTERM keeps the programs by default"
    );
    node.ok(&["unload"]);
    assert!(node.packages("xdp").is_empty());
    assert!(!world.sandbox.bpffs().exists(), "no pin is left");
}

#[test]
fn killed_at_any_moment_of_an_update_the_chain_is_the_old_or_the_new() {
    let world = World::new();
    let node = world.node(&chain("xdp", &["test/a", "test/b"]));
    let mut daemon = node.start();
    wait_until("the chain runs", || {
        node.packages("xdp") == ["test/a", "test/b"]
    });
    let orders: [&[&str]; 2] = [&["test/a", "test/b"], &["test/c", "test/b", "test/a"]];
    for attempt in 0..12_u64 {
        let next = apply("xdp", orders[usize::try_from(1 - attempt % 2).unwrap()]);
        std::thread::scope(|scope| {
            let update = scope.spawn(|| node.run(&next));
            // Each attempt is cut off at another moment.
            std::thread::sleep(std::time::Duration::from_millis(attempt * 15));
            daemon.kill();
            update.join().unwrap();
        });
        daemon = node.start();
        wait_until("the chain is whole again", || {
            let packages = node.packages("xdp");
            node.chain("xdp")["state"] == "running" && orders.iter().any(|order| *order == packages)
        });
    }
    node.ok(&apply("xdp", orders[1]));
    assert_eq!(node.packages("xdp"), orders[1]);
}

#[test]
fn what_does_not_hold_is_refused_with_its_reason_and_nothing_is_loaded() {
    let world = World::new();
    let (other, _) = somebody();
    world.registry.publish("unsigned", "1.0.0", None);
    world.registry.publish("foreign", "1.0.0", Some(&other));
    let node = world.node("");
    for (package, code, reason) in [
        ("test/unsigned", 21, "is unsigned"),
        ("test/foreign", 20, "not by a key trusted"),
        ("test/absent", 3, "test/absent"),
        ("test/a:9.9.9", 3, "9.9.9"),
    ] {
        let (actual, message) = node.refused(&apply("xdp", &["test/a", package]));
        assert_eq!(actual, Some(code), "{package}: {message}");
        assert!(message.contains(reason), "{package}: {message}");
        assert!(
            node.packages("xdp").is_empty(),
            "{package}: nothing runs, not even the program before it"
        );
    }
    let _daemon = node.start();
    let (_, message) = node.refused(&apply("xdp", &["test/unsigned"]));
    assert!(message.contains("is unsigned"), "{message}");
    node.ok(&apply("xdp", &["test/a"]));
    assert_eq!(node.packages("xdp"), ["test/a"]);
}

#[test]
fn what_the_kernel_refuses_leaves_the_chain_and_shows_why() {
    let world = World::new();
    world
        .registry
        .publish_object("careless", "refused", &world.key);
    let node = world.node("");
    node.ok(&apply("xdp", &["test/a"]));
    let (code, message) = node.refused(&apply("xdp", &["test/a", "test/careless"]));
    assert_eq!(code, Some(7), "{message}");
    assert!(
        message.contains("the kernel refuses `careless` of test/careless@1.0.0"),
        "{message}"
    );
    assert!(
        message.contains("invalid access to packet"),
        "the log's last lines say why: {message}"
    );
    assert_eq!(node.packages("xdp"), ["test/a"]);
    let generations = std::fs::read_dir(
        world
            .sandbox
            .bpffs()
            .join("chains")
            .join(place(Hook::Xdp).key()),
    );
    let names: Vec<_> = generations
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(
        names.len(),
        3,
        "one generation, its maps, its link: {names:?}"
    );
}

#[test]
fn a_kept_package_is_verified_again_when_the_registry_is_away() {
    let mut world = World::new();
    let node = world.node("");
    node.ok(&apply("xdp", &["test/a"]));
    node.ok(&apply("xdp", &["test/b"]));
    world.registry.stop();
    let node = world.node("");
    node.ok(&apply("xdp", &["test/a"]));
    assert_eq!(
        node.packages("xdp"),
        ["test/a"],
        "what was kept still holds"
    );

    let kept = world.sandbox.path().join("state/packages");
    for file in std::fs::read_dir(&kept).unwrap() {
        let path = file.unwrap().path();
        let mut package: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let object = package["object"].as_str().unwrap().to_owned();
        // One flipped bit, far from the ELF header.
        let flipped = if object.as_bytes()[4000] == b'A' {
            "B"
        } else {
            "A"
        };
        package["object"] = format!("{}{flipped}{}", &object[..4000], &object[4001..]).into();
        std::fs::write(&path, package.to_string()).unwrap();
    }
    let (code, message) = node.refused(&apply("xdp", &["test/b"]));
    assert_eq!(code, Some(20), "{message}");
    assert!(
        message.contains("object of `test/b` is not the signed one"),
        "{message}"
    );
    let (code, _) = node.refused(&apply("xdp", &["test/c"]));
    assert_eq!(code, Some(6), "what was never kept needs the registry");
    assert_eq!(node.packages("xdp"), ["test/a"]);
}

#[test]
fn traffic_control_probes_parameters_and_metrics() {
    let world = World::new();
    let probe = "[[probe]]\npackage = \"test/c\"\n";
    let chains = chain("tc-ingress", &["test/a", "test/b"]);
    let node = world.node(&format!("{chains}{probe}"));
    mount_tracefs();
    let _daemon = node.start();
    wait_until("the chain runs", || node.packages("tc-ingress").len() == 2);
    let sender = Sender::new();
    assert_eq!(sender.send(3), 3);
    wait_until("both see the packets", || node.runs("tc-ingress") == [3, 3]);

    let before = node.chain("tc-ingress")["generation"].clone();
    let key = world.public.to_pem();
    let stopped = chains.replacen(
        "package = \"test/a\"\n",
        "package = \"test/a\"\nparameters = { stop = 1 }\n",
        1,
    );
    node.configure(world.registry.host(), &key, &format!("{stopped}{probe}"));
    node.ok(&["apply"]);
    assert_eq!(
        node.chain("tc-ingress")["generation"],
        before,
        "a parameter in a map needs no new generation"
    );
    assert_eq!(sender.send(2), 2);
    wait_until("the first program ends the chain", || {
        node.runs("tc-ingress") == [5, 3]
    });
    assert_eq!(node.chain("tc-ingress")["programs"][0]["ends"]["shot"], 2);

    run(&["true"]);
    let metrics = node.metrics();
    let labels =
        "package=\"test/a\",version=\"1.0.0\",interface=\"v1\",netns=\"far\",hook=\"tc-ingress\"";
    assert!(
        metrics.contains(&format!("test_a_seen_total{{{labels}}} 5\n")),
        "{metrics}"
    );
    let execs = metrics
        .lines()
        .find(|line| line.starts_with("test_c_seen_total{"))
        .unwrap_or_default();
    assert!(
        execs.ends_with(|digit: char| digit.is_ascii_digit()) && !execs.ends_with(" 0"),
        "{metrics}"
    );
    assert!(metrics.ends_with("# EOF\n"));

    node.configure(
        world.registry.host(),
        &key,
        &chain("tc-egress", &["test/a"]),
    );
    node.ok(&["apply"]);
    assert!(
        node.packages("tc-ingress").is_empty(),
        "what is no longer asked for is gone"
    );
    assert_eq!(node.packages("tc-egress"), ["test/a"]);
    assert!(!node.ok(&["status"]).contains("probe"));
}

#[test]
fn an_interface_that_appears_later_gets_its_chain_then() {
    let world = World::new();
    ip("-n near link del v0");
    let node = world.node(&chain("xdp", &["test/a"]));
    let _daemon = node.start();
    wait_until("the chain waits", || {
        node.chain("xdp")["state"] == "waiting"
    });
    for _ in 0..2 {
        add_veth();
        wait_until("the chain runs", || node.chain("xdp")["state"] == "running");
        assert_eq!(node.packages("xdp"), ["test/a"]);
        ip("-n near link del v0");
        wait_until("the chain waits again", || {
            node.chain("xdp")["state"] == "waiting"
        });
    }
}

#[test]
fn a_link_that_somebody_detached_is_attached_again() {
    let world = World::new();
    let node = world.node(&chain("xdp", &["test/a", "test/b"]));
    let _daemon = node.start();
    wait_until("the chain runs", || node.chain("xdp")["state"] == "running");
    let link = world
        .sandbox
        .bpffs()
        .join("chains")
        .join(place(Hook::Xdp).key())
        .join("link");
    run(&[
        "bpftool",
        "link",
        "detach",
        "pinned",
        link.to_str().unwrap(),
    ]);
    wait_until("the chain runs again", || {
        node.chain("xdp")["state"] == "running"
    });
    assert!(node.metrics().contains("l3afd_lite_mended_total{} 1\n"));
}

#[test]
fn a_command_without_daemon_leaves_programs_that_the_daemon_takes_over() {
    let world = World::new();
    let node = world.node("");
    node.ok(&apply("xdp", &["test/a", "test/b"]));
    node.ok(&apply("xdp", &["test/b", "test/a"]));
    assert_eq!(node.packages("xdp"), ["test/b", "test/a"]);
    let plan = node.ok(&["plan"]);
    assert!(
        plan.contains("remove the chain"),
        "the file asks for nothing: {plan}"
    );
    let pins = || {
        std::fs::read_dir(world.sandbox.bpffs().join("chains"))
            .unwrap()
            .count()
    };
    assert_eq!(pins(), 1);
    node.ok(&[&apply("xdp", &[])[..], &["--remove"]].concat());
    assert_eq!(pins(), 0);
}

#[test]
fn mistakes_have_documented_exit_codes() {
    let world = World::new();
    let node = world.node("");
    let nowhere = [
        "apply",
        "--interface",
        "nowhere0",
        "--hook",
        "xdp",
        "test/a",
    ];
    let output = node.run(&nowhere);
    assert!(
        output.status.success()
            && String::from_utf8_lossy(&output.stdout).contains("waiting for the interface")
    );
    let (code, message) = node.refused(&[
        "apply",
        "--interface",
        "far too long a name",
        "--hook",
        "xdp",
        "test/a",
    ]);
    assert_eq!(
        (code, message.contains("cannot be an interface")),
        (Some(2), true),
        "{message}"
    );
    let (code, message) = node.refused(&apply("xdp", &["test/a#seen_tc"]));
    assert_eq!(
        (code, message.contains("cannot run at xdp")),
        (Some(2), true),
        "{message}"
    );
    let (code, _) = node.refused(&["apply", "--interface", "v1", "--hook", "sideways", "test/a"]);
    assert_eq!(code, Some(2));
    let (code, message) = Node::refused_with("/nonexistent.toml", &["status"]);
    assert_eq!(
        (code, message.contains("/nonexistent.toml")),
        (Some(2), true),
        "{message}"
    );
}
