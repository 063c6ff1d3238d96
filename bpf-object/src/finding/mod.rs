// SPDX-License-Identifier: Apache-2.0
//! What is found when a manifest is held against the object it describes.

mod declared;

use registry_schema::manifest::PackageManifest;
use registry_schema::profile::{Finding, ObjectProfile, Privilege, ProgramProfile, Severity};

use crate::error::ObjectError;
use crate::{helpers, licence};
use declared::{check_metric, check_parameter, check_programs, find_map};

/// Memory of all maps with one CPU above which a package is pointed out, in bytes.
const MEMORY: u64 = 256 << 20;

/// Every code that this crate gives, and what it stands for.
pub const CODES: [(&str, &str); 15] = [
    ("EBPF001", "the object cannot be read"),
    ("EBPF002", "the file is no relocatable eBPF object"),
    (
        "EBPF010",
        "the licence is missing or forbids what the object calls",
    ),
    ("EBPF011", "object and manifest name different licences"),
    (
        "EBPF020",
        "a program's declared type and its section disagree",
    ),
    ("EBPF021", "the manifest describes another object"),
    ("EBPF030", "the object has no BTF"),
    (
        "EBPF033",
        "the declared kernel is older than the object needs",
    ),
    ("EBPF041", "writes memory of user processes"),
    ("EBPF042", "changes what kernel symbols return"),
    ("EBPF043", "copies packets elsewhere"),
    ("EBPF044", "sends packet contents to user space"),
    ("EBPF045", "sends signals"),
    ("EBPF050", "the maps take much memory"),
    ("EBPF051", "a map asks to be pinned by name"),
];

impl ObjectError {
    /// The error as a finding: `EBPF002` for other kinds of file, else `EBPF001`.
    pub fn finding(&self) -> Finding {
        let foreign = matches!(
            self,
            Self::NotElf { .. }
                | Self::NotElf64 { .. }
                | Self::ForeignMachine { .. }
                | Self::NotRelocatable { .. }
        );
        let code = if foreign { "EBPF002" } else { "EBPF001" };
        finding(
            code,
            Severity::Error,
            self.to_string(),
            "compile the object with `clang -O2 -g -target bpf -c`",
        )
    }
}

/// Holds a manifest against the profile of its object.
///
/// Empty means: everything the manifest declares is there and fits, everything
/// the object holds is declared, the licences agree, and nothing stands out.
/// An [`Severity::Error`] keeps a package from being built, pushed or loaded.
pub fn check(manifest: &PackageManifest, profile: &ObjectProfile) -> Vec<Finding> {
    let mut findings = Vec::new();
    check_target(manifest, profile, &mut findings);
    check_licence(manifest, profile, &mut findings);
    check_programs(manifest, profile, &mut findings);
    for parameter in &manifest.parameters {
        check_parameter(parameter, profile, &mut findings);
    }
    for metric in &manifest.metrics {
        check_metric(metric, profile, &mut findings);
    }
    for name in manifest.maps.keys() {
        find_map(profile, name, &format!("[maps.{name}]"), &mut findings);
    }
    check_kernel(manifest, profile, &mut findings);
    check_maps(profile, &mut findings);
    for program in &profile.programs {
        point_out(program, &mut findings);
    }
    findings
}

fn finding(
    code: &str,
    severity: Severity,
    message: impl Into<String>,
    fix: impl Into<String>,
) -> Finding {
    Finding {
        code: code.to_owned(),
        severity,
        message: message.into(),
        fix: fix.into(),
    }
}

fn mismatch(message: impl Into<String>, fix: impl Into<String>) -> Finding {
    finding("EBPF021", Severity::Error, message, fix)
}

fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().take(20).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

fn check_target(manifest: &PackageManifest, profile: &ObjectProfile, findings: &mut Vec<Finding>) {
    let order = if profile.little_endian {
        "bpfel"
    } else {
        "bpfeb"
    };
    let other = if profile.little_endian {
        "bpfeb"
    } else {
        "bpfel"
    };
    if !manifest.objects.is_empty() && manifest.objects.iter().all(|object| object.target == other)
    {
        findings.push(mismatch(
            format!("the object's byte order is `{order}` and the manifest declares `{other}`"),
            format!("write `target = \"{order}\"`, or compile with `-target {other}`"),
        ));
    }
}

