// SPDX-License-Identifier: Apache-2.0
//! What an operator sees: what is wished, what is true, and why they differ.

use std::collections::BTreeMap;

use registry_schema::Digest;
use registry_schema::hook::Hook;
use serde::{Deserialize, Serialize};

use super::{Agent, AgentError, Problem, lock};
use crate::config::Mode;
use crate::journal::{GenerationRecord, Journal, LoadedMember};
use crate::kernel::{ChainEnd, Kernel};
use crate::place::Place;

/// The node as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the daemon.
    pub version: String,
    /// What is asked of packages.
    pub mode: Mode,
    /// Chains that are wished or there.
    pub chains: Vec<ChainStatus>,
    /// Probes that are wished or there.
    pub probes: Vec<ProbeStatus>,
}

/// One chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainStatus {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// `running`, `waiting` (for the interface), `stopped`, or `damaged` (will be mended).
    pub state: String,
    /// The generation that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The interface's index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ifindex: Option<u32>,
    /// The programs that run, head first.
    pub programs: Vec<ProgramStatus>,
    /// Programs of other owners on the hook.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<ForeignProgram>,
    /// Why what is wished is not what runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// One program of a chain, or of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramStatus {
    /// Place in the chain, from 0.
    pub position: usize,
    /// `namespace/name`.
    pub package: String,
    /// The version.
    pub version: String,
    /// Digest of the package's index: what was signed.
    pub digest: Digest,
    /// Digest of the object that was verified.
    pub object: Digest,
    /// Digest of the bytes that were loaded, derived from the object.
    pub woven: Digest,
    /// Fingerprint of the key that signed; none marks an unsigned package.
    pub signer: Option<String>,
    /// Why it should no longer run; none if it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
    /// What is out of date, and would keep its package from being accepted now, although it
    /// goes on; none if nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<String>,
    /// The function.
    pub function: String,
    /// The kernel's id.
    pub program_id: u32,
    /// The kernel's tag.
    pub tag: String,
    /// Verdicts after which the chain goes on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proceed_on: Vec<String>,
    /// Packets it has seen, over all generations.
    pub runs: u64,
    /// Packets whose way through the chain ended here, by verdict, in this generation.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ends: BTreeMap<String, u64>,
}

/// A program that somebody else attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignProgram {
    /// The kernel's id.
    pub id: u32,
    /// Its name in the kernel.
    pub name: String,
}

/// One probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeStatus {
    /// Its name.
    pub name: String,
    /// `running` or `stopped`.
    pub state: String,
    /// What it attaches to.
    pub attach: String,
    /// The program.
    pub program: Option<ProgramStatus>,
    /// Why it does not run as wished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

impl<K: Kernel> Agent<K> {
    /// Looks at everything that is wished or there.
    ///
    /// # Errors
    /// [`AgentError::Kernel`] if the pins cannot be read.
    pub fn status(&self) -> Result<Status, AgentError> {
        let journal = lock(&self.journal).clone();
        let mut places: Vec<Place> = journal
            .desired
            .chains
            .iter()
            .filter_map(|chain| chain.place().ok())
            .collect();
        places.extend(self.kernel.places()?);
        places.sort();
        places.dedup();
        let chains = places
            .iter()
            .map(|place| self.chain_status(place, &journal))
            .collect::<Result<_, _>>()?;
        let probes = self.kernel.probes()?;
        let mut names: Vec<String> = journal
            .desired
            .probes
            .iter()
            .map(crate::desired::ProbeSpec::title)
            .collect();
        names.extend(probes.iter().map(|(name, _)| name.clone()));
        names.sort();
        names.dedup();
        let probe = |name: String| {
            let record = journal.probes.get(&name);
            let actual = probes
                .iter()
                .find(|(other, _)| *other == name)
                .and_then(|(_, actual)| actual.running);
            let running = actual.is_some() && actual == record.map(|record| record.number);
            ProbeStatus {
                state: if running { "running" } else { "stopped" }.to_owned(),
                attach: record.map_or_else(String::new, |record| record.attach.clone()),
                program: record.map(|record| self.marked(program(0, &record.loaded))),
                problem: self.problem(&format!("probe {name}")),
                name,
            }
        };
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            mode: self.config.mode,
            chains,
            probes: names.into_iter().map(probe).collect(),
        })
    }

    /// The same, with what is known of its package by now.
    fn marked(&self, mut program: ProgramStatus) -> ProgramStatus {
        program.revoked = self.revoked(&program.digest);
        program.stale = self.stale(&program.digest);
        program
    }

    fn problem(&self, title: &str) -> Option<Problem> {
        lock(&self.troubles)
            .get(title)
            .map(|trouble| trouble.problem.clone())
    }

    fn chain_status(&self, place: &Place, journal: &Journal) -> Result<ChainStatus, AgentError> {
        let actual = self.kernel.chain(place)?;
        let running = actual.running();
        let record = running.and_then(|running| generation(journal, place, running.number));
        let state = match (actual.ifindex, running) {
            (None, _) => "waiting",
            (Some(_), None) => "stopped",
            (Some(_), Some(running)) if record.is_some() && running.intact() => "running",
            (Some(_), Some(_)) => "damaged",
        };
        let mut programs: Vec<_> = record
            .into_iter()
            .flat_map(|record| record.members.iter().enumerate())
            .map(|(position, loaded)| self.marked(program(position, loaded)))
            .collect();
        if let Some(running) = running {
            let ends = self.kernel.ends(place, running.number)?;
            count(&mut programs, &ends, place.hook);
            let earlier = journal.chain(place).map(|record| &record.runs);
            for (program, loaded) in programs
                .iter_mut()
                .zip(record.into_iter().flat_map(|record| &record.members))
            {
                program.runs += earlier
                    .and_then(|runs| runs.get(&key(loaded)))
                    .copied()
                    .unwrap_or(0);
            }
        }
        let foreign = match actual.ifindex {
            Some(_) => self.kernel.foreign(place).unwrap_or_default(),
            None => Vec::new(),
        };
        Ok(ChainStatus {
            place: place.clone(),
            state: state.to_owned(),
            generation: running.map(|running| running.number),
            ifindex: actual.ifindex,
            programs,
            foreign: foreign
                .into_iter()
                .map(|(id, name)| ForeignProgram { id, name })
                .collect(),
            problem: self.problem(&place.to_string()),
        })
    }
}

