// SPDX-License-Identifier: Apache-2.0
//! What a section's name suggests about the programs in it.
//!
//! Only a hint: the manifest declares the type of each function. Names come
//! from libbpf, aya, cilium and from older tools with conventions of their own.

use registry_schema::hook::ProgramType;

/// Whether the first word of a section's name asks for a program that may sleep.
pub(crate) fn is_sleepable(word: &str) -> bool {
    word.rsplit_once('.').is_some_and(|(_, tail)| tail == "s")
}

/// A guess from a section's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Suggestion {
    pub(crate) program_type: Option<ProgramType>,
    /// What it attaches to, where the name says so.
    pub(crate) attach: Option<String>,
}

/// Exact first words, before a `/`.
const WORDS: [(&str, ProgramType); 38] = [
    ("xdp", ProgramType::Xdp),
    ("xdp.frags", ProgramType::Xdp),
    ("tc", ProgramType::Tc),
    ("tcx", ProgramType::Tc),
    ("classifier", ProgramType::Tc),
    ("action", ProgramType::Tc),
    ("tracepoint", ProgramType::Tracepoint),
    ("tp", ProgramType::Tracepoint),
    ("raw_tracepoint", ProgramType::RawTracepoint),
    ("raw_tp", ProgramType::RawTracepoint),
    ("raw_tracepoint.w", ProgramType::RawTracepoint),
    ("raw_tp.w", ProgramType::RawTracepoint),
    ("tp_btf", ProgramType::TpBtf),
    ("kprobe", ProgramType::Kprobe),
    ("ksyscall", ProgramType::Kprobe),
    ("kretprobe", ProgramType::Kretprobe),
    ("kretsyscall", ProgramType::Kretprobe),
    ("uprobe", ProgramType::Uprobe),
    ("uprobe.s", ProgramType::Uprobe),
    ("uretprobe", ProgramType::Uretprobe),
    ("uretprobe.s", ProgramType::Uretprobe),
    ("fentry", ProgramType::Fentry),
    ("fentry.s", ProgramType::Fentry),
    ("fexit", ProgramType::Fexit),
    ("fexit.s", ProgramType::Fexit),
    ("lsm", ProgramType::Lsm),
    ("lsm.s", ProgramType::Lsm),
    ("lsm_cgroup", ProgramType::Lsm),
    ("perf_event", ProgramType::PerfEvent),
    ("cgroup_skb", ProgramType::CgroupSkb),
    ("socket", ProgramType::SocketFilter),
    ("iter", ProgramType::Iter),
    ("iter.s", ProgramType::Iter),
    ("freplace", ProgramType::Freplace),
    ("extension", ProgramType::Freplace),
    ("netkit", ProgramType::Tc),
    ("kprobe.multi", ProgramType::Other),
    ("kretprobe.multi", ProgramType::Other),
];

const OTHERS: [&str; 17] = [
    "fmod_ret",
    "usdt",
    "syscall",
    "struct_ops",
    "sk_msg",
    "sk_skb",
    "sk_lookup",
    "sk_reuseport",
    "sockops",
    "flow_dissector",
    "lirc_mode2",
    "lwt_in",
    "lwt_out",
    "lwt_xmit",
    "lwt_seg6local",
    "netfilter",
    "uprobe.multi",
];

/// Guesses program type and attach point from a section's name.
pub(crate) fn suggest(section: &str) -> Suggestion {
    let name = section.strip_prefix('?').unwrap_or(section);
    let (word, rest) = name.split_once('/').unwrap_or((name, ""));
    let attach = (!rest.is_empty()).then(|| rest.to_owned());
    if word == "cgroup" {
        return Suggestion {
            program_type: Some(cgroup(rest)),
            attach,
        };
    }
    if let Some((_, found)) = WORDS.iter().find(|(known, _)| *known == word) {
        let named = !matches!(found, ProgramType::Xdp | ProgramType::Tc);
        return Suggestion {
            program_type: Some(*found),
            attach: attach.filter(|_| named),
        };
    }
    if OTHERS.iter().any(|known| {
        word == *known
            || word
                .strip_prefix(known)
                .is_some_and(|tail| tail.starts_with(['.', '_']))
    }) {
        return Suggestion {
            program_type: Some(ProgramType::Other),
            attach,
        };
    }
    // Names of their own: `xdp_ratelimiting`, `xdp-root`, `tc-ingress`, `tc_egress_x`.
    let own = |prefix: &str| {
        word.strip_prefix(prefix)
            .is_some_and(|tail| tail.starts_with(['_', '-', '.']))
    };
    let program_type = if own("xdp") {
        Some(ProgramType::Xdp)
    } else if own("tc") || own("classifier") {
        Some(ProgramType::Tc)
    } else {
        None
    };
    Suggestion {
        program_type,
        attach: None,
    }
}

fn cgroup(rest: &str) -> ProgramType {
    let first = rest.split('/').next().unwrap_or_default();
    match first {
        "skb" => ProgramType::CgroupSkb,
        "sock" | "sock_create" | "sock_release" | "post_bind4" | "post_bind6" => {
            ProgramType::CgroupSock
        }
        name if name.ends_with(['4', '6']) => ProgramType::CgroupSockAddr,
        _ => ProgramType::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_many_tools() {
        let of = |name: &str| suggest(name).program_type;
        for name in [
            "xdp",
            "xdp.frags",
            "?xdp",
            "xdp/pass",
            "xdp_ratelimiting",
            "xdp-root",
        ] {
            assert_eq!(of(name), Some(ProgramType::Xdp), "{name}");
        }
        for name in [
            "tc",
            "tcx/ingress",
            "classifier",
            "tc-egress",
            "tc_ingress_redirect",
            "netkit/peer",
        ] {
            assert_eq!(of(name), Some(ProgramType::Tc), "{name}");
        }
        assert_eq!(of("cgroup/connect4"), Some(ProgramType::CgroupSockAddr));
        assert_eq!(of("cgroup/sysctl"), Some(ProgramType::Other));
        assert_eq!(of("struct_ops.s/x"), Some(ProgramType::Other));
        for name in ["", "tcp_monitor", "xdpdump", "mine", ".text"] {
            assert_eq!(of(name), None, "{name}");
        }
    }

    #[test]
    fn the_attach_point_follows_the_slash() {
        assert_eq!(
            suggest("tracepoint/sched/sched_process_exec")
                .attach
                .as_deref(),
            Some("sched/sched_process_exec")
        );
        assert_eq!(
            suggest("kprobe/do_unlinkat").attach.as_deref(),
            Some("do_unlinkat")
        );
        assert_eq!(suggest("tcx/ingress").attach, None);
    }
}
