// SPDX-License-Identifier: Apache-2.0
//! The agent: takes wishes, finds out what they mean, and brings the kernel there.
//!
//! One change at a time, and whoever's turn it is has all packages at hand: neither changes
//! nor looks wait for a registry that somebody else asks.

mod carry;
mod error;
mod outcome;
mod resolve;
mod settle;
mod status;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use registry_client::memory::MemoryStore;

use crate::config::Config;
use crate::desired::{ChainSpec, Desired};
use crate::fetch::{Ask, Fetcher};
use crate::journal::{Journal, StateDir};
use crate::kernel::Kernel;
use crate::metrics::Counters;
use crate::place::Place;

pub use error::{AgentError, Problem};
pub use outcome::{Outcome, OutcomeState, Report};
pub(crate) use resolve::Package;
use settle::{Subject, Trouble};
pub use status::{ChainStatus, ProgramStatus, Status};

/// Brings one node's kernel to what is wished, and keeps it there.
pub struct Agent<K> {
    kernel: K,
    config: Config,
    fetcher: Fetcher,
    memory: MemoryStore,
    state: StateDir,
    journal: Mutex<Journal>,
    packages: Mutex<BTreeMap<String, Arc<Package>>>,
    switched: Mutex<BTreeMap<Place, Instant>>,
    troubles: Mutex<BTreeMap<String, Trouble>>,
    watch: Mutex<watch::Watch>,
    turn: tokio::sync::Mutex<()>,
    counters: Counters,
    started: Instant,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves whole values: each is replaced in one assignment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Kernel> Agent<K> {
    /// Takes over what the state directory remembers.
    ///
    /// # Errors
    /// [`AgentError::Journal`] if the state is in use or cannot be read,
    /// [`AgentError::Kernel`] if pins cannot be kept.
    pub fn new(kernel: K, config: Config) -> Result<Self, AgentError> {
        kernel.prepare()?;
        let state = StateDir::open(&config.state_dir)?;
        Self::with_state(kernel, config, state)
    }

    /// An agent that only looks, beside the one that acts: it gives status and plans.
    ///
    /// # Errors
    /// [`AgentError::Journal`] if the journal cannot be read.
    pub fn look(kernel: K, config: Config) -> Result<Self, AgentError> {
        let state = StateDir::look(&config.state_dir);
        Self::with_state(kernel, config, state)
    }

    fn with_state(kernel: K, config: Config, state: StateDir) -> Result<Self, AgentError> {
        let (journal, damaged) = state.read()?;
        if let Some(aside) = damaged {
            tracing::error!(path = %aside.display(), "the journal was damaged and put aside; what the kernel runs is replaced by what the configuration asks for");
        }
        let fetcher = Fetcher::new(config.registry.clone(), state.path().join("packages"));
        let memory = MemoryStore::at(state.path().join("seen"));
        Ok(Self {
            kernel,
            config,
            fetcher,
            memory,
            state,
            journal: Mutex::new(journal),
            packages: Mutex::default(),
            switched: Mutex::default(),
            troubles: Mutex::default(),
            watch: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            counters: Counters::default(),
            started: Instant::now(),
        })
    }

    /// The settings.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) const fn kernel(&self) -> &K {
        &self.kernel
    }

    pub(crate) const fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn journal(&self) -> Journal {
        lock(&self.journal).clone()
    }

    /// The package of a program that runs, if it was resolved since the start.
    pub(crate) fn known_package(&self, member: &crate::wanted::Member) -> Option<Arc<Package>> {
        let packages = lock(&self.packages);
        packages
            .values()
            .find(|package| package.verified.digest == member.digest)
            .cloned()
    }

    /// What was wished last.
    pub fn desired(&self) -> Desired {
        lock(&self.journal).desired.clone()
    }

    /// Changes the journal, in memory and on disk.
    fn change(&self, change: impl FnOnce(&mut Journal)) -> Result<(), AgentError> {
        let mut journal = lock(&self.journal);
        let mut next = journal.clone();
        change(&mut next);
        if *journal != next {
            self.state.write(&next)?;
            *journal = next;
        }
        Ok(())
    }

