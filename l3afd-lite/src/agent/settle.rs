// SPDX-License-Identifier: Apache-2.0
//! One chain or probe from wish to truth: resolve, plan, carry out, and remember what
//! failed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::{Agent, AgentError, Outcome, OutcomeState, Problem, lock};
use crate::desired::{ChainSpec, Desired, ProbeSpec};
use crate::fetch::Ask;
use crate::kernel::Kernel;
use crate::place::Place;
use crate::plan::{Step, plan_chain, plan_probe};
use crate::wanted::Wish;

/// Longest pause before something that failed is tried again.
const MAX_PAUSE: Duration = Duration::from_mins(5);

/// Something that failed and will be tried again.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    pub(super) problem: Problem,
    pause: Duration,
    since: Instant,
}

/// One chain or probe, for planning: what it is called and what is wished of it.
pub(super) enum Subject<'a> {
    Chain(Place, Option<&'a ChainSpec>),
    Probe(String, Option<&'a ProbeSpec>),
}

impl Subject<'_> {
    pub(super) fn title(&self) -> String {
        match self {
            Self::Chain(place, _) => place.to_string(),
            Self::Probe(name, _) => format!("probe {name}"),
        }
    }
}

impl<K: Kernel> Agent<K> {
    /// Everything that is wished or there: wishes in their order, then the rest.
    pub(super) fn subjects<'a>(
        &self,
        desired: &'a Desired,
    ) -> Result<Vec<Subject<'a>>, AgentError> {
        let mut subjects = Vec::new();
        let mut places = BTreeSet::new();
        for spec in &desired.chains {
            let place = spec.place().map_err(crate::desired::DesiredError::from)?;
            let spec = (!spec.programs.is_empty()).then_some(spec);
            places.insert(place.clone());
            subjects.push(Subject::Chain(place, spec));
        }
        let mut names = BTreeSet::new();
        for spec in &desired.probes {
            names.insert(spec.title());
            subjects.push(Subject::Probe(spec.title(), Some(spec)));
        }
        let there = self
            .kernel
            .places()?
            .into_iter()
            .filter(|place| !places.contains(place));
        subjects.extend(there.map(|place| Subject::Chain(place, None)));
        let there = self
            .kernel
            .probes()?
            .into_iter()
            .filter(|(name, _)| !names.contains(name));
        subjects.extend(there.map(|(name, _)| Subject::Probe(name, None)));
        Ok(subjects)
    }

    /// Brings one subject to what is wished, or only says how when `carry` is not set.
    pub(super) async fn settle_one(
        &self,
        subject: &Subject<'_>,
        ask: Ask,
        carry: bool,
    ) -> Result<Outcome, AgentError> {
        let title = subject.title();
        let thinned = match subject {
            Subject::Chain(_, Some(spec)) => spec
                .programs
                .iter()
                .any(|program| self.withdrawn(&program.package)),
            Subject::Probe(_, Some(spec)) => self.withdrawn(&spec.package),
            _ => false,
        };
        let paused = ask == Ask::Kept && self.paused(&title) && !thinned;
        let (steps, ended) = match subject {
            Subject::Chain(place, spec) => {
                let spec = spec.filter(|_| !paused);
                self.settle_chain(place, spec, paused, ask, carry).await
            }
            Subject::Probe(name, spec) => {
                let spec = spec.filter(|_| !paused);
                self.settle_probe(name, spec, paused, ask, carry).await
            }
        };
        let waits = steps.iter().any(|step| matches!(step, Step::Wait { .. }));
        let changes = steps
            .iter()
            .any(|step| !matches!(step, Step::Wait { .. } | Step::Retire { .. }));
        let problem = match ended {
            Err(AgentError::Journal(error)) => return Err(error.into()),
            Err(error) => {
                let problem = Problem::from(&error);
                if carry {
                    self.remember(&title, &problem);
                }
                Some(problem)
            }
            Ok(()) if paused => lock(&self.troubles)
                .get(&title)
                .map(|trouble| trouble.problem.clone()),
            Ok(()) => {
                if carry {
                    lock(&self.troubles).remove(&title);
                }
                None
            }
        };
        let state = match (&problem, waits, changes) {
            (Some(_), _, _) => OutcomeState::Refused,
            (None, true, _) => OutcomeState::Waiting,
            (None, false, true) => OutcomeState::Applied,
            (None, false, false) => OutcomeState::Unchanged,
        };
        Ok(Outcome {
            subject: title,
            state,
            steps,
            problem,
        })
    }

    async fn settle_chain(
        &self,
        place: &Place,
        spec: Option<&ChainSpec>,
        paused: bool,
        ask: Ask,
        carry: bool,
    ) -> (Vec<Step>, Result<(), AgentError>) {
        let spec = spec.and_then(|spec| self.standing(spec));
        let resolved = match &spec {
            None => Ok(None),
            Some(spec) => self.resolve_chain(place, spec, ask).await.map(Some),
        };
        tokio::task::block_in_place(|| {
            let actual = match self.kernel.chain(place) {
                Ok(actual) => actual,
                Err(error) => return (Vec::new(), Err(error.into())),
            };
            let wish = match &resolved {
                Ok(Some(resolved)) => Wish::Run(resolved.wanted.clone()),
                Ok(None) if !paused => Wish::Remove,
                _ => Wish::Keep,
            };
            let steps = plan_chain(place, &wish, &actual, lock(&self.journal).chain(place));
            let carried = match (&resolved, carry) {
                (Ok(resolved), true) => self.carry_chain(place, &steps, resolved.as_ref()),
                (Err(_), true) => self.carry_chain(place, &steps, None),
                (_, false) => Ok(()),
            };
            (steps, resolved.map(|_| ()).and(carried))
        })
    }

    async fn settle_probe(
        &self,
        name: &str,
        spec: Option<&ProbeSpec>,
        paused: bool,
        ask: Ask,
        carry: bool,
    ) -> (Vec<Step>, Result<(), AgentError>) {
        let resolved = match spec.filter(|spec| !self.withdrawn(&spec.package)) {
            None => Ok(None),
            Some(spec) => self.resolve_probe(spec, ask).await.map(Some),
        };
        tokio::task::block_in_place(|| {
            let probes = match self.kernel.probes() {
                Ok(probes) => probes,
                Err(error) => return (Vec::new(), Err(error.into())),
            };
            let actual = probes
                .iter()
                .find(|(other, _)| other == name)
                .map(|(_, actual)| actual);
            let wish = match &resolved {
                Ok(Some(resolved)) => Wish::Run(resolved.wanted.clone()),
                Ok(None) if !paused => Wish::Remove,
                _ => Wish::Keep,
            };
            let steps = plan_probe(name, &wish, actual, lock(&self.journal).probes.get(name));
            let resolved = match resolved {
                Ok(resolved) => resolved,
                Err(error) => return (steps, Err(error)),
            };
            let carried = if carry {
                self.carry_probe(name, &steps, resolved.as_ref())
            } else {
                Ok(())
            };
            (steps, carried)
        })
    }

    /// Whether something failed so recently that it is not tried yet.
    fn paused(&self, title: &str) -> bool {
        lock(&self.troubles)
            .get(title)
            .is_some_and(|trouble| trouble.since.elapsed() < trouble.pause)
    }

    fn remember(&self, title: &str, problem: &Problem) {
        let mut troubles = lock(&self.troubles);
        let pause = troubles
            .get(title)
            .map_or(self.config.interval(), |trouble| {
                trouble.pause.saturating_mul(2)
            });
        if troubles
            .get(title)
            .is_none_or(|trouble| trouble.problem != *problem)
        {
            tracing::error!(target: "refused", subject = title, "{}", problem.message);
        }
        self.counters.refused(&problem.reason);
        let trouble = Trouble {
            problem: problem.clone(),
            pause: pause.min(MAX_PAUSE),
            since: Instant::now(),
        };
        troubles.insert(title.to_owned(), trouble);
    }
}
