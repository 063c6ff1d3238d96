// SPDX-License-Identifier: Apache-2.0
//! The few things the daemon asks of the kernel, as a trait: aya and bpf(2) behind it
//! in the program, a small model of a kernel in unit tests.
//!
//! Nothing here keeps state of its own: what is true is read from the pins of the
//! daemon's own bpffs directory and from the kernel, each time.

mod error;
pub(crate) mod maps;
pub(crate) mod netlink;
pub(crate) mod netns;
pub(crate) mod pins;
pub(crate) mod raw;

#[cfg(test)]
pub(crate) mod fake;

use serde::{Deserialize, Serialize};

use crate::desired::XdpMode;
use crate::load::{LoadGeneration, LoadProbe};
use crate::place::Place;

pub use error::KernelError;
pub(crate) use error::decisive_lines;
pub use maps::{Entry, MapAddress, MapOwner};

/// What is at a place, as the kernel and the pins tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActualChain {
    /// The interface's index; none while the interface or its namespace is missing.
    pub ifindex: Option<u32>,
    /// The pinned link, if there is one.
    pub link: Option<ActualLink>,
    /// Generations that have pins, oldest first.
    pub generations: Vec<ActualGeneration>,
}

/// The link of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActualLink {
    /// The program at the head.
    pub program_id: u32,
    /// The interface it is attached to; 0 when that is gone or somebody detached it.
    pub ifindex: u32,
}

/// One generation: its programs and what its program array holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActualGeneration {
    /// Counts up with every change of the chain.
    pub number: u64,
    /// Ids of the pinned programs, head first; a gap when a pin is missing.
    pub programs: Vec<Option<u32>>,
    /// Ids in the program array, by slot.
    pub slots: Vec<Option<u32>>,
}

impl ActualGeneration {
    /// Whether every program that was pinned is where the chain looks for it.
    pub fn intact(&self) -> bool {
        !self.programs.is_empty()
            && self.programs.iter().all(Option::is_some)
            && (self.slots.is_empty() || self.slots == self.programs)
    }
}

impl ActualChain {
    /// The generation that the attached link runs.
    pub fn running(&self) -> Option<&ActualGeneration> {
        let link = self
            .link
            .filter(|link| link.ifindex != 0 && Some(link.ifindex) == self.ifindex)?;
        self.generations
            .iter()
            .find(|generation| generation.programs.first() == Some(&Some(link.program_id)))
    }
}

/// A probe, as the pins and the kernel tell it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActualProbe {
    /// The generation whose link is pinned and whose program it runs.
    pub running: Option<u64>,
    /// The highest generation that has any pin.
    pub highest: Option<u64>,
}

/// A program that was loaded: what status shows beside the digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedProgram {
    /// The kernel's id, unique until reboot.
    pub id: u32,
    /// The kernel's tag: a hash of the instructions, 16 hexadecimal digits.
    pub tag: String,
}

/// How often a chain ended where, and with which verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainEnd {
    /// Position of the program that ended it, from 0.
    pub slot: u32,
    /// The verdict as the kernel numbers it, clamped to 15; 15 also stands for negative ones.
    pub verdict: u32,
    /// Packets since the generation was loaded.
    pub packets: u64,
}

/// What the engine asks of the kernel.
pub trait Kernel: Send + Sync {
    /// Makes the daemon's directory on the bpffs, or says why it cannot be there.
    ///
    /// # Errors
    /// [`KernelError::NotBpffs`], [`KernelError::Pin`].
    fn prepare(&self) -> Result<(), KernelError>;

    /// The places that have pins.
    ///
    /// # Errors
    /// [`KernelError::Pin`].
    fn places(&self) -> Result<Vec<Place>, KernelError>;

    /// What is at `place`.
    ///
    /// # Errors
    /// [`KernelError::Pin`]. A missing interface is no error.
    fn chain(&self, place: &Place) -> Result<ActualChain, KernelError>;

    /// Loads a whole generation beside the running one, fills its program array back to
    /// front, and pins it. On failure nothing of it stays.
    ///
    /// # Errors
    /// [`KernelError::Hash`], [`KernelError::Refused`], [`KernelError::Map`],
    /// [`KernelError::Object`], [`KernelError::Pin`].
    fn load(&self, request: &LoadGeneration) -> Result<Vec<LoadedProgram>, KernelError>;

    /// Attaches a loaded generation: with one update where a link is, else with a new,
    /// pinned link.
    ///
    /// # Errors
    /// [`KernelError::NoInterface`], [`KernelError::Foreign`], [`KernelError::Attach`].
    fn attach(&self, place: &Place, mode: XdpMode, generation: u64) -> Result<(), KernelError>;

    /// Puts the pinned programs of a generation back into its array.
    ///
    /// # Errors
    /// [`KernelError::Pin`], [`KernelError::MapAccess`].
    fn mend(&self, place: &Place, generation: u64) -> Result<(), KernelError>;

    /// Removes the pins of a generation that no longer runs, and the maps that no
    /// program of `kept` uses.
    ///
    /// # Errors
    /// [`KernelError::Pin`].
    fn retire(&self, place: &Place, generation: u64, kept: &[String]) -> Result<(), KernelError>;

    /// Detaches the link and keeps everything else.
    ///
    /// # Errors
    /// [`KernelError::Pin`].
    fn unlink(&self, place: &Place) -> Result<(), KernelError>;

    /// Removes the chain, its maps and its link.
    ///
    /// # Errors
    /// [`KernelError::Pin`].
    fn remove(&self, place: &Place) -> Result<(), KernelError>;

    /// Where packets ended in a generation.
    ///
    /// # Errors
    /// [`KernelError::Pin`], [`KernelError::MapAccess`].
    fn ends(&self, place: &Place, generation: u64) -> Result<Vec<ChainEnd>, KernelError>;

    /// Programs of other owners on the hook, for the operator to know: id and name.
    ///
    /// # Errors
    /// [`KernelError::NoInterface`].
    fn foreign(&self, place: &Place) -> Result<Vec<(u32, String)>, KernelError>;

    /// Reads entries of a package's map; values of per-CPU maps are one per CPU.
    ///
    /// # Errors
    /// [`KernelError::Pin`], [`KernelError::MapAccess`].
    fn read_map(&self, map: &MapAddress, keys: Option<&[u64]>) -> Result<Vec<Entry>, KernelError>;

    /// Writes entries of a package's map; with `only`, every other key is removed.
    ///
    /// # Errors
    /// [`KernelError::Pin`], [`KernelError::MapAccess`].
    fn write_map(
        &self,
        map: &MapAddress,
        entries: &[(Vec<u8>, Vec<u8>)],
        only: bool,
    ) -> Result<(), KernelError>;

    /// The probes that have pins.
    ///
    /// # Errors
    /// [`KernelError::Pin`].
    fn probes(&self) -> Result<Vec<(String, ActualProbe)>, KernelError>;

    /// Loads a probe beside the running one and attaches it in its place.
    ///
    /// # Errors
    /// As [`Kernel::load`], and [`KernelError::Attach`].
    fn attach_probe(&self, request: &LoadProbe) -> Result<LoadedProgram, KernelError>;

    /// Detaches a probe and removes its pins.
    ///
    /// # Errors
    /// [`KernelError::Pin`].
    fn remove_probe(&self, name: &str) -> Result<(), KernelError>;
}
