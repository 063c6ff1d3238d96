// SPDX-License-Identifier: Apache-2.0
//! Carrying steps out. The order of writing is what a restart relies on: a generation
//! is in the journal before the kernel runs it, and the kernel runs another one before
//! its pins are removed.

use std::time::Instant;

use super::resolve::{Package, Resolved};
use super::{Agent, AgentError, lock};
use crate::journal::{GenerationRecord, LoadedMember, ProbeRecord};
use crate::kernel::{Kernel, MapAddress, MapOwner};
use crate::load::{LoadGeneration, LoadMember, LoadProbe, MapEntries};
use crate::place::Place;
use crate::plan::Step;
use crate::verify::{Position, Prepared, prepare};
use crate::wanted::{Member, WantedChain, WantedProbe};

impl<K: Kernel> Agent<K> {
    /// Carries out the steps for one chain; leaves for later what must wait.
    pub(super) fn carry_chain(
        &self,
        place: &Place,
        steps: &[Step],
        resolved: Option<&Resolved<WantedChain>>,
    ) -> Result<(), AgentError> {
        let waits = steps.iter().any(|step| matches!(step, Step::Wait { .. }));
        for step in steps {
            if matches!(step, Step::Wait { .. })
                || matches!(step, Step::Retire { .. }) && self.in_grace(place)
            {
                continue;
            }
            tracing::info!("{step}");
            self.carry_step(place, step, resolved)?;
            if matches!(step, Step::Mend { .. }) || matches!(step, Step::Unlink { .. }) && !waits {
                self.counters.mended();
            }
        }
        Ok(())
    }

    fn carry_step(
        &self,
        place: &Place,
        step: &Step,
        resolved: Option<&Resolved<WantedChain>>,
    ) -> Result<(), AgentError> {
        match (step, resolved) {
            (Step::Load { generation, .. }, Some(resolved)) => {
                self.load_generation(place, *generation, resolved)
            }
            (Step::Configure { generation, .. }, Some(resolved)) => {
                self.configure(place, *generation, &resolved.wanted.members)
            }
            (Step::Attach { generation, .. }, resolved) => {
                let mode = match resolved {
                    Some(resolved) => resolved.wanted.mode,
                    None => lock(&self.journal).chain_mut(place).mode,
                };
                self.change(|journal| journal.chain_mut(place).mode = mode)?;
                self.kernel.attach(place, mode, *generation)?;
                self.counters.generations();
                Ok(())
            }
            (Step::Switch { to, .. }, _) => {
                let mode = lock(&self.journal).chain_mut(place).mode;
                self.kernel.attach(place, mode, *to)?;
                lock(&self.switched).insert(place.clone(), Instant::now());
                self.counters.generations();
                Ok(())
            }
            (Step::Mend { generation, .. }, _) => Ok(self.kernel.mend(place, *generation)?),
            (Step::Retire { generation, .. }, _) => self.retire(place, *generation),
            (Step::Unlink { .. }, _) => Ok(self.kernel.unlink(place)?),
            (Step::Remove { .. }, _) => {
                self.kernel.remove(place)?;
                self.change(|journal| drop(journal.chains.remove(&place.key())))
            }
            _ => Ok(()),
        }
    }

    /// Whether packets may still be in a generation that was just replaced.
    fn in_grace(&self, place: &Place) -> bool {
        let switched = lock(&self.switched)
            .get(place)
            .copied()
            .unwrap_or(self.started);
        switched.elapsed() < self.config.grace()
    }

    fn load_generation(
        &self,
        place: &Place,
        number: u64,
        resolved: &Resolved<WantedChain>,
    ) -> Result<(), AgentError> {
        let wanted = &resolved.wanted.members;
        let mut prepared = Vec::new();
        for (slot, (member, package)) in wanted.iter().zip(&resolved.packages).enumerate() {
            let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            let position = Position {
                hook: place.hook,
                slot: narrow(slot),
                length: narrow(wanted.len()),
                proceed_on: member.proceed_on.clone(),
            };
            prepared.push(prepare(
                &package.request,
                &member.function,
                Some(&position),
            )?);
        }
        let woven: Vec<_> = prepared
            .iter()
            .map(|prepared| prepared.woven.clone())
            .collect();
        let members = wanted
            .iter()
            .zip(prepared)
            .map(|(member, prepared)| order(member, prepared))
            .collect();
        let request = LoadGeneration {
            place: place.clone(),
            number,
            members,
        };
        let loaded = self
            .kernel
            .load(&request)
            .inspect_err(|_| self.undo_load(place, number))?;
        let members: Vec<_> = wanted
            .iter()
            .zip(woven)
            .zip(loaded)
            .map(|((member, woven), program)| LoadedMember {
                member: member.clone(),
                woven,
                program,
            })
            .collect();
        for member in wanted {
            self.write_entries(&MapOwner::Chain(place.clone()), member, &member.entries)
                .inspect_err(|_| self.undo_load(place, number))?;
        }
        self.change(|journal| {
            let generations = &mut journal.chain_mut(place).generations;
            generations.retain(|record| record.number != number);
            generations.push(GenerationRecord { number, members });
        })
    }

