// SPDX-License-Identifier: Apache-2.0
//! What the kernel refuses, in words for the operator.

use std::io;
use std::path::PathBuf;

use registry_schema::Digest;

use crate::place::Place;

/// How many lines of a verifier log are shown: the last ones tell the reason.
const DECISIVE_LINES: usize = 8;

/// Why something could not be done with the kernel.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum KernelError {
    /// The directory for pins is on another file system.
    #[error(
        "{path} is not on a BPF file system, so programs could not outlive this process; mount one with `mount -t bpf bpf {mount}` or set `bpffs` to a directory on one"
    )]
    NotBpffs { path: PathBuf, mount: PathBuf },
    /// The interface, or the namespace it should be in, does not exist.
    #[error(
        "{place}: the interface does not exist{hint}; the chain is kept and applied when it appears"
    )]
    NoInterface { place: Place, hint: String },
    /// Somebody else's program is on an XDP hook.
    #[error(
        "{place}: program {id} ({name}), which is not ours, is attached there already; it was left alone. Detach it with the tool that attached it, then apply again"
    )]
    Foreign { place: Place, id: u32, name: String },
    /// The verifier, or the loading itself, refused a program.
    #[error("the kernel refuses `{function}` of {package}: {reason}{log}")]
    Refused {
        package: String,
        function: String,
        reason: String,
        log: String,
    },
    /// The object cannot be read by the loader.
    #[error("{package} cannot be loaded: {reason}")]
    Object { package: String, reason: String },
    /// The bytes are not those that were verified.
    #[error(
        "{package}: the bytes to load have digest {actual}, but {expected} was verified; nothing was loaded"
    )]
    Hash {
        package: String,
        expected: Digest,
        actual: Digest,
    },
    /// A map cannot be taken over from the running generation.
    #[error(
        "{package}: map `{map}` has {what} {wanted}, but the running one has {actual}, so its entries cannot be kept; remove the program from the chain first, or keep the running version"
    )]
    Map {
        package: String,
        map: String,
        what: &'static str,
        wanted: String,
        actual: String,
    },
    /// Programs of one chain that cannot tail-call each other.
    #[error(
        "{place}: `{function}` {difference}; the kernel chains only programs that agree in this"
    )]
    Unlike {
        place: Place,
        function: String,
        difference: &'static str,
    },
    /// Attaching was refused.
    #[error("{place}: the kernel refuses to attach: {reason}")]
    Attach { place: String, reason: String },
    /// A pin cannot be made, read or removed.
    #[error("{action} {path}: {source}")]
    Pin {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// Entries of a map cannot be read or written.
    #[error("map `{map}`: {reason}")]
    MapAccess { map: String, reason: String },
}

impl KernelError {
    pub(crate) fn pin(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Pin {
            action,
            path: path.into(),
            source,
        }
    }
}

/// The lines of a verifier log that say why: the last ones before the statistics.
pub(crate) fn decisive_lines(log: &str) -> String {
    let lines: Vec<&str> = log
        .lines()
        .map(str::trim_end)
        .filter(|line| {
            let line = line.trim_start();
            let statistics = ["processed ", "verification time", "stack depth", "func#"];
            !line.is_empty() && !statistics.iter().any(|start| line.starts_with(start))
        })
        .collect();
    let first = lines.len().saturating_sub(DECISIVE_LINES);
    lines[first..]
        .iter()
        .flat_map(|line| ["\n    ", line])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::decisive_lines;

    #[test]
    fn the_end_of_the_log_is_what_decides() {
        let mut log = "0: (b7) r0 = 0\n".repeat(100);
        log += "R1 invalid mem access 'scalar'\nverification time 10 usec\nstack depth 0\nprocessed 9 insns\n";
        let lines = decisive_lines(&log);
        assert_eq!(lines.lines().filter(|line| !line.is_empty()).count(), 8);
        assert!(lines.ends_with("R1 invalid mem access 'scalar'"), "{lines}");
        assert_eq!(decisive_lines(""), "");
    }
}
