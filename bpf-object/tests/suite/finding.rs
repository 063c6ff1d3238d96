// SPDX-License-Identifier: Apache-2.0
//! A manifest against its object: every finding is given where it is due, and not elsewhere.

use std::collections::BTreeSet;

use bpf_object::{check, finding, inspect};
use registry_schema::manifest::PackageManifest;
use registry_schema::profile::{Finding, Severity};

use crate::support::compile;

const GAMMA: &str = r#"
[package]
name = "test/gamma"
version = "1.0.0"
summary = "A test"
license = "GPL-2.0-only OR MIT"

[[object]]
path = "gamma.bpf.o"

[[program]]
function = "gamma"
type = "xdp"
"#;

fn found(object: &[u8], manifest: &str) -> Vec<Finding> {
    let manifest = PackageManifest::from_toml(manifest).unwrap();
    check(&manifest, &inspect(object).unwrap())
}

fn gamma(changes: &str) -> Vec<Finding> {
    found(&compile("gamma", &[]), &format!("{GAMMA}{changes}"))
}

/// A manifest that declares all of `can.bpf.c`.
fn can(license: &str) -> String {
    let mut text = GAMMA.replace("GPL-2.0-only OR MIT", license);
    text.truncate(text.find("[[program]]").unwrap());
    for (kind, functions) in [
        (
            "xdp",
            "pass count drop drop_by_map write_packet write_packet_in_subprogram send_payload send_elsewhere",
        ),
        ("tc", "mirror shoot leave_to_others"),
        ("tracepoint", "read_user"),
        ("kprobe", "write_user"),
    ] {
        for function in functions.split(' ') {
            text.push_str("[[program]]\nfunction = \"");
            text.push_str(function);
            text.push_str("\"\ntype = \"");
            text.push_str(kind);
            text.push_str("\"\n");
            if kind == "tracepoint" || kind == "kprobe" {
                text.push_str("attach = \"a/b\"\n");
            }
        }
    }
    text
}

fn codes(findings: &[Finding]) -> Vec<(&str, Severity)> {
    findings
        .iter()
        .map(|finding| (finding.code.as_str(), finding.severity))
        .collect()
}

/// The one finding that is an error.
fn only(findings: Vec<Finding>) -> Finding {
    let mut errors = findings
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error);
    let first = errors.next().expect("nothing was found");
    assert_eq!(errors.next(), None);
    assert!(!first.fix.is_empty());
    first
}

#[test]
fn a_true_manifest_has_no_findings() {
    assert_eq!(gamma(""), []);
    let parameters = r#"
        [[parameter]]
        name = "rounds"
        type = "u32"
        global = "rounds"
    "#;
    assert_eq!(gamma(parameters), []);
}

#[test]
fn programs_that_are_missing_or_not_declared() {
    let missing = only(gamma(
        "[[program]]\nfunction = \"absent\"\ntype = \"xdp\"\n",
    ));
    assert_eq!(missing.code, "EBPF021");
    assert!(
        missing.message.contains("`absent`") && missing.fix.contains("gamma"),
        "{missing:?}"
    );

    let manifest = GAMMA.replace("\"gamma\"", "\"alpha\"");
    let findings = found(&compile("alpha", &[]), &manifest);
    assert_eq!(codes(&findings), [("EBPF021", Severity::Error); 2]);
    assert!(findings[0].message.contains("before_alpha"), "{findings:?}");
    assert!(findings[0].fix.contains("type = \"xdp\""), "{findings:?}");
}

#[test]
fn a_type_that_the_section_contradicts() {
    let findings = found(&compile("gamma", &[]), &GAMMA.replace("\"xdp\"", "\"tc\""));
    assert_eq!(codes(&findings), [("EBPF020", Severity::Warning)]);
}

#[test]
fn globals_that_are_missing_or_do_not_fit() {
    let of = |name: &str, kind: &str| {
        only(gamma(&format!(
            "[[parameter]]\nname = \"p\"\ntype = \"{kind}\"\nglobal = \"{name}\"\n"
        )))
    };
    assert!(of("absent", "u32").fix.contains("rounds"));
    assert!(
        of("rounds", "u64")
            .message
            .contains("8 bytes and the global `rounds` has 4")
    );
    assert!(of("gamma_last", "u32").message.contains(".data"));
}

