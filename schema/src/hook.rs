// SPDX-License-Identifier: Apache-2.0
//! Program types, hooks, and the verdicts that programs return.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The type of a program, declared per function in a manifest.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ProgramType {
    /// Runs on each frame that a network driver receives.
    Xdp,
    /// Runs on each packet at traffic control, in or out.
    Tc,
    /// Attaches to a static tracepoint, `group/name`.
    Tracepoint,
    /// Attaches to a tracepoint without argument translation.
    RawTracepoint,
    /// Attaches to a tracepoint with typed arguments.
    TpBtf,
    /// Attaches to the entry of a kernel symbol.
    Kprobe,
    /// Attaches to the return of a kernel symbol.
    Kretprobe,
    /// Attaches to the entry of a user-space symbol.
    Uprobe,
    /// Attaches to the return of a user-space symbol.
    Uretprobe,
    /// Attaches to the entry of a kernel symbol through a trampoline.
    Fentry,
    /// Attaches to the return of a kernel symbol through a trampoline.
    Fexit,
    /// Attaches to a Linux Security Module hook.
    Lsm,
    /// Runs on samples of a perf event.
    PerfEvent,
    /// Filters packets of a control group.
    CgroupSkb,
    /// Decides on socket creation in a control group.
    CgroupSock,
    /// Decides on connect, bind or sendmsg in a control group.
    CgroupSockAddr,
    /// Filters packets of a socket.
    SocketFilter,
    /// Walks kernel objects on request.
    Iter,
    /// Extends or replaces a function of another program.
    Freplace,
    /// A type this vocabulary does not name.
    Other,
}

impl ProgramType {
    /// The word for it in manifests, labels and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::Tc => "tc",
            Self::Tracepoint => "tracepoint",
            Self::RawTracepoint => "raw_tracepoint",
            Self::TpBtf => "tp_btf",
            Self::Kprobe => "kprobe",
            Self::Kretprobe => "kretprobe",
            Self::Uprobe => "uprobe",
            Self::Uretprobe => "uretprobe",
            Self::Fentry => "fentry",
            Self::Fexit => "fexit",
            Self::Lsm => "lsm",
            Self::PerfEvent => "perf_event",
            Self::CgroupSkb => "cgroup_skb",
            Self::CgroupSock => "cgroup_sock",
            Self::CgroupSockAddr => "cgroup_sock_addr",
            Self::SocketFilter => "socket_filter",
            Self::Iter => "iter",
            Self::Freplace => "freplace",
            Self::Other => "other",
        }
    }

    /// Whether programs of this type are ordered in a chain on one hook.
    pub const fn chains(self) -> bool {
        matches!(self, Self::Xdp | Self::Tc)
    }
}

impl fmt::Display for ProgramType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a chain hangs: a hook of one interface, and a direction.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// XDP, which sees received frames only.
    Xdp,
    /// Traffic control, received packets.
    TcIngress,
    /// Traffic control, sent packets.
    TcEgress,
}

/// A word that is no hook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no hook; use `xdp`, `tc-ingress` or `tc-egress`")]
pub struct HookError(String);

impl Hook {
    /// The word for it in configuration and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::TcIngress => "tc-ingress",
            Self::TcEgress => "tc-egress",
        }
    }

    /// The type that programs of this hook have.
    pub const fn program_type(self) -> ProgramType {
        match self {
            Self::Xdp => ProgramType::Xdp,
            Self::TcIngress | Self::TcEgress => ProgramType::Tc,
        }
    }

    /// The verdicts that a chain on this hook understands, as (name, value).
    ///
    /// From `enum xdp_action` and the `TC_ACT_*` constants of the kernel's user API.
    pub const fn verdicts(self) -> &'static [(&'static str, i32)] {
        match self {
            Self::Xdp => &[
                ("aborted", 0),
                ("drop", 1),
                ("pass", 2),
                ("tx", 3),
                ("redirect", 4),
            ],
            Self::TcIngress | Self::TcEgress => {
                &[("unspec", -1), ("ok", 0), ("shot", 2), ("redirect", 7)]
            }
        }
    }

    /// The value of the verdict called `name`; `pass` and `drop` are also
    /// understood on traffic control, as `ok` and `shot`.
    pub fn verdict(self, name: &str) -> Option<i32> {
        let name = match (self, name) {
            (Self::TcIngress | Self::TcEgress, "pass") => "ok",
            (Self::TcIngress | Self::TcEgress, "drop") => "shot",
            (_, name) => name,
        };
        self.verdicts()
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| *value)
    }

    /// The verdicts after which a chain goes on when a manifest does not say.
    pub const fn default_proceed_on(self) -> &'static [&'static str] {
        match self {
            Self::Xdp => &["pass"],
            Self::TcIngress | Self::TcEgress => &["ok", "unspec"],
        }
    }
}

impl FromStr for Hook {
    type Err = HookError;

    fn from_str(text: &str) -> Result<Self, HookError> {
        [Self::Xdp, Self::TcIngress, Self::TcEgress]
            .into_iter()
            .find(|hook| hook.as_str() == text)
            .ok_or_else(|| HookError(crate::digest::shorten(text)))
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_by_name() {
        assert_eq!(Hook::Xdp.verdict("pass"), Some(2));
        assert_eq!(Hook::TcEgress.verdict("pass"), Some(0));
        assert_eq!(Hook::TcIngress.verdict("unspec"), Some(-1));
        assert_eq!(Hook::Xdp.verdict("shot"), None);
        assert_eq!("tc-egress".parse(), Ok(Hook::TcEgress));
        assert!("tc".parse::<Hook>().is_err());
    }
}
