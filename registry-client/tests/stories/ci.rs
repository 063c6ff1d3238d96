// SPDX-License-Identifier: Apache-2.0
//! The workflow that `dist/github/publish.yml` offers: its own shell steps, run here
//! against a registry, a Sigstore instance and an issuer of ID tokens.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use registry_client::{
    pull::fetch_signatures,
    registry::{ConnectOptions, Registry},
    verify::signature::{Roots, judge},
};
use registry_schema::{Digest, name::RepositoryName};

use crate::{instance::Instance, stage::Stage};

/// The steps of a workflow that run commands: name and commands.
fn steps(workflow: &str) -> Vec<(String, String)> {
    let mut steps = Vec::new();
    let mut name = String::new();
    let mut lines = workflow.lines().peekable();
    while let Some(line) = lines.next() {
        let indent = |line: &str| line.len() - line.trim_start().len();
        let text = line.trim_start();
        if let Some(found) = text.strip_prefix("- name: ") {
            found.clone_into(&mut name);
        }
        let Some(command) = text.strip_prefix("run: ") else {
            continue;
        };
        let mut script = String::new();
        if command == "|" {
            while let Some(next) = lines.next_if(|next| indent(next) > indent(line)) {
                script.push_str(next.trim_start());
                script.push('\n');
            }
        } else {
            script.push_str(command);
        }
        steps.push((name.clone(), script));
    }
    steps
}

/// Where the job runs.
struct Job<'a> {
    stage: &'a Stage,
    instance: &'a Instance,
    package: PathBuf,
    asks_as: &'static str,
}

impl Job<'_> {
    /// Runs one step as a runner does: `bash -e`, with the workflow's variables.
    fn run(&self, script: &str) -> Output {
        let home = &self.stage.admin;
        let bpfpkg = Path::new(env!("CARGO_BIN_EXE_bpfpkg"));
        let path = std::env::var("PATH").expect("a path");
        let path = format!("{}:{path}", bpfpkg.parent().expect("a folder").display());
        Command::new("bash")
            .args(["-e", "-c", script])
            .current_dir(home.path("."))
            .env_clear()
            .env("PATH", path)
            .env("HOME", home.path("job"))
            .env("RUNNER_TEMP", home.path("temp"))
            .env("REGISTRY", self.stage.host())
            .env("NAMESPACE", "demo")
            .env("PACKAGE", &self.package)
            .env("BPFPKG_FULCIO_URL", &self.instance.url)
            .env("BPFPKG_REKOR_URL", &self.instance.url)
            .env("BPFPKG_REKOR_VERSION", "1")
            .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", self.asks_as)
            .env(
                "ACTIONS_ID_TOKEN_REQUEST_URL",
                format!("{}/id-token?api-version=2.0", self.instance.url),
            )
            .output()
            .expect("bash runs")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workflow_publishes_what_it_built_and_signed() {
    let Some(instance) = Instance::start() else {
        return;
    };
    let issuer = instance.url.clone();
    let stage = Stage::set_with(|mut config| {
        config.access.oidc_issuers = vec![issuer];
        config
    })
    .await;
    stage.opened();
    let rule = [
        "namespace",
        "publisher",
        "add",
        "demo",
        "ci",
        "--issuer",
        &instance.url,
        "--subject",
        "repo:demo/counter:*",
        "--claim",
        "environment=release",
    ];
    stage.admin.run(&rule).exits(0);
    let account = format!("oidc:{}#repo:demo/*:environment:release", instance.url);
    let proof = ["namespace", "proof", "add", "demo", &account];
    stage.admin.run(&proof).exits(0);
    stage.admin.run(&["init", "demo/counter"]).exits(0);
    for folder in ["job", "temp"] {
        std::fs::create_dir(stage.admin.path(folder)).expect("a folder");
    }
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist/github/publish.yml");
    let steps = steps(&std::fs::read_to_string(template).expect("the template"));
    let names: Vec<_> = steps.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "Install",
            "Build",
            "Prove who we are",
            "Log in",
            "Sign and publish",
            "Forget"
        ]
    );
    let mut job = Job {
        stage: &stage,
        instance: &instance,
        package: stage.admin.path("counter"),
        asks_as: "stranger",
    };

    // A job of another repository gets as far as the registry's door.
    let failed = steps[1..]
        .iter()
        .find(|(_, script)| !job.run(script).status.success());
    assert_eq!(failed.map(|(name, _)| name.as_str()), Some("Log in"));

    job.asks_as = "job";
    for (name, script) in &steps[1..] {
        let output = job.run(script);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {said}");
    }
    assert!(!stage.admin.path("temp/for-sigstore").exists());
    // It has also shown that the namespace is that account's.
    let proofs = ["namespace", "proof", "list", "demo", "--output", "json"];
    let proofs = stage.admin.run(&proofs).exits(0).json();
    assert_eq!(proofs[0]["valid"], true, "{proofs}");

    let repository: RepositoryName = "demo/counter".parse().expect("a name");
    let options = ConnectOptions {
        plain_http: true,
        ..ConnectOptions::default()
    };
    let registry = Registry::connect(&stage.host(), &options).expect("a registry");
    let index = registry.manifest(&repository, "0.1.0").await;
    let digest = Digest::sha256(&index.expect("the version is published").bytes);
    let found = fetch_signatures(&registry, &repository, &digest)
        .await
        .expect("signatures");
    let roots = Roots::parse([std::fs::read(&instance.root).expect("a root")]).expect("a root");
    let signer = judge(&found[0], &digest, &[], &roots).expect("it holds");
    assert_eq!(
        signer.identity.to_string(),
        format!(
            "oidc:{}#repo:demo/counter:environment:release",
            instance.url
        )
    );
}
