// SPDX-License-Identifier: Apache-2.0
//! The engine: generations of chains, in the kernel, through aya.
//!
//! A chain is one link and one generation: programs that the weaver taught to call
//! the next slot of their generation's program array. The next generation is loaded
//! beside the running one and becomes the running one by a single update of the link.

mod observe;
mod probe;
mod tc;
mod xdp;

use std::io;
use std::path::PathBuf;

use aya::maps::{Map, MapData, ProgramArray};
use aya::programs::{ProgramError, ProgramFd};
use aya::{Ebpf, EbpfLoader};
use registry_schema::hook::Hook;
use tc::Way;

use crate::desired::XdpMode;
use crate::kernel::maps::{PinnedMap, access, compare};
use crate::kernel::pins::{Owner, Pins};
use crate::kernel::{
    ActualChain, ActualProbe, ChainEnd, Entry, Kernel, KernelError, LoadedProgram, MapAddress,
    MapOwner,
};
use crate::load::{LoadGeneration, LoadMember, LoadProbe, MapShape, causes, load, loaded_program};
use crate::place::{Place, decode};

/// The kernel of this machine, and the daemon's pins in it.
#[derive(Debug, Clone)]
pub struct Engine {
    pins: Pins,
    /// How programs of traffic control attach; none asks the kernel.
    tc: Option<Way>,
}

impl Engine {
    /// Works with the pins below `bpffs`, a directory of the daemon's own.
    pub fn new(bpffs: impl Into<PathBuf>) -> Self {
        Self {
            pins: Pins::new(bpffs),
            tc: None,
        }
    }

    /// Attaches programs of traffic control as on kernels without TCX.
    #[must_use]
    pub fn with_filters(self) -> Self {
        Self {
            tc: Some(Way::Clsact),
            ..self
        }
    }

    fn way(&self, place: &Place) -> Way {
        self.tc.unwrap_or_else(|| tc::way(place))
    }

    /// Removes every chain, probe and map that is pinned, links first.
    ///
    /// # Errors
    /// [`KernelError::Pin`].
    pub fn remove_all(&self) -> Result<(), KernelError> {
        for place in self.places()? {
            self.remove(&place)?;
        }
        for (name, _) in self.probes()? {
            self.remove_probe(&name)?;
        }
        self.pins.remove()
    }

    fn owner(&self, owner: &MapOwner) -> Owner {
        match owner {
            MapOwner::Chain(place) => self.pins.chain(place),
            MapOwner::Probe(name) => self.pins.probe(name),
        }
    }
}

impl Kernel for Engine {
    fn prepare(&self) -> Result<(), KernelError> {
        self.pins.prepare()
    }

    fn places(&self) -> Result<Vec<Place>, KernelError> {
        Ok(self
            .pins
            .chain_keys()?
            .iter()
            .filter_map(|key| Place::from_key(key))
            .collect())
    }

    fn chain(&self, place: &Place) -> Result<ActualChain, KernelError> {
        let mut actual = observe::chain(&self.pins.chain(place), place)?;
        let may_be_filter = actual.link.is_none() && !actual.generations.is_empty();
        if may_be_filter && place.hook != Hook::Xdp && self.way(place) == Way::Clsact {
            actual.link = tc::filter(place)?;
        }
        Ok(actual)
    }

    fn load(&self, request: &LoadGeneration) -> Result<Vec<LoadedProgram>, KernelError> {
        let owner = self.pins.chain(&request.place);
        let loaded = load_generation(&owner, request);
        if loaded.is_err() {
            // What failed to load must not stay; why it failed is what the caller wants.
            let _ = owner.remove_generation(request.number);
        }
        loaded
    }

    fn attach(&self, place: &Place, mode: XdpMode, generation: u64) -> Result<(), KernelError> {
        let owner = self.pins.chain(place);
        match place.hook {
            Hook::Xdp => xdp::attach(&owner, place, mode, generation),
            Hook::TcIngress | Hook::TcEgress => {
                tc::attach(&owner, place, generation, self.way(place))
            }
        }
    }

