// SPDX-License-Identifier: Apache-2.0
//! What the operator asks for: chains and probes, as written in a configuration file,
//! sent to the daemon, and kept in its journal.

use std::collections::BTreeMap;

use registry_schema::Reference;
use registry_schema::hook::Hook;
use registry_schema::manifest::ParameterValue;
use serde::{Deserialize, Serialize};

use crate::place::{Place, PlaceError};

/// Most programs in one chain: the kernel follows 33 tail calls and no more.
pub const MAX_CHAIN: usize = 34;

/// Everything a node is asked to run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Desired {
    /// Chains, at most one per place.
    #[serde(rename = "chain", default)]
    pub chains: Vec<ChainSpec>,
    /// Programs that observe and need no chain.
    #[serde(rename = "probe", default)]
    pub probes: Vec<ProbeSpec>,
}

/// `[[chain]]`: the ordered programs of one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainSpec {
    /// The interface's name. It may appear later.
    pub interface: String,
    /// Network namespace: a name under /run/netns or an absolute path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<String>,
    /// `xdp`, `tc-ingress` or `tc-egress`.
    pub hook: Hook,
    /// How an XDP chain attaches.
    #[serde(default)]
    pub mode: XdpMode,
    /// The programs, first to last.
    #[serde(rename = "program", default)]
    pub programs: Vec<ProgramSpec>,
}

/// How an XDP chain attaches to its interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum XdpMode {
    /// In the driver where it can, else behind it.
    #[default]
    Auto,
    /// Behind the driver: slower, works on every interface.
    Generic,
    /// In the driver, or not at all.
    Native,
}

/// `[[chain.program]]`: one program of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramSpec {
    /// The package, by tag, version or digest.
    pub package: Reference,
    /// The function; may be left out when only one fits the hook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Verdicts after which the chain goes on; absent means the package's choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proceed_on: Option<Vec<String>>,
    /// Values of the package's parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, ParameterValue>,
}

/// `[[probe]]`: a program that attaches by itself, such as a tracepoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeSpec {
    /// The package, by tag, version or digest.
    pub package: Reference,
    /// The function; may be left out when the package has only one probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Values of the package's parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, ParameterValue>,
}

/// Why a set of wishes cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum DesiredError {
    /// A name of an interface or namespace cannot exist.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// Two chains for one place.
    #[error("{0} has two chains; write all its programs, in order, into one [[chain]]")]
    Twice(Place),
    /// More programs than the kernel can chain.
    #[error("the chain of {place} has {count} programs; the kernel chains at most {MAX_CHAIN}")]
    TooLong { place: Place, count: usize },
    /// A verdict the hook does not know.
    #[error("`{verdict}` is no verdict of {hook}; proceed_on takes {known}")]
    Verdict {
        verdict: String,
        hook: Hook,
        known: String,
    },
    /// A mode where there is none.
    #[error("{0}: `mode` is for xdp chains only; remove it")]
    Mode(Place),
    /// The same probe twice.
    #[error("probe {0} is asked for twice; once is enough")]
    ProbeTwice(String),
}

impl ChainSpec {
    /// Where the chain runs.
    ///
    /// # Errors
    /// [`PlaceError`] for names that cannot exist.
    pub fn place(&self) -> Result<Place, PlaceError> {
        Place::new(self.netns.clone(), &self.interface, self.hook)
    }

    fn check(&self) -> Result<Place, DesiredError> {
        let place = self.place()?;
        if self.programs.len() > MAX_CHAIN {
            return Err(DesiredError::TooLong {
                place,
                count: self.programs.len(),
            });
        }
        if self.hook != Hook::Xdp && self.mode != XdpMode::Auto {
            return Err(DesiredError::Mode(place));
        }
        let verdicts = self
            .programs
            .iter()
            .flat_map(|program| program.proceed_on.iter().flatten());
        for verdict in verdicts {
            if self.hook.verdict(verdict).is_none() {
                let known: Vec<_> = self.hook.verdicts().iter().map(|(name, _)| *name).collect();
                let known = known.join(", ");
                return Err(DesiredError::Verdict {
                    verdict: verdict.clone(),
                    hook: self.hook,
                    known,
                });
            }
        }
        Ok(place)
    }
}

impl ProbeSpec {
    /// What tells this probe from others, before its package is known.
    pub fn title(&self) -> String {
        let package = &self.package.package;
        self.function.as_ref().map_or_else(
            || package.to_string(),
            |function| format!("{package}:{function}"),
        )
    }
}

impl Desired {
    /// Checks what needs no kernel and no registry.
    ///
    /// # Errors
    /// The first [`DesiredError`] in order of writing.
    pub fn check(&self) -> Result<(), DesiredError> {
        let mut places = Vec::new();
        for chain in &self.chains {
            let place = chain.check()?;
            if places.contains(&place) {
                return Err(DesiredError::Twice(place));
            }
            places.push(place);
        }
        let mut titles: Vec<String> = Vec::new();
        for probe in &self.probes {
            let title = probe.title();
            if titles.contains(&title) {
                return Err(DesiredError::ProbeTwice(title));
            }
            titles.push(title);
        }
        Ok(())
    }

    /// Puts `chain` in the place of the one it replaces, or behind all others. A chain
    /// without programs removes.
    ///
    /// # Errors
    /// As [`Desired::check`]; `self` is unchanged then.
    pub fn set_chain(&mut self, chain: ChainSpec) -> Result<(), DesiredError> {
        let place = chain.check()?;
        let existing = self
            .chains
            .iter()
            .position(|other| other.place().as_ref() == Ok(&place));
        match (existing, chain.programs.is_empty()) {
            (Some(index), true) => drop(self.chains.remove(index)),
            (Some(index), false) => self.chains[index] = chain,
            (None, true) => {}
            (None, false) => self.chains.push(chain),
        }
        Ok(())
    }
}
