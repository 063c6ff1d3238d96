// SPDX-License-Identifier: Apache-2.0
//! From what is wanted and what is true to the steps between them. Pure: touches
//! neither kernel nor disk nor clock, and can be printed without being carried out.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::journal::{ChainRecord, GenerationRecord, ProbeRecord};
use crate::kernel::{ActualChain, ActualGeneration, ActualProbe};
use crate::place::Place;
use crate::wanted::{WantedChain, WantedProbe, Wish};

/// One step towards what is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Step {
    /// Nothing can be done before the interface appears.
    Wait { place: Place },
    /// Load a generation beside the running one.
    Load {
        place: Place,
        generation: u64,
        programs: Vec<String>,
    },
    /// Attach a loaded generation where nothing of ours is attached.
    Attach { place: Place, generation: u64 },
    /// Make a loaded generation the running one, by one update of the link.
    Switch { place: Place, from: u64, to: u64 },
    /// Put the programs of the running generation back into its array.
    Mend { place: Place, generation: u64 },
    /// Write parameters into the maps of the running generation.
    Configure {
        place: Place,
        generation: u64,
        programs: Vec<String>,
    },
    /// Remove a generation that does not run.
    Retire { place: Place, generation: u64 },
    /// Remove a link that is attached to nothing, or in another mode than wanted.
    Unlink { place: Place },
    /// Remove the whole chain.
    Remove { place: Place },
    /// Load and attach a probe, in place of the one that runs.
    AttachProbe {
        name: String,
        generation: u64,
        program: String,
    },
    /// Write parameters into the maps of a probe.
    ConfigureProbe { name: String },
    /// Detach a probe and remove it.
    RemoveProbe { name: String },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait { place } => write!(f, "{place}: wait for the interface"),
            Self::Load {
                place,
                generation,
                programs,
            } => {
                write!(
                    f,
                    "{place}: load generation {generation}: {}",
                    programs.join(" → ")
                )
            }
            Self::Attach { place, generation } => {
                write!(f, "{place}: attach generation {generation}")
            }
            Self::Switch { place, from, to } => {
                write!(
                    f,
                    "{place}: switch from generation {from} to {to}, with one update of the link"
                )
            }
            Self::Mend { place, generation } => {
                write!(
                    f,
                    "{place}: put the programs of generation {generation} back into its array"
                )
            }
            Self::Configure {
                place, programs, ..
            } => {
                write!(f, "{place}: set parameters of {}", programs.join(", "))
            }
            Self::Retire { place, generation } => {
                write!(f, "{place}: remove generation {generation}")
            }
            Self::Unlink { place } => write!(f, "{place}: detach"),
            Self::Remove { place } => write!(f, "{place}: remove the chain"),
            Self::AttachProbe { name, program, .. } => write!(f, "probe {name}: attach {program}"),
            Self::ConfigureProbe { name } => write!(f, "probe {name}: set parameters"),
            Self::RemoveProbe { name } => write!(f, "probe {name}: remove"),
        }
    }
}

/// The steps for one chain.
pub fn plan_chain(
    place: &Place,
    wish: &Wish<WantedChain>,
    actual: &ActualChain,
    record: Option<&ChainRecord>,
) -> Vec<Step> {
    let exists = actual.link.is_some() || !actual.generations.is_empty();
    let wanted = match wish {
        Wish::Remove if exists => {
            return vec![Step::Remove {
                place: place.clone(),
            }];
        }
        Wish::Remove => return Vec::new(),
        Wish::Run(wanted) => Some(wanted),
        Wish::Keep => None,
    };
    let chain = Chain {
        place,
        wanted,
        actual,
        record,
    };
    let mut steps = Vec::new();
    if actual.ifindex.is_none() {
        if actual.link.is_some() {
            steps.push(Step::Unlink {
                place: place.clone(),
            });
        }
        steps.push(Step::Wait {
            place: place.clone(),
        });
        return steps;
    }
    let Some(goal) = chain.approach(&mut steps) else {
        return steps;
    };
    let others = actual
        .generations
        .iter()
        .filter(|generation| generation.number != goal);
    steps.extend(others.map(|other| Step::Retire {
        place: place.clone(),
        generation: other.number,
    }));
    steps
}

/// One chain under planning.
struct Chain<'a> {
    place: &'a Place,
    wanted: Option<&'a WantedChain>,
    actual: &'a ActualChain,
    record: Option<&'a ChainRecord>,
}

