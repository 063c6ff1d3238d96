// SPDX-License-Identifier: Apache-2.0
//! The part of the configuration that says what is demanded of a version.

use chrono::TimeDelta;
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use registry_schema::review::{Policy, Vetting};

/// What is demanded of a version.
#[derive(Debug, Clone, Args)]
pub struct PolicyOptions {
    /// What a version needs before others than its publishers see it: `public`, signatures by
    /// identities of its namespace; `private`, nothing
    #[arg(
        long,
        env = "BPFPKG_SERVER_POLICY",
        default_value = "private",
        value_name = "POLICY",
        value_parser = PossibleValuesParser::new(["public", "private"]).map(|word| policy(&word))
    )]
    pub policy: Policy,
    /// Who looks at a version of a public registry before it is shown: `automated`, this
    /// program alone; `human`, also a reviewer
    #[arg(
        long,
        env = "BPFPKG_SERVER_VETTING",
        default_value = "automated",
        value_name = "MODE",
        value_parser = vetting
    )]
    pub vetting: Vetting,
    /// Hours that a version of a public registry waits for its signatures before its tag goes
    #[arg(
        long,
        env = "BPFPKG_SERVER_PENDING_HOURS",
        value_name = "HOURS",
        default_value_t = 24,
        value_parser = clap::value_parser!(u32).range(1..=720)
    )]
    pub pending_hours: u32,
    /// Days for which a namespace's domain or account counts as its own after that was last
    /// seen
    #[arg(
        long,
        env = "BPFPKG_SERVER_PROOF_DAYS",
        value_name = "DAYS",
        default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(1..=365)
    )]
    pub proof_days: u32,
    /// Hours between the acceptance of a namespace's transfer and the transfer
    #[arg(
        long,
        env = "BPFPKG_SERVER_TRANSFER_HOURS",
        value_name = "HOURS",
        default_value_t = 72,
        value_parser = clap::value_parser!(u32).range(1..=720)
    )]
    pub transfer_hours: u32,
}

fn policy(word: &str) -> Policy {
    match word {
        "public" => Policy::Public,
        _ => Policy::Private,
    }
}

fn vetting(word: &str) -> Result<Vetting, String> {
    match word {
        "automated" => Ok(Vetting::Automated),
        "human" => Ok(Vetting::Human),
        "reputation" => Err(
            "`reputation` needs a ledger of evidence, which this release does not keep; use automated or human"
                .to_owned(),
        ),
        _ => Err("use automated or human".to_owned()),
    }
}

impl PolicyOptions {
    /// Whether versions wait for signatures.
    pub fn is_public(&self) -> bool {
        self.policy == Policy::Public
    }

    /// How long they wait.
    pub fn pending(&self) -> TimeDelta {
        TimeDelta::hours(self.pending_hours.into())
    }
}
