// SPDX-License-Identifier: Apache-2.0
//! Names of everything the daemon pins, below its own directory:
//!
//! ```text
//! chains/<place>/link            what holds the chain on its interface
//! chains/<place>/g<N>/p<I>       program I of generation N
//! chains/<place>/g<N>/array      through which program I calls program I + 1
//! chains/<place>/g<N>/ends       where packets ended
//! chains/<place>/g<N>/map-…           a map that only this generation uses
//! chains/<place>/maps/<package>/<map>   shared by all generations
//! probes/<probe>/…               the same, with one program and no array
//! ```

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use super::KernelError;
use crate::load::LoadMember;
use crate::place::{Place, encode};

/// The daemon's directory on a bpffs.
#[derive(Debug, Clone)]
pub(crate) struct Pins {
    root: PathBuf,
}

/// What has one directory of pins: a chain or a probe.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    dir: PathBuf,
}

impl Pins {
    /// Names pins below `root`; touches nothing.
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Makes the root and its folders, closed to everyone else.
    pub(crate) fn prepare(&self) -> Result<(), KernelError> {
        if !on_bpffs(&self.root) {
            let mount = self.root.parent().unwrap_or(&self.root).to_owned();
            return Err(KernelError::NotBpffs {
                path: self.root.clone(),
                mount,
            });
        }
        for dir in [
            self.root.clone(),
            self.root.join("chains"),
            self.root.join("probes"),
        ] {
            make_dir(&dir)?;
        }
        Ok(())
    }

    pub(crate) fn chain(&self, place: &Place) -> Owner {
        Owner {
            dir: self.root.join("chains").join(place.key()),
        }
    }

    pub(crate) fn probe(&self, name: &str) -> Owner {
        Owner {
            dir: self.root.join("probes").join(encode(name)),
        }
    }

    pub(crate) fn chain_keys(&self) -> Result<Vec<String>, KernelError> {
        list(&self.root.join("chains"))
    }

    pub(crate) fn probe_keys(&self) -> Result<Vec<String>, KernelError> {
        list(&self.root.join("probes"))
    }

    /// Removes everything.
    pub(crate) fn remove(&self) -> Result<(), KernelError> {
        remove_tree(&self.root)
    }
}

impl Owner {
    pub(crate) fn link(&self) -> PathBuf {
        self.dir.join("link")
    }

    pub(crate) fn generation(&self, number: u64) -> PathBuf {
        self.dir.join(format!("g{number}"))
    }

    pub(crate) fn program(&self, number: u64, slot: usize) -> PathBuf {
        self.generation(number).join(format!("p{slot}"))
    }

    pub(crate) fn array(&self, number: u64) -> PathBuf {
        self.generation(number).join("array")
    }

    pub(crate) fn ends(&self, number: u64) -> PathBuf {
        self.generation(number).join("ends")
    }

    pub(crate) fn private_map(&self, number: u64, member: &LoadMember, map: &str) -> PathBuf {
        let [instance, function, map] = [&member.instance, &member.function, map].map(encode);
        self.generation(number)
            .join(format!("map-{instance}-{function}-{map}"))
    }

    pub(crate) fn maps(&self, instance: &str) -> PathBuf {
        self.dir.join("maps").join(encode(instance))
    }

    pub(crate) fn map(&self, instance: &str, map: &str) -> PathBuf {
        self.maps(instance).join(encode(map))
    }

    /// Numbers of the generations that have pins, oldest first.
    pub(crate) fn generations(&self) -> Result<Vec<u64>, KernelError> {
        let names = list(&self.dir)?;
        let mut numbers: Vec<u64> = names
            .iter()
            .filter_map(|name| name.strip_prefix('g')?.parse().ok())
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// How many programs a generation has pinned, counting gaps.
    pub(crate) fn program_count(&self, number: u64) -> Result<usize, KernelError> {
        let slots = list(&self.generation(number))?;
        let slots = slots
            .iter()
            .filter_map(|name| name.strip_prefix('p')?.parse::<usize>().ok());
        Ok(slots.max().map_or(0, |last| last + 1))
    }

    /// Makes the directories that a generation and its maps are pinned in.
    pub(crate) fn make(&self, number: u64, instances: &[&str]) -> Result<(), KernelError> {
        make_dir(&self.dir)?;
        make_dir(&self.dir.join("maps"))?;
        for instance in instances {
            make_dir(&self.maps(instance))?;
        }
        make_dir(&self.generation(number))
    }

    /// Removes the pins of one generation.
    pub(crate) fn remove_generation(&self, number: u64) -> Result<(), KernelError> {
        remove_tree(&self.generation(number))
    }

    /// Removes the maps of packages that are not among `kept`.
    pub(crate) fn remove_maps_except(&self, kept: &[String]) -> Result<(), KernelError> {
        let kept: Vec<String> = kept.iter().map(|instance| encode(instance)).collect();
        for name in list(&self.dir.join("maps"))? {
            if !kept.contains(&name) {
                remove_tree(&self.dir.join("maps").join(name))?;
            }
        }
        Ok(())
    }

    /// Removes the link's pin; the kernel detaches when no one else holds the link.
    pub(crate) fn remove_link(&self) -> Result<(), KernelError> {
        remove_file(&self.link())
    }

    /// Removes all, the link first, so that no packet meets half a chain.
    pub(crate) fn remove(&self) -> Result<(), KernelError> {
        self.remove_link()?;
        remove_tree(&self.dir)
    }
}

/// Whether `path`, or else the directory it would be made in, is on a bpffs.
fn on_bpffs(path: &Path) -> bool {
    let on = |path: &Path| statfs(path).map(|fs| fs.filesystem_type() == BPF_FS_MAGIC);
    on(path)
        .or_else(|_| path.parent().map_or(Ok(false), on))
        .unwrap_or(false)
}

fn make_dir(path: &Path) -> Result<(), KernelError> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(KernelError::pin("making", path, error))
        }
        _ => Ok(()),
    }
}

/// Names in a directory; none when it does not exist.
fn list(path: &Path) -> Result<Vec<String>, KernelError> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| KernelError::pin("reading", path, error))?,
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

fn remove_file(path: &Path) -> Result<(), KernelError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(KernelError::pin("removing", path, error))
        }
        _ => Ok(()),
    }
}

fn remove_tree(path: &Path) -> Result<(), KernelError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(KernelError::pin("removing", path, error))
        }
        _ => Ok(()),
    }
}