    /// Takes over the wishes of a configuration file, unless it is the one whose wishes
    /// were taken over last: then later changes count.
    ///
    /// # Errors
    /// As [`Agent::apply`].
    pub async fn start(
        &self,
        desired: Desired,
        digest: registry_schema::Digest,
    ) -> Result<Report, AgentError> {
        let known = lock(&self.journal).config.as_ref() == Some(&digest);
        let desired = if known { self.desired() } else { desired };
        desired.check()?;
        self.change(|journal| {
            journal.desired = desired;
            journal.config = Some(digest);
        })?;
        self.settle(Ask::Registry).await
    }

    /// Takes wishes over, as far as they can be carried out: a chain or probe that is
    /// refused stays as it was.
    ///
    /// # Errors
    /// [`AgentError::Desired`] if they contradict themselves, [`AgentError::Journal`].
    /// What befalls single chains is in the report.
    pub async fn apply(&self, desired: &Desired) -> Result<Report, AgentError> {
        desired.check()?;
        let all = self.ready_all(desired, Ask::Registry).await?;
        let _turn = self.turn.lock().await;
        let before = self.desired();
        let mut accepted = Desired::default();
        let mut report = Report::default();
        for ready in all {
            let subject = ready.subject.clone();
            let outcome = self.settle_one(ready, true)?;
            let refused = outcome.state == OutcomeState::Refused;
            match &subject {
                Subject::Chain(place, spec) => {
                    let old = || {
                        before
                            .chains
                            .iter()
                            .find(|chain| chain.place().as_ref() == Ok(place))
                    };
                    accepted
                        .chains
                        .extend((if refused { old() } else { *spec }).cloned());
                }
                Subject::Probe(name, spec) => {
                    let old = || before.probes.iter().find(|probe| probe.title() == *name);
                    accepted
                        .probes
                        .extend((if refused { old() } else { *spec }).cloned());
                }
            }
            report.outcomes.push(outcome);
        }
        self.change(|journal| journal.desired = accepted)?;
        Ok(report)
    }

    /// Wishes one chain and leaves all other wishes as they were. A chain without
    /// programs is removed.
    ///
    /// # Errors
    /// As [`Agent::apply`].
    pub async fn apply_chain(&self, chain: ChainSpec) -> Result<Report, AgentError> {
        let place = chain.place().map_err(crate::desired::DesiredError::from)?;
        let removes = chain.programs.is_empty();
        self.desired().set_chain(chain.clone())?;
        let subject = Subject::Chain(place, (!removes).then_some(&chain));
        let ready = self.ready(subject, Ask::Registry).await;
        let _turn = self.turn.lock().await;
        let mut desired = self.desired();
        desired.set_chain(chain.clone())?;
        let outcome = self.settle_one(ready, true)?;
        if outcome.state != OutcomeState::Refused {
            self.change(|journal| journal.desired = desired)?;
        }
        Ok(Report {
            outcomes: vec![outcome],
        })
    }

    /// Whether a generation that was replaced waits for its removal.
    ///
    /// # Errors
    /// [`AgentError::Kernel`] if the pins cannot be read.
    pub fn has_unfinished(&self) -> Result<bool, AgentError> {
        let places = self.kernel.places()?;
        let replaced = |place| Ok(self.kernel.chain(place)?.generations.len() > 1);
        places
            .iter()
            .map(replaced)
            .try_fold(false, |found, more: Result<_, AgentError>| {
                Ok(found || more?)
            })
    }

    /// Brings everything to what was wished last: at start, and at each interval.
    ///
    /// # Errors
    /// [`AgentError::Journal`], [`AgentError::Kernel`] if not even the pins can be read.
    pub async fn settle(&self, ask: Ask) -> Result<Report, AgentError> {
        let desired = self.desired();
        let mut report = Report::default();
        for subject in self.subjects(&desired)? {
            let ready = self.ready(subject, ask).await;
            let _turn = self.turn.lock().await;
            if self.desired() != desired {
                // Something else was wished meanwhile; the next interval sees to the rest.
                break;
            }
            report.outcomes.push(self.settle_one(ready, true)?);
        }
        Ok(report)
    }

    /// The steps that [`Agent::apply`] would take. Changes nothing but what is kept of
    /// packages.
    ///
    /// # Errors
    /// As [`Agent::apply`].
    pub async fn plan(&self, desired: &Desired) -> Result<Report, AgentError> {
        desired.check()?;
        let all = self.ready_all(desired, Ask::Registry).await?;
        let _turn = self.turn.lock().await;
        let outcomes = all.into_iter().map(|ready| self.settle_one(ready, false));
        Ok(Report {
            outcomes: outcomes.collect::<Result<_, _>>()?,
        })
    }
}