fn check_licence(manifest: &PackageManifest, profile: &ObjectProfile, findings: &mut Vec<Finding>) {
    let declared = &manifest.package.license;
    let restricted = profile.programs.iter().find_map(|program| {
        let helper = program
            .helpers
            .iter()
            .find(|name| helpers::by_name(name).is_some_and(|helper| helper.gpl_only))?;
        Some((program.function.as_str(), helper.as_str()))
    });
    let Some(text) = &profile.license else {
        findings.push(finding(
            "EBPF010",
            Severity::Error,
            "the object has no licence section, so each loader assumes another licence",
            "add `char LICENSE[] SEC(\"license\") = \"Dual MIT/GPL\";` with your licence",
        ));
        return;
    };
    if let Some((function, helper)) = restricted.filter(|_| !profile.gpl_compatible) {
        findings.push(finding(
            "EBPF010",
            Severity::Error,
            format!("`{function}` calls bpf_{helper}, which the kernel allows only to GPL-compatible programs, and the licence is `{text}`"),
            format!("use one of {} (nothing else counts, not even `GPL-2.0`), or do without the helper", list(licence::GPL_COMPATIBLE)),
        ));
    }
    if !licence::agrees(text, declared) {
        findings.push(finding(
            "EBPF011",
            Severity::Error,
            format!("the object's licence section says `{text}` and the manifest says `{declared}`"),
            "let both name the same licences, for instance `Dual MIT/GPL` and `GPL-2.0-only OR MIT`",
        ));
    }
}

fn check_kernel(manifest: &PackageManifest, profile: &ObjectProfile, findings: &mut Vec<Finding>) {
    if !profile.btf {
        findings.push(finding(
            "EBPF030",
            Severity::Warning,
            "the object has no BTF: its types, and where a refusal came from, stay unknown",
            "compile with `-g`",
        ));
    }
    let Some(minimum) = manifest.kernel.as_ref().and_then(|kernel| kernel.minimum) else {
        return;
    };
    // Optional programs may need more than the package promises.
    let needed = profile
        .programs
        .iter()
        .filter(|found| {
            manifest
                .programs
                .iter()
                .any(|declared| declared.required && declared.function == found.function)
        })
        .filter_map(|found| Some((&found.function, found.kernel_floor.as_ref()?)))
        .filter(|(_, floor)| floor.version > minimum)
        .max_by_key(|(_, floor)| floor.version);
    if let Some((function, floor)) = needed {
        findings.push(finding(
            "EBPF033",
            Severity::Warning,
            format!(
                "the manifest promises kernel {minimum} and `{function}` needs at least {} ({})",
                floor.version, floor.reason
            ),
            format!(
                "write `minimum = \"{}\"`, or mark the program `required = false`",
                floor.version
            ),
        ));
    }
}

fn check_maps(profile: &ObjectProfile, findings: &mut Vec<Finding>) {
    if profile.map_memory > MEMORY {
        findings.push(finding(
            "EBPF050",
            Severity::Warning,
            format!(
                "the maps take up to {} MiB for one CPU, more than {} MiB",
                profile.map_memory >> 20,
                MEMORY >> 20
            ),
            "lower max_entries, or let the operator set it",
        ));
    }
    for map in profile.maps.iter().filter(|map| map.pinned) {
        findings.push(finding(
            "EBPF051",
            Severity::Note,
            format!("the map `{}` asks to be pinned by name; nodes pin it in the package's own directory", map.name),
            "leave the pinning out unless other tools need the map",
        ));
    }
}

/// What a program can do that people want to know before they run it.
fn point_out(program: &ProgramProfile, findings: &mut Vec<Finding>) {
    let calls = |name: &str| program.helpers.iter().any(|helper| helper == name);
    let has = |privilege: Privilege| program.privileges.contains(&privilege);
    let mut note = |code: &str, severity, what: &str| {
        let message = format!("`{}` can {what}", program.function);
        findings.push(finding(
            code,
            severity,
            message,
            "say in the README why it is needed; users see it before they install",
        ));
    };
    if has(Privilege::WriteUser) {
        note(
            "EBPF041",
            Severity::Warning,
            Privilege::WriteUser.sentence(),
        );
    }
    if calls("override_return") {
        note(
            "EBPF042",
            Severity::Warning,
            "make kernel symbols return what it wants (bpf_override_return)",
        );
    }
    if has(Privilege::Mirror) {
        note("EBPF043", Severity::Warning, Privilege::Mirror.sentence());
    }
    if has(Privilege::PayloadOut) {
        note("EBPF044", Severity::Note, Privilege::PayloadOut.sentence());
    }
    if calls("send_signal") || calls("send_signal_thread") {
        note("EBPF045", Severity::Warning, "send signals to processes");
    }
}
