// SPDX-License-Identifier: Apache-2.0
//! What is found when a manifest is held against the object it describes.

use registry_schema::hook::ProgramType;
use registry_schema::manifest::{Metric, PackageManifest, Parameter, Program};
use registry_schema::profile::{
    Finding, MapProfile, ObjectProfile, Privilege, ProgramProfile, Severity,
};

use crate::error::ObjectError;
use crate::{helpers, licence};

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

fn check_programs(
    manifest: &PackageManifest,
    profile: &ObjectProfile,
    findings: &mut Vec<Finding>,
) {
    let functions = || {
        list(
            profile
                .programs
                .iter()
                .map(|program| program.function.as_str()),
        )
    };
    for declared in &manifest.programs {
        match profile
            .programs
            .iter()
            .find(|program| program.function == declared.function)
        {
            Some(found) => check_program(declared, found, profile, findings),
            None => findings.push(mismatch(
                format!(
                    "the manifest declares the program `{}`, which the object does not have",
                    declared.function
                ),
                format!("the object's programs are: {}", functions()),
            )),
        }
    }
    for found in &profile.programs {
        if !manifest
            .programs
            .iter()
            .any(|declared| declared.function == found.function)
        {
            let kind = found.suggested_type.map_or("…", ProgramType::as_str);
            findings.push(mismatch(
                format!("the object's program `{}` (section `{}`) is not declared", found.function, found.section),
                format!("add `[[program]]` with `function = \"{}\"` and `type = \"{kind}\"`, or remove it from the object", found.function),
            ));
        }
    }
}

fn check_program(
    declared: &Program,
    found: &ProgramProfile,
    profile: &ObjectProfile,
    findings: &mut Vec<Finding>,
) {
    if let Some(suggested) = found
        .suggested_type
        .filter(|suggested| *suggested != declared.program_type)
    {
        findings.push(finding(
            "EBPF020",
            Severity::Warning,
            format!("`{}` is declared as `{}` and lies in section `{}`, which stands for `{suggested}`", declared.function, declared.program_type, found.section),
            "declare the type that the program was written for; the declaration is what nodes load it as",
        ));
    }
    let Some(name) = &declared.next_map else {
        return;
    };
    let Some(map) = find_map(
        profile,
        name,
        &format!("next_map of `{}`", declared.function),
        findings,
    ) else {
        return;
    };
    if map.map_type != "prog_array" {
        findings.push(mismatch(
            format!(
                "next_map of `{}` is `{name}`, a map of type `{}`",
                declared.function, map.map_type
            ),
            "a program continues a chain through a map of type `prog_array`",
        ));
    } else if !found.maps.contains(name)
        || !found.helpers.iter().any(|helper| helper == "tail_call")
    {
        findings.push(mismatch(
            format!("`{}` never tail-calls through its next_map `{name}`, so a chain would end there", declared.function),
            "call bpf_tail_call with it on every path that should go on, or leave next_map out and be woven",
        ));
    }
}

fn find_map<'a>(
    profile: &'a ObjectProfile,
    name: &str,
    whose: &str,
    findings: &mut Vec<Finding>,
) -> Option<&'a MapProfile> {
    let found = profile.maps.iter().find(|map| map.name == name);
    if found.is_none() {
        findings.push(mismatch(
            format!("{whose} names the map `{name}`, which the object does not have"),
            format!(
                "the object's maps are: {}",
                list(profile.maps.iter().map(|map| map.name.as_str()))
            ),
        ));
    }
    found
}

/// Whether a key or value that is written as a number fits in `size` bytes.
fn fits(number: u64, size: u32) -> bool {
    size >= 8 || number.checked_shr(size * 8).unwrap_or(0) == 0
}