#[test]
fn maps_that_are_missing_or_do_not_fit() {
    let beta = |changes: &str| {
        let manifest = format!("{}{changes}", GAMMA.replace("\"gamma\"", "\"beta\""));
        found(&compile("beta", &[]), &manifest)
    };
    let parameter = |kind: &str, map: &str| {
        beta(&format!(
            "[[parameter]]\nname = \"p\"\ntype = \"{kind}\"\nmap = {map}\n"
        ))
    };
    assert_eq!(parameter("u64", "{ name = \"beta_runs\", key = 0 }"), []);
    assert!(
        only(parameter("u64", "{ name = \"no\", key = 0 }"))
            .fix
            .contains("beta_runs")
    );
    assert!(
        only(parameter("u32", "{ name = \"beta_runs\", key = 0 }"))
            .message
            .contains("has 8")
    );
    assert!(
        only(parameter("u64", "{ name = \"beta_runs\", key = 1 }"))
            .message
            .contains("1 entries")
    );

    let metric = |rest: &str| {
        beta(&format!(
            "[[metric]]\nname = \"m\"\nkind = \"counter\"\nhelp = \"h\"\nmap = {rest}\n"
        ))
    };
    assert_eq!(metric("{ name = \"beta_runs\", key = 0 }"), []);
    assert_eq!(
        metric("{ name = \"beta_tallies\", label = \"place\", field = \"part.low\" }"),
        []
    );
    assert!(
        only(metric("{ name = \"beta_tallies\", label = \"place\" }"))
            .message
            .contains("16 bytes")
    );
    assert!(
        only(metric(
            "{ name = \"beta_tallies\", label = \"place\", field = \"text\" }"
        ))
        .fix
        .contains("runs, last, part.low")
    );
    assert!(
        only(metric("{ name = \"beta_runs\", key = 4294967296 }"))
            .message
            .contains("4 bytes")
    );
    assert_eq!(
        only(beta("[maps.absent]\nmax_entries = 4\n")).code,
        "EBPF021"
    );
}

#[test]
fn a_next_map_is_a_program_array_that_is_used() {
    let next = |file: &str, function: &str, map: &str| {
        let manifest = format!(
            "{}next_map = \"{map}\"\n",
            GAMMA.replace("\"gamma\"", &format!("\"{function}\""))
        );
        found(&compile(file, &[]), &manifest)
    };
    assert_eq!(next("delta", "delta", "delta_next"), []);
    assert!(
        only(next("delta", "delta", "delta_runs"))
            .message
            .contains("`array`")
    );
    assert!(
        only(next("delta", "delta", "absent"))
            .message
            .contains("does not have")
    );
}

#[test]
fn licences() {
    let with = |license: &str, flags: &[&str]| found(&compile("can", flags), &can(license));
    let errors = |findings: &[Finding]| -> Vec<String> {
        findings
            .iter()
            .filter(|f| f.severity == Severity::Error)
            .map(|f| f.code.clone())
            .collect()
    };
    assert_eq!(errors(&with("GPL-2.0-only OR MIT", &[])), [""; 0]);
    assert_eq!(errors(&with("MIT", &[])), ["EBPF011"]);
    let spdx = with("GPL-2.0-only", &["-DLICENCE=\"GPL-2.0-only\""]);
    assert_eq!(errors(&spdx), ["EBPF010"]);
    assert!(
        spdx[0].message.contains("probe_read_user") && spdx[0].fix.contains("GPL v2"),
        "{spdx:?}"
    );
    assert_eq!(errors(&with("MIT", &["-DNO_LICENCE"])), ["EBPF010"]);
}

#[test]
fn what_people_want_to_know_is_pointed_out() {
    let findings = found(&compile("can", &[]), &can("GPL-2.0-only OR MIT"));
    assert_eq!(
        codes(&findings),
        [
            ("EBPF044", Severity::Note),
            ("EBPF043", Severity::Warning),
            ("EBPF041", Severity::Warning),
        ]
    );
    assert!(findings[0].message.contains("send_payload"), "{findings:?}");
}

#[test]
fn kernel_btf_and_byte_order() {
    let old = gamma("[kernel]\nminimum = \"5.10\"\n");
    assert_eq!(codes(&old), [("EBPF033", Severity::Warning)]);
    assert!(old[0].message.contains("5.17 (helper `loop`)"), "{old:?}");
    assert_eq!(gamma("[kernel]\nminimum = \"5.17\"\n"), []);

    let manifest = GAMMA.replace("\"gamma\"", "\"delta\"");
    let bare = found(
        &compile("delta", &["-g0", "-DTC"]),
        &manifest.replace("\"xdp\"", "\"tc\""),
    );
    assert_eq!(codes(&bare), [("EBPF030", Severity::Warning)]);

    let big = found(&compile("gamma", &["-target", "bpfeb"]), GAMMA);
    assert!(only(big).message.contains("bpfeb"));
}

#[test]
fn every_code_that_is_given_is_explained() {
    let known: BTreeSet<&str> = finding::CODES.iter().map(|(code, _)| *code).collect();
    assert_eq!(known.len(), finding::CODES.len());
    let error = inspect(b"#!/bin/sh").unwrap_err().finding();
    assert_eq!(
        (error.code.as_str(), error.severity),
        ("EBPF002", Severity::Error)
    );
    assert!(known.contains(error.code.as_str()));
    for finding in found(&compile("can", &["-DNO_LICENCE"]), &can("MIT")) {
        assert!(known.contains(finding.code.as_str()), "{finding:?}");
    }
}