    fn mend(&self, place: &Place, generation: u64) -> Result<(), KernelError> {
        let owner = self.pins.chain(place);
        let count = owner.program_count(generation)?;
        let programs = (0..count)
            .map(|slot| observe::program_fd(place.hook, &owner.program(generation, slot)))
            .collect::<Result<Vec<_>, _>>()?;
        fill_array(&owner, place, generation, &programs, &[])
    }

    fn retire(&self, place: &Place, generation: u64, kept: &[String]) -> Result<(), KernelError> {
        let owner = self.pins.chain(place);
        owner.remove_generation(generation)?;
        owner.remove_maps_except(kept)
    }

    fn unlink(&self, place: &Place) -> Result<(), KernelError> {
        let owner = self.pins.chain(place);
        if place.hook != Hook::Xdp && !owner.link().exists() {
            tc::detach_filter(place)?;
        }
        owner.remove_link()
    }

    fn remove(&self, place: &Place) -> Result<(), KernelError> {
        self.unlink(place)?;
        self.pins.chain(place).remove()
    }

    fn ends(&self, place: &Place, generation: u64) -> Result<Vec<ChainEnd>, KernelError> {
        observe::ends(&self.pins.chain(place), generation)
    }

    fn foreign(&self, place: &Place) -> Result<Vec<(u32, String)>, KernelError> {
        let own = self.chain(place)?.link.map(|link| link.program_id);
        let programs = match place.hook {
            Hook::Xdp => xdp::programs(place)?,
            Hook::TcIngress | Hook::TcEgress => tc::programs(place)?,
        };
        Ok(programs
            .into_iter()
            .filter(|(id, _)| Some(*id) != own)
            .collect())
    }

    fn read_map(&self, map: &MapAddress, keys: Option<&[u64]>) -> Result<Vec<Entry>, KernelError> {
        PinnedMap::open(
            &self.owner(&map.owner).map(&map.instance, &map.map),
            &map.map,
        )?
        .read(keys)
    }

    fn write_map(
        &self,
        map: &MapAddress,
        entries: &[(Vec<u8>, Vec<u8>)],
        only: bool,
    ) -> Result<(), KernelError> {
        let path = self.owner(&map.owner).map(&map.instance, &map.map);
        PinnedMap::open(&path, &map.map)?.write(entries, only)
    }

    fn probes(&self) -> Result<Vec<(String, ActualProbe)>, KernelError> {
        let names = self
            .pins
            .probe_keys()?
            .into_iter()
            .filter_map(|key| decode(&key));
        names
            .map(|name| Ok((name.clone(), observe::probe(&self.pins.probe(&name))?)))
            .collect()
    }

    fn attach_probe(&self, request: &LoadProbe) -> Result<LoadedProgram, KernelError> {
        let owner = self.pins.probe(&request.name);
        let attached = probe::attach(&owner, request);
        if attached.is_err() {
            let _ = owner.remove_generation(request.number);
        }
        attached
    }

    fn remove_probe(&self, name: &str) -> Result<(), KernelError> {
        self.pins.probe(name).remove()
    }
}

/// Loads all members, pins them, and fills the array back to front: from the moment a
/// program can be called, everything behind it can.
fn load_generation(
    owner: &Owner,
    request: &LoadGeneration,
) -> Result<Vec<LoadedProgram>, KernelError> {
    let instances: Vec<&str> = request
        .members
        .iter()
        .map(|member| member.instance.as_str())
        .collect();
    owner.make(request.number, &instances)?;
    let shared = |member| shared_pins(owner, request.number, member);
    let pins: Vec<_> = request.members.iter().map(shared).collect();
    for member in &request.members {
        compare_maps(owner, member)?;
    }
    // Reading the kernel's types takes most of a load's time: one loader for all, but a
    // fresh one where globals are set, since a loader keeps them for the next object.
    let mut common = EbpfLoader::new();
    let mut objects: Vec<Ebpf> = Vec::new();
    for (member, pins) in request.members.iter().zip(&pins) {
        let object = if member.globals.is_empty() {
            load(&mut common, member, pins)?
        } else {
            load(&mut EbpfLoader::new(), member, pins)?
        };
        objects.push(object);
    }
    let mut loaded = Vec::new();
    let mut programs = Vec::new();
    for (slot, (object, member)) in objects.iter_mut().zip(&request.members).enumerate() {
        let (program, fd) = pin(owner, request.number, slot, object, member)?;
        loaded.push(program);
        programs.push(fd);
    }
    let functions: Vec<&str> = request
        .members
        .iter()
        .map(|member| member.function.as_str())
        .collect();
    fill_array(owner, &request.place, request.number, &programs, &functions)?;
    Ok(loaded)
}

