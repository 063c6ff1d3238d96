// SPDX-License-Identifier: Apache-2.0
//! Entries of pinned maps, whatever their sizes.

use std::os::fd::AsFd;
use std::path::Path;

use aya::maps::{MapData, MapError, MapInfo, MapType};
use aya::util::nr_cpus;
use serde::{Deserialize, Serialize};

use super::KernelError;
use super::raw::RawMap;
use crate::load::{MapShape, causes};

/// Most entries that are read or compared in one go.
const MAX_ENTRIES: usize = 65_536;

/// A pinned map of a package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MapAddress {
    /// Whose pins.
    pub owner: MapOwner,
    /// The package's instance within the owner.
    pub instance: String,
    /// The map's name in the object.
    pub map: String,
}

/// A chain or a probe.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MapOwner {
    /// The chain of a place.
    Chain(crate::place::Place),
    /// A probe, by name.
    Probe(String),
}

/// One entry: the key, and the value once per CPU for per-CPU maps, else once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key's bytes.
    pub key: Vec<u8>,
    /// The value's bytes, by CPU.
    pub values: Vec<Vec<u8>>,
}

fn per_cpu(kind: MapType) -> bool {
    matches!(
        kind,
        MapType::PerCpuArray | MapType::PerCpuHash | MapType::LruPerCpuHash
    )
}

/// An open map with all that is needed to read and write it.
pub(crate) struct PinnedMap {
    data: MapData,
    info: MapInfo,
    cpus: Option<usize>,
    name: String,
}

impl PinnedMap {
    pub(crate) fn open(path: &Path, name: &str) -> Result<Self, KernelError> {
        let refuse = |error: MapError| access(name, &error);
        let data = MapData::from_pin(path).map_err(refuse)?;
        let info = data.info().map_err(refuse)?;
        let cpus = match info.map_type().map_err(refuse)? {
            kind if per_cpu(kind) => Some(nr_cpus().map_err(|(_, error)| access(name, &error))?),
            _ => None,
        };
        Ok(Self {
            data,
            info,
            cpus,
            name: name.to_owned(),
        })
    }

    pub(crate) fn raw(&self) -> RawMap<'_> {
        RawMap::new(
            self.data.fd(),
            self.info.key_size(),
            self.info.value_size(),
            self.cpus,
        )
    }

    fn is_array(&self) -> bool {
        matches!(
            self.info.map_type(),
            Ok(MapType::Array | MapType::PerCpuArray)
        )
    }

    /// Reads the entries of `keys`, numbers in the map's own width, or all.
    pub(crate) fn read(&self, keys: Option<&[u64]>) -> Result<Vec<Entry>, KernelError> {
        let raw = self.raw();
        let keys = match keys {
            None => raw
                .keys(MAX_ENTRIES)
                .map_err(|error| access(&self.name, &error))?,
            Some(keys) => keys
                .iter()
                .map(|key| self.key(*key))
                .collect::<Result<_, _>>()?,
        };
        let mut entries = Vec::with_capacity(keys.len());
        for key in keys {
            // A key that vanished meanwhile is no error: the map lives.
            if let Some(value) = raw.get(&key).map_err(|error| access(&self.name, &error))? {
                entries.push(Entry {
                    key,
                    values: self.split(&value),
                });
            }
        }
        Ok(entries)
    }

    /// Writes `entries`; with `only`, removes every other key (an array's are zeroed).
    pub(crate) fn write(
        &self,
        entries: &[(Vec<u8>, Vec<u8>)],
        only: bool,
    ) -> Result<(), KernelError> {
        let raw = self.raw();
        let refuse = |error: std::io::Error| access(&self.name, &error);
        for (key, value) in entries {
            let key = self.fit(key, self.info.key_size() as usize, "key")?;
            let value = self.fit(value, self.info.value_size() as usize, "value")?;
            raw.set(&key, &self.join(&value)).map_err(refuse)?;
        }
        if !only {
            return Ok(());
        }
        let wanted = entries
            .iter()
            .map(|(key, _)| self.fit(key, self.info.key_size() as usize, "key"))
            .collect::<Result<Vec<_>, _>>()?;
        for key in raw.keys(MAX_ENTRIES).map_err(refuse)? {
            if wanted.contains(&key) {
                continue;
            }
            if self.is_array() {
                raw.set(&key, &self.join(&vec![0; self.info.value_size() as usize]))
                    .map_err(refuse)?;
            } else {
                raw.remove(&key).map_err(refuse)?;
            }
        }
        Ok(())
    }

    fn key(&self, key: u64) -> Result<Vec<u8>, KernelError> {
        self.fit(&key.to_le_bytes(), self.info.key_size() as usize, "key")
    }

    /// Widens little-endian bytes with zeros, or drops high bytes that are zero.
    fn fit(&self, bytes: &[u8], size: usize, what: &str) -> Result<Vec<u8>, KernelError> {
        let mut fitted = bytes.to_vec();
        if fitted.iter().skip(size).any(|byte| *byte != 0) {
            let reason = format!("a {what} of {} bytes does not fit its {size}", bytes.len());
            return Err(KernelError::MapAccess {
                map: self.name.clone(),
                reason,
            });
        }
        fitted.resize(size, 0);
        Ok(fitted)
    }

    fn split(&self, value: &[u8]) -> Vec<Vec<u8>> {
        let size = self.info.value_size() as usize;
        match self.cpus {
            None => vec![value.to_vec()],
            Some(_) => value
                .chunks(size.next_multiple_of(8))
                .map(|cpu| cpu[..size].to_vec())
                .collect(),
        }
    }

    /// The same value for every CPU.
    fn join(&self, value: &[u8]) -> Vec<u8> {
        let mut one = value.to_vec();
        let Some(cpus) = self.cpus else { return one };
        one.resize(value.len().next_multiple_of(8), 0);
        one.repeat(cpus)
    }
}

