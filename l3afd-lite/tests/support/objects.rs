// SPDX-License-Identifier: Apache-2.0
//! Programs, compiled once per test binary, and taken into chains as the daemon does.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use bpf_object::weave::Counter;
use bpf_object::{Weave, normalise, weave};
use l3afd_lite::kernel::{Kernel, MapAddress, MapOwner};
use l3afd_lite::load::{LoadGeneration, LoadMember, MapShape, WovenMaps};
use l3afd_lite::place::Place;
use registry_schema::Digest;
use registry_schema::hook::{Hook, ProgramType};

/// The object of `seen.bpf.c`.
pub(crate) fn seen() -> &'static [u8] {
    static OBJECT: OnceLock<Vec<u8>> = OnceLock::new();
    OBJECT.get_or_init(|| compile("seen"))
}

/// Compiles `tests/objects/<name>.bpf.c`.
pub(crate) fn compile(name: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/objects/{name}.bpf.c"));
    let object = dir.path().join("object.o");
    let status = Command::new("clang")
        .args(["-O2", "-g", "-target", "bpf", "-mcpu=v2", "-c"])
        .arg(source)
        .arg("-o")
        .arg(&object)
        .status()
        .unwrap();
    assert!(status.success());
    std::fs::read(object).unwrap()
}

/// `instances` of the counting program, in this order, as one generation.
pub(crate) fn generation(place: &Place, number: u64, instances: &[&str]) -> LoadGeneration {
    let length = u32::try_from(instances.len()).unwrap();
    let members = instances
        .iter()
        .zip(0..)
        .map(|(instance, slot)| member(place.hook, instance, slot, length))
        .collect();
    LoadGeneration {
        place: place.clone(),
        number,
        members,
    }
}

fn member(hook: Hook, instance: &str, slot: u32, length: u32) -> LoadMember {
    let types = [
        ("seen_xdp", ProgramType::Xdp),
        ("seen_tc", ProgramType::Tc),
        ("seen_exec", ProgramType::Tracepoint),
    ];
    let (function, program_type, proceed) = match hook {
        Hook::Xdp => ("seen_xdp", ProgramType::Xdp, 2),
        _ => ("seen_tc", ProgramType::Tc, 0),
    };
    let order = Weave {
        function: function.to_owned(),
        next_index: slot + 1,
        proceed_on: vec![proceed],
        fallthrough: None,
        array_name: "chain_programs".to_owned(),
        array_entries: length,
        counter: Some(Counter {
            name: "chain_ends".to_owned(),
            slot,
        }),
    };
    let woven = weave(&normalise(seen(), &types).unwrap(), &order).unwrap();
    let map = |name: &str, kind: &str, value_size| MapShape {
        name: name.to_owned(),
        kind: kind.to_owned(),
        key_size: 4,
        value_size,
        max_entries: 1,
        shared: true,
    };
    LoadMember {
        package: format!("test/{instance}@1.0.0"),
        instance: instance.to_owned(),
        function: function.to_owned(),
        program_type,
        digest: Digest::sha256(&woven.bytes),
        bytes: woven.bytes,
        globals: Vec::new(),
        maps: vec![map("seen", "percpu_array", 8), map("stop", "array", 4)],
        woven_maps: WovenMaps {
            array: Some("chain_programs".to_owned()),
            ends: Some("chain_ends".to_owned()),
        },
    }
}

fn address(place: &Place, instance: &str, map: &str) -> MapAddress {
    MapAddress {
        owner: MapOwner::Chain(place.clone()),
        instance: instance.to_owned(),
        map: map.to_owned(),
    }
}

/// Packets that an instance has seen.
pub(crate) fn count(kernel: &impl Kernel, place: &Place, instance: &str) -> u64 {
    let entries = kernel
        .read_map(&address(place, instance, "seen"), Some(&[0]))
        .unwrap();
    entries[0]
        .values
        .iter()
        .map(|value| u64::from_ne_bytes(value.as_slice().try_into().unwrap()))
        .sum()
}

/// Tells an instance whether to end the chain.
pub(crate) fn set_stop(kernel: &impl Kernel, place: &Place, instance: &str, stop: bool) {
    let value = u32::from(stop).to_ne_bytes().to_vec();
    kernel
        .write_map(
            &address(place, instance, "stop"),
            &[(vec![0; 4], value)],
            false,
        )
        .unwrap();
}
