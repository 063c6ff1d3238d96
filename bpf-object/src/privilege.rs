// SPDX-License-Identifier: Apache-2.0
//! What a program can do, in the classes that people and policies read.

use std::collections::BTreeSet;

use registry_schema::hook::ProgramType;
use registry_schema::profile::Privilege;

use crate::helpers;

/// What the classes are derived from.
pub(crate) struct Evidence<'a> {
    pub(crate) section: &'a str,
    pub(crate) program_type: Option<ProgramType>,
    /// Helpers by number.
    pub(crate) helpers: &'a BTreeSet<u32>,
    pub(crate) kfuncs: &'a [String],
    pub(crate) uses_maps: bool,
    /// Whether it may return a verdict that drops or denies.
    pub(crate) may_drop: bool,
    /// Whether it may write to a packet without a helper.
    pub(crate) may_write_packet: bool,
}

/// Derives the classes, sorted.
pub(crate) fn of(evidence: &Evidence<'_>) -> Vec<Privilege> {
    let mut found = BTreeSet::new();
    let packets = sees_packets(evidence.program_type);
    for helper in evidence.helpers {
        match helpers::by_number(*helper) {
            Some(helper) => found.extend(of_helper(helper.name, packets)),
            // A helper newer than the table could do anything.
            None => found.extend(vec![Privilege::Interfere]),
        }
    }
    found.extend(of_type(evidence));
    for kfunc in evidence.kfuncs {
        found.extend(of_kfunc(kfunc));
    }
    if evidence.uses_maps {
        found.insert(Privilege::Observe);
    }
    if evidence.may_drop {
        found.insert(Privilege::Drop);
    }
    if evidence.may_write_packet {
        found.insert(Privilege::ModifyPacket);
    }
    found.into_iter().collect()
}

fn sees_packets(program_type: Option<ProgramType>) -> bool {
    use ProgramType::{CgroupSkb, Other, SocketFilter, Tc, Xdp};
    matches!(
        program_type,
        None | Some(Xdp | Tc | CgroupSkb | SocketFilter | Other)
    )
}

fn of_type(evidence: &Evidence<'_>) -> Vec<Privilege> {
    match evidence.program_type {
        Some(ProgramType::TpBtf | ProgramType::Fentry | ProgramType::Fexit | ProgramType::Iter) => {
            vec![Privilege::ReadKernel]
        }
        Some(ProgramType::Lsm) if evidence.may_drop => {
            vec![Privilege::ReadKernel, Privilege::Interfere]
        }
        Some(ProgramType::Lsm) => vec![Privilege::ReadKernel],
        Some(ProgramType::Freplace) => vec![Privilege::Meta],
        Some(ProgramType::CgroupSockAddr) => vec![Privilege::Interfere],
        _ => match evidence
            .section
            .trim_start_matches('?')
            .split(['/', '.'])
            .next()
            .unwrap_or_default()
        {
            "syscall" => vec![Privilege::Meta],
            "struct_ops" | "fmod_ret" => vec![Privilege::Interfere],
            _ => Vec::new(),
        },
    }
}

/// Kernel functions called by name are many and change; these stand out.
fn of_kfunc(name: &str) -> Option<Privilege> {
    if name.starts_with("scx_")
        || name.contains("send_signal")
        || name.contains("override")
        || name.contains("_kill")
    {
        Some(Privilege::Interfere)
    } else if name.starts_with("bpf_copy_from_user") {
        Some(Privilege::ReadUser)
    } else if name.starts_with("bpf_rdonly_cast") || name.starts_with("bpf_probe_read_kernel") {
        Some(Privilege::ReadKernel)
    } else if name.starts_with("bpf_dynptr_slice_rdwr") || name.starts_with("bpf_dynptr_write") {
        Some(Privilege::ModifyPacket)
    } else {
        None
    }
}

fn of_helper(name: &str, packets: bool) -> Vec<Privilege> {
    use Privilege::{
        Drop, Interfere, Meta, Mirror, ModifyPacket, Observe, PayloadOut, ReadKernel, ReadUser,
        Redirect, WriteUser,
    };
    match name {
        // Before 5.5 one helper read both.
        "probe_read" | "probe_read_str" => vec![ReadKernel, ReadUser],
        "probe_read_kernel"
        | "probe_read_kernel_str"
        | "get_current_task_btf"
        | "d_path"
        | "snprintf_btf"
        | "seq_printf_btf"
        | "task_pt_regs"
        | "find_vma" => vec![ReadKernel],
        "probe_read_user" | "probe_read_user_str" | "copy_from_user" | "copy_from_user_task" => {
            vec![ReadUser]
        }
        "skb_output" | "xdp_output" => vec![PayloadOut],
        "perf_event_output" | "ringbuf_output" | "ringbuf_submit" | "ringbuf_submit_dynptr"
            if packets =>
        {
            vec![PayloadOut]
        }
        "perf_event_output" | "ringbuf_output" | "ringbuf_submit" | "ringbuf_submit_dynptr" => {
            vec![Observe]
        }
        "clone_redirect" => vec![Mirror],
        "redirect"
        | "redirect_map"
        | "redirect_neigh"
        | "redirect_peer"
        | "sk_redirect_map"
        | "sk_redirect_hash"
        | "msg_redirect_map"
        | "msg_redirect_hash"
        | "sk_assign"
        | "sk_select_reuseport" => vec![Redirect],
        "override_return"
        | "send_signal"
        | "send_signal_thread"
        | "setsockopt"
        | "bind"
        | "set_retval"
        | "sysctl_set_new_value"
        | "bprm_opts_set"
        | "tcp_send_ack"
        | "sock_ops_cb_flags_set"
        | "rc_keydown"
        | "rc_repeat"
        | "rc_pointer_rel" => vec![Interfere],
        "probe_write_user" => vec![WriteUser],
        "sys_bpf" | "sys_close" | "btf_find_by_name_kind" | "kallsyms_lookup_name" => vec![Meta],
        "msg_cork_bytes" => vec![Drop],
        _ if modifies(name) => vec![ModifyPacket],
        // Everything else counts, looks up, or asks for the time.
        _ => vec![Observe],
    }
}

fn modifies(name: &str) -> bool {
    const NAMES: [&str; 16] = [
        "skb_store_bytes",
        "l3_csum_replace",
        "l4_csum_replace",
        "csum_update",
        "csum_level",
        "skb_vlan_push",
        "skb_vlan_pop",
        "skb_adjust_room",
        "skb_ecn_set_ce",
        "skb_set_tunnel_key",
        "skb_set_tunnel_opt",
        "set_hash",
        "set_hash_invalid",
        "store_hdr_opt",
        "xdp_store_bytes",
        "skb_set_tstamp",
    ];
    NAMES.contains(&name)
        || [
            "skb_change_",
            "xdp_adjust_",
            "lwt_",
            "msg_push_",
            "msg_pop_",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}
