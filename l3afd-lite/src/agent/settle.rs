// SPDX-License-Identifier: Apache-2.0
//! One chain or probe from wish to truth: resolve, plan, carry out, and remember what
//! failed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::resolve::Resolved;
use super::{Agent, AgentError, Outcome, OutcomeState, Problem, lock};
use crate::desired::{ChainSpec, Desired, ProbeSpec};
use crate::fetch::Ask;
use crate::kernel::Kernel;
use crate::place::Place;
use crate::plan::{Step, plan_chain, plan_probe};
use crate::wanted::{WantedChain, WantedProbe, Wish};

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
#[derive(Clone)]
pub(super) enum Subject<'a> {
    Chain(Place, Option<&'a ChainSpec>),
    Probe(String, Option<&'a ProbeSpec>),
}

/// What a wish comes to, down to packages at hand; nothing if nothing shall run; or why it
/// cannot be had.
enum Meaning {
    Chain(Place, Result<Option<Resolved<WantedChain>>, AgentError>),
    Probe(String, Result<Option<Resolved<WantedProbe>>, AgentError>),
}

/// A subject that needs no registry any more.
pub(super) struct Ready<'a> {
    pub(super) subject: Subject<'a>,
    /// Whether it failed so recently that it stays as it is.
    paused: bool,
    meaning: Meaning,
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

    /// Finds out what is wished of all subjects.
    ///
    /// # Errors
    /// As [`Agent::subjects`].
    pub(super) async fn ready_all<'a>(
        &self,
        desired: &'a Desired,
        ask: Ask,
    ) -> Result<Vec<Ready<'a>>, AgentError> {
        let mut all = Vec::new();
        for subject in self.subjects(desired)? {
            all.push(self.ready(subject, ask).await);
        }
        Ok(all)
    }

    /// Finds out what is wished of one subject. It may take as long as registries are given,
    /// so it is done before anybody's turn.
    pub(super) async fn ready<'a>(&self, subject: Subject<'a>, ask: Ask) -> Ready<'a> {
        let thinned = match &subject {
            Subject::Chain(_, Some(spec)) => spec
                .programs
                .iter()
                .any(|program| self.withdrawn(&program.package)),
            Subject::Probe(_, Some(spec)) => self.withdrawn(&spec.package),
            _ => false,
        };
        let paused = ask == Ask::Kept && self.paused(&subject.title()) && !thinned;
        let meaning = match &subject {
            Subject::Chain(place, spec) => {
                let spec = spec.filter(|_| !paused);
                let spec = spec.and_then(|spec| self.standing(spec));
                let resolved = match &spec {
                    None => Ok(None),
                    Some(spec) => self.resolve_chain(place, spec, ask).await.map(Some),
                };
                Meaning::Chain(place.clone(), resolved)
            }
            Subject::Probe(name, spec) => {
                let spec = spec.filter(|spec| !paused && !self.withdrawn(&spec.package));
                let resolved = match spec {
                    None => Ok(None),
                    Some(spec) => self.resolve_probe(spec, ask).await.map(Some),
                };
                Meaning::Probe(name.clone(), resolved)
            }
        };
        Ready {
            subject,
            paused,
            meaning,
        }
    }

    /// Brings one subject to what is wished, or only says how when `carry` is not set.
    pub(super) fn settle_one(&self, ready: Ready<'_>, carry: bool) -> Result<Outcome, AgentError> {
        let Ready {
            subject,
            paused,
            meaning,
        } = ready;
        let title = subject.title();
        let (steps, ended) = tokio::task::block_in_place(|| match meaning {
            Meaning::Chain(place, resolved) => self.settle_chain(&place, resolved, paused, carry),
            Meaning::Probe(name, resolved) => self.settle_probe(&name, resolved, paused, carry),
        });
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

    fn settle_chain(
        &self,
        place: &Place,
        resolved: Result<Option<Resolved<WantedChain>>, AgentError>,
        paused: bool,
        carry: bool,
    ) -> (Vec<Step>, Result<(), AgentError>) {
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
    }

    fn settle_probe(
        &self,
        name: &str,
        resolved: Result<Option<Resolved<WantedProbe>>, AgentError>,
        paused: bool,
        carry: bool,
    ) -> (Vec<Step>, Result<(), AgentError>) {
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