/// Where every map of a member is pinned: with its package, to be taken over by the
/// next generation, or with its generation.
fn shared_pins(owner: &Owner, number: u64, member: &LoadMember) -> Vec<(String, PathBuf)> {
    let path = |map: &MapShape| {
        if map.shared {
            owner.map(&member.instance, &map.name)
        } else {
            owner.private_map(number, member, &map.name)
        }
    };
    let own = member.maps.iter().map(|map| (map.name.clone(), path(map)));
    let array = member
        .woven_maps
        .array
        .iter()
        .map(|name| (name.clone(), owner.array(number)));
    let ends = member
        .woven_maps
        .ends
        .iter()
        .map(|name| (name.clone(), owner.ends(number)));
    own.chain(array).chain(ends).collect()
}

fn compare_maps(owner: &Owner, member: &LoadMember) -> Result<(), KernelError> {
    let compare = |map: &MapShape| {
        compare(
            &member.package,
            map,
            &owner.map(&member.instance, &map.name),
        )
    };
    member
        .maps
        .iter()
        .filter(|map| map.shared)
        .try_for_each(compare)
}

fn pin(
    owner: &Owner,
    number: u64,
    slot: usize,
    object: &mut Ebpf,
    member: &LoadMember,
) -> Result<(LoadedProgram, ProgramFd), KernelError> {
    let path = owner.program(number, slot);
    let refuse = |error: ProgramError| KernelError::Object {
        package: member.package.clone(),
        reason: causes(&error),
    };
    let program = object
        .program_mut(&member.function)
        .ok_or(ProgramError::NotLoaded)
        .map_err(refuse)?;
    let pinned = program.pin(&path);
    pinned.map_err(|error| KernelError::pin("pinning", &path, io::Error::other(causes(&error))))?;
    let fd = program
        .fd()
        .and_then(|fd| Ok(fd.try_clone()?))
        .map_err(refuse)?;
    Ok((loaded_program(program).map_err(refuse)?, fd))
}

/// Writes `programs` into the generation's array, last first. A program that is not woven
/// has none.
fn fill_array(
    owner: &Owner,
    place: &Place,
    number: u64,
    programs: &[ProgramFd],
    functions: &[&str],
) -> Result<(), KernelError> {
    if !owner.array(number).exists() {
        return Ok(());
    }
    let refuse = |error| access("array", &error);
    let data = MapData::from_pin(owner.array(number)).map_err(refuse)?;
    let map = Map::from_map_data(data).map_err(refuse)?;
    let mut array = ProgramArray::try_from(map).map_err(refuse)?;
    for (slot, program) in programs.iter().enumerate().rev() {
        let index = u32::try_from(slot).unwrap_or(u32::MAX);
        array.set(index, program, 0).map_err(|error| {
            let function = functions
                .get(slot)
                .map_or_else(String::new, |name| (*name).to_owned());
            match &error {
                aya::maps::MapError::SyscallError(call)
                    if call.io_error.raw_os_error() == Some(libc::EINVAL) =>
                {
                    let difference =
                        "differs from the last program in type or in its use of fragments";
                    KernelError::Unlike {
                        place: place.clone(),
                        function,
                        difference,
                    }
                }
                _ => access("array", &error),
            }
        })?;
    }
    Ok(())
}
