// SPDX-License-Identifier: Apache-2.0
//! Where a chain runs: an interface, in a network namespace, at one hook.

use std::fmt;
use std::path::PathBuf;

use registry_schema::hook::Hook;
use serde::{Deserialize, Serialize};

/// Longest interface name, in bytes (the kernel's `IFNAMSIZ` without its NUL).
pub const MAX_INTERFACE: usize = 15;

/// Why a text names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// The interface name cannot exist.
    #[error(
        "`{0}` cannot be an interface: a name has 1 to {MAX_INTERFACE} bytes and no white space or `/`"
    )]
    Interface(String),
    /// The namespace is neither a name under /run/netns nor an absolute path.
    #[error(
        "`{0}` cannot be a network namespace: write a name as `ip netns list` shows it, or an absolute path"
    )]
    Netns(String),
}

/// One interface, in one network namespace, at one hook: what a chain belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// A name under /run/netns or an absolute path; none is the daemon's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<String>,
    /// The interface's name.
    pub interface: String,
    /// Where on the interface.
    pub hook: Hook,
}

impl Place {
    /// Makes a place from names that were checked.
    ///
    /// # Errors
    /// [`PlaceError::Interface`], [`PlaceError::Netns`] for names that cannot exist.
    pub fn new(netns: Option<String>, interface: &str, hook: Hook) -> Result<Self, PlaceError> {
        let fits = (1..=MAX_INTERFACE).contains(&interface.len())
            && interface != "."
            && interface != ".."
            && !interface
                .chars()
                .any(|c| c.is_whitespace() || c.is_control() || c == '/' || c == ':');
        if !fits {
            return Err(PlaceError::Interface(interface.to_owned()));
        }
        if let Some(name) = netns.as_deref() {
            let is_name = !name.contains('/') && name != "." && name != "..";
            if name.is_empty() || name.contains('\0') || !(is_name || name.starts_with('/')) {
                return Err(PlaceError::Netns(name.to_owned()));
            }
        }
        Ok(Self {
            netns,
            interface: interface.to_owned(),
            hook,
        })
    }

    /// The file that stands for the network namespace; none for the daemon's own.
    pub fn netns_path(&self) -> Option<PathBuf> {
        self.netns
            .as_deref()
            .map(|name| PathBuf::from("/run/netns").join(name))
    }

    /// A name of this place that fits in one directory of a bpffs.
    pub fn key(&self) -> String {
        let netns = self.netns.as_deref().map_or_else(String::new, encode);
        format!("{netns}@{}@{}", encode(&self.interface), self.hook)
    }

    /// The place whose [`Place::key`] this is, if it is one.
    pub fn from_key(key: &str) -> Option<Self> {
        let mut parts = key.split('@');
        let netns = decode(parts.next()?)?;
        let interface = decode(parts.next()?)?;
        let hook = parts.next()?.parse().ok()?;
        let netns = (!netns.is_empty()).then_some(netns);
        if parts.next().is_some() {
            None
        } else {
            Self::new(netns, &interface, hook).ok()
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.interface, self.hook)?;
        self.netns
            .as_ref()
            .map_or(Ok(()), |netns| write!(f, " (netns {netns})"))
    }
}

/// Writes every byte that a bpffs or a key may not hold as `%xx`: a bpffs refuses
/// names with a dot.
pub fn encode(text: &str) -> String {
    use fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02x}");
        }
    }
    encoded
}

/// Undoes [`encode`]; none when the text is no encoding.
pub fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'%' {
            let (digits, tail) = tail.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = tail;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leads_back_to_its_place() {
        for netns in [None, Some("red"), Some("/proc/17/ns/net"), Some("a.b@c")] {
            for interface in ["eth0", "eth0.100", "v%x"] {
                let place =
                    Place::new(netns.map(str::to_owned), interface, Hook::TcEgress).unwrap();
                let key = place.key();
                assert!(!key.contains('.') && !key.contains('/'), "{key}");
                assert_eq!(Place::from_key(&key), Some(place));
            }
        }
        assert_eq!(Place::from_key("nonsense"), None);
    }

    #[test]
    fn names_that_cannot_exist_are_refused() {
        for name in ["", ".", "..", "a b", "a/b", "nul\0", "sixteen-bytes-xx"] {
            assert!(Place::new(None, name, Hook::Xdp).is_err(), "{name:?}");
        }
        for netns in ["", "..", "a/b"] {
            assert!(
                Place::new(Some(netns.to_owned()), "eth0", Hook::Xdp).is_err(),
                "{netns:?}"
            );
        }
    }
}
