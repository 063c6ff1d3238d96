// SPDX-License-Identifier: Apache-2.0
//! The section names that aya 0.14 knows.

use registry_schema::hook::ProgramType;

use crate::section;

/// First words after which aya ignores the rest of the name.
const OPEN: [&str; 29] = [
    "kprobe",
    "kretprobe",
    "uprobe",
    "uprobe.s",
    "uretprobe",
    "uretprobe.s",
    "tp_btf",
    "tracepoint",
    "tp",
    "socket",
    "sk_msg",
    "sockops",
    "classifier",
    "lirc_mode2",
    "perf_event",
    "raw_tp",
    "raw_tracepoint",
    "lsm",
    "lsm.s",
    "lsm_cgroup",
    "fentry",
    "fentry.s",
    "fexit",
    "fexit.s",
    "flow_dissector",
    "freplace",
    "sk_lookup",
    "iter",
    "iter.s",
];

/// Names that must be followed by one of these.
const CLOSED: [(&str, &[&str]); 6] = [
    ("xdp", &["", "cpumap", "devmap"]),
    ("xdp.frags", &["", "cpumap", "devmap"]),
    ("sk_skb", &["stream_parser", "stream_verdict"]),
    ("sk_reuseport", &["", "migrate"]),
    ("cgroup_skb", &["ingress", "egress"]),
    (
        "cgroup",
        &[
            "skb",
            "sysctl",
            "dev",
            "getsockopt",
            "setsockopt",
            "sock",
            "post_bind4",
            "post_bind6",
            "sock_create",
            "sock_release",
            "bind4",
            "bind6",
            "connect4",
            "connect6",
            "getpeername4",
            "getpeername6",
            "getsockname4",
            "getsockname6",
            "sendmsg4",
            "sendmsg6",
            "recvmsg4",
            "recvmsg6",
        ],
    ),
];

/// Whether aya takes a section of this name for a program.
pub(super) fn accepted(name: &str) -> bool {
    let (word, rest) = name.split_once('/').unwrap_or((name, ""));
    let next = rest.split('/').next().unwrap_or_default();
    OPEN.contains(&word)
        || CLOSED
            .iter()
            .any(|(known, followers)| *known == word && followers.contains(&next))
}

/// The name under which aya loads a program of this type. Details that the old
/// name carries (fragments, sleepable, attach point) are kept.
pub(super) fn for_loader(old: &str, kind: ProgramType) -> Option<String> {
    let old = old.strip_prefix('?').unwrap_or(old);
    if accepted(old) && section::suggest(old).program_type == Some(kind) {
        return Some(old.to_owned());
    }
    let (word, rest) = old.split_once('/').unwrap_or((old, ""));
    let sleepable = section::is_sleepable(word);
    let base = match kind {
        ProgramType::Xdp => {
            let frags = word.starts_with("xdp.frags");
            return Some(if frags { "xdp.frags" } else { "xdp" }.to_owned());
        }
        ProgramType::Tc => "classifier",
        ProgramType::Tracepoint => "tracepoint",
        ProgramType::RawTracepoint => "raw_tp",
        ProgramType::TpBtf => "tp_btf",
        ProgramType::Kprobe => "kprobe",
        ProgramType::Kretprobe => "kretprobe",
        ProgramType::Uprobe if sleepable => "uprobe.s",
        ProgramType::Uprobe => "uprobe",
        ProgramType::Uretprobe if sleepable => "uretprobe.s",
        ProgramType::Uretprobe => "uretprobe",
        ProgramType::Fentry if sleepable => "fentry.s",
        ProgramType::Fentry => "fentry",
        ProgramType::Fexit if sleepable => "fexit.s",
        ProgramType::Fexit => "fexit",
        ProgramType::Lsm if sleepable => "lsm.s",
        ProgramType::Lsm => "lsm",
        ProgramType::PerfEvent => "perf_event",
        ProgramType::CgroupSkb => return Some("cgroup/skb".to_owned()),
        ProgramType::CgroupSock => return Some("cgroup/sock".to_owned()),
        ProgramType::SocketFilter => "socket",
        ProgramType::Iter if sleepable => "iter.s",
        ProgramType::Iter => "iter",
        ProgramType::Freplace => "freplace",
        // The name alone says which of many calls they decide on.
        ProgramType::CgroupSockAddr | ProgramType::Other => {
            return accepted(old).then(|| old.to_owned());
        }
    };
    let named = !matches!(
        kind,
        ProgramType::Tc | ProgramType::SocketFilter | ProgramType::PerfEvent
    ) && !rest.is_empty();
    Some(if named {
        format!("{base}/{rest}")
    } else {
        base.to_owned()
    })
}

/// Where a section's programs go.
pub(super) enum Place {
    /// A section of this name.
    Own(String),
    /// The section with this index, which has the only name there is.
    Within(usize),
}

/// Finds a place for a section that should have `name`: no two may have the
/// same, since `.BTF.ext` tells sections apart by name.
pub(super) fn place(name: String, function: &str, taken: &[(String, usize)]) -> Place {
    let Some((_, other)) = taken.iter().find(|(other, _)| *other == name) else {
        return Place::Own(name);
    };
    let word = name.split('/').next().unwrap_or_default();
    if OPEN.contains(&word) {
        Place::Own(format!("{name}/{function}"))
    } else {
        Place::Within(*other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_declared_type_gets_a_name_that_is_accepted() {
        use ProgramType::{
            CgroupSkb, CgroupSock, Fentry, Iter, Kprobe, Lsm, PerfEvent, SocketFilter, Tc, TpBtf,
            Tracepoint, Uprobe, Xdp,
        };
        for kind in [
            Xdp,
            Tc,
            Tracepoint,
            TpBtf,
            Kprobe,
            Uprobe,
            Fentry,
            Lsm,
            PerfEvent,
            CgroupSkb,
            CgroupSock,
            SocketFilter,
            Iter,
        ] {
            for old in [
                "mine",
                "?mine/x",
                "xdp_ratelimiting",
                "tc",
                "tcx/ingress",
                "kprobe.multi/x",
                "fentry.s/y",
            ] {
                let name = for_loader(old, kind).unwrap();
                assert!(accepted(&name), "{old} as {kind} became {name}");
                assert_ne!(section::suggest(&name).program_type, None, "{name}");
            }
        }
    }

    #[test]
    fn details_of_the_old_name_are_kept() {
        assert_eq!(
            for_loader("?xdp.frags/x", ProgramType::Xdp).as_deref(),
            Some("xdp.frags")
        );
        assert_eq!(
            for_loader("xdp/devmap", ProgramType::Xdp).as_deref(),
            Some("xdp/devmap")
        );
        assert_eq!(
            for_loader("tp/sched/fork", ProgramType::Tracepoint).as_deref(),
            Some("tp/sched/fork")
        );
        assert_eq!(
            for_loader("kprobe.multi/x", ProgramType::Kprobe).as_deref(),
            Some("kprobe/x")
        );
        assert_eq!(
            for_loader("cgroup/connect4", ProgramType::CgroupSockAddr).as_deref(),
            Some("cgroup/connect4")
        );
        assert_eq!(for_loader("mine", ProgramType::CgroupSockAddr), None);
        assert_eq!(for_loader("usdt/x", ProgramType::Other), None);
    }
}
