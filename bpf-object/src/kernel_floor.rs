// SPDX-License-Identifier: Apache-2.0
//! The oldest kernel that may load a program, and what says so.
//!
//! A static lower bound: "at least", never "works from". Whether a kernel
//! really loads a program is found out by loading it.

use registry_schema::hook::ProgramType;
use registry_schema::kernel::KernelVersion;
use registry_schema::profile::KernelFloor;

use crate::helpers;
use crate::map::Map;
use crate::reach::{Feature, Uses};
use crate::section;

/// What the bound is derived from.
pub(crate) struct Evidence<'a> {
    pub(crate) section: &'a str,
    pub(crate) program_type: Option<ProgramType>,
    pub(crate) uses: &'a Uses,
    pub(crate) maps: &'a [&'a Map],
    pub(crate) instructions: usize,
    /// Whether it refers to global variables.
    pub(crate) globals: bool,
    /// Whether it calls kernel functions by name.
    pub(crate) kfuncs: bool,
}

/// Finds the highest of all bounds; the first of equals gives the reason.
pub(crate) fn of(evidence: &Evidence<'_>) -> Option<KernelFloor> {
    let mut floor: Option<KernelFloor> = None;
    let mut raise = |(major, minor): (u16, u16), reason: String| {
        let version = KernelVersion::new(major, minor);
        if floor.as_ref().is_none_or(|found| found.version < version) {
            floor = Some(KernelFloor { version, reason });
        }
    };
    if let Some((since, what)) = section_floor(evidence.section) {
        raise(since, what.to_owned());
    }
    if let Some((found, since)) = evidence
        .program_type
        .and_then(|found| Some((found, type_floor(found)?)))
    {
        raise(since, format!("program type `{found}`"));
    }
    for helper in evidence
        .uses
        .helpers
        .iter()
        .filter_map(|number| helpers::by_number(*number))
    {
        raise(
            (helper.since.major, helper.since.minor),
            format!("helper `{}`", helper.name),
        );
    }
    for map in evidence.maps {
        if let Some(since) = map.since() {
            raise(
                since,
                format!("map type `{}` of `{}`", map.type_name(), map.name),
            );
        }
    }
    for feature in &evidence.uses.features {
        let (since, what) = feature_floor(*feature);
        raise(since, what.to_owned());
    }
    let tail_calls = evidence.uses.helpers.contains(&12)
        && evidence.uses.features.contains(&Feature::Subprograms);
    if tail_calls {
        raise((5, 10), "tail calls beside functions of its own".to_owned());
    }
    if evidence.kfuncs {
        raise((5, 13), "calls of kernel functions by name".to_owned());
    }
    if evidence.globals {
        raise((5, 2), "global variables".to_owned());
    }
    if evidence.instructions > 4096 {
        raise(
            (5, 2),
            format!("{} instructions, more than 4096", evidence.instructions),
        );
    }
    floor
}

fn section_floor(section: &str) -> Option<((u16, u16), &'static str)> {
    let word = section
        .trim_start_matches('?')
        .split('/')
        .next()
        .unwrap_or_default();
    Some(match word {
        "xdp.frags" => ((5, 18), "XDP with fragments"),
        "kprobe.multi" | "kretprobe.multi" => ((5, 18), "probes on many symbols at once"),
        "uprobe.multi" | "uretprobe.multi" => ((6, 6), "probes on many user symbols at once"),
        "tcx" => ((6, 6), "tcx links"),
        "netkit" => ((6, 7), "netkit devices"),
        "netfilter" => ((6, 4), "netfilter programs"),
        "syscall" => ((5, 14), "syscall programs"),
        "struct_ops" | "struct_ops.s" => ((5, 6), "struct_ops programs"),
        "lsm_cgroup" => ((6, 0), "security hooks of control groups"),
        name if section::is_sleepable(name) => ((5, 10), "sleepable programs"),
        _ => return None,
    })
}

fn type_floor(found: ProgramType) -> Option<(u16, u16)> {
    Some(match found {
        ProgramType::SocketFilter => (3, 19),
        ProgramType::Kprobe | ProgramType::Kretprobe | ProgramType::Tc => (4, 1),
        ProgramType::Uprobe | ProgramType::Uretprobe => (4, 3),
        ProgramType::Tracepoint => (4, 7),
        ProgramType::Xdp => (4, 8),
        ProgramType::PerfEvent => (4, 9),
        ProgramType::CgroupSkb | ProgramType::CgroupSock => (4, 10),
        ProgramType::RawTracepoint | ProgramType::CgroupSockAddr => (4, 17),
        ProgramType::TpBtf | ProgramType::Fentry | ProgramType::Fexit => (5, 5),
        ProgramType::Freplace => (5, 6),
        ProgramType::Lsm => (5, 7),
        ProgramType::Iter => (5, 8),
        ProgramType::Other => return None,
    })
}

fn feature_floor(feature: Feature) -> ((u16, u16), &'static str) {
    match feature {
        Feature::Subprograms => ((4, 16), "functions of its own"),
        Feature::Jump32 => ((5, 1), "32-bit jumps (-mcpu=v3)"),
        Feature::Loop => ((5, 3), "bounded loops"),
        Feature::Atomics => ((5, 12), "atomic operations with a result (-mcpu=v3)"),
        Feature::Callback => ((5, 13), "callbacks"),
        Feature::Cpu4 => ((6, 6), "instructions of -mcpu=v4"),
    }
}
