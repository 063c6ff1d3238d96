// SPDX-License-Identifier: Apache-2.0
//! What the agent reports of each wish.

use serde::{Deserialize, Serialize};

use super::Problem;
use crate::plan::Step;

/// What became of one chain or probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The place of a chain, or the name of a probe.
    pub subject: String,
    /// How it ended.
    pub state: OutcomeState,
    /// The steps that were taken, or would be.
    pub steps: Vec<Step>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// How one chain or probe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeState {
    /// It is as wished.
    Applied,
    /// It was so before.
    Unchanged,
    /// It is kept until the interface appears.
    Waiting,
    /// It is not as wished; what ran before still runs.
    Refused,
}

/// What became of all wishes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// One entry for each chain and probe that was or is wished.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// The problem with the highest exit code.
    pub fn worst(&self) -> Option<&Problem> {
        self.outcomes
            .iter()
            .filter_map(|outcome| outcome.problem.as_ref())
            .max_by_key(|problem| problem.exit_code)
    }
}