impl Chain<'_> {
    /// Adds the steps to the generation that shall run and tells its number; none when
    /// nothing can or shall run.
    fn approach(&self, steps: &mut Vec<Step>) -> Option<u64> {
        let place = || self.place.clone();
        let attached = self.actual.running();
        let running = attached.filter(|_| self.mode_fits());
        if running.is_none() && self.actual.link.is_some() {
            steps.push(Step::Unlink { place: place() });
        }
        if let Some(running) = running
            && let Some(record) = self.known(running.number)
            && self.fits(record)
        {
            if !Self::intact(running, record) {
                if running.programs.iter().all(Option::is_some)
                    && running.programs.len() == record.members.len()
                {
                    steps.push(Step::Mend {
                        place: place(),
                        generation: running.number,
                    });
                } else {
                    // A pin is gone: what is behind it can only be loaded again.
                    return Some(self.replace(Some(running.number), steps));
                }
            }
            steps.extend(self.configure(record));
            return Some(running.number);
        }
        let ready = self.actual.generations.iter().rev().find(|generation| {
            self.known(generation.number)
                .is_some_and(|record| self.fits(record) && Self::intact(generation, record))
        });
        match (ready, running) {
            (Some(ready), Some(running)) => {
                let (from, to) = (running.number, ready.number);
                steps.push(Step::Switch {
                    place: place(),
                    from,
                    to,
                });
                Some(to)
            }
            (Some(ready), None) => {
                steps.extend(
                    self.known(ready.number)
                        .and_then(|record| self.configure(record)),
                );
                steps.push(Step::Attach {
                    place: place(),
                    generation: ready.number,
                });
                Some(ready.number)
            }
            (None, running) => match self.wanted {
                Some(_) => Some(self.replace(running.map(|running| running.number), steps)),
                None => running.map(|running| running.number),
            },
        }
    }

    /// Loads a new generation and makes it the running one.
    fn replace(&self, running: Option<u64>, steps: &mut Vec<Step>) -> u64 {
        let recorded = self
            .record
            .and_then(|record| record.generations.iter().map(|g| g.number).max());
        let pinned = self
            .actual
            .generations
            .last()
            .map(|generation| generation.number);
        let next = recorded.max(pinned).map_or(1, |highest| highest + 1);
        let members = self.wanted.map_or(&[][..], |wanted| &wanted.members);
        let programs = members
            .iter()
            .map(|member| format!("{} {}", member.title(), member.function))
            .collect();
        steps.push(Step::Load {
            place: self.place.clone(),
            generation: next,
            programs,
        });
        steps.push(match running {
            Some(from) => Step::Switch {
                place: self.place.clone(),
                from,
                to: next,
            },
            None => Step::Attach {
                place: self.place.clone(),
                generation: next,
            },
        });
        next
    }

    fn known(&self, number: u64) -> Option<&GenerationRecord> {
        self.record?
            .generations
            .iter()
            .find(|record| record.number == number)
    }

    /// Whether a generation is what is wanted, but for parameters that change in place.
    fn fits(&self, record: &GenerationRecord) -> bool {
        let Some(wanted) = self.wanted else {
            return true;
        };
        wanted.members.len() == record.members.len()
            && wanted
                .members
                .iter()
                .zip(&record.members)
                .all(|(wanted, loaded)| wanted.runs_as(&loaded.member))
    }

    fn mode_fits(&self) -> bool {
        match (self.wanted, self.record) {
            (Some(wanted), Some(record)) => wanted.mode == record.mode,
            _ => true,
        }
    }

    fn intact(generation: &ActualGeneration, record: &GenerationRecord) -> bool {
        let ids = record.members.iter().map(|loaded| Some(loaded.program.id));
        generation.intact() && ids.eq(generation.programs.iter().copied())
    }

    fn configure(&self, record: &GenerationRecord) -> Option<Step> {
        let members = self.wanted?.members.iter().zip(&record.members);
        let changed = members.filter(|(wanted, loaded)| wanted.entries != loaded.member.entries);
        let programs: Vec<String> = changed.map(|(wanted, _)| wanted.title()).collect();
        let (place, generation) = (self.place.clone(), record.number);
        (!programs.is_empty()).then_some(Step::Configure {
            place,
            generation,
            programs,
        })
    }
}

/// The steps for one probe.
pub fn plan_probe(
    name: &str,
    wish: &Wish<WantedProbe>,
    actual: Option<&ActualProbe>,
    record: Option<&ProbeRecord>,
) -> Vec<Step> {
    let name = name.to_owned();
    let wanted = match wish {
        Wish::Keep => return Vec::new(),
        Wish::Remove => {
            return actual
                .map(|_| Step::RemoveProbe { name })
                .into_iter()
                .collect();
        }
        Wish::Run(wanted) => wanted,
    };
    let running = actual.and_then(|actual| actual.running);
    if let (Some(running), Some(record)) = (running, record)
        && running == record.number
        && wanted.attach == record.attach
        && wanted.member.runs_as(&record.loaded.member)
    {
        let changed = wanted.member.entries != record.loaded.member.entries;
        return changed
            .then_some(Step::ConfigureProbe { name })
            .into_iter()
            .collect();
    }
    let highest = actual
        .and_then(|actual| actual.highest)
        .max(record.map(|record| record.number));
    let program = format!(
        "{} {} to {}",
        wanted.member.title(),
        wanted.member.function,
        wanted.attach
    );
    vec![Step::AttachProbe {
        name,
        generation: highest.map_or(1, |highest| highest + 1),
        program,
    }]
}