    /// Leaves nothing of a generation that could not be loaded whole.
    fn undo_load(&self, place: &Place, number: u64) {
        let kept = self.instances(place, None);
        let undone = match self.kernel.chain(place) {
            Ok(actual) if actual.link.is_none() && kept.is_empty() => self.kernel.remove(place),
            _ => self.kernel.retire(place, number, &kept),
        };
        if let Err(error) = undone {
            tracing::warn!("{error}");
        }
    }

    /// Directories of maps that recorded generations use, but for `except`.
    fn instances(&self, place: &Place, except: Option<u64>) -> Vec<String> {
        let journal = lock(&self.journal);
        let records = journal
            .chain(place)
            .map(|record| record.generations.as_slice())
            .unwrap_or_default();
        let records = records
            .iter()
            .filter(|record| Some(record.number) != except);
        records
            .flat_map(|record| {
                record
                    .members
                    .iter()
                    .map(|loaded| loaded.member.instance.clone())
            })
            .collect()
    }

    fn retire(&self, place: &Place, number: u64) -> Result<(), AgentError> {
        let runs = super::status::runs(&self.kernel, &lock(&self.journal), place, number);
        self.kernel
            .retire(place, number, &self.instances(place, Some(number)))?;
        self.change(|journal| {
            let record = journal.chain_mut(place);
            record.generations.retain(|record| record.number != number);
            for (member, packets) in runs {
                *record.runs.entry(member).or_default() += packets;
            }
        })
    }

    fn configure(&self, place: &Place, number: u64, members: &[Member]) -> Result<(), AgentError> {
        for member in members {
            self.write_entries(&MapOwner::Chain(place.clone()), member, &member.entries)?;
        }
        self.change(|journal| {
            let generations = &mut journal.chain_mut(place).generations;
            let record = generations
                .iter_mut()
                .find(|record| record.number == number);
            for (loaded, member) in record
                .into_iter()
                .flat_map(|record| &mut record.members)
                .zip(members)
            {
                loaded.member = member.clone();
            }
        })
    }

    fn write_entries(
        &self,
        owner: &MapOwner,
        member: &Member,
        maps: &[MapEntries],
    ) -> Result<(), AgentError> {
        for map in maps {
            let address = MapAddress {
                owner: owner.clone(),
                instance: member.instance.clone(),
                map: map.map.clone(),
            };
            self.kernel.write_map(&address, &map.entries, map.only)?;
        }
        Ok(())
    }

    /// Carries out the steps for one probe.
    pub(super) fn carry_probe(
        &self,
        name: &str,
        steps: &[Step],
        resolved: Option<&Resolved<WantedProbe>>,
    ) -> Result<(), AgentError> {
        for step in steps {
            tracing::info!("{step}");
            match (step, resolved) {
                (Step::AttachProbe { generation, .. }, Some(resolved)) => {
                    self.attach_probe(name, *generation, resolved)?;
                }
                (Step::ConfigureProbe { .. }, Some(resolved)) => {
                    let member = &resolved.wanted.member;
                    self.write_entries(&MapOwner::Probe(name.to_owned()), member, &member.entries)?;
                    self.change(|journal| {
                        if let Some(record) = journal.probes.get_mut(name) {
                            record.loaded.member = member.clone();
                        }
                    })?;
                }
                (Step::RemoveProbe { .. }, _) => {
                    self.kernel.remove_probe(name)?;
                    self.change(|journal| drop(journal.probes.remove(name)))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn attach_probe(
        &self,
        name: &str,
        number: u64,
        resolved: &Resolved<WantedProbe>,
    ) -> Result<(), AgentError> {
        let WantedProbe { attach, member } = &resolved.wanted;
        let package: Option<&Package> = resolved.packages.first().map(|package| &**package);
        let Some(package) = package else {
            return Ok(());
        };
        let prepared = prepare(&package.request, &member.function, None)?;
        let woven = prepared.woven.clone();
        let request = LoadProbe {
            name: name.to_owned(),
            number,
            attach: attach.clone(),
            member: order(member, prepared),
            entries: member.entries.clone(),
        };
        let program = self.kernel.attach_probe(&request)?;
        let loaded = LoadedMember {
            member: member.clone(),
            woven,
            program,
        };
        self.change(|journal| {
            journal.probes.insert(
                name.to_owned(),
                ProbeRecord {
                    number,
                    attach: attach.clone(),
                    loaded,
                },
            );
        })
    }
}

fn order(member: &Member, prepared: Prepared) -> LoadMember {
    LoadMember {
        package: member.title(),
        instance: member.instance.clone(),
        function: member.function.clone(),
        program_type: prepared.program_type,
        bytes: prepared.bytes,
        digest: prepared.woven,
        globals: member.globals.clone(),
        maps: prepared.maps,
        woven_maps: prepared.woven_maps,
    }
}
