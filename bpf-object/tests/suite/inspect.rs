// SPDX-License-Identifier: Apache-2.0
//! The profile of real objects, as clang makes them.

use crate::support::compile;
use bpf_object::inspect;
use registry_schema::hook::ProgramType;
use registry_schema::kernel::KernelVersion;
use registry_schema::profile::ObjectProfile;

fn profile(name: &str) -> ObjectProfile {
    inspect(&compile(name, &[])).unwrap()
}

#[test]
fn programs_maps_and_fields() {
    let beta = profile("beta");
    let program = &beta.programs[0];
    assert_eq!(
        (program.function.as_str(), program.section.as_str()),
        ("beta", "xdp")
    );
    assert_eq!(program.suggested_type, Some(ProgramType::Xdp));
    assert_eq!(
        program.helpers,
        ["ktime_get_ns", "map_lookup_elem", "map_update_elem"]
    );
    assert_eq!(program.maps, ["beta_runs", "beta_tallies"]);
    assert_eq!(program.subprograms, ["mix"]);
    let tallies = beta
        .maps
        .iter()
        .find(|map| map.name == "beta_tallies")
        .unwrap();
    assert_eq!(tallies.map_type, "hash");
    assert_eq!(
        (tallies.key_size, tallies.value_size, tallies.max_entries),
        (32, 16, 64)
    );
    let fields: Vec<_> = tallies
        .value_fields
        .iter()
        .map(|field| (field.path.as_str(), field.offset, field.size))
        .collect();
    assert_eq!(
        fields,
        [
            ("runs", 0, 8),
            ("last", 8, 4),
            ("part.low", 12, 2),
            ("part.high", 14, 2)
        ]
    );
}

#[test]
fn several_programs_of_one_section_keep_their_order() {
    let names: Vec<String> = profile("alpha")
        .programs
        .into_iter()
        .map(|program| program.function)
        .collect();
    assert_eq!(names, ["before_alpha", "alpha", "after_alpha"]);
}

#[test]
fn globals_licence_and_relocated_fields() {
    let gamma = profile("gamma");
    let globals: Vec<_> = gamma
        .globals
        .iter()
        .map(|global| (global.name.as_str(), global.section.as_str(), global.size))
        .collect();
    assert_eq!(
        globals,
        [
            ("gamma_runs", ".bss", 8),
            ("gamma_last", ".data", 4),
            ("rounds", ".rodata", 4),
            ("table", ".rodata", 4),
        ]
    );
    assert_eq!(gamma.license.as_deref(), Some("Dual MIT/GPL"));
    assert!(gamma.gpl_compatible && gamma.btf && gamma.little_endian);
    assert_eq!(gamma.core_fields, ["xdp_md.data", "xdp_md.data_end"]);
    let floor = gamma.kernel_floor.unwrap();
    assert_eq!(floor.version, KernelVersion::new(5, 17));
    assert_eq!(floor.reason, "helper `loop`");
}

#[test]
fn the_older_form_of_maps() {
    let delta = profile("delta");
    let maps: Vec<_> = delta
        .maps
        .iter()
        .map(|map| (map.name.as_str(), map.map_type.as_str(), map.value_size))
        .collect();
    assert_eq!(
        maps,
        [("delta_runs", "array", 8), ("delta_next", "prog_array", 4)]
    );
    assert_eq!(delta.programs[0].maps, ["delta_next", "delta_runs"]);
}

#[test]
fn both_byte_orders_have_the_same_profile() {
    let little = inspect(&compile("gamma", &[])).unwrap();
    let big = inspect(&compile("gamma", &["-target", "bpfeb"])).unwrap();
    assert!(!big.little_endian);
    assert_eq!(little.programs, big.programs);
    assert_eq!(little.globals, big.globals);
    assert_eq!(little.core_fields, big.core_fields);
}
