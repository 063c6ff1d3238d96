// SPDX-License-Identifier: Apache-2.0
//! A small model of a kernel, for tests: it can be looked into, it outlives the agents
//! that use it, and it can kill the one that uses it before any of its calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    ActualChain, ActualGeneration, ActualLink, ActualProbe, ChainEnd, Entry, Kernel, KernelError,
    LoadedProgram, MapAddress,
};
use crate::desired::XdpMode;
use crate::load::{LoadGeneration, LoadProbe};
use crate::place::Place;

/// The model. Clones are the same kernel.
#[derive(Clone, Default)]
pub(crate) struct FakeKernel {
    world: Arc<Mutex<World>>,
}

/// What the model holds.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) interfaces: BTreeSet<String>,
    pub(crate) chains: BTreeMap<Place, FakeChain>,
    pub(crate) maps: BTreeMap<MapAddress, BTreeMap<Vec<u8>, Vec<u8>>>,
    pub(crate) probes: BTreeMap<String, u64>,
    /// Every program that was ever at the head of a chain, in order.
    pub(crate) heads: Vec<u32>,
    /// Calls that change something until the caller is killed.
    pub(crate) calls_left: Option<u32>,
    /// The function that the verifier refuses.
    pub(crate) refuses: Option<String>,
    last_id: u32,
}

#[derive(Default)]
pub(crate) struct FakeChain {
    pub(crate) link: Option<u32>,
    pub(crate) generations: BTreeMap<u64, FakeGeneration>,
}

pub(crate) struct FakeGeneration {
    pub(crate) programs: Vec<u32>,
    pub(crate) slots: Vec<Option<u32>>,
}

impl FakeKernel {
    /// Looks into the model, or changes it behind the agent's back.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call that changes something.
    fn call(&self) -> MutexGuard<'_, World> {
        let mut world = self.world();
        match world.calls_left {
            Some(0) => panic!("killed"),
            Some(left) => world.calls_left = Some(left - 1),
            None => {}
        }
        world
    }
}

impl World {
    fn id(&mut self) -> LoadedProgram {
        self.last_id += 1;
        LoadedProgram {
            id: self.last_id,
            tag: format!("{:016x}", self.last_id),
        }
    }
}

impl Kernel for FakeKernel {
    fn prepare(&self) -> Result<(), KernelError> {
        Ok(())
    }

    fn places(&self) -> Result<Vec<Place>, KernelError> {
        Ok(self.world().chains.keys().cloned().collect())
    }

    fn chain(&self, place: &Place) -> Result<ActualChain, KernelError> {
        let world = self.world();
        let ifindex = world.interfaces.contains(&place.interface).then_some(7);
        let Some(chain) = world.chains.get(place) else {
            return Ok(ActualChain {
                ifindex,
                ..ActualChain::default()
            });
        };
        let link = chain.link.map(|program_id| ActualLink {
            program_id,
            ifindex: ifindex.unwrap_or(0),
        });
        let generations = chain
            .generations
            .iter()
            .map(|(number, generation)| ActualGeneration {
                number: *number,
                programs: generation.programs.iter().copied().map(Some).collect(),
                slots: generation.slots.clone(),
            });
        Ok(ActualChain {
            ifindex,
            link,
            generations: generations.collect(),
        })
    }

    fn load(&self, request: &LoadGeneration) -> Result<Vec<LoadedProgram>, KernelError> {
        let mut world = self.call();
        if let Some(member) = request
            .members
            .iter()
            .find(|member| Some(&member.function) == world.refuses.as_ref())
        {
            return Err(KernelError::Refused {
                package: member.package.clone(),
                function: member.function.clone(),
                reason: "Permission denied".to_owned(),
                log: String::new(),
            });
        }
        let loaded: Vec<_> = request.members.iter().map(|_| world.id()).collect();
        let programs: Vec<u32> = loaded.iter().map(|program| program.id).collect();
        let slots = programs.iter().copied().map(Some).collect();
        let chain = world.chains.entry(request.place.clone()).or_default();
        chain
            .generations
            .insert(request.number, FakeGeneration { programs, slots });
        Ok(loaded)
    }

    fn attach(&self, place: &Place, _mode: XdpMode, generation: u64) -> Result<(), KernelError> {
        let mut world = self.call();
        let chain = world
            .chains
            .get_mut(place)
            .expect("what is attached was loaded");
        let head = chain.generations[&generation].programs[0];
        chain.link = Some(head);
        world.heads.push(head);
        Ok(())
    }

    fn mend(&self, place: &Place, generation: u64) -> Result<(), KernelError> {
        let mut world = self.call();
        let chain = world
            .chains
            .get_mut(place)
            .expect("what is mended is there");
        let generation = chain
            .generations
            .get_mut(&generation)
            .expect("what is mended is there");
        generation.slots = generation.programs.iter().copied().map(Some).collect();
        Ok(())
    }

    fn retire(&self, place: &Place, generation: u64, _kept: &[String]) -> Result<(), KernelError> {
        let mut world = self.call();
        if let Some(chain) = world.chains.get_mut(place) {
            chain.generations.remove(&generation);
        }
        Ok(())
    }

    fn unlink(&self, place: &Place) -> Result<(), KernelError> {
        if let Some(chain) = self.call().chains.get_mut(place) {
            chain.link = None;
        }
        Ok(())
    }

    fn remove(&self, place: &Place) -> Result<(), KernelError> {
        self.call().chains.remove(place);
        Ok(())
    }

    fn ends(&self, _place: &Place, _generation: u64) -> Result<Vec<ChainEnd>, KernelError> {
        Ok(Vec::new())
    }

    fn foreign(&self, _place: &Place) -> Result<Vec<(u32, String)>, KernelError> {
        Ok(Vec::new())
    }

    fn read_map(&self, map: &MapAddress, _keys: Option<&[u64]>) -> Result<Vec<Entry>, KernelError> {
        let world = self.world();
        let entries = world.maps.get(map).into_iter().flatten();
        Ok(entries
            .map(|(key, value)| Entry {
                key: key.clone(),
                values: vec![value.clone()],
            })
            .collect())
    }

    fn write_map(
        &self,
        map: &MapAddress,
        entries: &[(Vec<u8>, Vec<u8>)],
        only: bool,
    ) -> Result<(), KernelError> {
        let mut world = self.call();
        let map = world.maps.entry(map.clone()).or_default();
        if only {
            map.clear();
        }
        map.extend(entries.iter().cloned());
        Ok(())
    }

    fn probes(&self) -> Result<Vec<(String, ActualProbe)>, KernelError> {
        let actual = |number| ActualProbe {
            running: Some(number),
            highest: Some(number),
        };
        Ok(self
            .world()
            .probes
            .iter()
            .map(|(name, number)| (name.clone(), actual(*number)))
            .collect())
    }

    fn attach_probe(&self, request: &LoadProbe) -> Result<LoadedProgram, KernelError> {
        let mut world = self.call();
        world.probes.insert(request.name.clone(), request.number);
        Ok(world.id())
    }

    fn remove_probe(&self, name: &str) -> Result<(), KernelError> {
        self.call().probes.remove(name);
        Ok(())
    }
}