fn check_parameter(parameter: &Parameter, profile: &ObjectProfile, findings: &mut Vec<Finding>) {
    let size = u32::try_from(parameter.value_type.size()).unwrap_or(u32::MAX);
    let whose = format!("parameter `{}`", parameter.name);
    let kind = parameter.value_type.as_str();
    if let Some(name) = &parameter.global {
        match profile.globals.iter().find(|global| global.name == *name) {
            None => findings.push(mismatch(
                format!("{whose} names the global `{name}`, which the object does not have"),
                format!(
                    "the object's globals are: {}",
                    list(profile.globals.iter().map(|global| global.name.as_str()))
                ),
            )),
            Some(global) if !global.section.starts_with(".rodata") => findings.push(mismatch(
                format!(
                    "{whose} is kept in `{name}`, a variable of `{}` that programs may change",
                    global.section
                ),
                format!("declare it as `const volatile … {name}`"),
            )),
            Some(global) if !holds(global.size, size, parameter.many) => findings.push(mismatch(
                format!(
                    "{whose} is a {kind} of {size} bytes and the global `{name}` has {}",
                    global.size
                ),
                "let both have the same width",
            )),
            Some(_) => {}
        }
    }
    let Some(place) = &parameter.map else { return };
    let Some(map) = find_map(profile, &place.name, &whose, findings) else {
        return;
    };
    // With `value` the parameter is a key, else it is the value of `key`.
    let (role, held, other) = match place.value {
        Some(_) => ("key", map.key_size, map.value_size),
        None => ("value", map.value_size, map.key_size),
    };
    if held != size {
        findings.push(mismatch(
            format!(
                "{whose} is a {kind} of {size} bytes and a {role} of the map `{}` has {held}",
                map.name
            ),
            "let both have the same width",
        ));
    }
    if let Some(number) = place
        .value
        .or(place.key)
        .filter(|number| !fits(*number, other))
    {
        let role = if place.value.is_some() {
            "value"
        } else {
            "key"
        };
        findings.push(mismatch(
            format!("{whose} writes the {role} {number}, and a {role} of the map `{}` has {other} bytes", map.name),
            "use a number that fits",
        ));
    }
    check_index(map, place.key, &whose, findings);
}

/// Whether a global of `global` bytes holds one value, or a list of them.
fn holds(global: u32, value: u32, many: bool) -> bool {
    if many {
        value > 0 && global >= value && global % value == 0
    } else {
        global == value
    }
}

/// A key of an array is an index: it must exist.
fn check_index(map: &MapProfile, key: Option<u64>, whose: &str, findings: &mut Vec<Finding>) {
    let array = matches!(map.map_type.as_str(), "array" | "percpu_array");
    if let Some(key) =
        key.filter(|key| array && map.max_entries > 0 && *key >= u64::from(map.max_entries))
    {
        findings.push(mismatch(
            format!(
                "{whose} uses the key {key} of the map `{}`, an array of {} entries",
                map.name, map.max_entries
            ),
            "use a key below the number of entries",
        ));
    }
}

fn check_metric(metric: &Metric, profile: &ObjectProfile, findings: &mut Vec<Finding>) {
    let whose = format!("metric `{}`", metric.name);
    let Some(map) = find_map(profile, &metric.map.name, &whose, findings) else {
        return;
    };
    match &metric.map.field {
        Some(path) if !map.value_fields.iter().any(|field| field.path == *path) => findings.push(mismatch(
            format!("{whose} reads the member `{path}`, which a value of the map `{}` does not have", map.name),
            format!("the members that are numbers are: {}", list(map.value_fields.iter().map(|field| field.path.as_str()))),
        )),
        None if !matches!(map.value_size, 1 | 2 | 4 | 8) => findings.push(mismatch(
            format!("{whose} reads a number and a value of the map `{}` has {} bytes", map.name, map.value_size),
            "name a member with `field`, or use values of 1, 2, 4 or 8 bytes",
        )),
        _ => {}
    }
    let keys = metric.map.key.iter().chain(metric.map.keys.values());
    for key in keys {
        if !fits(*key, map.key_size) {
            findings.push(mismatch(
                format!(
                    "{whose} reads the key {key}, and a key of the map `{}` has {} bytes",
                    map.name, map.key_size
                ),
                "use a key that fits",
            ));
        }
        check_index(map, Some(*key), &whose, findings);
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