pub(crate) fn access(map: &str, error: &dyn std::error::Error) -> KernelError {
    KernelError::MapAccess {
        map: map.to_owned(),
        reason: causes(error),
    }
}

/// Compares the map pinned at `path`, if there is one, with what the object wants: a
/// loader that opens a pin asks for neither type nor sizes.
///
/// # Errors
/// [`KernelError::Map`] with the first difference.
pub(crate) fn compare(package: &str, shape: &MapShape, path: &Path) -> Result<(), KernelError> {
    if !path.exists() {
        return Ok(());
    }
    let info = MapInfo::from_pin(path).map_err(|error| access(&shape.name, &error))?;
    let kind = info.map_type().map_or("unknown", |kind| {
        KINDS.get(kind as usize).copied().unwrap_or("unknown")
    });
    let size = |size: u32| size.to_string();
    let differences = [
        ("type", shape.kind.clone(), kind.to_owned()),
        ("key size", size(shape.key_size), size(info.key_size())),
        (
            "value size",
            size(shape.value_size),
            size(info.value_size()),
        ),
        (
            "max_entries",
            size(shape.max_entries),
            size(info.max_entries()),
        ),
    ];
    for (what, wanted, actual) in differences {
        if wanted != actual && !adjusted(&shape.kind, what) {
            let (package, map) = (package.to_owned(), shape.name.clone());
            return Err(KernelError::Map {
                package,
                map,
                what,
                wanted,
                actual,
            });
        }
    }
    Ok(())
}

/// The kernel's words for map types, by number.
const KINDS: [&str; 34] = [
    "unspec",
    "hash",
    "array",
    "prog_array",
    "perf_event_array",
    "percpu_hash",
    "percpu_array",
    "stack_trace",
    "cgroup_array",
    "lru_hash",
    "lru_percpu_hash",
    "lpm_trie",
    "array_of_maps",
    "hash_of_maps",
    "devmap",
    "sockmap",
    "cpumap",
    "xskmap",
    "sockhash",
    "cgroup_storage",
    "reuseport_sockarray",
    "percpu_cgroup_storage",
    "queue",
    "stack",
    "sk_storage",
    "devmap_hash",
    "struct_ops",
    "ringbuf",
    "inode_storage",
    "task_storage",
    "bloom_filter",
    "user_ringbuf",
    "cgrp_storage",
    "arena",
];

/// Whether the loader or the kernel sets this property itself.
fn adjusted(kind: &str, what: &str) -> bool {
    match what {
        "max_entries" => ["ringbuf", "perf_event_array"].contains(&kind),
        "value size" => ["ringbuf", "cpumap", "devmap", "devmap_hash"].contains(&kind),
        _ => false,
    }
}

/// Ids of the programs in a pinned program array, by slot.
pub(crate) fn program_ids(path: &Path, slots: usize) -> Result<Vec<Option<u32>>, KernelError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let data = MapData::from_pin(path).map_err(|error| access("array", &error))?;
    let fd = data.fd().as_fd();
    let raw = RawMap::new(&fd, 4, 4, None);
    let slots = u32::try_from(slots).unwrap_or(u32::MAX);
    (0..slots)
        .map(|slot| {
            let value = raw
                .get(&slot.to_ne_bytes())
                .map_err(|error| access("array", &error))?;
            Ok(value
                .and_then(|bytes| bytes.try_into().ok())
                .map(u32::from_ne_bytes))
        })
        .collect()
}
