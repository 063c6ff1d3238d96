// SPDX-License-Identifier: Apache-2.0
//! Whether what a manifest declares is in the object, and fits.

use registry_schema::hook::ProgramType;
use registry_schema::manifest::{Metric, PackageManifest, Parameter, Program};
use registry_schema::profile::{Finding, MapProfile, ObjectProfile, ProgramProfile, Severity};

use super::{finding, list, mismatch};

pub(super) fn check_programs(
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

pub(super) fn find_map<'a>(
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

pub(super) fn check_parameter(
    parameter: &Parameter,
    profile: &ObjectProfile,
    findings: &mut Vec<Finding>,
) {
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
            Some(global) if global.size != size => findings.push(mismatch(
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

/// A key of an array is an index: it must exist.
fn check_index(map: &MapProfile, key: Option<u64>, whose: &str, findings: &mut Vec<Finding>) {
    let array = matches!(map.map_type.as_str(), "array" | "percpu_array") && map.max_entries > 0;
    let beyond = |key: &u64| *key >= u64::from(map.max_entries) && fits(*key, map.key_size);
    if let Some(key) = key.filter(|key| array && beyond(key)) {
        findings.push(mismatch(
            format!(
                "{whose} uses the key {key} of the map `{}`, an array of {} entries",
                map.name, map.max_entries
            ),
            "use a key below the number of entries",
        ));
    }
}

pub(super) fn check_metric(metric: &Metric, profile: &ObjectProfile, findings: &mut Vec<Finding>) {
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