fn generation<'a>(
    journal: &'a Journal,
    place: &Place,
    number: u64,
) -> Option<&'a GenerationRecord> {
    journal
        .chain(place)?
        .generations
        .iter()
        .find(|record| record.number == number)
}

fn program(position: usize, loaded: &LoadedMember) -> ProgramStatus {
    let member = &loaded.member;
    ProgramStatus {
        position,
        package: member.package.to_string(),
        version: member.version.to_string(),
        digest: member.digest.clone(),
        object: member.object.clone(),
        woven: loaded.woven.clone(),
        signer: member.signer.clone(),
        revoked: None,
        stale: None,
        function: member.function.clone(),
        program_id: loaded.program.id,
        tag: loaded.program.tag.clone(),
        proceed_on: member.proceed_on.clone(),
        runs: 0,
        ends: BTreeMap::new(),
    }
}

/// Whatever ended at a slot has passed every slot before it.
fn count(programs: &mut [ProgramStatus], ends: &[ChainEnd], hook: Hook) {
    for program in programs {
        let slot = u32::try_from(program.position).unwrap_or(u32::MAX);
        program.runs = ends
            .iter()
            .filter(|end| end.slot >= slot)
            .map(|end| end.packets)
            .sum();
        for end in ends.iter().filter(|end| end.slot == slot) {
            *program.ends.entry(verdict(hook, end.verdict)).or_default() += end.packets;
        }
    }
}

/// The name of a verdict as it is counted: clamped to 15, negative ones too.
pub(crate) fn verdict(hook: Hook, counted: u32) -> String {
    let value = i32::try_from(counted).unwrap_or(15);
    let named = |wanted| {
        hook.verdicts()
            .iter()
            .find(|(_, value)| *value == wanted)
            .map(|(name, _)| *name)
    };
    let name = if value == 15 {
        named(-1).or(Some("other"))
    } else {
        named(value)
    };
    name.map_or_else(|| format!("verdict-{value}"), str::to_owned)
}

fn key(loaded: &LoadedMember) -> String {
    format!("{}:{}", loaded.member.instance, loaded.member.function)
}

/// Packets that each program of a generation has seen.
pub(super) fn runs<K: Kernel>(
    kernel: &K,
    journal: &Journal,
    place: &Place,
    number: u64,
) -> Vec<(String, u64)> {
    let Some(record) = generation(journal, place, number) else {
        return Vec::new();
    };
    let ends = kernel.ends(place, number).unwrap_or_default();
    let mut programs: Vec<_> = record
        .members
        .iter()
        .enumerate()
        .map(|(position, loaded)| program(position, loaded))
        .collect();
    count(&mut programs, &ends, place.hook);
    programs
        .iter()
        .zip(&record.members)
        .map(|(program, loaded)| (key(loaded), program.runs))
        .collect()
}
